"""How well a model writes, without a judge: what can be counted in its answers, held against other answers to the same prompts.

In: answers of the policy, of the reference, and those that people chose, cut at the same number of tokens. Out: figures of each, and the
policy's faults: what is clearly worse than in either of the other two. A reward model has no say here, because it is what a policy that
writes badly has learned to please; nor has anyone's taste: an answer that passes is no nonsense, but need not be good.

A share (without end, going round, empty, no text) is a fault where it is above another's by more than its bound and by three answers at
least, or significantly so on the same prompts (exact McNemar test). A mean is one where it is beyond its bound beside the data's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tasks.core.params import StageParams
from trainer.evaluation import proportions, repetition
from trainer.evaluation.proportions import rounded

FEWEST = 3  # answers: one or two more are chance
BROKEN = "\ufffd"  # what a decoder writes for bytes that are no UTF-8
WRITERS = ("policy", "reference", "chosen")


class Counted(StageParams):
    """What may be worse of what can be counted in answers alone."""

    length_ratio: float = Field(gt=1)  # times as long as the chosen answers, or as short
    unended: float = Field(ge=0, lt=1)  # more of the answers
    repetition: float = Field(ge=0, lt=1)  # more of the answers go round, or more phrases come back
    empty: float = Field(ge=0, lt=1)  # more of the answers hold nothing, or what is no text

    def shares(self) -> dict[str, float]:
        """How much more often each flag may stand."""
        return {"unfinished": self.unended, "circling": self.repetition, "empty": self.empty, "not_text": self.empty}


class Bounds(Counted):
    """What the policy may be worse by, beside its reference and the chosen answers."""

    surprise: float = Field(gt=0)  # nats a token more under the reference than the chosen answers have


@dataclass(frozen=True)
class Answer:
    """What a model or a person wrote."""

    tokens: list[int]  # closed as the chat template closes an answer, where it has an end
    text: str
    ended: bool


def flags(answers: Sequence[Answer]) -> dict[str, np.ndarray]:
    """Of every answer, which faults it has."""
    found = {
        "unfinished": [not answer.ended for answer in answers],
        "circling": [repetition.goes_round(answer.tokens) for answer in answers],
        "empty": [not answer.text.strip() for answer in answers],
        "not_text": [BROKEN in answer.text for answer in answers],
    }
    return {name: np.array(marks, dtype=np.float64) for name, marks in found.items()}


def writer_metrics(answers: Sequence[Answer], surprise: np.ndarray) -> dict[str, float]:
    """The figures of one writer; `surprise` is -log p of every answer under the reference."""
    tokens = sum(len(answer.tokens) for answer in answers)
    return counted(answers) | {"surprise": rounded(surprise.sum() / tokens) if tokens else 0.0}


def counted(answers: Sequence[Answer]) -> dict[str, float]:
    """The figures of one writer that its answers alone give."""
    tokens = [answer.tokens for answer in answers]
    figures = {
        "characters": _mean([len(answer.text) for answer in answers]),
        "tokens": _mean([len(row) for row in tokens]),
        "again": _mean([repetition.again(row) for row in tokens]),
        "distinct_2": _mean([repetition.distinct(row, 2) for row in tokens]),
        "distinct_3": _mean([repetition.distinct(row, 3) for row in tokens]),
        "compression": rounded(repetition.compression([answer.text for answer in answers])),
    }
    return figures | {name: _mean(marks.tolist()) for name, marks in flags(answers).items()}


def faults(figures: Mapping[str, Mapping[str, float]], answers: Mapping[str, Sequence[Answer]], bounds: Bounds, p: float) -> list[str]:
    """What the policy writes worse, in words; `p` is the p-value below which a difference is called one."""
    marks = {name: flags(answers[name]) for name in WRITERS}
    found = [
        _share(name, figures)
        for name, bound in bounds.shares().items()
        if any(clearly_more(marks["policy"][name], marks[other][name], bound, p) for other in WRITERS[1:])
    ]
    policy, chosen = figures["policy"], figures["chosen"]
    if policy["again"] > chosen["again"] + bounds.repetition:
        found.append(_share("again", figures))
    if chosen["characters"] and not 1 / bounds.length_ratio <= length_ratio(figures, "policy") <= bounds.length_ratio:
        found.append(_length(figures))
    if policy["surprise"] > chosen["surprise"] + bounds.surprise:
        line = f"its answers are unlikely under the reference, {policy['surprise']:.2f} nats a token"
        found.append(f"{line} (its own {figures['reference']['surprise']:.2f}, chosen answers {chosen['surprise']:.2f})")
    return found


def length_ratio(figures: Mapping[str, Mapping[str, float]], name: str) -> float:
    """Mean characters of a writer's answers, by those of the chosen ones; 0 where these have none."""
    return figures[name]["characters"] / figures["chosen"]["characters"] if figures["chosen"]["characters"] else 0.0


def clearly_more(mine: np.ndarray, theirs: np.ndarray, bound: float, p: float) -> bool:
    """Whether the answers of one have a fault clearly more often than another's to the same prompts."""
    excess = float((mine - theirs).sum())
    clear = excess >= FEWEST and excess > bound * len(mine)
    return clear or (excess > 0 and proportions.mcnemar(mine, theirs) < p)


WORDS = {
    "unfinished": "of its answers never end",
    "circling": "of its answers go round in circles",
    "empty": "of its answers are empty",
    "not_text": "of its answers hold what is no text",
    "again": "of its phrases stood in the same answer before",
}

COLUMNS = {  # heads of tables, by figure
    "characters": "mean characters",
    "tokens": "mean tokens",
    "unfinished": "never end",
    "circling": "go round",
    "again": "phrases again",
    "empty": "empty",
    "not_text": "no text",
    "distinct_2": "distinct-2",
    "distinct_3": "distinct-3",
    "compression": "compression",
    "surprise": "nats a token under the reference",
}


def _share(name: str, figures: Mapping[str, Mapping[str, float]]) -> str:
    mine, reference, chosen = (f"{figures[writer][name]:.0%}" for writer in WRITERS)
    return f"{mine.replace('%', ' %')} {WORDS[name]} (reference {reference.replace('%', ' %')}, chosen answers {chosen.replace('%', ' %')})"


def _length(figures: Mapping[str, Mapping[str, float]]) -> str:
    mine, reference = (length_ratio(figures, name) for name in WRITERS[:2])
    return f"its answers are {mine:.2f} times as long as the chosen ones (reference {reference:.2f})"


def _mean(values: Sequence[float]) -> float:
    return rounded(sum(values) / len(values)) if values else 0.0
