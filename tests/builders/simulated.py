"""Simulated annotators: the truth is known, so that what is found out about them can be held against it. No loop over votes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.common.annotator_labels import ACTS
from tasks.core.tables import TEXT

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Crowd:
    """Who the annotators are and what they judge."""

    people: int = 60
    items: int = 1000
    votes: tuple[int, int] = (3, 7)  # on an item
    errors: tuple[float, float] = (0.05, 0.30)  # of those who try
    spammers: float = 0.1  # share of the people, who answer at random
    ties: float = 0.0  # share of the items that truly are ties; above 0 there is a third label
    good: float = 0.5  # share of the other items whose truth is 1
    seed: int = 0


@dataclass(frozen=True)
class Ballots:
    """What the crowd said of which item, and what is true. Labels: 1 first answer (or good), -1 second (or bad), 0 tie."""

    item: Numbers
    person: Numbers
    label: Numbers
    truth: Numbers
    error: Floats  # of each person
    spammer: npt.NDArray[np.bool_]

    def moved(self, by: int) -> Ballots:
        """The same about other items."""
        return replace(self, item=self.item + by)


@dataclass(frozen=True)
class Weighed:
    """What votes together say of each item."""

    says: Numbers  # the label; 0 where neither side outweighs the other and the ties
    lead: Floats  # log-odds of 1 against -1
    confidence: Floats  # of the label, where it is a side


def ballots(crowd: Crowd, error: Floats | None = None) -> Ballots:
    """The crowd's ballots; `error` of each person when it is known from elsewhere."""
    random = np.random.default_rng(crowd.seed)
    labels = np.array([-1, 0, 1] if crowd.ties else [-1, 1])
    spammer = np.arange(crowd.people) < round(crowd.people * crowd.spammers)
    tries = random.uniform(*crowd.errors, crowd.people)
    error = np.where(spammer, 1 - 1 / len(labels), tries) if error is None else error
    side = np.where(random.random(crowd.items) < crowd.good, 1, -1)
    truth = np.where(random.random(crowd.items) < crowd.ties, 0, side)
    count = random.integers(crowd.votes[0], crowd.votes[1] + 1, crowd.items)
    item = np.repeat(np.arange(crowd.items), count)
    person = different(random, item, count, crowd.people)
    # a wrong label is any of the others
    place = np.searchsorted(labels, truth)[item]
    wrong = random.random(len(item)) < error[person]
    label = labels[(place + wrong * random.integers(1, len(labels), len(item))) % len(labels)]
    return Ballots(item, person, label, truth, error, spammer)


def different(random: np.random.Generator, item: Numbers, count: Numbers, people: int) -> Numbers:
    """A person for each ballot, no one twice on an item: so many steps around a circle of people, from anywhere."""
    place = np.arange(len(item)) - np.repeat(np.cumsum(count) - count, count)
    step = random.integers(1, people // int(count.max()), len(count))[item]
    circle = random.permutation(people)
    return np.asarray(circle[(random.integers(0, people, len(count))[item] + place * step) % people])


def name(letter: str, numbers: Numbers) -> pa.Array[Any]:
    """Ids that do not sort as the numbers do."""
    names = [f"{letter}{(number * 7919) % 1_000_003:07d}" for number in range(int(numbers.max(initial=0)) + 1)]
    return pa.array(names, TEXT).take(numbers)


def acts(told: Ballots, kind: str = "choice", annotator_kind: str = "person") -> pa.Table:
    """The ballots as acts: choices of two answers, thumbs (by label) or rankings of two."""
    rows = len(told.item)
    columns: dict[str, pa.Array[Any]] = {field.name: pa.nulls(rows, field.type) for field in ACTS}
    columns |= {"kind": pa.array([kind] * rows, TEXT), "annotator_kind": pa.array([annotator_kind] * rows, TEXT)}
    columns |= {"annotator": name("p", told.person), "prompt_id": name("q", told.item)}
    if kind == "thumb":
        columns |= {"response_id": name("r", told.item), "grade": pa.array(told.label.astype(float))}
    else:
        first = told.label >= 0
        columns |= {"better_id": name("r", 2 * told.item + ~first), "worse_id": name("r", 2 * told.item + first)}
        columns |= {"grade": pa.array(np.abs(told.label).astype(float))}
    return pa.table([columns[field] for field in ACTS.names], schema=ACTS)


def weighed(told: Ballots, reliability: Floats) -> Weighed:
    """Each vote weighs the log-odds of its annotator's reliability, at least 0; a side must outweigh the other and the ties."""
    weight = np.maximum(np.log(reliability / (1 - reliability)), 0)[told.person]
    first, tie, second = (np.bincount(told.item, weight * (told.label == label), len(told.truth)) for label in (1, 0, -1))
    lead: Floats = np.subtract(first, second, dtype=float)
    says = np.where(np.maximum(first, second) > tie, np.sign(lead), 0).astype(np.int64)
    return Weighed(says, lead, 1 / (1 + np.exp(-np.abs(lead))))


def majority(told: Ballots) -> Numbers:
    """The label that most votes give to an item; 0 where several have most."""
    labels = np.array([-1, 0, 1])
    counts = np.stack([np.bincount(told.item[told.label == label], minlength=len(told.truth)) for label in labels])
    most = counts == counts.max(axis=0)
    return np.where(most.sum(axis=0) == 1, labels[counts.argmax(axis=0)], 0)


def calibration_error(confidence: Floats, right: npt.NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error: the distance of mean confidence and share of hits, over bins of equal width on 0.5 to 1."""
    place = np.minimum(((confidence - 0.5) * 2 * bins).astype(np.int64), bins - 1)
    count, stated, hits = (np.bincount(place, weight, bins) for weight in (np.ones(len(place)), confidence, right.astype(float)))
    return float(np.abs(stated - hits).sum() / count.sum())
