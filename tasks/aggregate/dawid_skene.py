"""How far each annotator can be trusted, from how they agree with each other: no one knows the truth, yet it shows who knows it best.

In: the acts that count. Out: the tables `annotators` and `agreement`, and the acts with a column `reliability`. Kinds that can say one
thing only (thanks, a complaint) have no part in it.

Each poll (a kind of act by people, or by judging models) is a Dawid-Skene model: an annotator says `l` where the truth is `t` with a
probability of his own, and truths and probabilities are estimated in turn (EM). Here

- the two answers of a comparison are alike in law: which of them comes first is the accident of a hash, so an annotator's error is the
  same both ways round;
- few votes must not make a fool of us: every annotator starts from the pooled figures of all, worth `strength` votes, and those from
  `accuracy`;
- only items with several ballots are used: one voice alone can neither confirm nor refute itself.

The reliability of an annotator is the probability that he names the better of two answers, given that one is better and that he names
one. So the log-odds of reliabilities are what votes weigh: their sum is the log-odds of the truth. One verdict on one answer (a thumb)
carries half of what two verdicts tell of two answers; who always says "good" tells nothing, and has one half. Those who share no
item with others have the pooled figure. NOBODY, who stands for all whom the log does not name, is one annotator. Where too little is
shared, nothing is estimated (null).

Dawid, A. P. and Skene, A. M. (1979): Maximum likelihood estimation of observer error-rates using the EM algorithm. Applied Statistics 28.
"""

from __future__ import annotations

from dataclasses import dataclass

import daft
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from daft import col, lit
from daft.functions import coalesce
from pydantic import Field

from tasks.aggregate import agreement
from tasks.aggregate.implicit_feedback import GRADES
from tasks.common.annotator_labels import ACTS, BETTER, LABELS, NEITHER, NOBODY, WORSE, AnnotatorLabels, all_labels
from tasks.common.arrays import Column
from tasks.common.vocabulary.kinds import RATING
from tasks.core.params import StageParams
from tasks.core.tables import Agreement, Annotators

Floats = npt.NDArray[np.float64]
DIGITS = 6  # of figures in tables: far fewer than EM gives, so that machines whose logarithms differ in the last bit agree
SETTLED = 1e-7  # a greater change of any reliability is worth another round


class Consensus(StageParams):
    """How annotators are weighed."""

    accuracy: float = Field(gt=0.5, lt=1)  # of annotators of whom nothing is known: how often they name the better of two answers
    strength: float = Field(gt=0)  # how many votes such a guess is worth beside an annotator's own
    min_ballots: int = Field(ge=1)  # a kind of acts with fewer on shared items is not estimated
    rounds: int = Field(ge=1)  # of estimating truths and annotators in turn, at most
    spammer_votes: int = Field(ge=1)  # only who voted so often on what others judged too can be called a spammer,
    spammer_below: float = Field(ge=0.5, lt=1)  # and is one below this reliability; answers at random have 0.5


@dataclass(frozen=True)
class Fit:
    """What EM found."""

    truth: Floats  # a row an item: the probability of each label
    says: Floats  # [person, truth, label]: the probability that the person says so
    pooled: Floats  # [truth, label]: the same of all
    known: npt.NDArray[np.bool_]  # which labels may be true


def fit(poll: AnnotatorLabels, settings: Consensus) -> Fit:
    """Dawid-Skene for the poll's items that several judged."""
    truth = count(poll.item, np.eye(poll.labels)[poll.label])
    known = np.ones(poll.labels, bool)
    known[NEITHER] = bool(poll.names) or bool(truth[:, NEITHER].any())  # where nobody says "neither", it is no truth either
    truth = shares(truth)
    cell = poll.person * poll.labels + poll.label
    before, ties = np.zeros(0), share_of_ties(poll)
    for _ in range(settings.rounds):
        counts = count(cell, truth[poll.item], len(poll.people) * poll.labels).reshape(-1, poll.labels, poll.labels).swapaxes(1, 2)
        says, pooled = estimate(counts, prior(poll, known, settings), poll.compares, settings)
        now = reliability(says, poll, ties)
        if len(before) and np.abs(now - before).max(initial=0.0) < SETTLED:
            break
        before = now
        truth = posterior(poll, says, truth, known)
    return Fit(truth, says, pooled, known)


