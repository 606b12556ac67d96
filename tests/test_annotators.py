"""Claims about annotators in logs: what `aggregate` tells of them, what their votes carry, and real people beside the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import daft
import krippendorff
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from tasks.aggregate import agreement, dawid_skene
from tasks.aggregate import stage as aggregate
from tasks.common import annotator_labels
from tasks.common.annotator_labels import ACTS, BETTER
from tasks.core import params
from tasks.core.tables import TEXT, Annotators
from tasks.pair import stage as pair
from tests.builders import real_sets, simulated
from tests.builders.chatlog import AGGREGATE, CONSENSUS, SIGNALS, ChatLog, Row, accounts
from tests.builders.simulated import Crowd
from tests.conftest import ROOT

SETTINGS = dawid_skene.Consensus.model_validate(CONSENSUS)
TIES = (0.0, 0.2)


def run(log: ChatLog, **changed: object) -> dict[str, Any]:
    tables = log.tables()
    return accounts("aggregate", aggregate.run(tables, aggregate.Params.model_validate(AGGREGATE | changed)), tables)


def rows(log: ChatLog, table: str, **changed: object) -> list[Row]:
    found: list[Row] = run(log, **changed)[table].kept.to_pylist()
    return found


@pytest.fixture
def answers() -> ChatLog:
    """Thirty questions with three answers each."""
    log = ChatLog()
    for number in range(30):
        log.say(f"c{number}/u0", f"Question {number}?")
        for answer in "123":
            log.say(f"c{number}/a{answer}", f"Answer {answer} to {number}.", after="u0", model=f"m{answer}")
    return log


def test_votes_carry_the_reliability_of_their_annotator_and_kind(answers: ChatLog) -> None:
    for number in range(30):
        for person in ("p1", "p2", "p3"):
            answers.act("choice", f"c{number}", 1, better="a1", worse="a2", annotator=person)
        answers.act("choice", f"c{number}", 1, better="a2" if number % 2 else "a1", worse="a1" if number % 2 else "a2", annotator="p4")
        answers.act("thumb", f"c{number}/a3", 1, annotator="p4")
    known = {(row["annotator"], row["kind"]): row for row in rows(answers, "annotators")}
    assert known["p4", "choice"]["reliability"] < 0.65 < 0.9 < known["p1", "choice"]["reliability"]
    assert [known[name, "choice"]["spammer"] for name in ("p1", "p4")] == [False, True]
    assert (known["p4", "choice"]["agreement"], known["p1", "choice"]["agreement"], known["p1", "choice"]["shared"]) == (0.5, 1.0, 30)
    assert known["p4", "thumb"]["reliability"] is None, "no thumb is about an answer with another thumb"
    votes = [vote for row in rows(answers, "candidates") for vote in row["votes"]]
    assert len(votes) == 150, "a spammer's votes stay"
    assert {(vote["annotator"], vote["kind"], vote["reliability"]) for vote in votes} == {
        (*key, row["reliability"]) for key, row in known.items()
    }


def test_people_whom_the_log_does_not_name_have_one_figure(answers: ChatLog) -> None:
    for number in range(30):
        for _ in range(4):
            answers.act("choice", f"c{number}", 1, better="a1", worse="a2")
        answers.act("choice", f"c{number}", 1, better="a2", worse="a1")
    (row,) = rows(answers, "annotators")
    assert (row["annotator"], row["votes"], row["shared"], row["spammer"]) == ("", 150, 150, False)
    assert 0.7 < row["reliability"] < 0.9
    (told,) = rows(answers, "agreement")
    assert (told["annotators"], told["items"], told["shared_items"], told["kappa"]) == (0, 30, 30, None)
    assert {vote["reliability"] for line in rows(answers, "candidates") for vote in line["votes"]} == {row["reliability"]}


def test_judging_models_are_weighed_apart(answers: ChatLog) -> None:
    for number in range(30):
        for person in ("p1", "p2"):
            answers.act("choice", f"c{number}", 1, better="a1", worse="a2", annotator=person)
        for judge in ("j1", "j2"):
            answers.act("choice", f"c{number}", 1, better="a2", worse="a1", annotator=judge, annotator_kind="model")
    told = rows(answers, "agreement")
    assert [(row["annotator_kind"], row["raw"], row["annotators"], row["alpha"]) for row in told] == [
        ("model", 1.0, 2, told[0]["alpha"]),
        ("person", 1.0, 2, told[1]["alpha"]),
    ]
    assert all(row["reliability"] > 0.8 for row in rows(answers, "annotators"))


def test_rankings_and_ratings_are_compared_answer_by_answer(answers: ChatLog) -> None:
    scores = {"1": 5, "2": 3, "3": 3}
    for number in range(30):
        for person in ("p1", "p2", "p3"):
            for place, answer in enumerate("123"):
                answers.act("ranking", f"c{number}/a{answer}", place if person != "p3" else 2 - place, group=person, annotator=person)
                answers.act("rating", f"c{number}/a{answer}", scores[answer] if person != "p3" else 6 - scores[answer], annotator=person)
    told = {row["kind"]: row for row in rows(answers, "agreement")}
    assert [(told[kind]["votes"], told[kind]["items"], told[kind]["ballots"]) for kind in ("ranking", "rating")] == [(270, 90, 270)] * 2
    known = {(row["annotator"], row["kind"]): row for row in rows(answers, "annotators")}
    for kind in ("ranking", "rating"):
        assert known["p3", kind]["reliability"] < 0.5 < 0.9 < known["p1", kind]["reliability"]
        assert known["p3", kind]["agreement"] == (0.0 if kind == "ranking" else pytest.approx(1 / 3))


def test_two_annotators_have_a_kappa(answers: ChatLog) -> None:
    for number in range(30):
        answers.act("thumb", f"c{number}/a1", 1 if number % 2 else -1, annotator="p1")
        answers.act("thumb", f"c{number}/a1", 1 if number % 3 else -1, annotator="p2")
    (told,) = rows(answers, "agreement")
    first, second = [bool(number % 2) for number in range(30)], [bool(number % 3) for number in range(30)]
    assert told["kappa"] == pytest.approx(cohen_kappa_score(first, second), abs=1e-6)
    assert told["raw"] == pytest.approx(np.mean(np.equal(first, second)), abs=1e-6)


def test_without_shared_items_nothing_is_estimated(answers: ChatLog) -> None:
    for number in range(30):
        answers.act("choice", f"c{number}", 1, better="a1", worse="a2", annotator="p1")
        answers.act("regenerate", f"c{number}", better="a2", worse="a3", annotator="p2")
    assert {row["reliability"] for row in rows(answers, "annotators")} == {None}
    assert {(row["raw"], row["alpha"], row["reliability"]) for row in rows(answers, "agreement")} == {(None, None, None)}


def test_only_a_named_annotator_with_enough_votes_is_called_a_spammer(answers: ChatLog) -> None:
    for number in range(30):
        for person in ("p1", "p2", "p3", "p4"):
            answers.act("choice", f"c{number}", 1, better="a1", worse="a2", annotator=person)
        if number < 19:
            answers.act("choice", f"c{number}", 1, better="a2", worse="a1", annotator="p5")
        answers.act("choice", f"c{number}", 1, better="a2", worse="a1")
    known = {row["annotator"]: row for row in rows(answers, "annotators")}
    assert max(known["p5"]["reliability"], known[""]["reliability"]) < 0.65
    assert not any(row["spammer"] for row in known.values())


def test_agreement_is_told_where_the_others_have_a_majority(answers: ChatLog) -> None:
    for number in range(30):
        for person, better, worse in (("p1", "a1", "a2"), ("p2", "a2", "a1"), ("p3", "a1", "a2")):
            answers.act("choice", f"c{number}", 1, better=better, worse=worse, annotator=person)
    assert [(row["annotator"], row["agreement"]) for row in rows(answers, "annotators")] == [("p1", None), ("p2", 0.0), ("p3", None)]


def test_ratings_of_unknown_people_are_not_compared_with_each_other(answers: ChatLog) -> None:
    for number in range(30):
        for answer in "123":
            answers.act("rating", f"c{number}/a{answer}", 5 - int(answer))
            answers.act("rating", f"c{number}/a{answer}", 5 - int(answer))
    (told,) = rows(answers, "agreement")
    assert (told["votes"], told["items"], told["ballots"], told["reliability"]) == (180, 0, 0, None)
    assert told["alpha"] == 1.0, "yet two ratings of one answer can agree"


@pytest.mark.parametrize(("questions", "estimated"), [(24, False), (25, True)])
def test_a_few_shared_items_are_too_few(answers: ChatLog, questions: int, estimated: bool) -> None:
    for number in range(questions):
        for person in ("p1", "p2"):
            answers.act("choice", f"c{number}", 1, better="a1", worse="a2", annotator=person)
    assert [row["reliability"] is not None for row in rows(answers, "annotators")] == [estimated] * 2
    assert rows(answers, "agreement")[0]["raw"] == 1.0, "agreement is told of however few"


ACT = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["choice", "ranking", "rating", "thumb", "edit"]),
        "annotator_kind": st.sampled_from(["person", "model"]),
        "annotator": st.sampled_from([None, "p1", "p2", "p3"]),
        "answers": st.permutations(["r1", "r2", "r3"]),
        "grade": st.sampled_from([-1.0, 0.0, 1.0]),
        "group": st.sampled_from([None, "g"]),
    }
)


@given(st.lists(ACT, max_size=40), st.randoms(use_true_random=False))
def test_whatever_people_say_each_has_a_reliability_or_none(told: list[Row], random: Any) -> None:
    acts = []
    for act in told:
        first, second, _ = act.pop("answers")
        two = act["kind"] in ("choice", "edit")
        named = {"better_id": first, "worse_id": second} if two else {"response_id": first}
        acts.append(dict.fromkeys(ACTS.names) | act | named | {"prompt_id": "q"})
    settings = SETTINGS.model_copy(update={"min_ballots": 1})
    found = dawid_skene.find(pa.Table.from_pylist(acts, ACTS), settings)
    people = found.annotators.to_pylist()
    keys = [tuple(row[name] for name in Annotators.KEY) for row in people]
    assert set(keys) == {(act["annotator"] or "", act["annotator_kind"], act["kind"]) for act in acts}
    assert len(keys) == len(set(keys))
    assert sum(row["votes"] for row in people) == sum(row["votes"] for row in found.agreement.to_pylist()) == len(acts)
    assert all(row["reliability"] is None or 0 < row["reliability"] < 1 for row in people)
    assert all(row["alpha"] is None or row["alpha"] <= 1 for row in found.agreement.to_pylist())
    random.shuffle(acts)
    assert dawid_skene.find(pa.Table.from_pylist(acts, ACTS), settings).annotators.equals(found.annotators)


def test_thanks_and_complaints_are_not_asked_for_agreement(answers: ChatLog) -> None:
    for number in range(30):
        answers.say(f"c{number}/u9", "Thanks!", after="a1", user_id=f"p{number}")
    votes = [vote for row in rows(answers, "candidates", signals=SIGNALS) for vote in row["votes"]]
    assert {(vote["kind"], vote["reliability"]) for vote in votes} == {("thanks", None)}
    assert rows(answers, "annotators", signals=SIGNALS) == rows(answers, "agreement", signals=SIGNALS) == []


def test_polls_of_no_acts_are_none() -> None:
    assert list(annotator_labels.all_labels(ACTS.empty_table())) == []


def test_a_long_ranking_is_compared_with_neighbours_by_id_whatever_its_order() -> None:
    many = 40
    names = pa.array([f"r{number:02d}" for number in range(many)], TEXT)
    acts = pa.table(
        {
            **{
                name: pa.array([text] * 2 * many, TEXT)
                for name, text in (("kind", "ranking"), ("annotator_kind", "person"), ("prompt_id", "q"))
            },
            "annotator": pa.array(["p1"] * many + ["p2"] * many, TEXT),
            "group": pa.array(["g1"] * many + ["g2"] * many, TEXT),
            "response_id": pa.concat_arrays([names, names]),
            "grade": pa.array([float(number) for number in [*range(many), *range(many)]]),
            **{name: pa.nulls(2 * many, TEXT) for name in ("better_id", "worse_id")},
        }
    ).select(ACTS.names)
    (poll,) = annotator_labels.all_labels(acts)
    assert poll.shared == sum(many - reach for reach in range(1, annotator_labels.REACH + 1))
    assert set(poll.label) == {BETTER}
    (other,) = annotator_labels.all_labels(acts.take(np.random.default_rng(0).permutation(2 * many)))
    assert all((one == two).all() for one, two in ((poll.item, other.item), (poll.person, other.person), (poll.label, other.label)))


@pytest.mark.parametrize("ties", TIES)
def test_pairs_of_noisy_annotators_are_right_as_often_as_they_say(ties: float) -> None:
    """From turns and feedback through `aggregate` and `pair`."""
    told = simulated.ballots(Crowd(items=900, ties=ties))
    log = ChatLog()
    for item in range(len(told.truth)):
        log.say(f"c{item}/u0", f"Question {item}?")
        for answer in "12":
            log.say(f"c{item}/a{answer}", f"Answer {answer} to {item}.", after="u0")
    for item, person, label in zip(told.item.tolist(), told.person.tolist(), told.label.tolist(), strict=True):
        better, worse = ("a1", "a2") if label >= 0 else ("a2", "a1")
        log.act("choice", f"c{item}", abs(label), better=better, worse=worse, annotator=f"p{person}")
    candidates = run(log)["candidates"].kept
    settings = params.load(ROOT / "params.yaml", "pair", pair.Params)
    made = accounts("pair", pair.run({"candidates": daft.from_arrow(candidates)}, settings), {"candidates": daft.from_arrow(candidates)})
    right, confidence = [], []
    for row in made["pairs"].kept.to_pylist():
        answer, item = row["chosen"][0]["content"].removesuffix(".").removeprefix("Answer ").split(" to ")
        right.append({"1": 1, "2": -1}[answer] == told.truth[int(item)])
        confidence.append(row["confidence"])
    assert simulated.calibration_error(np.array(confidence), np.array(right)) <= 0.05
    assert sum(right) > (simulated.majority(told) == told.truth)[told.truth != 0].sum(), "more right pairs than the majority gives"
    assert len(made["votes"].kept) + len(made["votes"].dropped) == len(told.item), "and every vote is still there"


# --- real annotators -------------------------------------------------------------------------------------------------


def test_three_people_of_pandalm_agree_as_krippendorff_says(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    votes = [line for line in real_sets.pandalm(shared_data) if "kind" in line]
    given = pd.DataFrame(votes)
    answer = {side: given["conversation_id"] + "/" + given[side] for side in ("better", "worse")}
    columns: dict[str, Any] = {"kind": given["kind"], "annotator": given["user_id"], "prompt_id": given["conversation_id"]}
    columns |= {
        "annotator_kind": ["person"] * len(given),
        "better_id": answer["better"],
        "worse_id": answer["worse"],
        "grade": given["value"],
    }
    acts = pa.table({name: columns.get(name, [None] * len(given)) for name in ACTS.names}, ACTS)
    found = dawid_skene.find(acts, SETTINGS)
    (told,) = found.agreement.to_pylist()
    side = np.where(given["value"] == 0, 0, np.where(given["better"] == "1", 1, 2)).reshape(-1, 3)  # as the annotators saw them
    assert (told["votes"], told["shared_items"], told["annotators"], told["spammers"]) == (2997, 999, 3, 0)
    assert told["alpha"] == pytest.approx(krippendorff.alpha(side.T, level_of_measurement="nominal"), abs=0.01)
    (poll,) = annotator_labels.all_labels(acts)
    kappas = {}
    for one, other in ((0, 1), (0, 2), (1, 2)):
        of = np.isin(poll.person, (one, other))
        kappas[one + 1, other + 1] = agreement.kappa(poll.item[of], poll.person[of], poll.label[of])
        assert kappas[one + 1, other + 1] == pytest.approx(cohen_kappa_score(side[:, one], side[:, other]), abs=0.01)
    truth = dawid_skene.fit(poll, SETTINGS).truth.argmax(axis=1)
    most = np.array([np.bincount(row, minlength=3).argmax() if len(set(row)) < 3 else -1 for row in poll.label.reshape(-1, 3)])
    assert (truth == most)[most >= 0].mean() > 0.99, "three who agree so well need no weighing"
    with capsys.disabled():
        figures = ", ".join(f"{one}-{other} {kappa:.3f}" for (one, other), kappa in kappas.items())
        reliable = dict(zip(found.annotators["annotator"].to_pylist(), found.annotators["reliability"].to_pylist(), strict=True))
        print(f"\npandalm: raw {told['raw']:.3f}, alpha {told['alpha']:.3f}, kappa {figures}, reliability {reliable}")  # noqa: T201
