"""Who gets feedback, against who chats: the answers given and the answers judged, by model, topic, language, source and activity.

In: the answers of all conversations, counted by what is known of them (HEARD), and the acts. Out: the table `selection`. Only people's
acts are counted; a comparison counts for each of its answers. What users' next turns say (`tasks.aggregate.implicit_feedback`) is counted
apart: nobody decided to give it.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Any

import daft
import numpy as np
import pyarrow as pa
from daft import DataType, Expression, col, lit
from daft.functions import when
from pydantic import Field

from tasks.aggregate.conversation_tree import ConversationTrees, last_users
from tasks.common.arrays import Mask, Rows, struct
from tasks.common.vocabulary.kinds import CHOICE, MODEL, RATING, REWRITES, THUMB
from tasks.core.params import StageParams
from tasks.core.tables import TEXT, Selection

STRATA = ("model", "topic", "language", "source", "user")
EXPOSURE = pa.struct([("stratum", pa.int32()), *((name, TEXT) for name in STRATA), ("answers", pa.int64()), ("signals", pa.int64())])
COUNTS = ("answers", "judged", "acts", "ups", "downs", "signals")


class Settings(StageParams):
    """How the chatting people are put in classes."""

    activity: list[Annotated[int, Field(ge=2)]]  # where classes of people begin, by the number of answers that they got, rising


def strata(forest: ConversationTrees, rows: Rows) -> tuple[Rows, list[pa.ChunkedArray[Any]]]:
    """A number for each row, equal where conversation, model and the rest of STRATA are; and those columns."""
    asked = last_users(forest)[rows]
    columns = [forest.turns["model"].take(rows), *(forest.turns[name].take(asked) for name in ("topic", "language", "source", "user_id"))]
    number = forest.tree[rows]
    for column in columns:
        codes = column.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy().astype(np.int64) + 1
        number = np.unique(number * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)[1]
    return number, columns


def exposure(forest: ConversationTrees, answer: Mask, about: Rows) -> tuple[Rows, Rows, pa.StructArray]:
    """For each turn its stratum (-1: no answer); and for each stratum its conversation and HEARD. `about` are the turns with signals."""
    rows = np.flatnonzero(answer)
    number, columns = strata(forest, rows)
    stratum = np.full(len(answer), -1)
    stratum[rows] = number
    first = np.unique(number, return_index=True)[1]
    count = len(first)
    answers, signals = (np.bincount(part, minlength=count) for part in (number, stratum[about]))
    facts = [column.take(first) for column in columns]
    return (
        stratum,
        forest.tree[rows][first],
        struct(EXPOSURE, pa.array(np.arange(count)), *facts, pa.array(answers), pa.array(signals)),
    )


def opinions(acts: daft.DataFrame, judged: daft.DataFrame) -> daft.DataFrame:
    """One row a stratum of a conversation: its answers that people judged, and the acts about them."""
    grade, kind = col("grade"), col("kind")
    decided = ~((kind == lit(CHOICE)) & (grade == lit(0)))
    good = {
        "turn_id": ((kind == lit(THUMB)) & (grade > lit(0))) | ((kind == lit(RATING)) & (grade > lit(0.5))),
        "better": decided & (grade > lit(0)),
        "worse": lit(False),
    }
    bad = {
        "turn_id": ((kind == lit(THUMB)) & (grade < lit(0))) | ((kind == lit(RATING)) & (grade < lit(0.5))) | kind.is_in([*REWRITES]),
        "better": decided & (grade < lit(0)),  # both are bad
        "worse": decided,
    }
    counts = acts.where(col("fault").is_null() & (col("annotator_kind") != lit(MODEL)))
    slots = [
        counts.where(col(slot).not_null()).select(
            "conversation_id", col(slot).alias("turn_id"), number(good[slot]).alias("ups"), number(bad[slot]).alias("downs")
        )
        for slot in ("turn_id", "better", "worse")
    ]
    place = judged.where(col("stratum") >= lit(0)).select("conversation_id", "turn_id", "stratum")
    given = slots[0].concat(slots[1]).concat(slots[2]).join(place, on=["conversation_id", "turn_id"], how="inner")
    turns = given.groupby("conversation_id", "stratum", "turn_id").agg(
        col("ups").count().alias("acts"), col("ups").sum(), col("downs").sum()
    )
    sums = [col(name).sum() for name in ("acts", "ups", "downs")]
    return turns.groupby("conversation_id", "stratum").agg(col("turn_id").count().alias("judged"), *sums)


def number(holds: Expression) -> Expression:
    """1 where it holds, else 0."""
    return when(holds, lit(1)).otherwise(lit(0)).cast(DataType.int64())


def table(groups: daft.DataFrame, judged: daft.DataFrame, acts: daft.DataFrame, settings: Settings) -> daft.DataFrame:
    """The table `selection`.

    `groups` are HEARD with their conversation, `judged` says in which group (stratum) a judged turn is, and `acts` are those that
    were given on purpose.
    """
    rows = groups.join(opinions(acts, judged), on=["conversation_id", "stratum"], how="left").select(*STRATA, *COUNTS).to_arrow()
    counts = {name: rows[name].fill_null(pa.scalar(0)).to_numpy().astype(np.int64) for name in COUNTS}
    user = rows["user"].combine_chunks().dictionary_encode()
    users = user.indices.fill_null(-1).to_numpy().astype(np.int64)
    values: dict[str, pa.Array[Any] | pa.ChunkedArray[Any]] = {
        "all": pa.array([""] * len(rows), TEXT),
        **{name: rows[name].fill_null(pa.scalar("")) for name in STRATA if name != "user"},
        "activity": activity(users, counts["answers"], settings.activity),
    }
    parts = [tally(name, column, users, counts) for name, column in values.items()]
    return daft.from_arrow(pa.concat_tables(parts).cast(Selection.schema()))


def activity(users: Rows, answers: Rows, bounds: list[int]) -> pa.Array[Any]:
    """For each row the class of its user, by the number of answers that he got in all; "" without a user."""
    got = np.bincount(users + 1, weights=answers, minlength=1)  # place 0: nobody known
    lows = [1, *bounds]
    ends = [f"-{after - 1}" if after - 1 > low else "" for low, after in itertools.pairwise(lows)]
    names = ["", *(f"{low}{end}" for low, end in zip(lows, [*ends, "+"], strict=True))]
    place = np.searchsorted(np.array(lows), got, side="right")
    place[0] = 0
    return pa.array(names, TEXT).take(place[users + 1])


def tally(dimension: str, values: pa.Array[Any] | pa.ChunkedArray[Any], users: Rows, counts: dict[str, Rows]) -> pa.Table:
    """The rows of one dimension."""
    column = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    encoded = column.dictionary_encode()
    codes, size = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), len(encoded.dictionary)

    def people(rows: Mask) -> Rows:
        width = int(users.max(initial=0)) + 1
        return np.bincount(np.unique(codes[rows] * width + users[rows]) // width, minlength=size)

    summed = {name: np.bincount(codes, weights=count, minlength=size).astype(np.int64) for name, count in counts.items()}
    known = users >= 0
    made = {"users": people(known), "judged_users": people(known & (counts["judged"] > 0)), **summed}
    return pa.Table.from_pydict({"dimension": pa.array([dimension] * size, TEXT), "value": encoded.dictionary, **made}).select(
        Selection.names()
    )
