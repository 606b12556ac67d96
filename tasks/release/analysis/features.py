"""Surface features of an answer: its length, its formatting, and whether it refuses.

In: a column of message lists. Out: a number per list, 0 or more. A new feature is one function and one line in FEATURES.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.lengths import length

Values = np.ndarray[Any, np.dtype[np.int64]]
Flat: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any]"

OPENING = 200  # characters in which a refusal is looked for
# Openings of refusals, lower case without apostrophes.
REFUSALS = {
    "en": (
        "i cant help", "i cannot help", "i cant assist", "i cannot assist", "i cant provide", "i cannot provide", "i cant fulfill",
        "i cannot fulfill", "i cant do that", "i cannot do that", "i cant comply", "i cannot comply", "i cant answer", "i cannot answer",
        "i cant create", "i cannot create", "i cant write", "i cannot write", "im unable to", "i am unable to", "im not able to",
        "i am not able to", "i wont be able to", "im sorry, but i cant", "im sorry, but i cannot", "i must decline", "i have to decline",
        "as an ai language model, i cannot", "as an ai language model, i cant", "it is not appropriate for me",
        "it would not be appropriate",
    ),
    "de": (
        "ich kann ihnen dabei nicht", "ich kann dir dabei nicht", "dabei kann ich nicht", "das kann ich nicht",
        "ich kann diese anfrage nicht", "ich bin nicht in der lage", "es tut mir leid, aber ich kann",
    ),
    "es": (
        "no puedo ayudar", "no puedo proporcionar", "no puedo cumplir", "no puedo hacer eso", "lo siento, pero no puedo",
        "no me es posible",
    ),
    "fr": (
        "je ne peux pas vous aider", "je ne peux pas t", "je ne peux pas fournir", "je ne peux pas répondre",
        "je suis désolé, mais je ne peux", "je ne suis pas en mesure",
    ),
    "it": ("non posso aiutar", "non posso fornire", "mi dispiace, ma non posso", "non sono in grado di"),
    "pt": ("não posso ajudar", "não posso fornecer", "sinto muito, mas não posso", "desculpe, mas não posso", "não consigo ajudar"),
    "nl": ("ik kan je daar niet", "ik kan u daar niet", "het spijt me, maar ik kan", "ik kan niet helpen"),
    "ru": ("я не могу помочь", "я не могу предоставить", "к сожалению, я не могу", "извините, но я не могу"),
    "pl": ("nie mogę pomóc", "przykro mi, ale nie mogę"),
    "tr": ("yardımcı olamam", "bunu yapamam"),
    "zh": ("我无法提供", "我不能提供", "我无法帮助", "我不能帮助", "对不起，我不能", "对不起，我无法", "抱歉，我无法", "抱歉，我不能"),
    "ja": ("お手伝いできません", "お答えできません", "提供することはできません"),
    "ko": ("도와드릴 수 없", "제공할 수 없"),
}  # fmt: skip


def counted(pattern: str) -> Callable[[pa.ChunkedArray[Any]], Values]:
    """A feature: how often the pattern occurs in the messages."""
    return lambda messages: _summed(messages, lambda content: pc.count_substring_regex(content, pattern))


def refuses(messages: pa.ChunkedArray[Any]) -> Values:
    """1 where a message begins with a refusal."""
    return np.minimum(_summed(messages, _refused), 1)


# List items, bold spans, lines that begin with hashes, and pairs of code fences.
FEATURES: dict[str, Callable[[pa.ChunkedArray[Any]], Values]] = {
    "length": length,
    "lists": counted(r"(?m)^[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+\S"),
    "bold": counted(r"\*\*[^*\n]+\*\*|__[^_\n]+__"),
    "headers": counted(r"(?m)^#{1,6}[ \t]+\S"),
    "code": counted(r"(?m)^[ \t]*```[\s\S]*?^[ \t]*```"),
    "refusals": refuses,
}
PHRASES = "|".join(re.escape(phrase) for phrases in REFUSALS.values() for phrase in phrases)


def _refused(content: pa.ChunkedArray[Any]) -> Flat:
    opening = pc.replace_substring_regex(pc.utf8_lower(pc.utf8_slice_codeunits(content, 0, OPENING)), "['’‘`]", "")
    return pc.match_substring_regex(opening, PHRASES).cast(pa.int8())


def _summed(messages: pa.ChunkedArray[Any], measure: Callable[[pa.ChunkedArray[Any]], Flat]) -> Values:
    """The sum of the measure over each list's messages."""
    sizes = measure(pc.struct_field(pc.list_flatten(messages), "content")).to_numpy()
    total: Values = np.bincount(pc.list_parent_indices(messages).to_numpy(), weights=sizes, minlength=len(messages)).astype(np.int64)
    return total
