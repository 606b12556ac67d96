"""How sure a preference is: estimated from how people agree and from what words say, or assumed, and said which.

In: the evidence and the proposals. Out: their confidences, what each rests on (BASES), and the table `calibration`, one row a recipe.

    assumed      too little is known of the recipe's acts: nobody can know from single votes whether they are right 65 or 85 times in 100.
                 The table says how many second opinions would end that
    overlap      estimated from what several people judged (`overlap`, `response`)
    words        estimated with a judge of words as a second annotator (`words`), out of fold, where it agrees with people beyond chance

Where fewer than `min_shared` opinions are shared and words say nothing, a pair's confidence is what its votes add up to. Else it is the
probability of the side that people chose under the item response model of `response`. That side is never turned: a pair of which the
evidence says that it is rather the other way round is dropped as `low_confidence`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common.arrays import Floats, Mask, Rows
from tasks.common.vocabulary.splits import TRAIN
from tasks.core import tables
from tasks.core.params import StageParams
from tasks.pair import act_accuracy, item_response, word_judge
from tasks.pair.comparisons import NAMES, RECIPE_OF, SAME, THUMBS, Comparisons, read_comparisons
from tasks.pair.evidence import Evidence
from tasks.pair.resolve import Proposals

BASES = ("assumed", "overlap", "words")
ASSUMED, OVERLAP, WORDS = range(3)
DIGITS = 6  # of log odds


class Calibration(StageParams):
    """How confidences are estimated."""

    use: bool  # false takes what the votes add up to
    words: bool  # whether a judge of words counts as a second annotator, where it agrees with people beyond chance
    worth: float = Field(gt=0)  # shared opinions that an assumed reliability weighs as much as
    min_shared: int = Field(ge=1)  # of fewer shared opinions nothing is estimated
    precision: float = Field(gt=0, lt=0.5)  # standard error of a reliability from which on it is called an estimate
    max_items: int = Field(ge=100)  # couples of answers that the model is fitted to, and the judge of words learns from
    max_judged: int = Field(ge=0)  # of more couples, words judge none of them, and tell of the acts' reliability only


def weigh(
    evidence: Evidence, proposals: Proposals, assumed: Mapping[str, float], settings: Calibration
) -> tuple[Proposals, dict[str, Known]]:
    """The proposals with confidences, log odds and bases, and what is known of each recipe, whose acts are assumed so reliable."""
    if not settings.use or not len(proposals.item):
        return proposals, {}
    compared = read_comparisons(evidence, proposals)
    known = act_accuracy.estimate(compared, assumed, settings.worth, settings.precision)
    taken = sample(compared, settings.max_items)
    judged = judged_by_words(evidence, compared, taken, settings)
    ways = item_response.prior_ways([assumed[NAMES[recipe]] for recipe in RECIPE_OF])
    if not judged.counts and sum(one.shared for one in known.values()) < settings.min_shared:
        confidence = same_person(compared, proposals, ways)
        found = {name: Known(one.with_reliability(assumed[name], settings.precision), ASSUMED) for name, one in known.items()}
    else:
        model = fit_model(compared, taken, judged, ways, settings.max_items)
        confidence = model_confidences(compared, proposals, model, np.where(in_train(evidence, compared.low), judged.margins, np.nan))
        found = with_reliabilities(known, model, settings.precision)
    changed = (confidence != proposals.confidence) & ~proposals.models
    inside = np.clip(confidence, 10.0**-item_response.DIGITS, 1 - 10.0**-item_response.DIGITS)
    code = np.array([found[name].basis if name in found else ASSUMED for name in NAMES])
    weighed = replace(
        proposals,
        confidence=np.where(changed, confidence, proposals.confidence),
        log_odds=np.where(changed, np.round(np.log(inside / (1 - inside)), DIGITS), proposals.log_odds),
        basis=np.where(proposals.models, ASSUMED, code[proposals.recipe]),
    )
    return weighed, found


@dataclass(frozen=True)
class Known:
    """What is known of a recipe's acts, and what its pairs' confidences rest on."""

    overlap: act_accuracy.Known
    basis: int  # code of BASES


def same_person(compared: Comparisons, proposals: Proposals, ways: Floats) -> Floats:
    """The confidences as votes add up, but of one person's two ratings or thumbs that of such an opinion: how strict he is cancels out."""
    single = proposals.votes_for + proposals.votes_against == 2
    way = np.full(int(proposals.item.max()) + 1, -1)
    way[compared.opinions.item] = compared.opinions.way
    rows = np.flatnonzero(single & (way[proposals.item] == SAME[THUMBS]) & ~proposals.models)
    prior = item_response.Model(item_response.CENTRE, ways, words=False)
    odds = [right / (1 - right) for right in (item_response.alone_right(prior, float(ways[of])) for of in (SAME[THUMBS], THUMBS))]
    found = proposals.confidence.copy()
    found[rows] = np.round(1 / (1 + np.exp(-proposals.log_odds[rows] * np.log(odds[0]) / np.log(odds[1]))), item_response.DIGITS)
    return found


