"""Balance the strata of the training split with imbalanced-learn.

In: `candidates` with the variants from `augment`. Out: the same table; only rows of the train split with votes
are counted and changed. A stratum is a combination of the columns named in `by`. Strategies:

- `none`: no change.
- `undersample`: no stratum keeps more than `max_ratio` times the smallest; surplus rows are dropped as `undersampled`,
  variants before originals.
- `oversample`: every stratum is raised to the largest divided by `max_ratio`, first with its variants, then with repeats
  (made rows, augmenter `repeat`); variants that are not needed are dropped as `not_needed`.
- `weights`: no row changes; `weight` becomes the inverse frequency of the stratum, with mean 1 and at most `max_weight`.

Strata with fewer than `min_stratum` rows are ignored: a model would memorize a few rows repeated a hundred times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from math import ceil
from typing import Any, Literal

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common.arrays import filled, strings
from tasks.common.vocabulary.kinds import WEAK_EVIDENCE
from tasks.common.vocabulary.reasons import rebalance as why
from tasks.common.vocabulary.splits import TRAIN
from tasks.core.engine import Tables
from tasks.core.ids import stable_id
from tasks.core.params import StageParams

WRITES = ("candidates",)
TEXT = pa.large_string()
REPEAT = "repeat"
Labels = np.ndarray[Any, np.dtype[np.object_]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Indices = np.ndarray[Any, np.dtype[np.int64]]
Class = tuple[str, bool]  # stratum, and whether the rows are variants


class Params(StageParams):
    """Parameters of the stage."""

    strategy: Literal["none", "undersample", "oversample", "weights"]
    by: list[Literal["language", "topic", "source", "evidence"]] = Field(min_length=1)  # columns that define a stratum
    max_ratio: float = Field(ge=1)  # largest ratio of the largest to the smallest stratum
    min_stratum: int = Field(ge=1)  # strata with fewer rows are left as they are
    max_weight: float = Field(ge=1)
    seed: int


class Plan:
    """The decisions on the training rows; fields are aligned with the rows, which are sorted by prompt_id."""

    def __init__(self, rows: int) -> None:
        self.dropped: Labels = np.full(rows, None, object)
        self.weight: Floats | None = None
        self.repeated = np.zeros(0, np.int64)  # the row number of each repeat's original, ascending


def run(tables: Tables, params: Params) -> Tables:
    """Candidates with the plan applied."""
    frame = tables["candidates"]
    rows = _training_rows(frame, params)
    plan = STRATEGIES[params.strategy](_strata(rows, params), pc.is_valid(rows["augmented_from"]).to_numpy(), params)
    result = _with_decisions(frame, rows, plan)
    if len(plan.repeated):
        result = result.concat(_repeats(frame, rows, plan).select(*result.column_names))
    return {"candidates": result}


def balance(rows: pa.Table, by: list[str]) -> dict[str, int]:
    """Number of rows of each stratum, by name."""
    return dict(sorted(Counter(_labels(rows, by)).items()))


def _training_rows(frame: daft.DataFrame, params: Params) -> pa.Table:
    """Ids and strata of the counted rows, in the order of ids, so that no draw depends on the order of the input."""
    train = frame.where((daft.col("split") == daft.lit(TRAIN)) & ~daft.col("evidence").is_in([*WEAK_EVIDENCE]))
    return train.select("prompt_id", "augmented_from", *params.by).to_arrow().sort_by("prompt_id").combine_chunks()


def _strata(rows: pa.Table, params: Params) -> Labels:
    return np.array(_labels(rows, list(params.by)), object)


def _labels(rows: pa.Table, by: list[str]) -> list[str]:
    parts = [filled(rows[name].cast(TEXT), "") for name in by]
    labels = pc.binary_join_element_wise(*parts, pa.scalar(" | ", TEXT))  # type: ignore[call-overload]  # a scalar separator
    return [str(label) for label in labels.to_pylist()]


def _none(strata: Labels, variant: Flags, params: Params) -> Plan:
    return Plan(len(strata))


def _undersample(strata: Labels, variant: Flags, params: Params) -> Plan:
    """Cut every stratum to `max_ratio` times the smallest."""
    plan = Plan(len(strata))
    sizes = Counter(strata)
    counted = [size for size in sizes.values() if size >= params.min_stratum]
    if not counted:
        return plan
    cap = int(params.max_ratio * min(counted))
    originals = Counter(strata[~variant])
    keep: dict[Class, int] = {}
    for stratum, size in sizes.items():
        keep[stratum, False] = min(originals[stratum], cap)
        keep[stratum, True] = min(size - originals[stratum], cap - keep[stratum, False])
    plan.dropped[~_draw_kept(strata, variant, keep, params.seed)] = why.UNDERSAMPLED
    return plan


def _oversample(strata: Labels, variant: Flags, params: Params) -> Plan:
    """Raise every stratum to the largest divided by `max_ratio`."""
    plan = Plan(len(strata))
    originals = Counter(strata[~variant])
    if not originals:
        return plan
    floor = ceil(max(originals.values()) / params.max_ratio)
    lacking = {stratum: max(0, floor - size) if size >= params.min_stratum else 0 for stratum, size in originals.items()}
    variants = Counter(strata[variant])
    keep: dict[Class, int] = {}
    for stratum in set(strata):
        keep[stratum, False] = originals[stratum]
        keep[stratum, True] = min(variants[stratum], lacking.get(stratum, 0))
    plan.dropped[~_draw_kept(strata, variant, keep, params.seed)] = why.NOT_NEEDED
    wanted = {stratum: size + lacking[stratum] - keep[stratum, True] for stratum, size in originals.items()}
    plan.repeated = _draw_repeated(strata, np.flatnonzero(~variant), wanted, params.seed)
    return plan


def _weights(strata: Labels, variant: Flags, params: Params) -> Plan:
    """Inverse frequency of the stratum, with mean 1; what the cap cuts off is distributed over the other strata."""
    from sklearn.utils.class_weight import compute_class_weight

    plan = Plan(len(strata))
    if not len(strata):
        return plan
    classes, at, counts = np.unique(strata.astype(str), return_inverse=True, return_counts=True)
    by_stratum = compute_class_weight("balanced", classes=classes, y=strata.astype(str))
    plan.weight = _mean_one(by_stratum, counts, params.max_weight)[at]
    return plan


def _mean_one(weights: Floats, counts: Indices, cap: float) -> Floats:
    """The weights scaled so that their mean over all rows is 1 and none is above the cap."""
    capped = np.zeros(len(weights), bool)
    while True:
        rest = counts.sum() - cap * counts[capped].sum()
        mass = (weights * counts)[~capped].sum()
        scaled = np.where(capped, cap, weights * (rest / mass if mass else 0.0))
        over = (scaled > cap) & ~capped
        if not over.any():
            return np.asarray(scaled, np.float64)
        capped |= over


STRATEGIES: dict[str, Callable[[Labels, Flags, Params], Plan]] = {
    "none": _none,
    "undersample": _undersample,
    "oversample": _oversample,
    "weights": _weights,
}


def _draw_kept(strata: Labels, variant: Flags, keep: Mapping[Class, int], seed: int) -> Flags:
    """Mask of the kept rows, `keep` of each class, drawn by imbalanced-learn."""
    from imblearn.under_sampling import RandomUnderSampler

    classes = sorted(keep)
    number = {key: at for at, key in enumerate(classes)}
    labels = np.array([number[stratum, bool(is_variant)] for stratum, is_variant in zip(strata, variant, strict=True)])
    there = np.unique(labels)
    if len(there) < 2:  # imbalanced-learn requires two classes; a single one needs no balancing
        return np.ones(len(strata), bool)
    sampler = RandomUnderSampler(sampling_strategy={int(at): keep[classes[at]] for at in there}, random_state=seed)
    sampler.fit_resample(np.arange(len(labels)).reshape(-1, 1), labels)
    stays = np.zeros(len(strata), bool)
    stays[sampler.sample_indices_] = True
    return stays


def _draw_repeated(strata: Labels, originals: Indices, wanted: Mapping[str, int], seed: int) -> Indices:
    """Rows to repeat, ascending, so that each stratum has the wanted number of rows."""
    from imblearn.over_sampling import RandomOverSampler

    names = sorted(wanted)
    if len(names) < 2:
        return np.zeros(0, np.int64)
    number = {name: at for at, name in enumerate(names)}
    labels = np.array([number[stratum] for stratum in strata[originals]])
    sampler = RandomOverSampler(sampling_strategy={number[name]: wanted[name] for name in names}, random_state=seed)
    sampler.fit_resample(np.arange(len(labels)).reshape(-1, 1), labels)
    return np.sort(originals[sampler.sample_indices_[len(labels) :]])


def _with_decisions(frame: daft.DataFrame, rows: pa.Table, plan: Plan) -> daft.DataFrame:
    """All rows with `dropped`, `made`, and the plan's weights."""
    decisions: dict[str, pa.Array[Any] | pa.ChunkedArray[Any]] = {"decided_id": rows["prompt_id"], "dropped": pa.array(plan.dropped, TEXT)}
    if plan.weight is not None:
        decisions["new_weight"] = pa.array(plan.weight, pa.float64())
    joined = frame.join(daft.from_arrow(pa.Table.from_pydict(decisions)), left_on="prompt_id", right_on="decided_id", how="left")
    if plan.weight is not None:
        joined = joined.with_column("weight", daft.col("new_weight").fill_null(daft.col("weight")))
    return joined.select(*frame.column_names, "dropped").with_column("made", daft.lit(False))


def _repeats(frame: daft.DataFrame, rows: pa.Table, plan: Plan) -> daft.DataFrame:
    """The repeated rows with new ids."""
    parents = strings(rows["prompt_id"].take(plan.repeated))
    seen: Counter[str] = Counter()
    ids = []
    for parent in parents:
        ids.append(stable_id(parent, REPEAT, str(seen[parent])))
        seen[parent] += 1
    jobs = pa.table({"repeat_id": pa.array(ids, TEXT), "repeat_of": pa.array(parents, TEXT)})
    joined = daft.from_arrow(jobs).join(frame.with_column("repeat_of", daft.col("prompt_id")), on="repeat_of", how="inner")
    changed = {"prompt_id": daft.col("repeat_id"), "augmented_from": daft.col("repeat_of"), "augmenter": daft.lit(REPEAT)}
    marks = {"dropped": daft.lit(None).cast(daft.DataType.string()), "made": daft.lit(True)}
    return joined.with_columns(changed | marks)
