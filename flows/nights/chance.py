"""What chance gives: how often two nights of one kind differ as much as these two do."""

from __future__ import annotations

from collections.abc import Sequence

from flows.figures import Share


def of_counts(was: int, now: int, clumping: float) -> float:
    """For two counts of rows that come in clumps, by the binomial distribution of one given their sum."""
    from scipy.stats import binomtest

    one, other = round(was / clumping), round(now / clumping)
    return float(binomtest(one, one + other).pvalue) if one + other else 1.0


def of_shares(was: Share, now: Share, clumping: float) -> float:
    """For two shares, by Fisher's exact test."""
    from scipy.stats import fisher_exact

    return float(fisher_exact([_apart(was, clumping), _apart(now, clumping)]).pvalue)


def of_distance(was: Sequence[int], now: Sequence[int], clumping: float) -> float:
    """For two distributions over the same kinds, by a chi-squared test; the kinds too rare for it are one."""
    from scipy.stats import chi2_contingency

    columns = [(one / clumping, other / clumping) for one, other in zip(was, now, strict=True)]
    common = [column for column in columns if sum(column) >= RARE]
    rare = [sum(side) for side in zip(*(column for column in columns if sum(column) < RARE), strict=True)]
    table = [*common, *([rare] if any(rare) else [])]
    if len(table) < 2 or not all(map(any, zip(*table, strict=True))):
        return 1.0
    return float(chi2_contingency(table).pvalue)


RARE = 10.0  # rows of both nights together


def _apart(share: Share, clumping: float) -> tuple[int, int]:
    part, whole = share
    return round(part / clumping), round((whole - part) / clumping)
