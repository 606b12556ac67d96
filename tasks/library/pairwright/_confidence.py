"""Dawid-Skene consensus of any votes: `confidence`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from pairwright._defaults import Params, section
from pairwright._tables import Rows, records_of
from tasks.aggregate import dawid_skene
from tasks.common.annotator_labels import BETTER, NEITHER, WORSE, AnnotatorLabels, shared
from tasks.common.arrays import Column
from tasks.core.errors import UserError
from tasks.core.params import check
from tasks.core.tables import TEXT

NAMES = {  # of the three columns, and what others call them
    "item": ("item", "task", "example_id", "prompt_id"),
    "annotator": ("annotator", "worker", "performer", "user_id"),
    "label": ("label", "vote", "value"),
}


@dataclass(frozen=True)
class Opinion:
    """What one annotator said of an item, and how often this annotator is right."""

    annotator: str
    label: Hashable
    reliability: float


@dataclass(frozen=True, repr=False)
class Consensus:
    """What votes come to.

    Attributes
    ----------
    probabilities : pyarrow.Table
        One row an item, in the order of items: `item`, `label` (the likeliest), `confidence` (its probability), and `votes`.
    annotators : pyarrow.Table
        One row an annotator: `annotator`, `votes`, `shared` (votes on items that others judged too), `reliability` in (0, 1).
    labels : tuple
        The labels, sorted: the columns of `matrix`.
    matrix : numpy.ndarray of float, shape (items, labels)
        The probability that each label is the true one; rows sum to 1.
    estimated : bool
        Whether enough votes are on shared items (`min_ballots`) to say that reliabilities are estimated, and not mostly assumed.
    """

    probabilities: pa.Table
    annotators: pa.Table
    labels: tuple[Hashable, ...]
    matrix: npt.NDArray[np.float64]
    estimated: bool
    _votes: Mapping[str, tuple[Opinion, ...]] = field(compare=False)

    def explain(self, item: str) -> tuple[Opinion, ...]:
        """Who said what of an item, the most reliable first.

        Raises
        ------
        UserError
            For an item without votes.
        """
        if item not in self._votes:
            raise UserError(f"explain: {item}", "no votes on such an item", "an item of `probabilities`", "copy one from there")
        return tuple(sorted(self._votes[item], key=lambda vote: (-vote.reliability, vote.annotator)))

    def __repr__(self) -> str:
        known = "estimated" if self.estimated else "mostly assumed: few votes are on shared items"
        told = f"{len(self.matrix):,} items, {len(self.annotators):,} annotators, {len(self.labels)} labels"
        return f"<Consensus: {told}; reliabilities {known}>"


def confidence(votes: Rows, *, sides: Sequence[Hashable] | None = None, params: Params | None = None, **own: object) -> Consensus:
    """Dawid-Skene consensus: how likely each label is the true one, and how far each annotator can be trusted.

    An annotator says l where the truth is t with a probability of his own; truths and probabilities are estimated in turn (EM) [1]_, each
    annotator starting from the figures of all, so that few votes make a fool of nobody.

    Parameters
    ----------
    votes : list of dicts, pandas.DataFrame or pyarrow.Table
        One row a vote, with `item`, `annotator` and `label` (crowd-kit's `task`, `worker`, `label` do too). Of several votes of one
        annotator on one item the last counts.
    sides : pair of labels, optional
        For comparisons of two answers: the labels for "the first is better" and "the second is better". Which comes first is then taken
        for an accident, so that an annotator errs the same both ways round; one further label is a tie.
    params : mapping, optional
        Other parameters than the shipped ones, by stage: those of `aggregate.consensus`.
    **own
        These parameters by name: `accuracy` (in 0.5..1, of annotators of whom nothing is known), `strength` (in votes), `rounds`,
        `min_ballots`.

    Returns
    -------
    Consensus
        `probabilities`, `annotators`, `matrix`; `explain(item)`.

    Raises
    ------
    UserError
        Where a column is missing, a value is null, or `sides` are not among the labels.

    References
    ----------
    .. [1] Dawid, A. P. and Skene, A. M. (1979): Maximum likelihood estimation of observer error-rates using the EM algorithm.
       https://doi.org/10.2307/2346806

    Examples
    --------
    >>> import pairwright
    >>> said = {"ann": "yyny", "bob": "yynn", "cat": "ynny"}
    >>> votes = [{"item": f"q{at}", "annotator": who, "label": label} for who, labels in said.items() for at, label in enumerate(labels)]
    >>> found = pairwright.confidence(votes)
    >>> found.probabilities["label"].to_pylist()
    ['y', 'y', 'n', 'y']
    >>> [vote.label for vote in found.explain("q3") if vote.annotator == "bob"]
    ['n']
    """
    chosen = check(
        "parameters", "aggregate.consensus", section("aggregate", params, {"consensus": own})["consensus"], dawid_skene.Consensus
    )
    rows = _votes(votes)
    if not len(rows):
        return _none()
    labels, codes = _labels(rows["label"], sides)
    items, people = (sorted(rows[name].unique()) for name in ("item", "annotator"))
    item, person = (pd.Index(known).get_indexer(rows[name]) for known, name in ((items, "item"), (people, "annotator")))
    poll = _poll(item, person, codes, people, 0 if sides else len(labels))
    fitted = dawid_skene.fit(poll, chosen) if len(poll.item) else _unfitted(poll, chosen)
    matrix = _matrix(poll, fitted, item, person, codes)
    reliable = dawid_skene.reliability(fitted.says, poll, dawid_skene.share_of_ties(poll))
    told = _told(rows, dict(zip(people, reliable.tolist(), strict=True)))
    columns = _columns(labels, bool(sides))
    return Consensus(
        _probabilities(items, labels, matrix[:, columns], np.bincount(item)),
        _annotators(poll, reliable),
        labels,
        matrix[:, columns],
        len(poll.item) >= chosen.min_ballots,
        told,
    )


def _votes(votes: Rows) -> pd.DataFrame:
    """The three columns, the last vote of each annotator on each item."""
    rows = pd.DataFrame(votes.copy() if isinstance(votes, pd.DataFrame) else records_of(votes, "confidence"))
    if not len(rows):
        return pd.DataFrame(columns=list(NAMES))
    found = {}
    for name, others in NAMES.items():
        known = [other for other in others if other in rows.columns]
        if not known:
            raise UserError("confidence", "the columns " + ", ".join(map(str, rows.columns)), f"a column {name}", "rename yours")
        found[name] = rows[known[0]]
        if found[name].isna().any():
            raise UserError(f"confidence: column {known[0]}", "a vote without a value", "a value in every row", "leave such rows out")
    told = pd.DataFrame(found)
    return told.assign(item=told["item"].astype(str), annotator=told["annotator"].astype(str)).drop_duplicates(
        ["item", "annotator"], keep="last"
    )


def _labels(said: pd.Series, sides: Sequence[Hashable] | None) -> tuple[tuple[Hashable, ...], npt.NDArray[np.int64]]:
    """The labels in order (second side, tie, first side where there are sides), and the code of each vote."""
    labels = sorted(said.unique().tolist(), key=lambda label: (str(type(label)), label))
    if sides is None:
        return tuple(labels), pd.Index(labels).get_indexer(said).astype(np.int64)
    first, second = sides if len(sides) == 2 else (None, None)
    rest = [label for label in labels if label not in sides]
    if first is None or first == second or len(rest) > 1 or len(rest) == len(labels):
        listed = ", ".join(map(repr, labels))
        raise UserError(
            "confidence: sides",
            f"{list(sides)!r} for the labels {listed}",
            "two of the labels, and at most one further label",
            "name both sides",
        )
    code = {second: WORSE, first: BETTER, **dict.fromkeys(rest, NEITHER)}
    return (second, *rest, first), np.array([code[label] for label in said], np.int64)


def _columns(labels: tuple[Hashable, ...], compares: bool) -> list[int]:
    """Where each label stands in the matrix."""
    return list(range(len(labels))) if not compares else [WORSE, NEITHER, BETTER] if len(labels) == 3 else [WORSE, BETTER]


def _poll(item: Column, person: Column, label: npt.NDArray[np.int64], people: list[str], names: int) -> AnnotatorLabels:
    """The votes as what consensus is fitted to: those on items that several judged."""
    width = names or 3
    count, (items, persons, labels) = shared(item, person, label, width)
    none = np.zeros(0)
    votes = np.bincount(person, minlength=len(people))
    return AnnotatorLabels(
        "label", "person", not names, pa.array(people, TEXT), votes, count, items, persons, labels, none.astype(np.int64), none, names
    )


def _unfitted(poll: AnnotatorLabels, chosen: dawid_skene.Consensus) -> dawid_skene.Fit:
    """What is assumed of annotators who share no item."""
    known = np.ones(poll.labels, bool)
    nothing = np.zeros((len(poll.people), poll.labels, poll.labels))
    says, pooled = dawid_skene.estimate(nothing, dawid_skene.prior(poll, known, chosen), poll.compares, chosen)
    return dawid_skene.Fit(np.zeros((0, poll.labels)), says, pooled, known)


def _matrix(
    poll: AnnotatorLabels, fitted: dawid_skene.Fit, item: Column, person: Column, label: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The probability of each label of every item, also of those with a single vote."""
    every = AnnotatorLabels(**{**vars(poll), "item": item, "person": person, "label": label})
    frequent = fitted.truth if len(fitted.truth) else np.eye(poll.labels)[label] + 1 / poll.labels
    return dawid_skene.posterior(every, fitted.says, frequent, fitted.known)


def _probabilities(
    items: list[str], labels: tuple[Hashable, ...], matrix: npt.NDArray[np.float64], votes: npt.NDArray[np.int64]
) -> pa.Table:
    best = matrix.argmax(axis=1)
    return pa.Table.from_pydict({"item": items, "label": [labels[at] for at in best], "confidence": matrix.max(axis=1), "votes": votes})


def _annotators(poll: AnnotatorLabels, reliable: npt.NDArray[np.float64]) -> pa.Table:
    on_shared = np.bincount(poll.person, minlength=len(poll.people))
    return pa.Table.from_pydict({"annotator": poll.people, "votes": poll.votes, "shared": on_shared, "reliability": reliable})


def _told(rows: pd.DataFrame, reliability: Mapping[str, float]) -> dict[str, tuple[Opinion, ...]]:
    """The votes by item."""
    found: dict[str, list[Opinion]] = {}
    for item, annotator, label in zip(rows["item"], rows["annotator"], rows["label"], strict=True):
        found.setdefault(item, []).append(Opinion(annotator, label, reliability[annotator]))
    return {item: tuple(said) for item, said in found.items()}


def _none() -> Consensus:
    empty = pa.table({"item": pa.array([], TEXT), "label": pa.array([], TEXT), "confidence": pa.array([], pa.float64())})
    people = pa.table({"annotator": pa.array([], TEXT), "votes": pa.array([], pa.int64()), "reliability": pa.array([], pa.float64())})
    return Consensus(empty, people, (), np.zeros((0, 0)), False, {})
