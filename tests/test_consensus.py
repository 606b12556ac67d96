"""Claims about consensus: who agrees, who can be trusted, and that what votes weigh makes honest confidences."""

from __future__ import annotations

from typing import Any

import crowdkit.aggregation as crowdkit
import krippendorff
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from tasks.aggregate import agreement, dawid_skene
from tasks.common import annotator_labels
from tasks.common.annotator_labels import BETTER, NEITHER, WORSE
from tests.builders import simulated
from tests.builders.consensus_runs import SETTINGS, column, judged
from tests.builders.simulated import Crowd

SEEDS = range(4)
TIES = (0.0, 0.2)
CROWDS = pytest.mark.parametrize("crowd", [Crowd(ties=ties, seed=seed) for seed in SEEDS for ties in TIES], ids=str)


# --- on simulated annotators -----------------------------------------------------------------------------------------


@CROWDS
def test_consensus_beats_the_majority(crowd: Crowd) -> None:
    told, _, reliability = judged(crowd)
    ours, majority = simulated.weighed(told, reliability), simulated.majority(told)
    assert (ours.says == told.truth).mean() > (majority == told.truth).mean() + 0.02


@CROWDS
def test_spammers_are_found(crowd: Crowd) -> None:
    told, found, reliability = judged(crowd)
    assert roc_auc_score(told.spammer, -reliability) >= 0.95
    flagged = column(found.annotators, "spammer", crowd.people).astype(bool)
    assert (flagged & ~told.spammer).sum() <= 1, "nobody who tries is called a spammer, or hardly anyone"


@pytest.mark.parametrize("ties", TIES)
def test_with_enough_votes_all_spammers_are_named(ties: float) -> None:
    told, found, _ = judged(Crowd(items=4000, ties=ties))
    assert column(found.annotators, "spammer", 60).astype(bool).tolist() == told.spammer.tolist()
    assert found.agreement["spammers"].to_pylist() == [6]


@CROWDS
def test_confidences_are_calibrated(crowd: Crowd) -> None:
    told, _, reliability = judged(crowd)
    ours = simulated.weighed(told, reliability)
    decided, sided = ours.says != 0, told.truth != 0
    right = ours.says == told.truth
    assert simulated.calibration_error(ours.confidence[decided & sided], right[decided & sided]) <= 0.05
    assert simulated.calibration_error(ours.confidence[decided], right[decided]) <= 0.05, "even where a true tie counts as an error"


@pytest.mark.parametrize("good", [0.5, 0.8])
@pytest.mark.parametrize("seed", SEEDS)
def test_confidences_of_thumbs_are_calibrated(good: float, seed: int) -> None:
    crowd = Crowd(items=1500, good=good, seed=seed)
    told, _, reliability = judged(crowd, "thumb")
    lead = simulated.weighed(told, reliability).lead
    up, down = (lead[told.truth == side] for side in (1, -1))
    between = up[: len(down)] - down[: len(up)]  # a good answer beside a bad one
    assert simulated.calibration_error(1 / (1 + np.exp(-np.abs(between))), between > 0) <= 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_one_vote_is_as_sure_as_the_annotator_is_reliable(seed: int) -> None:
    """Most logs have one vote an item; those who also shared items are known, others have the figure of all."""
    told, found, _ = judged(Crowd(seed=seed))
    alone = simulated.ballots(Crowd(items=4000, votes=(1, 1), seed=seed), error=told.error)
    both = pa.concat_tables([simulated.acts(told), simulated.acts(alone.moved(100_000))])
    reliability = column(dawid_skene.find(both, SETTINGS).annotators, "reliability", 60)
    assert reliability.tolist() == column(found.annotators, "reliability", 60).tolist(), "votes that nobody shares change nothing"
    ours = simulated.weighed(alone, reliability)
    decided = ours.says != 0
    assert simulated.calibration_error(ours.confidence[decided], (ours.says == alone.truth)[decided]) <= 0.05


def test_who_says_the_same_of_everything_tells_nothing() -> None:
    told = simulated.ballots(Crowd(items=1500, good=0.9, spammers=0))
    told.label[told.person == 0] = 1
    found = dawid_skene.find(simulated.acts(told, "thumb"), SETTINGS).annotators
    assert column(found, "agreement", 60)[0] > 0.75, "although the others mostly say so too"
    assert column(found, "reliability", 60)[0] < 0.65 < np.sort(column(found, "reliability", 60))[1]


