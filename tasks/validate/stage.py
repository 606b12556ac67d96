"""Check turns and feedback against their Great Expectations suites.

In: turns and feedback from `dedupe`. Out: the same tables; a row that breaks a row rule is dropped with the rule's name
as reason, the turns below a dropped turn as `orphaned`. A broken table rule stops the pipeline.
The suites see only flat columns (lengths, flags, ids) that are derived here; text never reaches a result or a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import daft
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from daft import DataFrame, Expression, col, lit
from daft.functions import coalesce, when

from expectations import feedback as feedback_rules
from expectations import turns as turn_rules
from expectations.gate import Gate, first_rules
from expectations.rules import columns_of
from tasks.common.vocabulary.kinds import CHOICE, RANKING, RATING, REWRITES, THUMB, VALUED
from tasks.common.vocabulary.reasons import validate as why
from tasks.common.vocabulary.roles import ASSISTANT, SYSTEM, TOOL, USER
from tasks.core.engine import Tables
from tasks.core.params import StageParams
from tasks.core.tables import TABLES, TEXT

WRITES = ("turns", "feedback")
STAGE = "validate"
TURN = ("conversation_id", "turn_id")
SEPARATOR = pa.scalar("\0", TEXT)
SIDES = ("turn_id", "better", "worse")
CUT_OFF = [why.NO_PARENT, why.MISPLACED, why.ORPHANED]  # reasons of turns without an unbroken path from a root


class Params(StageParams):
    """Bounds of the rules, one section per table; the rules themselves are in `expectations/`."""

    turns: turn_rules.Bounds
    feedback: feedback_rules.Bounds


@dataclass(frozen=True)
class Validated:
    """The tables with their verdicts, and the gate that decides whether the pipeline continues."""

    tables: Tables
    gate: Gate


def run(tables: Tables, params: Params) -> Tables:
    """All rows of both tables; `dropped` is the rule that a row breaks."""
    return judge(tables, params).tables


def judge(tables: Tables, params: Params) -> Validated:
    """As `run`, with the gate: the shell writes its pages and then enforces it."""
    gate = Gate(STAGE)
    for name in WRITES:
        gate.check(columns_of(name, TABLES[name].names()), pa.table({column: pa.nulls(0, TEXT) for column in tables[name].column_names}))
    if gate.broken:
        return Validated(tables, gate)
    turns = _validate_turns(gate, tables["turns"], params.turns)
    feedback = _validate_feedback(gate, tables["feedback"], turns, params.feedback)
    return Validated({"turns": turns, "feedback": feedback}, gate)


def _validate_turns(gate: Gate, turns: DataFrame, bounds: turn_rules.Bounds) -> DataFrame:
    flat = flat_turns(turns).to_arrow()
    suite = turn_rules.suite(bounds, len(flat))
    dropped = with_orphans(flat, first_rules(gate.rows(suite, flat), len(flat)))
    gate.check(suite, flat.append_column("kept", pc.is_null(dropped)))
    return _attach(turns, flat, dropped, TURN)


def _validate_feedback(gate: Gate, feedback: DataFrame, turns: DataFrame, bounds: feedback_rules.Bounds) -> DataFrame:
    flat = flat_feedback(feedback, turns).to_arrow()
    suite = feedback_rules.suite(bounds, len(flat))
    dropped = first_rules(gate.rows(suite, flat), len(flat))
    gate.check(suite, flat.append_column("kept", pc.is_null(dropped)))
    return _attach(feedback, flat, dropped, ("feedback_id",))


def flat_turns(turns: DataFrame) -> DataFrame:
    """One row per turn: ids, lengths and flags for the suite of turns."""
    chars = col("content").length().cast(daft.DataType.int64())
    parents = turns.select(
        col("conversation_id"),
        col("turn_id").alias("parent_id"),
        col("position").alias("parent_position"),
    )
    place = col("position").cast(daft.DataType.int64())
    own = turns.select(
        *TURN,
        "parent_id",
        place.alias("position"),
        coalesce(col("role"), lit("")).alias("role"),
        (_filled("conversation_id") & _filled("turn_id")).alias("has_id"),
        # a tool call needs no text, a tool's result may be empty, and so may a system prompt
        (_filled("content") | col("tool_calls").not_null() | col("role").is_in([TOOL, SYSTEM])).alias("has_content"),
        _only(col("role") == lit(USER), chars).alias("question_chars"),
        _only((col("role") == lit(ASSISTANT)) & (_filled("content") | col("tool_calls").is_null()), chars).alias("answer_chars"),
        col("created_at").year().cast(daft.DataType.int64()).alias("year"),
        (_filled("language") & (col("language") != lit("und"))).alias("has_language"),
    )
    joined = own.join(parents, on=["conversation_id", "parent_id"], how="left")
    return joined.with_columns(
        {
            "has_parent": col("parent_id").is_null() | col("parent_position").not_null(),
            "steps_from_parent": col("position") - col("parent_position"),
        }
    ).exclude("parent_position")


def flat_feedback(feedback: DataFrame, turns: DataFrame) -> DataFrame:
    """One row per vote: ids and flags for the suite of feedback; `turns` are all turns, with their verdicts."""
    kind = col("kind")
    values = [flag.alias(name) for name, flag in value_flags().items()]
    flat = feedback.select(
        "feedback_id",
        "conversation_id",
        *SIDES,
        *values,
        coalesce(kind, lit("")).alias("kind"),
        coalesce(col("annotator_kind"), lit("")).alias("annotator_kind"),
        (_filled("feedback_id") & _filled("conversation_id")).alias("has_id"),
        ((kind != lit(CHOICE)) | (_filled("better") & _filled("worse"))).alias("has_sides"),
        coalesce(col("better") != col("worse"), lit(True)).alias("sides_differ"),
        (_filled("turn_id") | _filled("better")).alias("has_target"),
        (~kind.is_in([*REWRITES]) | _filled("text")).alias("has_text"),
        col("created_at").year().cast(daft.DataType.int64()).alias("year"),
    )
    for side in SIDES:
        status = coalesce(col("dropped"), lit(""))
        known = turns.select(
            "conversation_id", col("turn_id").alias(side), col("role").alias(f"{side}_role"), status.alias(f"{side}_status")
        )
        flat = flat.join(known, on=["conversation_id", side], how="left")
    flags = {"targets_exist": lit(True), "targets_reached": lit(True), "targets_kept": lit(True), "targets_are_answers": lit(True)}
    for side in SIDES:
        role, status = col(f"{side}_role"), col(f"{side}_status")
        flags["targets_exist"] &= col(side).is_null() | role.not_null()
        flags["targets_reached"] &= ~coalesce(status.is_in(CUT_OFF), lit(False))
        flags["targets_kept"] &= coalesce(status == lit(""), col(side).is_null())
        flags["targets_are_answers"] &= coalesce(role == lit(ASSISTANT), lit(True))
    filled = {flag: coalesce(col(flag), lit(False)) for flag in ("has_value", "has_scale", "known_label", "has_sides", "has_text")}
    return flat.with_columns(flags | filled).exclude(*(f"{side}_{what}" for side in SIDES for what in ("role", "status")))


def with_orphans(flat: pa.Table, dropped: pa.Array[Any]) -> pa.Array[Any]:
    """`dropped` with every turn below a dropped one marked as orphaned; visits only conversations that lose a turn."""
    bad = pc.is_valid(dropped)
    if not pc.any(bad).as_py():
        return dropped
    touched = pc.is_in(flat["conversation_id"], value_set=pc.unique(flat["conversation_id"].filter(bad).combine_chunks()))
    rows = np.flatnonzero(touched.to_numpy(zero_copy_only=False))
    nodes = flat.select([*TURN, "parent_id"]).take(rows)
    lost = _lost(_parents(nodes), bad.to_numpy(zero_copy_only=False)[rows])
    orphans = np.zeros(len(flat), dtype=bool)
    orphans[rows[lost]] = True
    reasons: pa.Array[Any] = pc.if_else(pc.and_(pa.array(orphans), pc.is_null(dropped)), pa.scalar(why.ORPHANED, TEXT), dropped)
    return reasons


def _keys(nodes: pa.Table, name: str) -> pa.ChunkedArray[Any]:
    """The turns that a column names, each with its conversation."""
    columns = (nodes["conversation_id"], nodes[name])
    keys: pa.ChunkedArray[Any] = pc.binary_join_element_wise(*columns, SEPARATOR)  # type: ignore[call-overload]  # a scalar separator
    return keys


def _parents(nodes: pa.Table) -> npt.NDArray[np.int64]:
    """Row number of each turn's parent; a turn without a parent has its own number."""
    keys, wanted = (_keys(nodes, name) for name in ("turn_id", "parent_id"))
    parents = pc.index_in(wanted, value_set=keys.combine_chunks())
    own = np.arange(len(nodes), dtype=np.int64)
    return np.where(pc.is_valid(parents).to_numpy(zero_copy_only=False), parents.fill_null(0).to_numpy(), own)


