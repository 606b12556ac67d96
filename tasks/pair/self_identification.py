"""Answers that say which model wrote them: who chooses between two such no longer judges blind.

In: texts of answers. Out: which of them name a model or its maker as their own: "I am Claude", "我是通义千问".

A text names itself where a lead-in ("I am") is followed by a name, with nothing but fillers ("a language model made by") between the two.
A name alone is nothing ("ask ChatGPT"), nor is one with a surname ("I am Claude Monet"). FastChat's `clean_battle_data` does the same by
names alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common.arrays import Mask
from tasks.common.phrases import UNSPACED, ends_anywhere, holds
from tasks.core.params import Moved, StageParams
from tasks.core.wordlists import ByLanguage, moved, with_shipped

GAP = r"[\s,:*_`\"'“”„«»()—、-]"  # what may stand between two words of a sentence, marks of Markdown included
VERSION = r"(?i:[\s-]?v?[0-9][0-9.]*\w*|[\s-](?:sonnet|opus|haiku|pro|flash|ultra|instruct|chat|turbo|mini|plus|max|large|small))*"


SHIPPED = Path(__file__).with_name("self_identification.yaml")


class Wording(StageParams):
    """How an answer says which model it is."""

    names: list[str]  # of models and their makers
    lead_ins: ByLanguage  # how an answer begins to speak of itself
    fillers: ByLanguage  # what may stand between that and the name


class Identity(StageParams):
    """What becomes of comparisons in which an answer says which model it is."""

    moved: ClassVar[Moved] = moved(Wording, "more", SHIPPED)

    action: Literal["ignore", "warn", "drop"]
    recipes: list[Literal["choice", "ranking", "rating_margin", "thumb_contrast", "regeneration", "retry"]] = Field(
        min_length=1
    )  # whose people are meant not to know the models
    more: Wording  # beyond what is shipped


def named(texts: pa.Array[Any], settings: Identity) -> Mask:
    """Which texts name a model, or a maker, as their own."""
    wording = with_shipped(SHIPPED, settings.more)
    found = holds(texts, "|".join(map(re.escape, wording.names)))  # of most texts this is all that is asked
    few = pc.utf8_normalize(texts.filter(pa.array(found)), "NFKC")  # type: ignore[attr-defined]  # the stubs do not know it
    found[found] = holds(pc.replace_substring_regex(few, "[\u2018\u2019]", "'"), pattern(wording))
    return found


def pattern(wording: Wording) -> str:
    """RE2 for a lead-in, fillers and a name, in one sentence; after the name no capital letter, which would make it a person's."""
    lead_ins, fillers = (
        one_of([phrase for phrases in lists.values() for phrase in phrases], f"{GAP}+") for lists in (wording.lead_ins, wording.fillers)
    )
    name = one_of(wording.names, VERSION)
    return rf"(?:^|[^\pL\pM\pN])(?i:{lead_ins})(?:{GAP}*(?i:{fillers}))*{GAP}*{name}(?:\s*$|[^\pL\pM\pN\s]|\s+\P{{Lu}}|[{UNSPACED}])"


def one_of(phrases: Sequence[str], end: str) -> str:
    """A pattern for any of the phrases, the longest first, with this behind it; not behind letters of a script without spaces."""
    longest = sorted(set(phrases), key=lambda phrase: (-len(phrase), phrase))
    return "(?:" + "|".join(re.escape(phrase) + ("" if ends_anywhere(phrase) else end) for phrase in longest) + ")"
