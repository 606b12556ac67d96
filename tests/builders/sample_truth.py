"""The sample's planted truth: what an answer is worth to the people of `make_sample.py`, and so which answer of a pair is better.

Labels of held-out pairs carry the errors that these people make. The truth has none, so it tells judges apart that labels do not, and says
what a judge without fault would get right of the labels.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from make_sample import SAYINGS, WEIGHTS

from trainer.data.release_reader import Pair


@functools.cache
def sentences() -> dict[str, tuple[str, ...]]:
    """Of every feature that people like or do not, the sentences that show it, in all languages and about all topics."""
    found: dict[str, list[str]] = {name: [] for name in WEIGHTS}
    for language, kinds in SAYINGS["phrases"].items():
        topics = SAYINGS["topics"][language].values()
        for name, said in found.items():
            said += [template.format(topic=topic) for template in kinds[name] for topic in topics]
    return {name: tuple(sorted(set(said))) for name, said in found.items()}


def worth(text: str) -> float:
    """What people think of an answer, when they make no error: 3.3 at best, -2.1 at worst."""
    return sum(WEIGHTS[name] for name, said in sentences().items() if any(one in text for one in said))


def gaps(pairs: Sequence[Pair]) -> np.ndarray:
    """By how much the chosen answer is the better one; below 0 where people erred."""
    return np.array([worth(pair.chosen[-1]["content"]) - worth(pair.rejected[-1]["content"]) for pair in pairs])


def ceiling(pairs: Sequence[Pair]) -> float:
    """The share of labels that a judge without fault gets right."""
    return float(((np.sign(gaps(pairs)) + 1) / 2).mean())


def truly(margins: np.ndarray, pairs: Sequence[Pair]) -> float:
    """The share of pairs whose better answer a judge puts first, whatever their labels say; one half for a tie of either."""
    return float(((np.sign(margins) * np.sign(gaps(pairs)) + 1) / 2).mean())
