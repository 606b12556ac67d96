"""Token counts: a linear score of which tokens an answer holds, and how often, to stand beside a reward model's body.

The score is the sum over the tokens of the vocabulary of weight x min(count in the answer, `most`), plus a constant. A bag of tokens is the
strongest simple judge of preferences there is, and a small body takes thousands of pairs to find what it sees at once. It reads
no prompt and no order; those are the body's part. `most` keeps it from being exploited: what is said again earns nothing more.

In: token ids of answers. Out: one number an answer. On disk: `token_counts.safetensors` beside the model. Whoever loads the model without
Pairwright gets the body's reward alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tasks.core.errors import UserError
from trainer.models.scoring import Row

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from transformers import PreTrainedModel

NAME = "token_counts.safetensors"
BESIDE = "token_counts"  # the attribute by which a model carries them


@dataclass(frozen=True)
class TokenCounts:
    """A weight for each token of the vocabulary, the constant, and the largest count that counts."""

    weights: np.ndarray
    constant: float
    most: int

    def score(self, answers: Sequence[Sequence[int]]) -> np.ndarray:
        """One number an answer, in double precision."""
        found: np.ndarray = features(answers, self.most, len(self.weights)) @ self.weights + self.constant
        return found

    def save(self, folder: Path) -> None:
        """Write `token_counts.safetensors`."""
        from safetensors.numpy import save_file

        save_file(
            {"weights": self.weights, "constant": np.array([self.constant]), "most": np.array([self.most], dtype=np.int64)}, folder / NAME
        )
        (folder / NAME).chmod(0o644)  # safetensors lets nobody else read


def features(answers: Sequence[Sequence[int]], most: int, vocabulary: int) -> csr_matrix:
    """How often each token stands in each answer, `most` times at most: a sparse matrix of answers x vocabulary.

    Numbers beyond the vocabulary, which a model whose output is wider may write, are left out.
    """
    from scipy.sparse import csr_matrix

    rows = [np.unique([token for token in answer if token < vocabulary], return_counts=True) for answer in answers]
    ends = np.cumsum([0, *(len(tokens) for tokens, _ in rows)])
    tokens, counts = (np.concatenate([np.zeros(0), *(row[part] for row in rows)]).astype(np.int64) for part in (0, 1))
    return csr_matrix((np.minimum(counts, most).astype(np.float64), tokens, ends), shape=(len(rows), vocabulary))


def load(folder: Path) -> TokenCounts | None:
    """Those that lie beside a model; None where there are none, a UserError where they cannot be read."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / NAME
    if not path.is_file():
        return None
    try:
        read = load_file(path)
        return TokenCounts(read["weights"], float(read["constant"][0]), int(read["most"][0]))
    except (OSError, SafetensorError, KeyError, IndexError) as error:
        raise UserError(str(path), f"{error}", "the token counts of a reward model", "run `dvc repro reward`") from error


def put(model: PreTrainedModel, counts: TokenCounts | None) -> None:
    """Let the model carry these, so that whoever asks for its rewards gets both parts."""
    cast("Any", model).__dict__[BESIDE] = counts


def of(model: PreTrainedModel) -> TokenCounts | None:
    """What the model carries."""
    return cast("TokenCounts | None", vars(model).get(BESIDE))


def score(model: PreTrainedModel, rows: Sequence[Row]) -> np.ndarray:
    """What the counts that the model carries add to its rewards: zeros where it carries none."""
    counts = of(model)
    return counts.score([answer for _, answer in rows]) if counts else np.zeros(len(rows))
