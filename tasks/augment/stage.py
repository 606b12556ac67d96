"""Adds paraphrased variants of training prompts.

In: `candidates`. Out: the same rows untouched, and variants of some: the prompt's last user message (and, if so
chosen, every answer) reworded by an augmenter. Only prompts of the train split that have votes get variants. A variant
keeps its parent's answers, votes, cluster, split, strata and origins; a response id names the answer that it came from.

Every attempt is a made row. One that fails a check is dropped with the check's reason: `too_long` (not tried), `too_short`,
`untranslated`, `lost_code`, `lost_link`, `lost_placeholder`, `lost_number`, `lost_name`, `lost_negation`, `too_different`,
`unchanged`, and `collides` for a variant whose prompt exists already, in any split.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, cast

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, create_model

from tasks.augment.augmenter import Settings
from tasks.augment.nested_columns import Integers, flat, last_user, prompt_keys, replace_texts
from tasks.augment.protected_words import split as split_words
from tasks.augment.registry import AUGMENTERS
from tasks.augment.rewording import reword_and_check
from tasks.common.arrays import filled, strings
from tasks.common.vocabulary.kinds import WEAK_EVIDENCE
from tasks.common.vocabulary.reasons import augment as why
from tasks.common.vocabulary.splits import TRAIN
from tasks.core import engine
from tasks.core.engine import Tables
from tasks.core.errors import UserError
from tasks.core.ids import stable_id
from tasks.core.params import StageParams
from tasks.core.tables import Candidates

WRITES = ("candidates",)
TEXT = pa.large_string()
Stratum = Literal["language", "topic", "source", "evidence"]

if TYPE_CHECKING:
    Sections = StageParams
else:  # one section per augmenter, from the dict that lists them
    Sections = create_model("Sections", __base__=StageParams, **{name: (kind.Settings, ...) for name, kind in AUGMENTERS.items()})


class Params(StageParams):
    """Parameters of the stage."""

    seed: int
    targets: Literal["prompt", "prompt_and_responses"]  # what is paraphrased; all answers of a prompt, or none
    rows: Literal["all", "minority"]  # minority: only small strata
    minority_ratio: float = Field(ge=1)  # a stratum is small when the largest has more than this many times its rows
    by: list[Stratum] = Field(min_length=1)  # columns that define a stratum
    max_share: float = Field(ge=0)  # largest number of variants tried, as a share of the training rows with votes
    min_words: int = Field(ge=1)  # shorter messages are not paraphrased
    max_chars: int = Field(ge=1)  # longer texts are not paraphrased
    on_missing: Literal["skip", "error"]  # when an augmenter's system package is not installed
    augmenters: Sections


def run(tables: Tables, params: Params) -> Tables:
    """The candidates unchanged, and their variants."""
    frame = tables["candidates"]
    settings = _ready(params)
    jobs = _jobs(frame, params, settings)
    kept = frame.with_columns({"dropped": daft.lit(None).cast(daft.DataType.string()), "made": daft.lit(False)})
    if not len(jobs):
        return {"candidates": kept}
    variants = _collisions(frame, _variants(frame, jobs, params, settings))
    return {"candidates": kept.concat(daft.from_arrow(variants).select(*kept.column_names))}


def _ready(params: Params) -> dict[str, Settings]:
    """Settings of the augmenters that are switched on and available here."""
    ready = {}
    for name, kind in AUGMENTERS.items():
        settings: Settings = getattr(params.augmenters, name)
        lacking = kind.missing() if settings.enabled else None
        if settings.enabled and lacking is None:
            ready[name] = settings
        elif lacking is not None:
            _report_missing(name, lacking, " ".join(kind.PACKAGES), params.on_missing)
    return ready


def _report_missing(name: str, lacking: str, packages: str, on_missing: str) -> None:
    if on_missing == "error":
        raise UserError(f"augment: {name}", f"no {lacking}", f"Debian's {packages}", f"run `apt-get install {packages}`, or switch it off")
    warnings.warn(f"augment: {name} is skipped: {lacking} is missing (Debian: apt-get install {packages})", stacklevel=2)


def _jobs(frame: daft.DataFrame, params: Params, ready: dict[str, Settings]) -> pa.Table:
    """One row per variant to try: `parent`, `augmenter`, `variant_id`; as many as `max_share` allows, drawn by hash."""
    strong = ~daft.col("evidence").is_in([*WEAK_EVIDENCE])
    train = frame.where((daft.col("split") == daft.lit(TRAIN)) & strong & daft.col("augmented_from").is_null())
    rows = train.select("prompt_id", "language", *(name for name in params.by if name != "language")).to_arrow()
    chosen = _minority(rows, params) if params.rows == "minority" else rows
    parents = cast("list[tuple[str, str]]", list(zip(chosen["prompt_id"].to_pylist(), chosen["language"].to_pylist(), strict=True)))
    jobs = []
    for name, settings in ready.items():
        known = {language for _, language in parents if AUGMENTERS[name].knows(language)}
        of_known = [parent for parent, language in parents if language in known]
        jobs += [(_draw(params.seed, parent, name, k), parent, name, k) for parent in of_known for k in range(settings.variants)]
    jobs = sorted(jobs)[: int(params.max_share * len(rows))]
    return pa.table(
        {
            "parent": pa.array([parent for _, parent, _, _ in jobs], TEXT),
            "job_augmenter": pa.array([name for _, _, name, _ in jobs], TEXT),
            "variant_id": pa.array([stable_id(parent, name, str(k)) for _, parent, name, k in jobs], TEXT),
        }
    )


def _draw(seed: int, parent: str, name: str, k: int) -> str:
    return stable_id(str(seed), parent, name, str(k))


def _minority(rows: pa.Table, params: Params) -> pa.Table:
    """Rows of the small strata, which the largest exceeds by more than `minority_ratio`."""
    columns = [filled(rows[name].cast(TEXT), "") for name in params.by]
    key = pc.binary_join_element_wise(*columns, pa.scalar("\x1f", TEXT))  # type: ignore[call-overload]  # a scalar separator
    counts = pc.value_counts(key)
    sizes = counts.field("counts").to_numpy()
    small = counts.field("values").filter(pa.array(sizes * params.minority_ratio < sizes.max(initial=0)))
    return rows.filter(pc.is_in(key, value_set=small))


def _variants(frame: daft.DataFrame, jobs: pa.Table, params: Params, ready: dict[str, Settings]) -> pa.Table:
    """Candidates made from the jobs, with `dropped` and `made`, sorted by id."""
    joined = daft.from_arrow(jobs).join(frame, left_on="parent", right_on="prompt_id", how="inner")
    rows = joined.to_arrow().sort_by("variant_id").combine_chunks()
    work = _texts(rows, params)
    done = _with_rewordings(work, params, ready)
    columns: dict[str, Any] = {name: rows[name] for name in Candidates.names() if name in rows.column_names}
    columns |= {"prompt_id": rows["variant_id"], "augmented_from": rows["parent"], "augmenter": rows["job_augmenter"]}
    for column in ("prompt", "responses"):
        mine = done.filter(pc.equal(done["column"], pa.scalar(column)))
        columns[column] = replace_texts(rows[column], mine["place"].to_numpy(), mine["text"].combine_chunks())
    columns["dropped"] = _first_reasons(done, len(rows))
    columns["made"] = pa.array(np.ones(len(rows), bool))
    return pa.table({name: columns[name] for name in [*Candidates.names(), "dropped", "made"]})


def _texts(rows: pa.Table, params: Params) -> pa.Table:
    """One row per text to paraphrase: its `row`, `column` and `place`, `old`, `augmenter`, `seed`; ordered by these."""
    places = last_user(rows["prompt"])
    having = np.flatnonzero(places >= 0)
    parts = [_part(rows, "prompt", having, places[having], params.seed)]
    if params.targets == "prompt_and_responses":
        offsets, _ = flat(rows["responses"])
        owners = np.repeat(np.arange(len(rows)), np.diff(offsets))
        parts.append(_part(rows, "responses", owners, np.arange(len(owners)), params.seed))
    return pa.concat_tables(parts)


def _part(rows: pa.Table, column: str, owners: Integers, places: Integers, seed: int) -> pa.Table:
    _, structs = flat(rows[column])
    variants = strings(rows["variant_id"].take(owners))
    return pa.table(
        {
            "row": pa.array(owners, pa.int64()),
            "column": pa.array([column] * len(owners), TEXT),
            "place": pa.array(places, pa.int64()),
            "old": structs.field("content").take(pa.array(places, pa.int64())).cast(TEXT),
            "augmenter": rows["job_augmenter"].take(owners).combine_chunks().cast(TEXT),
            "seed": pa.array([stable_id(str(seed), variant, column, str(k)) for k, variant in _with_numbers(variants)], TEXT),
        }
    )


def _with_numbers(variants: list[str]) -> list[tuple[int, str]]:
    """Each entry with its number among equal neighbours: an answer's place within its prompt."""
    numbered: list[tuple[int, str]] = []
    for variant in variants:
        last = numbered[-1] if numbered else (0, "")
        numbered.append((last[0] + 1 if last[1] == variant else 0, variant))
    return numbered