def _lost(parent: npt.NDArray[np.int64], bad: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Nodes that are bad or below a bad one; each round doubles the distance, so the cost is logarithmic in the depth."""
    lost = bad.copy()
    for _ in range(len(parent).bit_length()):
        lost |= lost[parent]
        parent = parent[parent]
    return lost


def _attach(rows: DataFrame, flat: pa.Table, dropped: pa.Array[Any], key: tuple[str, ...]) -> DataFrame:
    """The rows with their verdicts, joined on the key, which the suite requires to be unique."""
    verdicts = flat.select(list(key)).append_column("dropped", dropped).filter(pc.is_valid(dropped))
    if not len(verdicts):
        return rows.with_column("dropped", lit(None).cast(daft.DataType.string()))
    return rows.join(daft.from_arrow(verdicts), on=list(key), how="left")


def _filled(name: str) -> Expression:
    """True where the text is present and not blank."""
    return coalesce(col(name).strip() != lit(""), lit(False))


def _only(condition: Expression, value: Expression) -> Expression:
    """The value where the condition is true, else null, where the rule does not apply."""
    return when(condition, value).otherwise(lit(None))


def _finite(value: Expression) -> Expression:
    return value.not_null() & ~coalesce(value.is_nan() | value.is_inf(), lit(True))


def value_flags() -> dict[str, Expression]:
    """Flags of the value: present, with a scale, with a known label, and within its scale."""
    kind, value, low, high = col("kind"), col("value"), col("scale_min"), col("scale_max")
    needed, worded = kind.is_in([*VALUED]), value.is_null() & _filled("label")
    ends = _finite(low) & _finite(high) & (low != high)
    return {
        "has_value": ~needed | worded | _finite(value),
        "has_scale": (kind != lit(RATING)) | coalesce(ends, lit(False)),
        "known_label": ~(needed & worded),
        "on_scale": _on_scale(),
    }


def _on_scale() -> Expression:
    """True where the value is within its scale, whose worst end may be the greater one; kinds without a scale have fixed values."""
    kind, value, worst, best = col("kind"), col("value"), col("scale_min"), col("scale_max")
    within = ((value >= worst) & (value <= best)) | ((value >= best) & (value <= worst))
    scaled = coalesce(within, lit(True))
    thumb = (kind != lit(THUMB)) | (value == coalesce(worst, lit(-1.0))) | (value == coalesce(best, lit(1.0)))
    choice = (kind != lit(CHOICE)) | value.is_in([-1.0, 0.0, 1.0])
    ranking = (kind != lit(RANKING)) | (value >= lit(0.0))
    return coalesce(scaled & thumb & choice & ranking, lit(True))
