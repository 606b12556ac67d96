"""How many held-out preferences each judge gets right: in all, and by recipe, source, language and topic.

In: what each judge says of each pair (1 right, 0 wrong, one half for a tie). Out, for each judge and stratum: the number of pairs, the
share, Wilson's interval (`low`, `high`: as if pairs were independent) and that of the bootstrap over groups (`group_low`, `group_high`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from trainer.data.release_reader import Pair
from trainer.evaluation import proportions
from trainer.evaluation.bootstrap import Bootstrap, interval, ratio
from trainer.evaluation.proportions import rounded

STRATA = ("recipe", "source", "language", "topic")
Judged = Mapping[str, np.ndarray]


class Comparison(TypedDict):
    """How the policy stands to another judge."""

    p: float
    policy: str  # better, worse, not told apart


def figures(judged: Judged, pairs: Sequence[Pair], bootstrap: Bootstrap) -> dict[str, Any]:
    """Shares of every judge on all pairs, and under each stratum's name by its values."""
    parts = {stratum: proportions.places_by_label(getattr(pair, stratum) for pair in pairs) for stratum in STRATA}
    found: dict[str, Any] = shares(judged, bootstrap, np.arange(len(pairs)))
    for stratum, places in parts.items():
        found[stratum] = {value: shares(judged, bootstrap, at) for value, at in places.items()}
    return found


def shares(judged: Judged, bootstrap: Bootstrap, at: np.ndarray) -> dict[str, dict[str, float]]:
    """The share of the pairs at these places that each judge gets right, with both intervals."""
    inside = np.zeros(len(bootstrap.groups))
    inside[at] = 1.0
    sums = bootstrap.sums(np.stack([inside, *(marks * inside for marks in judged.values())], axis=1))
    found = {}
    for column, (name, marks) in enumerate(judged.items(), start=1):
        low, high = interval(ratio(sums[:, column], sums[:, 0]))
        found[name] = proportions.proportion(marks[at]) | {"group_low": rounded(low), "group_high": rounded(high)}
    return found


def likelihoods(lengths: np.ndarray, policy: np.ndarray, reference: np.ndarray) -> dict[str, np.ndarray]:
    """The margin by which either model puts the chosen answer first, by every definition; arrays are (chosen, rejected) x pairs."""
    scores = {
        "implicit": policy - reference,
        "likelihood": policy,
        "per_token": policy / lengths,
        "reference_implicit": reference - reference,
        "reference_likelihood": reference,
        "reference_per_token": reference / lengths,
    }
    return {name: chosen - rejected for name, (chosen, rejected) in scores.items()}


def against(policy: np.ndarray, other: np.ndarray, groups: np.ndarray, significance: float) -> Comparison:
    """How the policy stands to another judge of the same pairs: McNemar's test, in which each group of pairs speaks once."""
    mine, theirs = (np.bincount(groups, marks) for marks in (policy, other))
    p, ahead = proportions.mcnemar(mine, theirs), np.sign(mine - theirs).sum()
    agreed = ahead * (policy.sum() - other.sum()) > 0  # by groups and by pairs alike
    return {"p": p, "policy": ("better" if ahead > 0 else "worse") if agreed and p < significance else "not told apart"}


def tests(judged: Judged, baselines: Sequence[str], groups: np.ndarray, significance: float) -> dict[str, Any]:
    """Whether the policy beats a coin, its reference and the baselines on the same pairs; exact tests over groups."""
    implicit, likelihood, before = (judged[name] for name in ("implicit", "likelihood", "reference_likelihood"))
    learned = against(implicit, np.full(len(implicit), 0.5), groups, significance)
    gained = against(likelihood, before, groups, significance)
    return {
        "ties": int((implicit == 0.5).sum()),
        "p_implicit": learned["p"],
        "p_likelihood": gained["p"],
        "against": {name: against(implicit, judged[name], groups, significance) for name in baselines},
        "better": learned["policy"] == gained["policy"] == "better",
    }