def _with_rewordings(work: pa.Table, params: Params, ready: dict[str, Settings]) -> pa.Table:
    """`work` with `text` (the old one where paraphrasing failed) and `reason`, in its order."""
    size = pc.utf8_length(work["old"]).to_numpy()
    words = np.array([len(split_words(text).words) for text in strings(work["old"])], np.int64)
    reason = np.full(len(work), None, object)
    reason[words < params.min_words] = why.TOO_SHORT
    reason[size > params.max_chars] = why.TOO_LONG
    untried = (words >= params.min_words) & (size <= params.max_chars)
    text = work["old"].to_numpy(zero_copy_only=False).astype(object).copy()
    names = work["augmenter"].to_numpy(zero_copy_only=False)
    for name, settings in ready.items():
        mine = np.flatnonzero((names == name) & untried)
        if len(mine):
            result = reword_and_check(name, settings, *(work[column].take(mine).combine_chunks() for column in ("old", "seed")))
            made = result["text"].to_pylist()
            text[mine] = [old if new is None else new for old, new in zip(text[mine], made, strict=True)]
            reason[mine] = result["reason"].to_pylist()
    return work.append_column("text", pa.array(text, TEXT)).append_column("reason", pa.array(reason, TEXT))


def _first_reasons(done: pa.Table, rows: int) -> pa.Array[Any]:
    """For each variant the first fault among its texts; `no_user_message` where there was no text to reword."""
    reasons: list[str | None] = [why.NO_USER_MESSAGE] * rows
    seen = [False] * rows
    for row, reason in zip(cast("list[int]", done["row"].to_pylist()), done["reason"].to_pylist(), strict=True):
        if not seen[row] or reasons[row] is None:
            reasons[row], seen[row] = reason, True
    return pa.array(reasons, TEXT)


def _collisions(frame: daft.DataFrame, variants: pa.Table) -> pa.Table:
    """The variants; those whose prompt exists already or was made before (in the order of ids) are dropped."""

    @engine.batch(TEXT)
    def keys_of(prompts: daft.Series) -> pa.Array[Any]:
        return prompt_keys(prompts.to_arrow())

    there = frame.select(keys_of(daft.col("prompt")).alias("key")).to_arrow()["key"].cast(TEXT)
    keys = prompt_keys(variants["prompt"])
    alive = pc.is_null(variants["dropped"]).to_numpy()
    existing = pc.is_in(keys, value_set=there.combine_chunks()).to_numpy(zero_copy_only=False)
    fresh = np.flatnonzero(alive & ~existing)
    _, first = np.unique(keys.to_numpy(zero_copy_only=False)[fresh].astype(str), return_index=True)
    unique = np.zeros(len(variants), bool)
    unique[fresh[first]] = True
    dropped = pc.if_else(pa.array(alive & ~unique), pa.scalar(why.COLLIDES, TEXT), variants["dropped"])
    return variants.set_column(variants.column_names.index("dropped"), "dropped", dropped)
