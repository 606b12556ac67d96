"""Stage `pair`: from candidates to preferences (pairs), to liked and disliked answers (unpaired), and to prompts to practise on (prompts).

In: candidates. Out: these three tables, what became of every vote (votes), and what confidences rest on (calibration). Pairs come from
the named recipes of `tasks.pair.recipes`, each of which reads one kind of evidence; `tasks.pair.resolve` decides between them.
What was proposed and did not become a pair is in the dropped rows of pairs, with the reason; so are pairs that a trainer could not use
(`tasks.pair.trainability`) or that were given up to match lengths (`tasks.pair.length_matching`). An answer is liked or disliked (unpaired)
by its thumbs and its mean rating; dropped there are `middle` (no clear side) and `contradicted` (thumbs say one thing, ratings the
other). Every prompt that people wrote is in prompts; variants are not. A variant gives its parent's pairs and unpaired rows under its own
prompt; a candidate is dropped as `no_pair` when it gives no row at all: a variant of a parent without any. A vote that stands behind no
pair and no row of unpaired is in the dropped rows of votes, with the reason.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import daft
import pyarrow as pa
import pyarrow.compute as pc
from daft import col, lit
from daft.functions import when
from pydantic import Field

from tasks.common.arrays import flat
from tasks.common.vocabulary.reasons import pair as why
from tasks.core import engine
from tasks.core.engine import Tables
from tasks.core.params import StageParams
from tasks.core.tables import TEXT, Prompts, Unpaired
from tasks.pair import calibration, length_matching, rating_scales, recipes, rows, trainability, unpaired_labels, vote_outcomes
from tasks.pair.calibration import Calibration
from tasks.pair.evidence import Evidence, read
from tasks.pair.length_matching import Matching
from tasks.pair.recipes import RECIPES
from tasks.pair.resolve import Caps, Confidence, Proposals, propose, reasons_against
from tasks.pair.self_identification import Identity
from tasks.pair.trainability import Trainability

WRITES = ("pairs", "unpaired", "prompts", "votes", "calibration")


class Judges(StageParams):
    """What becomes of the votes of judging models."""

    use: bool  # they make pairs of their own, which give way to people's


class Params(StageParams):
    """Parameters of `pair`: one key a recipe, and what is common to all."""

    correction: recipes.Rewriting
    edit: recipes.Rewriting
    choice: recipes.Switch
    ranking: recipes.Ranking
    rating_margin: rating_scales.RatingMargin
    thumb_contrast: rating_scales.ThumbContrast
    regeneration: recipes.Switch
    retry: recipes.Switch
    judges: Judges
    confidence: Confidence
    calibration: Calibration
    nearly_equal: float = Field(gt=0, le=1)  # similarity of the letters from which on two answers are no pair
    identity: Identity
    max_pairs_per_prompt: int = Field(ge=1)  # the surest stay
    max_pairs_per_user: int = Field(ge=1)
    matching: Matching
    trainability: Trainability
    unpaired: unpaired_labels.Clear

    @property
    def in_use(self) -> set[str]:
        """Names of the recipes that are on, and "judges" and "signals"."""
        others = {"judges": self.judges.use, "signals": self.unpaired.signals}
        return {name for name in RECIPES if getattr(self, name).use} | {name for name, use in others.items() if use}


def run(tables: Tables, params: Params) -> Tables:
    """Pairs, unpaired, prompts and votes from candidates."""
    candidates = tables["candidates"]
    evidence = read(candidates)
    made = rows.variants(candidates, evidence)
    proposals, known = decided(evidence, params)
    own = rows.written(evidence, proposals, params.confidence)
    inherited = rows.inherited(evidence, proposals, made, params.confidence, params.nearly_equal)
    pairs = fit_to_train(rows.finished(pa.concat_tables([own, inherited]), candidates), params)
    reasons = flat(pairs["dropped"]).take(flat(pc.index_in(own["pair_id"], value_set=flat(pairs["pair_id"]))))
    labels = unpaired_labels.read(evidence, params.unpaired)
    examples = rows.examples(evidence, made, labels)
    of_labels = examples["example_id"][: len(labels.answer)]
    votes = vote_outcomes.table(evidence, proposals, own["pair_id"], reasons, labels, of_labels, params.in_use)
    return {
        "pairs": engine.in_parts(pairs),
        "unpaired": with_prompts(examples, candidates),
        "prompts": candidates.where(col("augmented_from").is_null()).select(*Prompts.names()),
        "votes": engine.in_parts(votes),
        "calibration": daft.from_arrow(calibration.table(known, pairs)),
        "candidates": accounted(candidates, pairs, examples),
    }


def decided(evidence: Evidence, params: Params) -> tuple[Proposals, dict[str, calibration.Known]]:
    """What the recipes propose, each with its confidence and the reason why it is no pair, and what is known of each recipe's acts."""
    settings: dict[str, recipes.Settings] = {name: getattr(params, name) for name in RECIPES}
    proposals = propose(evidence, settings, params.judges.use)
    assumed = {name: one.reliability for name, one in settings.items()}
    proposals, known = calibration.weigh(evidence, proposals, assumed, params.calibration)
    calibration.warn(known)
    caps = Caps(per_prompt=params.max_pairs_per_prompt, per_user=params.max_pairs_per_user)
    reasons = reasons_against(evidence, proposals, params.confidence, params.nearly_equal, params.identity, caps)
    return replace(proposals, reason=reasons), known


def fit_to_train(pairs: pa.Table, params: Params) -> pa.Table:
    """The same rows: dropped are also those that a trainer could not use, and then those given up to match lengths."""
    place = pairs.column_names.index("dropped")
    usable = pairs.set_column(place, "dropped", either(pairs["dropped"], trainability.reasons(pairs, params.trainability)))
    return usable.set_column(place, "dropped", either(usable["dropped"], length_matching.reasons(usable, params.matching)))


def either(first: pa.ChunkedArray[Any], second: pa.Array[Any]) -> pa.ChunkedArray[Any]:
    """The first where it says something, else the second."""
    return cast("pa.ChunkedArray[Any]", pc.coalesce(first, second))


def with_prompts(examples: pa.Table, candidates: daft.DataFrame) -> daft.DataFrame:
    """The unpaired table."""
    about = [name for name in Unpaired.names() if name in candidates.column_names and name not in examples.column_names]
    asked = candidates.select("prompt_id", *about)
    return daft.from_arrow(examples).join(asked, on="prompt_id", how="inner").select(*Unpaired.names(), "dropped")


def accounted(candidates: daft.DataFrame, pairs: pa.Table, examples: pa.Table) -> daft.DataFrame:
    """Candidates, with `no_pair` where a variant gives no row."""
    giving = [pc.filter(table["prompt_id"], pc.is_null(table["dropped"])) for table in (pairs, examples)]
    ids = pc.unique(pa.chunked_array([chunk for column in giving for chunk in column.chunks], TEXT))
    known = daft.from_arrow(pa.Table.from_pydict({"prompt_id": ids, "gives": pa.repeat(True, len(ids))}))
    idle = col("augmented_from").not_null() & col("gives").is_null()
    nothing = lit(None).cast(daft.DataType.string())
    marked = candidates.join(known, on="prompt_id", how="left")
    return marked.with_column("dropped", when(idle, lit(why.NO_PAIR)).otherwise(nothing)).exclude("gives")
