"""KTO learns from single answers: both labels weigh alike, weights of rows are honoured, and what cannot be trained is one line."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import UserError
from tests.builders import releases
from tests.builders.training import COUNTS, digests, run, tiny
from trainer.data import encode, release_reader
from trainer.methods import kto
from trainer.settings import Schedule

BLANK = release_reader.Example("", [], [], True, "", "", "", "", 1.0)
SCHEDULE = Schedule(
    num_train_epochs=1, max_steps=4, train_batch_size=4, per_device_train_batch_size=4, learning_rate=0.01, warmup_ratio=0.0
)


def single(label: bool = True, prompt: int = 2, answer: int = 2) -> encode.EncodedExample:
    return encode.EncodedExample(dataclasses.replace(BLANK, label=label), [1] * prompt, list(range(100, 100 + answer)))


def release_of(root: Path, labels: str = "both") -> Path:
    """A planted release with single answers, all of one label where `labels` says so."""
    rows = releases.planted(COUNTS)
    folder = releases.write(root / "data/release", rows)
    singles = releases.examples(rows)
    return releases.add_unpaired(folder, [one for one in singles if labels == "both" or one["label"] is (labels == "liked")])


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a finished start on a release with single answers."""
    root = tmp_path_factory.mktemp("kto")
    release_of(root)
    run(root, "start")
    return root


