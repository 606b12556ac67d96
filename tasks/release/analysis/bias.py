"""Spurious cues that predict the chosen answer: length, lists, bold, headers, code, refusals, and position.

In: the released pairs, and the votes. Out: `Bias`: for each feature the share of pairs whose chosen answer has more of it, among those
whose answers differ in it, over all pairs and by split, recipe, source and model; and how often the answer shown first won. A share is
marked when its interval lies outside the band, so small groups rarely are. For groups the interval is widened by their number
(Bonferroni); otherwise some of a hundred groups would be marked by chance.

Pairs of near-duplicate prompts, variants and repeats are not independent. So Wilson's intervals use the effective number of independent
pairs, from the variance between clusters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common.arrays import filled, strings
from tasks.common.vocabulary.kinds import CHOICE
from tasks.core.params import StageParams
from tasks.release.analysis.features import FEATURES

BY = ("split", "recipe", "source", "model")
DIGITS = 4
Numbers = np.ndarray[Any, Any]


class Band(StageParams):
    """The band of shares without a warning, and the confidence of the intervals."""

    low: float = Field(ge=0, le=0.5)  # lower end of the band in which a share is no reason to warn
    high: float = Field(ge=0.5, le=1)  # upper end of it
    confidence: float = Field(gt=0.5, lt=1)  # of the intervals
    groups: int = Field(ge=1)  # of each of split, recipe, source and model: the largest ones


@dataclass(frozen=True)
class Share:
    """How often the chosen answer has more of a feature."""

    pairs: int  # looked at
    differ: int  # pairs whose answers differ in it
    more: int  # of these, those whose chosen answer has more
    share: float | None  # more / differ
    low: float  # interval of the share
    high: float  # upper end of it
    marked: bool  # the interval lies outside the band
    score: float  # accuracy of "more of it wins" over all pairs; 0.5 where the answers do not differ
    score_low: float  # interval of the score
    score_high: float  # upper end of it
    auc: float | None  # how often a chosen answer has more than a rejected one of any pair


@dataclass(frozen=True)
class Bias:
    """All shares: by feature, by feature, dimension and group, and by position."""

    band: tuple[float, float]  # where a share is no reason to warn
    confidence: float  # of the intervals
    features: dict[str, Share]  # over all pairs: length, lists, bold, headers, code, refusals
    groups: dict[str, dict[str, dict[str, Share]]]  # feature -> dimension -> group
    position: Share  # "more" means shown first
    positions: dict[str, Share]  # the same by kind of annotator: person, model

    def document(self) -> dict[str, object]:
        """The content of `bias.json`."""
        return asdict(self)

    def warnings(self) -> Iterator[str]:
        """One line for each feature that is marked over all pairs, and one for marked groups."""
        for name, share in self.features.items():
            if share.marked:
                yield f"bias: the chosen answer has more {name} in {described(share, self.band)}"
        if self.position.marked:
            yield f"bias: the answer shown first won in {described(self.position, self.band)}"
        groups = [
            f"{name} by {by} {value or '(none)'}"
            for name, parts in self.groups.items()
            for by, one in parts.items()
            for value in marked_groups(one)
        ]
        if groups:
            more = f" and {len(groups) - 3} more" if len(groups) > 3 else ""
            yield f"bias: {len(groups)} groups are also outside the band: {', '.join(groups[:3])}{more}; see bias.json"


def described(share: Share, band: tuple[float, float]) -> str:
    """The share, its interval and the band in words."""
    low, high, at = (f"{100 * value:.1f}" for value in (share.low, share.high, share.share or 0.0))
    return f"{at} % [{low}, {high}] of the {share.differ:,} pairs that differ; the band is {100 * band[0]:g} to {100 * band[1]:g} %"


def marked_groups(groups: Mapping[str, Share]) -> list[str]:
    """Names of the marked groups."""
    return [name for name, share in groups.items() if share.marked]


def measure_bias(pairs: pa.Table, votes: pa.Table | None, band: Band) -> Bias:
    """Measure all spurious cues."""
    clusters = _codes(pc.coalesce(pairs["cluster_id"], pairs["prompt_id"]))
    parts = {by: dict(_groups(pairs, by, band.groups)) for by in BY}
    count = len(FEATURES) * sum(len(values) for values in parts.values())
    features, groups = {}, {}
    for name, measure in FEATURES.items():
        chosen, rejected = measure(pairs["chosen"]), measure(pairs["rejected"])
        features[name] = share(np.sign(chosen - rejected), clusters, band, auc(chosen, rejected))
        groups[name] = {
            by: {
                value: share(np.sign(chosen[rows] - rejected[rows]), clusters[rows], band, auc(chosen[rows], rejected[rows]), count)
                for value, rows in values.items()
            }
            for by, values in parts.items()
        }
    return Bias((band.low, band.high), band.confidence, features, groups, *_positions(votes, band))


def share(ahead: Numbers, clusters: Numbers, band: Band, area: float | None = None, groups: int = 1) -> Share:
    """The share of +1 among +1 and -1 (0: no difference); `groups` is the number of intervals to correct for."""
    differ, more = int(np.count_nonzero(ahead)), int(np.count_nonzero(ahead > 0))
    right, alike = ahead[ahead != 0] > 0, clusters[ahead != 0]
    low, high = interval(right, alike, band.confidence)
    least, most = interval(right, alike, 1 - (1 - band.confidence) / groups)
    part = differ / len(ahead) if len(ahead) else 0.0
    at = more / differ if differ else None
    score, score_low, score_high = (round(part * value + (1 - part) * 0.5, DIGITS) for value in (0.5 if at is None else at, low, high))
    outside = differ > 0 and (least > band.high or most < band.low)
    shown = None if at is None else round(at, DIGITS)
    return Share(len(ahead), differ, more, shown, round(low, DIGITS), round(high, DIGITS), outside, score, score_low, score_high, area)


def interval(right: Numbers, clusters: Numbers, confidence: float) -> tuple[float, float]:
    """Wilson's interval of a share for the effective number of independent rows, from the variance between clusters; (0, 1) for no rows."""
    if not len(right):
        return 0.0, 1.0
    at = float(right.mean())
    _, codes = np.unique(clusters, return_inverse=True)
    spread = float(np.square(np.bincount(codes, weights=right - at)).sum())  # 0 where all rows, or all clusters, are equal
    alone = len(right) * at * (1 - at)
    count = float(codes.max() + 1) if spread == 0 else len(right) * min(1.0, alone / spread)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre, scale = at + z * z / (2 * count), 1 + z * z / count
    half = z * float(np.sqrt(at * (1 - at) / count + z * z / (4 * count * count)))
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def auc(chosen: Numbers, rejected: Numbers) -> float | None:
    """Area under the ROC curve of the feature of single answers; ties count half. None without answers."""
    if not len(chosen):
        return None
    order = np.sort(rejected)
    below, upto = np.searchsorted(order, chosen, "left"), np.searchsorted(order, chosen, "right")
    return round(float((below + upto).sum(dtype=np.float64) / (2 * len(chosen) * len(rejected))), DIGITS)