def count(place: Column, rows: Floats, size: int = 0) -> Floats:
    """Sums of the rows that have the same place, in their order."""
    return np.stack([np.bincount(place, rows[:, column], size) for column in range(rows.shape[1])], axis=1)


def estimate(counts: Floats, guessed: Floats, mirrored: bool, settings: Consensus) -> tuple[Floats, Floats]:
    """Each person's probabilities of saying a label given the truth, and everyone's, from what they have said: [person, truth, label]."""
    if mirrored:
        counts = (counts + counts[:, ::-1, ::-1]) / 2
    pooled = shares(counts.sum(axis=0) + settings.strength * guessed)
    return shares(counts + settings.strength * pooled), pooled


def prior(poll: AnnotatorLabels, known: npt.NDArray[np.bool_], settings: Consensus) -> Floats:
    """Probabilities before any vote: [truth, label]; of labels without an order all mistakes are alike."""
    if not poll.names:
        return guess(settings.accuracy, known)
    wrong = (1 - settings.accuracy) / max(poll.names - 1, 1)
    return shares(np.where(np.eye(poll.names, dtype=bool), settings.accuracy, wrong))


def guess(accuracy: float, known: npt.NDArray[np.bool_]) -> Floats:
    """Probabilities before any vote; where ties are known, they are missed, or seen where there is none, as often as sides are mixed up."""
    error = 1 - accuracy
    side = [accuracy * accuracy, error, accuracy * error]
    says = np.array([side, [error / 2, accuracy, error / 2], side[::-1]]) * known
    return shares(says)


def shares(rows: Floats) -> Floats:
    """Rows that sum to 1."""
    return np.asarray(rows / rows.sum(axis=-1, keepdims=True))


