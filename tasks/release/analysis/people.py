"""Statistics of the annotators: who gives feedback compared with who chats, how well they agree, and which models they prefer.

In: the tables selection, agreement, annotators and calibration, if present, and the released pairs. Out: `People`, plain rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from tasks.release.analysis.bradley_terry import rank_models

Row = dict[str, Any]
WHOLE = "all"  # the dimension of `selection` over all answers


@dataclass(frozen=True)
class People:
    """Statistics of the annotators, and of the models that they compared."""

    selection: dict[str, list[Row]]  # dimension -> rows of the table in display order, each with its shares
    agreement: list[Row]  # rows of the table
    calibration: list[Row]  # rows of the table
    annotators: list[Row]  # by kind of feedback and annotator: counts, spammers, and quartiles of reliability
    models: list[Row]  # as `rank_models` gives them


def summarize_people(context: Mapping[str, pa.Table], pairs: pa.Table) -> People:
    """Statistics of the annotators; empty where there is no table."""
    written = pairs.filter(pc.is_null(pairs["augmented_from"]))
    return People(
        selection=_selection(context["selection"].to_pylist()) if "selection" in context else {},
        agreement=context["agreement"].to_pylist() if "agreement" in context else [],
        calibration=context["calibration"].to_pylist() if "calibration" in context else [],
        annotators=_annotators(context["annotators"]) if "annotators" in context else [],
        models=rank_models(written),
    )


def _selection(rows: list[Row]) -> dict[str, list[Row]]:
    """Rows by dimension, with their share of all answers and of all rated answers, and the share of answers that are rated."""
    whole = {key: sum(row[key] for row in rows if row["dimension"] == WHOLE) for key in ("answers", "judged")}
    dimensions: dict[str, list[Row]] = {}
    for row in sorted(rows, key=_place):
        shares = {f"{key}_share": _share(row[key], total) for key, total in whole.items()}
        rates = {"judged_rate": _share(row["judged"], row["answers"]), "up_rate": _share(row["ups"], row["ups"] + row["downs"])}
        dimensions.setdefault(row["dimension"], []).append(row | shares | rates)
    return dict(sorted(dimensions.items(), key=lambda item: (item[0] != WHOLE, item[0])))


def _place(row: Row) -> tuple[int, str]:
    """Classes of activity ("1", "2-5", "21+") in their order, all others by their number of answers."""
    least = re.match(r"\d+", row["value"]) if row["dimension"] == "activity" else None
    return (int(least[0]) if least else -row["answers"], row["value"])


def _annotators(table: pa.Table) -> list[Row]:
    groups = table.group_by(["kind", "annotator_kind"]).aggregate(
        [("annotator", "count"), ("votes", "sum"), ("spammer", "sum"), ("reliability", "count")]
    )
    rows = sorted(groups.to_pylist(), key=lambda row: (row["kind"], row["annotator_kind"]))
    return [row | {"quartiles": _quartiles(table, row)} for row in rows]


def _quartiles(table: pa.Table, row: Row) -> list[float] | None:
    """Quartiles of the reliabilities that were estimated for this kind of feedback; None where none was."""
    mine = pc.and_(pc.equal(table["kind"], row["kind"]), pc.equal(table["annotator_kind"], row["annotator_kind"]))
    known = table.filter(mine)["reliability"].drop_null()
    if not len(known):
        return None
    quartiles = pc.quantile(known, q=[0.25, 0.5, 0.75])  # type: ignore[arg-type]  # several at once
    return [round(value, 4) for value in cast("list[float]", quartiles.to_pylist())]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