def _positions(votes: pa.Table | None, band: Band) -> tuple[Share, dict[str, Share]]:
    """How often the answer shown first won, over choices for which the log states the order."""
    nothing = np.zeros(0, np.int64)
    if votes is None:
        return share(nothing, nothing, band), {}
    known = pc.and_(pc.equal(votes["kind"], pa.scalar(CHOICE)), pc.is_valid(votes["shown_first"]))
    choices = votes.filter(pc.and_(known, filled(pc.greater(votes["value"], pa.scalar(0)), False)))  # a tie has no winner
    ahead = np.where(pc.equal(choices["shown_first"], choices["better"]).to_numpy(), 1, -1)
    clusters, kinds = _codes(choices["prompt_id"]), choices["annotator_kind"].to_numpy()
    return share(ahead, clusters, band), {kind: share(ahead[kinds == kind], clusters[kinds == kind], band) for kind in sorted(set(kinds))}


def _groups(pairs: pa.Table, by: str, most: int) -> Iterator[tuple[str, Numbers]]:
    """The rows of the largest groups; a pair counts for both models that wrote its answers."""
    columns = [filled(pairs[name], "") for name in (("chosen_model", "rejected_model") if by == "model" else (by,))]
    counts = pc.value_counts(pa.chunked_array([chunk for column in columns for chunk in column.chunks], columns[0].type))
    sizes = zip(strings(counts.field("values")), counts.field("counts").to_numpy().tolist(), strict=True)
    for name, _ in sorted(sizes, key=lambda size: (-size[1], size[0]))[:most]:
        within = pc.equal(columns[0], pa.scalar(name))
        for other in columns[1:]:
            within = pc.or_(within, pc.equal(other, pa.scalar(name)))
        yield name, np.flatnonzero(within.to_numpy())


def _codes(values: pa.ChunkedArray[Any]) -> Numbers:
    codes: Numbers = values.combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy()
    return codes