def test_who_always_says_tie_tells_nothing() -> None:
    told = simulated.ballots(Crowd(ties=0.2, spammers=0))
    told.label[told.person == 0] = 0
    reliability = column(dawid_skene.find(simulated.acts(told), SETTINGS).annotators, "reliability", 60)
    assert reliability[0] < 0.6 < np.sort(reliability)[1]


def test_input_order_changes_no_byte() -> None:
    acts = simulated.acts(simulated.ballots(Crowd(items=200, ties=0.2)))
    shuffled = acts.take(np.random.default_rng(1).permutation(len(acts)))
    one, other = (dawid_skene.find(rows, SETTINGS) for rows in (acts, shuffled))
    assert one.annotators.equals(other.annotators)
    assert one.agreement.equals(other.agreement)


# --- beside the field's own tools ------------------------------------------------------------------------------------


ROUNDS = 20  # enough to go far from the majority; both take the same way


def posteriors(acts: pa.Table) -> tuple[annotator_labels.AnnotatorLabels, npt.NDArray[np.float64]]:
    """Without a prior worth the name."""
    (poll,) = annotator_labels.all_labels(acts)
    free = SETTINGS.model_copy(update={"strength": 1e-9, "rounds": ROUNDS})
    return poll, dawid_skene.fit(poll, free).truth


def frame(poll: annotator_labels.AnnotatorLabels) -> pd.DataFrame:
    return pd.DataFrame({"task": poll.item, "worker": poll.person, "label": poll.label})


def test_thumbs_have_the_posteriors_of_crowd_kit() -> None:
    told = simulated.ballots(Crowd(people=21, items=150, good=0.7))
    poll, ours = posteriors(simulated.acts(told, "thumb"))
    theirs = crowdkit.DawidSkene(n_iter=ROUNDS, tol=-1.0).fit_predict_proba(frame(poll)).sort_index()
    assert np.abs(ours[:, [WORSE, BETTER]] - theirs[[WORSE, BETTER]].to_numpy()).max() < 1e-6


def test_choices_have_the_posteriors_of_crowd_kit_given_both_ways_round() -> None:
    told = simulated.ballots(Crowd(people=21, items=150, ties=0.2))
    poll, ours = posteriors(simulated.acts(told))
    plain = frame(poll)
    mirror = plain.assign(task=plain.task + poll.shared, label=BETTER - plain.label)
    theirs = crowdkit.DawidSkene(n_iter=ROUNDS, tol=-1.0).fit_predict_proba(pd.concat([plain, mirror])).sort_index()
    assert np.abs(ours - theirs[[WORSE, NEITHER, BETTER]].to_numpy()[: poll.shared]).max() < 1e-6


@pytest.mark.parametrize("metric", ["nominal", "interval", "ordinal"])
@pytest.mark.parametrize("seed", SEEDS)
def test_alpha_is_that_of_the_package_krippendorff(metric: Any, seed: int) -> None:
    random = np.random.default_rng(seed)
    table = random.integers(0, 5, (6, 1)) + random.integers(0, 2, (6, 40)) * random.integers(0, 3, (6, 40))
    given = (random.random(table.shape) < 0.6) & (random.random((1, 40)) < 0.9)
    given &= given.sum(axis=0) > 1
    item, place = np.nonzero(given.T)
    item = np.unique(item, return_inverse=True)[1]
    value = table[place, np.nonzero(given.T)[0]]
    theirs = krippendorff.alpha(np.where(given, table, np.nan), level_of_measurement=metric)
    assert getattr(agreement, metric)(item, value if metric == "nominal" else value / 10) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    first, noise = np.random.default_rng(seed).integers(0, 3, (2, 50))
    second = np.where(noise == 0, 2 - first, first)
    item, person = np.divmod(np.arange(100), 2)
    ours = agreement.kappa(item, person, np.column_stack([first, second]).ravel())
    assert ours == pytest.approx(cohen_kappa_score(first, second))


def test_agreement_of_nobody_and_of_all_alike_is_unknown() -> None:
    none, same = np.zeros(0, np.int64), np.zeros(4, np.int64)
    assert [measure(none, none) for measure in (agreement.raw, agreement.nominal, agreement.ordinal)] == [None] * 3
    pairs = np.array([0, 0, 1, 1])
    assert (agreement.raw(pairs, same), agreement.nominal(pairs, same), agreement.kappa(pairs, pairs * 0, same)) == (1.0, None, None)
