"""Other spellings of preference records: two sides by other names, or two answers and a verdict.

In: a record. Out: its two answers and who won, in the words of `tasks.ingest.formats.comparisons`; None for other records. A verdict
with an unclear direction is kept as a word, and decides nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tasks.ingest.formats.parsed import number_of, word_of

SIDES = (  # the better one first
    ("chosen_response", "rejected_response"),
    ("response_chosen", "response_rejected"),
    ("chosen_answer", "rejected_answer"),
    ("response_j", "response_k"),
    ("preferred", "dispreferred"),
    ("preferred_response", "dispreferred_response"),
    ("preferred_response", "non_preferred_response"),
    ("preferred_output", "non_preferred_output"),
    ("accepted", "rejected"),
)
ANSWERS = tuple(
    (f"{name}{joint}{one}", f"{name}{joint}{two}")
    for name in ("response", "answer", "output", "completion", "human_ref")
    for joint in ("_", "")
    for one, two in (("0", "1"), ("1", "2"), ("a", "b"), ("A", "B"))
)
SIGNED = ("overall_preference", "preference_strength")  # below 0: the first answer is the better one
VERDICTS = ("better_response_id", "winner", "preference", "preferred", "choice", "selected", "verdict", "label", "labels", "better")
FIRST, SECOND = ("left", "first", "one", "answera", "modela", "assistanta"), ("right", "second", "two", "answerb", "modelb", "assistantb")
TIES = ("tie", "tied", "equal", "same", "draw", "both", "neutral", "bothgood")
BOTH_BAD = ("bothbad", "neither", "tie(bothbad)", "none")


class Judged(NamedTuple):
    """Two answers, who won (`a`, `b`, `tie`, `bothbad`; None: the word is not known), and the word."""

    sides: tuple[Any, Any]
    winner: str | None
    label: str | None = None


def judged(record: dict[str, object]) -> Judged | None:
    """The two answers of a record in one of these spellings, and the verdict."""
    for better, worse in SIDES:
        if _are_answers(record, better, worse):
            return Judged((record.get(better), record.get(worse)), "a")
    for one, two in ANSWERS:
        if _are_answers(record, one, two):
            verdict = _verdict(record, one, two)
            return None if verdict is None else Judged((record.get(one), record.get(two)), *verdict)
    return None


def _are_answers(record: dict[str, object], one: str, two: str) -> bool:
    return one in record and two in record and all(isinstance(record[key], str | list | dict) for key in (one, two))


def _verdict(record: dict[str, object], one: str, two: str) -> tuple[str | None, str | None] | None:
    """Who won, and the word for it; None where there is no verdict."""
    for key in SIGNED:
        if (value := number_of(record.get(key))) is not None:
            return ("a" if value < 0 else "b" if value > 0 else "tie"), str(record[key])
    verdict_key = next((key for key in VERDICTS if key in record and record[key] is not None), None)
    if verdict_key is None:
        return None
    verdict = record.get(verdict_key)
    if verdict_key == "labels" and one == "human_ref_A":  # SHP: whether the first one is preferred
        return {"1": "a", "0": "b"}.get(str(number_of(verdict)).removesuffix(".0")), str(verdict)
    return _side_of_verdict(verdict, one, two), str(verdict)[:40]


def _side_of_verdict(verdict: object, one: str, two: str) -> str | None:
    """Which answer a verdict names: by its key, its last sign, its side on the screen, or its whole text."""
    word = word_of(str(int(verdict)) if isinstance(verdict, float) and verdict.is_integer() else str(verdict))
    for winner, key, others in (("a", one, FIRST), ("b", two, SECOND)):
        last = key[-1].lower()
        if word in (word_of(key), last, f"model{last}", f"answer{last}", f"response{last}", *others):
            return winner
    return "tie" if word in TIES else "bothbad" if word in BOTH_BAD else None