def posterior(poll: AnnotatorLabels, says: Floats, truth: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Probability of each truth of each item, given what was said and how frequent each truth is."""
    frequent = truth.sum(axis=0)
    if poll.compares:
        frequent = frequent + frequent[::-1]
    with np.errstate(divide="ignore"):
        voices = np.log(says.swapaxes(1, 2).reshape(-1, poll.labels))
        frequency = np.log(frequent / frequent.sum())
    cell = poll.person * poll.labels + poll.label
    score = count(poll.item, np.where(known, voices, 0.0)[cell]) + np.where(known, frequency, -np.inf)
    return shares(np.exp(score - score.max(axis=1, keepdims=True)))


def share_of_ties(poll: AnnotatorLabels) -> Floats:
    """How often each person says "neither"."""
    many = len(poll.people)
    neither = np.bincount(poll.person[poll.label == NEITHER], minlength=many)
    return np.asarray(neither / np.maximum(np.bincount(poll.person, minlength=many), 1))


def reliability(says: Floats, poll: AnnotatorLabels, ties: Floats) -> Floats:
    """Of each person, how often he is right about two answers of which one is better, or names the right label; `says` as in `Fit`."""
    if poll.names:
        return np.asarray(np.trace(says, axis1=1, axis2=2) / poll.names)
    if not poll.compares:
        # of good answers called good and of bad ones called bad, the mean: who always says the same has one half
        return np.asarray((says[:, WORSE, WORSE] + says[:, BETTER, BETTER]) / 2)
    side = np.log(says[:, WORSE, WORSE] / says[:, WORSE, BETTER])
    with np.errstate(divide="ignore", invalid="ignore"):
        tie = np.log(says[:, NEITHER, NEITHER] / says[:, WORSE, NEITHER])  # NaN where nobody says so
    # who cries "tie" whatever the answers tells nothing by it, however well he would choose if he chose
    odds = np.where(ties > 0, (1 - ties) * side + ties * np.clip(tie, 0, np.maximum(side, 0)), side)
    return np.asarray(1 / (1 + np.exp(-odds)))


@dataclass(frozen=True)
class Found:
    """What the acts tell of those who did them."""

    annotators: pa.Table
    agreement: pa.Table


def find(acts: pa.Table, settings: Consensus) -> Found:
    """Both tables, from acts with the columns of ACTS."""
    people, kinds = [Annotators.schema().empty_table()], [Agreement.schema().empty_table()]
    for poll in all_labels(acts):
        fitted = fit(poll, settings) if estimable(poll, settings) else None
        people.append(annotators(poll, fitted, settings))
        kinds.append(agreements(poll, fitted, people[-1]))
    return Found(pa.concat_tables(people), pa.concat_tables(kinds))


def estimable(poll: AnnotatorLabels, settings: Consensus) -> bool:
    """Whether ballots can tell annotators apart: enough are on shared items, and not all say the same of all of them."""
    return len(poll.item) >= settings.min_ballots and (poll.compares or len(np.unique(poll.label)) > 1)


def annotators(poll: AnnotatorLabels, fitted: Fit | None, settings: Consensus) -> pa.Table:
    """The poll's rows of the table `annotators`."""
    many = len(poll.people)
    shared = np.bincount(poll.person, minlength=many)
    with_most, against = majority(poll)
    decided = np.bincount(poll.person[with_most | against], minlength=many)
    agreeing = np.bincount(poll.person[with_most], minlength=many) / np.maximum(decided, 1)
    reliable = np.full(many, np.nan) if fitted is None else reliability(fitted.says, poll, share_of_ties(poll))
    reliable = np.clip(np.round(reliable, DIGITS), 10.0**-DIGITS, 1 - 10.0**-DIGITS)  # sure of nobody: a weight is finite
    named = poll.people.to_numpy(zero_copy_only=False) != NOBODY
    columns = {
        "annotator": poll.people,
        "annotator_kind": pa.array([poll.annotator_kind] * many),
        "kind": pa.array([poll.kind] * many),
        "votes": poll.votes,
        "shared": shared,
        "agreement": pa.array(np.round(agreeing, DIGITS), mask=decided == 0),
        "reliability": pa.array(reliable, from_pandas=True),
        "spammer": named & (shared >= settings.spammer_votes) & (reliable < settings.spammer_below),
    }
    return pa.table([columns[name] for name in Annotators.names()], Annotators.names()).cast(Annotators.schema())


def majority(poll: AnnotatorLabels) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which ballots say what most others on the item say, and which say something else; neither where the others are divided."""
    one = np.eye(LABELS)[poll.label]
    others = count(poll.item, one)[poll.item] - one
    most = others.max(axis=1, initial=0, keepdims=True)
    clear = (others == most).sum(axis=1) == 1
    agrees = (others == most)[np.arange(len(one)), poll.label]
    return clear & agrees, clear & ~agrees


def agreements(poll: AnnotatorLabels, fitted: Fit | None, people: pa.Table) -> pa.Table:
    """The poll's row of the table `agreement`."""
    named = people.filter(pc.not_equal(people["annotator"], pa.scalar(NOBODY)))
    two = pc.sum(pc.greater(named["shared"], pa.scalar(0)).cast(pa.int64())).as_py() == 2 and len(named) == len(people)
    graded = poll.kind == RATING
    row = {
        "kind": poll.kind,
        "annotator_kind": poll.annotator_kind,
        "votes": int(poll.votes.sum()),
        "annotators": len(named),
        "items": poll.items,
        "shared_items": poll.shared,
        "ballots": len(poll.item),
        "raw": agreement.raw(poll.item, poll.label),
        "alpha": agreement.ordinal(poll.graded, poll.grade) if graded else agreement.nominal(poll.item, poll.label),
        "kappa": agreement.kappa(poll.item, poll.person, poll.label) if two else None,
        "reliability": None if fitted is None else float(reliability(fitted.pooled[None], poll, np.zeros(1))[0]),
        "spammers": int(pc.sum(people["spammer"].cast(pa.int64())).as_py()),
    }
    counts = {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in row.items()}
    return pa.Table.from_pylist([counts], Agreement.schema())


def weigh(acts: daft.DataFrame, settings: Consensus) -> tuple[daft.DataFrame, Found]:
    """The acts (with `fault` and VERDICT's columns) with their annotators' reliability, null where it is not estimated; and the tables."""
    asked = acts.where(col("fault").is_null() & ~col("kind").is_in(list(GRADES)))
    counted = asked.select(*(col(name) for name in ACTS.names)).to_arrow().cast(ACTS)
    found = find(counted, settings)
    known = daft.from_arrow(found.annotators.select([*WHO, "reliability"]))
    rows = acts.with_column("named", coalesce(col("annotator"), lit(NOBODY)))
    return rows.join(known, left_on=["named", *WHO[1:]], right_on=list(WHO), how="left").exclude("named"), found


WHO = ("annotator", "annotator_kind", "kind")
