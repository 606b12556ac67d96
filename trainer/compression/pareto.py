"""The Pareto front and the pick: no arithmetic but comparing.

In: for each variant its figures, all of which are better when smaller. Out: the names on the front, and the one that a budget picks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Point = Sequence[float]


@dataclass(frozen=True)
class Candidate:
    """What the pick looks at; shares of held-out prompts and pairs, of the split that chooses."""

    accuracy: float
    errors: float
    size: int
    ms: float | None  # None where no time is to count


@dataclass(frozen=True)
class Budget:
    """What a variant may cost beside the original; `ms` is an absolute bound, None asks for none."""

    accuracy_points: float
    error_points: float
    ms: float | None


def dominates(first: Point, second: Point) -> bool:
    """Whether the first is nowhere worse, and somewhere better."""
    return all(one <= other for one, other in zip(first, second, strict=True)) and tuple(first) != tuple(second)


def front(points: Mapping[str, Point]) -> list[str]:
    """Names of those that no other dominates, in the given order; equal points stand there together."""
    return [name for name, point in points.items() if not any(dominates(other, point) for other in points.values())]


def pick(candidates: Mapping[str, Candidate], original: str, budget: Budget) -> str:
    """The smallest within the budget (of equal size the more accurate, then the first); the original where there is none."""
    base = candidates[original]
    within = {name: one for name, one in candidates.items() if _fits(one, base, budget)}
    return min(within, key=lambda name: (within[name].size, -within[name].accuracy), default=original)


def _fits(one: Candidate, base: Candidate, budget: Budget) -> bool:
    lost = 100 * (base.accuracy - one.accuracy) <= budget.accuracy_points + 1e-9  # a point is a point, whatever its last bit
    broken = 100 * (one.errors - base.errors) <= budget.error_points + 1e-9
    return lost and broken and (budget.ms is None or (one.ms is not None and one.ms <= budget.ms))
