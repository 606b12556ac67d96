"""Do a source's ratings run the same way as its thumbs and its choices? A scale read upside down shows here, and nowhere else.

In: the acts of feedback as `acts.judge` leaves them. Out: one `Finding` for each source and kind that shares enough answers with
ratings, and a warning for each that runs against them. Only people's acts count that count as votes.

The figure is Somers' D, from -1 to 1: of all pairs of answers of which one got more thumbs up than down and the other more thumbs
down than up (or of which one was chosen over the other), the share in which the first has the higher mean rating, less
the share in which it has the lower one.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple, cast

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from daft import col, lit
from pydantic import Field

from tasks.common.arrays import Column
from tasks.common.vocabulary.kinds import CHOICE, PERSON, RATING, THUMB
from tasks.core.params import StageParams
from tasks.core.tables import TEXT

KINDS = (RATING, THUMB, CHOICE)
COLUMNS = ("source", "kind", "response_id", "better_id", "worse_id", "grade")


class Settings(StageParams):
    """When a source is called contradictory."""

    min_shared: int = Field(ge=2)  # answers with ratings and thumbs, or choices between rated answers, that it takes
    against: float = Field(ge=-1, le=0)  # the figure from which on downwards it is told


class Finding(NamedTuple):
    """How a source's ratings go with its acts of another kind."""

    source: str
    kind: str
    shared: int
    figure: float


def warn(judged: daft.DataFrame, settings: Settings) -> None:
    """Tell of every source whose ratings run against what its people said otherwise."""
    for found in findings(judged, settings.min_shared):
        if found.figure <= settings.against:
            warnings.warn(
                f"ratings from {found.source} run against its {found.kind}s: association {found.figure:.2f} (1: they agree) over"
                f" {found.shared} shared answers; where 1 is the best rating, its scale must be given as [worst, best]",
                stacklevel=2,
            )


def findings(judged: daft.DataFrame, min_shared: int) -> list[Finding]:
    """The figure of every source that has enough to compare, in order of source and kind."""
    counts = col("fault").is_null() & (col("annotator_kind") == lit(PERSON)) & col("kind").is_in(KINDS)
    acts = judged.where(counts).select(*COLUMNS).to_arrow()
    found = []
    for source in sorted(cast("list[str]", pc.unique(acts["source"]).drop_null().to_pylist())):
        own = acts.filter(pc.equal(acts["source"], pa.scalar(source)))
        ratings = means(own.filter(pc.equal(own["kind"], pa.scalar(RATING))))
        thumbs, choices = (own.filter(pc.equal(own["kind"], pa.scalar(kind))) for kind in (THUMB, CHOICE))
        for kind, (shared, figure) in ((CHOICE, by_choices(choices, ratings)), (THUMB, by_thumbs(thumbs, ratings))):
            if shared >= min_shared:
                found.append(Finding(source, kind, shared, figure))
    return found


def means(acts: pa.Table) -> pa.Table:
    """Mean grade of each answer, in whole millionths: sums of floats depend on their order."""
    whole = pc.round(pc.multiply(acts["grade"], 1e6)).cast(pa.int64())
    summed = (
        pa.Table.from_pydict({"answer": acts["response_id"].cast(TEXT), "sum": whole})
        .group_by("answer")
        .aggregate([("sum", "sum"), ("sum", "count")])
    )
    return pa.Table.from_pydict({"answer": summed["answer"], "mean": pc.divide(summed["sum_sum"].cast(pa.float64()), summed["sum_count"])})


def look_up(ratings: pa.Table, answers: pa.ChunkedArray[Any]) -> Column:
    """The mean rating of each of these answers; NaN where it has none."""
    places = pc.index_in(answers.cast(TEXT), ratings["answer"].combine_chunks())
    return np.asarray(ratings["mean"].take(places).fill_null(pa.scalar(np.nan)).to_numpy())


def by_thumbs(thumbs: pa.Table, ratings: pa.Table) -> tuple[int, float]:
    """How many rated answers were also liked or disliked, and the figure over all pairs of one of each."""
    liked = means(thumbs)
    sign, rating = np.sign(liked["mean"].to_numpy()), look_up(ratings, liked["answer"])
    compared = ~np.isnan(rating) & (sign != 0)
    good, bad = np.sort(rating[compared & (sign > 0)]), np.sort(rating[compared & (sign < 0)])
    if not len(good) or not len(bad):
        return 0, 0.0
    below, not_above = np.searchsorted(bad, good, "left").sum(), np.searchsorted(bad, good, "right").sum()
    return int(compared.sum()), float(below + not_above) / (len(good) * len(bad)) - 1.0


def by_choices(choices: pa.Table, ratings: pa.Table) -> tuple[int, float]:
    """How many choices were made between two rated answers, and the figure over them."""
    decided = choices.filter(pc.equal(choices["grade"], pa.scalar(1.0)))
    better, worse = (look_up(ratings, decided[side]) for side in ("better_id", "worse_id"))
    ahead = np.sign(better - worse)[~np.isnan(better - worse)]
    return len(ahead), float(ahead.mean()) if len(ahead) else 0.0