def test_one_switch_trains_with_kto_and_two_runs_give_the_same_bytes(started: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = digests(run(started, "train", tiny("train", method="kto", kto__schedule__max_steps=2)))
    said = capsys.readouterr().out
    assert "train: train: 48 examples = 48 used + 0 left out" in said
    assert "kto: step 1 of 2: loss 0.5000, kl 0.0000, margin 0.0000" in said, "before its first step the policy is the reference"
    metrics = json.loads((started / "data/models/policy/metrics.json").read_text())
    assert (metrics["examples"], metrics["kto_steps"], metrics["kto_weight_liked"]) == (48, 2, 1.0)
    assert policy["model.safetensors"] != digests(started / "data/models/start")["model.safetensors"]
    assert digests(run(started, "train", tiny("train", method="kto", kto__schedule__max_steps=2))) == policy


def test_an_adapter_starts_at_the_reference_and_moves_from_it(started: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lora = {"adapter__r": 4, "kto__schedule__max_steps": 3, "kto__schedule__learning_rate": 0.05}
    made = run(started, "train", tiny("train", method="kto", **lora))
    first = next(line for line in capsys.readouterr().out.splitlines() if "step 1 of 3" in line)
    assert first.endswith("kl 0.0000, margin 0.0000")
    assert (made / "adapter/adapter_model.safetensors").is_file()
    assert digests(made)["model.safetensors"] != digests(started / "data/models/start")["model.safetensors"]


@pytest.mark.parametrize("labels", ["liked", "disliked"])
def test_one_label_alone_is_refused(labels: str, tmp_path: Path) -> None:
    release_of(tmp_path, labels)
    (tmp_path / "data/models").mkdir()
    run(tmp_path, "start")
    with pytest.raises(UserError, match=r"unpaired, split train: found (24 liked and 0 disliked|0 liked and 24 disliked) answers that fit"):
        run(tmp_path, "train", tiny("train", method="kto"))


def test_no_single_answers_is_refused(tmp_path: Path) -> None:
    folder = releases.write(tmp_path / "release", releases.planted(COUNTS))
    with pytest.raises(UserError, match="no single answer in the split train"):
        release_reader.train_examples(folder, False, 0)


def test_a_row_alone_in_its_micro_batch_is_refused(started: Path) -> None:
    with pytest.raises(UserError, match=r"train\.kto\.schedule.per_device_train_batch_size: 1: found rows alone"):
        run(started, "train", tiny("train", method="kto", kto__schedule__per_device_train_batch_size=1))


def test_held_out_loss_is_looked_at_on_the_validation_answers(started: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tiny("train", method="kto", kto__schedule__max_steps=2, monitoring__eval_steps=1)
    run(started, "train", settings)
    said = [line for line in capsys.readouterr().out.splitlines() if "held-out" in line or "held out" in line]
    assert len(said) == 2, "one look a step"


# --- weights ---


@given(st.integers(1, 60), st.integers(1, 60))
def test_auto_weights_let_both_labels_weigh_alike(liked: int, disliked: int) -> None:
    drawn = [single(True)] * liked + [single(False)] * disliked
    found = kto.weigh(kto.Settings("kto", 0.1, "auto", SCHEDULE), drawn, "train")
    assert min(found.liked, found.disliked) == 1.0
    assert 0.99 <= found.liked * liked / (found.disliked * disliked) <= 4 / 3 + 0.01


def test_own_weights_are_taken_and_said_to_lie_outside(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = [single(True)] * 3 + [single(False)]
    found = kto.weigh(kto.Settings("kto", 0.1, [1.0, 1.0], SCHEDULE), drawn, "train")
    assert (found.liked, found.disliked) == (1.0, 1.0)
    assert "3 liked rows x 1, 1 disliked x 1: together 3.00 : 1; KTO wants 1.00 to 1.33" in capsys.readouterr().out
    kto.weigh(kto.Settings("kto", 0.1, [1.0, 3.0], SCHEDULE), drawn, "train")
    assert "wants" not in capsys.readouterr().out


def test_class_weights_stand_before_the_loss_of_their_label() -> None:
    moved, label = np.array([1.0, 1.0]), np.array([True, False])
    plain, weighed = (kto.losses(kto.WeightedSettings("kto", 0.1, 1.0, weight), moved, np.zeros(2), label) for weight in (1.0, 3.0))
    assert (weighed / plain).tolist() == [1.0, 3.0]


def test_a_single_answer_of_weight_two_is_drawn_twice_as_often() -> None:
    examples = [dataclasses.replace(single(), example=dataclasses.replace(BLANK, weight=weight)) for weight in [1.0] * 30 + [2.0] * 30]
    order = kto.order(examples, kto.Settings("kto", 0.1, "auto", SCHEDULE), 450, 0)
    seen = Counter(row.example.weight for row in order)
    assert seen[2.0] / seen[1.0] == pytest.approx(2, rel=0.05)


# --- the point of reference ---


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=12), st.integers(2, 5))
def test_mismatched_answers_are_those_of_the_block_and_fit(lengths: list[tuple[int, int]], block: int) -> None:
    rows = [single(prompt=prompt, answer=answer) for prompt, answer in lengths]
    max_length = max(row.length for row in rows)
    others, cut = kto.mismatched(rows, block, max_length)
    assert [prompt for prompt, _ in others] == [row.prompt for row in rows]
    assert all(0 < len(prompt) + len(answer) <= max_length and answer for prompt, answer in others)
    for start in range(0, len(rows), block):
        part = rows[start : start + block]
        for row, (_, answer) in zip(part, others[start : start + block], strict=True):
            theirs = [other for other in part if other.prompt != row.prompt] or part
            assert any(answer == other.answer[: max_length - len(row.prompt)] for other in theirs), "of another prompt, where there is one"
    assert cut <= sum(len(answer) == max_length - len(row.prompt) for row, (_, answer) in zip(rows, others, strict=True))


def test_copies_of_a_row_do_not_lend_each_other_their_answer() -> None:
    twice, other = single(prompt=2, answer=3), single(prompt=4, answer=5)
    others, _ = kto.mismatched([twice, twice, other, other], 4, 99)
    assert [len(answer) for _, answer in others] == [5, 5, 3, 3]
    alone, _ = kto.mismatched([twice, twice], 2, 99)
    assert [len(answer) for _, answer in alone] == [3, 3], "there is no other"


# --- the control ---


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
def test_shuffled_labels_keep_their_numbers_and_say_nothing(liked: int, disliked: int, seed: int) -> None:
    rows = [dataclasses.replace(BLANK, example_id=str(at), label=at < liked) for at in range(liked + disliked)]
    shuffled = release_reader.shuffled_examples(rows, seed)
    assert sum(one.label for one in shuffled) == liked
    shares = [np.mean([one.label for one in part]) for part in (shuffled[:liked], shuffled[liked:])]
    assert abs(shares[0] - shares[1]) <= 0.5 / liked + 0.5 / disliked + 1e-9
    assert [one.example_id for one in shuffled] == [one.example_id for one in rows]
