"""How far apart the rewards of a pair shall be, from what the release says of it (Touvron et al. 2023, section 3.2.2).

The loss becomes -log sigmoid(r_chosen - r_rejected - margin): a pair whose answers differ much is learned until they lie far apart.

- `confidence`: 2 p - 1, where p is the probability that the chosen answer is the better one: 0 for a guess, 1 for certainty.
- `margin`: the release's column. Each recipe counts it on its own scale (a gap of ratings, a lead of votes, log odds), so it is
  divided by the recipe's mean: recipes ask alike on average, and only pairs of one recipe are held against each other. A pair of
  which nobody said how much better the chosen answer is asks for nothing; one far beyond its recipe asks for `MOST` at most.

Both times `size`: rewards are log odds, so a margin of 1 asks for the better answer to be preferred by 73 in 100 at a loss of log 2.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from trainer.data.release_reader import Pair

MOST = 3.0  # times the recipe's mean; a single count gone wild must not pull all weights


def by_confidence(pairs: Sequence[Pair]) -> list[float]:
    """How much more often than not the chosen answer is the better one."""
    return [2 * pair.confidence - 1 for pair in pairs]


def by_margin(pairs: Sequence[Pair]) -> list[float]:
    """The release's margin as multiples of its recipe's mean; 0 where there is none."""
    known: dict[str, list[float]] = defaultdict(list)
    for pair in pairs:
        if pair.margin is not None:
            known[pair.recipe].append(pair.margin)
    means = {recipe: sum(values) / len(values) for recipe, values in known.items()}
    return [0.0 if pair.margin is None else min(MOST, pair.margin / means[pair.recipe]) for pair in pairs]


MARGINS: dict[str, Callable[[Sequence[Pair]], list[float]] | None] = {"none": None, "margin": by_margin, "confidence": by_confidence}
"""Ways to ask for a margin; `none` asks for no margin at all."""


def for_pairs(pairs: Sequence[Pair], kind: str, size: float) -> list[float] | None:
    """The margin of every pair; None where none is asked for."""
    way = MARGINS[kind]
    return [size * margin for margin in way(pairs)] if way else None
