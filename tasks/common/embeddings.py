"""What texts mean, as static embeddings (model2vec): the mean of vectors of word pieces, which no accelerator is needed for.

In: texts. Out: unit vectors, one a text, the same whatever the other texts are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.core.errors import UserError

Vectors = npt.NDArray[np.float32]


class Embeddings:
    """A model's folder, or its name on the Hugging Face hub (then it is fetched, once); `parameter` is what names it, for errors."""

    def __init__(self, model: str, parameter: str) -> None:
        from model2vec import StaticModel  # loads tokenizers: only where embeddings are on

        if not Path(model).is_dir() and (model.count("/") != 1 or model.startswith((".", "/", "~"))):
            raise _missing(model, parameter, "no such folder")
        try:
            self._model = StaticModel.from_pretrained(model)
        except (OSError, ValueError, KeyError) as error:
            raise _missing(model, parameter, f"nothing that loads ({type(error).__name__})") from error

    def of(self, texts: Sequence[str]) -> Vectors:
        """The unit vectors of the texts; a text without known word pieces is the zero vector."""
        if not texts:
            return np.zeros((0, self._model.dim), np.float32)
        vectors = np.asarray(self._model.encode(list(texts), use_multiprocessing=False), np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0))


def _missing(model: str, parameter: str, found: str) -> UserError:
    expected = "the folder of a model2vec model, or its owner/name on the Hugging Face hub"
    return UserError(f"params.yaml: {parameter}: {model}", found, expected, 'correct it, or switch it off with ""')
