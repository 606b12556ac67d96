"""The statistics of a release, computed once for card, metrics and report.

In: `Sources`, which are the released Arrow tables, those about votes and annotators, the table of raw files and the ledgers of the
stages. Out: `Facts`, plain numbers and names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common import training_methods
from tasks.common.arrays import filled
from tasks.common.lengths import length
from tasks.common.training_methods import Choice, Needs
from tasks.common.vocabulary.splits import SPLITS, TRAIN
from tasks.core.params import StageParams
from tasks.release.analysis import bias, people
from tasks.release.analysis.bias import Band, Bias
from tasks.release.analysis.people import People
from tasks.release.files import CONFIGS
from tasks.release.gate_columns import crossing, nested_places, words
from tasks.release.probe import probe
from tasks.release.probe.probe import Probed

Counts = dict[str, int]
Ledgers = Mapping[str, Mapping[str, Mapping[str, Any]]]  # stage -> table -> entry
BY = ("recipe", "source", "language", "topic")
BINS = 10


class Options(StageParams):
    """Parameters of the summary."""

    examples: int
    bias: Band
    methods: Needs
    probe: probe.Settings


@dataclass(frozen=True)
class Sources:
    """Everything that a release is summarized from."""

    tables: dict[str, pa.Table]  # the released ones: pairs, unpaired and prompts
    context: Mapping[str, pa.Table]  # votes, selection, agreement, annotators and calibration: summarized, not released
    raw: pa.Table
    ledgers: Ledgers
    certificate: Mapping[str, Any]  # as `tasks.release.split_certificate` makes it


@dataclass(frozen=True)
class Histogram:
    """Counts of values between neighbouring edges."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Summary:
    """All statistics that card and report show."""

    rows: dict[str, Counts]  # config -> split -> rows
    by: dict[str, dict[str, Counts]]  # recipe, source, language, topic -> value -> split -> pairs
    strata: dict[str, tuple[int, int, float]]  # stratum -> original training pairs, with variants, sum of weights
    augmenters: Counts  # augmenter -> training pairs
    labels: Counts  # liked, disliked
    margin: Histogram
    confidence: Histogram
    chars: dict[str, Histogram]  # chosen, rejected
    bias: Bias
    choice: Choice
    probed: Probed | None
    people: People
    shared: Counts  # values in two splits
    certificate: Mapping[str, Any]
    examples: list[dict[str, Any]]
    raw: list[dict[str, Any]]
    ledgers: Ledgers


def summarize(sources: Sources, options: Options) -> Summary:
    """Compute all statistics of a release."""
    tables, pairs = sources.tables, sources.tables["pairs"]
    chars = {side: length(pairs[side]) for side in ("chosen", "rejected")}
    longest = max([int(np.percentile(sizes, 99)) for sizes in chars.values() if len(sizes)] or [1]) + 1
    return Summary(
        rows={name: _by_split(tables[config.table]) for name, config in CONFIGS.items()},
        by={column: _cross(pairs, column) for column in BY},
        strata=_strata(pairs),
        augmenters=_counts(pairs["augmenter"].drop_null()),
        labels={"liked": _sum(tables["unpaired"]["label"]), "disliked": _sum(pc.invert(tables["unpaired"]["label"]))},
        margin=histogram(_numbers(pairs["margin"]), 0, None),
        confidence=histogram(_numbers(pairs["confidence"]), 0.5, 1),
        chars={side: histogram(np.minimum(sizes, longest), 0, longest) for side, sizes in chars.items()},
        bias=bias.measure_bias(pairs, sources.context.get("votes"), options.bias),
        choice=training_methods.choose(tables, options.methods),
        probed=probe.run_probe(pairs, options.probe),
        people=people.summarize_people(sources.context, pairs),
        shared=_shared(tables),
        certificate=sources.certificate,
        examples=_examples(pairs, options.examples),
        raw=sources.raw.drop_columns(["name"]).to_pylist(),  # which may be that of a person
        ledgers=sources.ledgers,
    )


def histogram(values: np.ndarray[Any, Any], low: float, high: float | None) -> Histogram:
    """The values in ten equal bins from `low` to `high`, or to their maximum."""
    top = high if high is not None else float(values.max()) if len(values) else low + 1
    counts, edges = np.histogram(values, bins=BINS, range=(low, max(top, low + 1e-9)))
    return Histogram(tuple(float(edge) for edge in edges), tuple(int(count) for count in counts))


def _by_split(rows: pa.Table) -> Counts:
    counts = _counts(rows["split"])
    return {split: counts.get(split, 0) for split in SPLITS}


def _counts(values: pa.ChunkedArray[Any]) -> Counts:
    counts = pc.value_counts(values)
    names, sizes = (str(name) for name in counts.field("values").to_pylist()), counts.field("counts").to_numpy().tolist()
    return dict(sorted(zip(names, sizes, strict=True), key=lambda item: (-item[1], item[0])))


def _cross(rows: pa.Table, column: str) -> dict[str, Counts]:
    known = filled(rows[column], "")
    return {value: _by_split(rows.filter(pc.equal(known, pa.scalar(value)))) for value in _counts(known)}


def _strata(pairs: pa.Table) -> dict[str, tuple[int, int, float]]:
    """Training pairs by language, topic and recipe: originals, all, and the sum of their weights."""
    train = pairs.filter(pc.equal(pairs["split"], pa.scalar(TRAIN)))
    marked = train.append_column("written", pc.is_null(train["augmented_from"]).cast(pa.int64()))
    groups = marked.group_by(["language", "topic", "recipe"]).aggregate([("written", "sum"), ("written", "count"), ("weight", "sum")])
    rows = [
        (
            " · ".join(entry[name] for name in ("language", "topic", "recipe") if entry[name]),
            (entry["written_sum"], entry["written_count"], entry["weight_sum"]),
        )
        for entry in groups.to_pylist()
    ]
    return dict(sorted(rows, key=lambda row: (-row[1][0], row[0])))


def _numbers(values: pa.ChunkedArray[Any]) -> np.ndarray[Any, Any]:
    numbers: np.ndarray[Any, Any] = values.drop_null().to_numpy()
    return numbers


def _sum(flags: pa.ChunkedArray[Any]) -> int:
    return int(pc.sum(flags.cast(pa.int64())).as_py() or 0)


def _shared(tables: dict[str, pa.Table]) -> Counts:
    """How many prompts, clusters and conversations are in two splits."""
    prompts = pa.concat_tables(pa.Table.from_pydict({"value": words(rows["prompt"]), "split": rows["split"]}) for rows in tables.values())
    pairs = tables["pairs"]
    clusters = pairs.select(["cluster_id", "split"]).rename_columns(["value", "split"])
    return {
        "prompts": len(crossing(prompts)),
        "clusters": len(crossing(clusters)),
        "conversations": len(crossing(nested_places(pairs, "conversations"))),
    }


def _examples(pairs: pa.Table, number: int) -> list[dict[str, object]]:
    """The first original pairs of each recipe by id, taken in turn until there are enough."""
    written = pairs.filter(pc.is_null(pairs["augmented_from"]))
    by_recipe = [
        written.filter(pc.equal(written["recipe"], pa.scalar(recipe))).slice(0, number).to_pylist()
        for recipe in sorted(_counts(written["recipe"]))
    ]
    turns = [rows[place] for place in range(number) for rows in by_recipe if place < len(rows)]
    return turns[:number]