def in_train(evidence: Evidence, answers: Rows) -> Mask:
    """Whether the answers' prompts are of the train split."""
    return np.asarray(pc.equal(evidence.prompts["split"], pa.scalar(TRAIN)).to_numpy(zero_copy_only=False), bool)[evidence.home[answers]]


def judged_by_words(evidence: Evidence, compared: Comparisons, taken: Mask, settings: Calibration) -> word_judge.Judge:
    """What words say of the couples: of all, or where these are too many, of the model's sample."""
    count = len(compared.low)
    if not settings.words:
        return word_judge.Judge(np.full(count, np.nan), 0, 0.0)
    votes = np.bincount(compared.opinions.couple, np.rint(compared.opinions.side * compared.opinions.weight * 1e6), count)
    couples = word_judge.Couples(compared.low, compared.high, np.sign(votes).astype(np.int64), in_train(evidence, compared.low))
    judged = np.arange(count) if count <= settings.max_judged else np.flatnonzero(taken)
    return word_judge.judge(evidence, couples, judged, settings.max_items)


def sample(compared: Comparisons, most: int) -> Mask:
    """At most so many couples, first of all those that several judged."""
    several = np.bincount(compared.opinions.couple, minlength=len(compared.low)) > 1
    shared, single = np.flatnonzero(several), np.flatnonzero(~several)
    taken = np.zeros(len(compared.low), bool)
    taken[word_judge.spaced(shared, max(most // 2, most - len(single)))] = True
    taken[word_judge.spaced(single, most - int(taken.sum()))] = True
    return taken


def fit_model(compared: Comparisons, taken: Mask, judged: word_judge.Judge, ways: Floats, most: int) -> item_response.Model:
    """The model, fitted to the sample."""
    alone = compared.alone.take(np.isin(compared.alone.couple, word_judge.spaced(np.unique(compared.alone.couple), most // 3)))
    people = int(max(compared.opinions.person.max(initial=0), compared.alone.person.max(initial=0))) + 1
    margins = np.where(np.isnan(judged.margins), 0.0, judged.margins) * judged.counts
    data = item_response.Data.of(compared.opinions.take(taken[compared.opinions.couple]), margins, alone)
    return item_response.fit(data, ways, words=judged.counts, people=people)


def model_confidences(compared: Comparisons, proposals: Proposals, model: item_response.Model, margins: Floats) -> Floats:
    """The confidences under the model."""
    order = np.argsort(compared.opinions.item, kind="stable")
    row = np.full(int(proposals.item.max()) + 1, -1)
    row[proposals.item] = np.arange(len(proposals.item))
    rows = row[np.unique(compared.opinions.item)]
    lower = item_response.sure(model, compared.opinions.take(order), margins)
    confidence = proposals.confidence.copy()
    confidence[rows] = np.where((proposals.chosen < proposals.rejected)[rows], lower, np.round(1 - lower, item_response.DIGITS))
    return confidence


def with_reliabilities(known: Mapping[str, act_accuracy.Known], model: item_response.Model, precision: float) -> dict[str, Known]:
    """The same with the reliability that the model gives to one act of each recipe."""
    found = {}
    for name, one in known.items():
        right = item_response.alone_right(model, float(model.ways[NAMES.index(name)]))
        fitted = one.with_reliability(round(right, act_accuracy.DIGITS), precision)
        found[name] = Known(fitted, WORDS if model.words else ASSUMED if fitted.missing else OVERLAP)
    return found


def table(known: Mapping[str, Known], pairs: pa.Table) -> pa.Table:
    """The table `calibration`; `pairs` are all rows of pairs, with `dropped`."""
    kept = pairs.filter(pc.and_(pc.is_null(pairs["dropped"]), pc.is_null(pairs["augmented_from"])))
    counted = pc.value_counts(kept["recipe"])
    counts = dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
    rows = [
        {"recipe": name, "pairs": counts.get(name, 0), "shared": round(one.overlap.shared, DIGITS), "agreement": one.overlap.agreement}
        | {"reliability": one.overlap.reliability, "basis": BASES[one.basis], "missing": one.overlap.missing}
        for name, one in known.items()
    ]
    return pa.Table.from_pylist(rows, tables.Calibration.schema())


def warn(known: Mapping[str, Known]) -> None:
    """Say where confidences are assumed, and what would end that."""
    assumed = {name: one.overlap for name, one in known.items() if one.basis == ASSUMED}
    if assumed:
        figures = ", ".join(f"{name} {one.reliability:.2f} ({one.missing:,} more)" for name, one in assumed.items())
        what = f"confidences are assumed, not estimated, for {figures}: too few answers are judged by two people"
        warnings.warn(f"{what}. In brackets, how many second opinions would tell", stacklevel=2)
