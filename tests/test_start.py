"""start: nothing is cut unseen, no step is spent on a run that cannot end well, and the same run gives the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import UserError
from tests.builders import releases
from tests.builders.training import COUNTS, digests, pair, released, run, tiny
from trainer import start
from trainer.data import batches, encode, release_reader
from trainer.models import model_io, saving, tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    Scratch = tuple[PreTrainedTokenizerBase, list[release_reader.Pair]]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a tiny finished start."""
    root = tmp_path_factory.mktemp("started")
    released(root)
    run(root, "start")
    return root


def test_writes_the_model_and_what_it_was_made_from(started: Path) -> None:
    out = started / "data/models/start"
    assert (out / "model.safetensors").is_file()
    told = json.loads((out / "trained_on.json").read_text())
    assert told["release"] == release_reader.verified(started / "data/release")
    assert (told["max_length"], told["seed"], told["source"]) == (256, 7, "scratch")
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["pairs"] == COUNTS["train"]
    assert metrics["left_out"] == 0
    assert all(isinstance(value, (int, float)) for value in metrics.values())


def test_clocks_lie_in_the_reports_only(started: Path) -> None:
    (reports,) = (started / "data/reports/start").iterdir()
    assert {path.name.split(".")[0] for path in reports.iterdir()} == {"events", "seconds"}
    assert not [path for path in (started / "data/models").rglob("*") if path.name.startswith(("events", "training_args"))]
    for path in (started / "data/models").rglob("*.json"):
        assert str(started) not in path.read_text(), f"{path.name} holds a path of this machine"


def test_says_steps_in_plain_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    released(tmp_path)
    run(tmp_path, "start", tiny("start", monitoring__logging_steps=2))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "start: train: 48 pairs = 48 used + 0 left out"
    assert [line.split(":")[1:3] for line in lines[2:]] == [[" supervised", f" step {step} of 3"] for step in (1, 2, 3)]


# --- tokens ---


@pytest.fixture(scope="module")
def scratch() -> Scratch:
    rows = releases.planted({"train": 40})
    pairs = sorted(
        (release_reader.Pair(**{name: row[name] for name in release_reader.COLUMNS}) for row in rows), key=lambda pair: pair.pair_id
    )
    return tokenizer.from_scratch(pairs, 400, 512), pairs


@pytest.mark.parametrize(
    ("chosen", "rejected", "window", "reason"),
    [
        ("abc", "abd", 8, "prompt_fills_window"),
        ("abcdefgh", "xyz", 12, "answer_cut"),
        ("abcdefgh", "abcdefgi", 12, "equal_after_truncation"),
        ("abc", "abc", 99, "same_tokens"),
    ],
)
def test_a_pair_that_does_not_fit_is_left_out_with_its_reason(chosen: str, rejected: str, window: int, reason: str) -> None:
    letters = tokenizer.from_scratch([], 300, 99)  # no merges: one token a letter
    result = encode.encode([pair("12345", chosen, rejected)], letters, window)
    assert result.kept == []
    assert result.reasons == {reason: 1}


def test_a_pair_that_just_fits_stays_whole() -> None:
    letters = tokenizer.from_scratch([], 300, 99)
    (kept,) = encode.encode([pair("12345", "abcdefgh", "x")], letters, 8 + 8 + 1).kept
    assert kept.length == 17
    assert letters.decode(kept.chosen) == "abcdefgh<|end|>"


def test_tokens_are_those_that_trl_would_make(scratch: Scratch) -> None:
    from datasets import Dataset
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    made, pairs = scratch
    rows = [{"prompt": one.prompt, "chosen": one.chosen, "rejected": one.rejected} for one in pairs]
    config = cast("DPOConfig", SimpleNamespace(dataset_num_proc=None, max_length=512, truncation_mode="keep_start"))
    assert DPOConfig.max_length  # the setting that the double stands for
    theirs = DPOTrainer._prepare_dataset(cast("DPOTrainer", SimpleNamespace()), Dataset.from_list(rows), made, config, "train")
    ours = encode.encode(pairs, made, 512).kept
    assert [(one.prompt, one.chosen, one.rejected) for one in ours] == [
        (row["prompt_ids"], row["chosen_ids"], row["rejected_ids"]) for row in theirs
    ]


@given(st.text(max_size=40).map(lambda text: text.replace("<|", "")))
def test_any_text_comes_back_from_its_tokens(scratch: Scratch, text: str) -> None:
    made = scratch[0]
    assert made.decode(made(text)["input_ids"]) == text


# --- the order of rows ---


@given(st.lists(st.integers(1, 99), min_size=1, max_size=40), st.integers(1, 8), st.integers(0, 9))
def test_every_epoch_shows_every_row_once(lengths: list[int], batch: int, seed: int) -> None:
    rows = len(lengths)
    pool = max(1, min(batches.POOL, rows // batch))
    seen = np.bincount(np.concatenate(batches.plan(lengths, [1.0] * rows, batch, 7 * pool, seed)), minlength=rows)
    assert seen.max() - seen.min() <= 1, "after whole pools"


@pytest.mark.parametrize("rows", [48, 160, 256])
def test_one_epoch_of_few_rows_shows_each_of_them_and_none_twice(rows: int) -> None:
    plan = batches.plan([at % 9 for at in range(rows)], [1.0] * rows, 16, rows // 16, 0)
    assert sorted(at for batch in plan for at in batch) == list(range(rows))


def test_a_row_of_weight_two_is_seen_twice_as_often() -> None:
    weights = [0.5] * 50 + [1.0] * 50
    seen = np.bincount(np.concatenate(batches.plan([1] * 100, weights, 10, 600, 0)), minlength=100)
    assert seen[50:].sum() / seen[:50].sum() == pytest.approx(2, rel=0.05)


def test_shuffling_swaps_exactly_half() -> None:
    given_pairs = [pair(f"p{number}", "good", "bad") for number in range(50)]
    turned = release_reader.shuffled(given_pairs, 3)
    assert sum(one.chosen[0]["content"] == "bad" for one in turned) == 25
    assert [one.pair_id for one in turned] == [one.pair_id for one in given_pairs]


# --- mistakes, each one line before any step ---


def refused(root: Path, settings: start.Params) -> str:
    with pytest.raises(UserError) as caught:
        run(root, "start", settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_train_pairs(tmp_path: Path) -> None:
    releases.write(tmp_path / "data/release", releases.planted({"test": 4}))
    assert "no pair in the split train" in refused(tmp_path, tiny("start"))


def test_a_release_that_was_changed(tmp_path: Path) -> None:
    folder = releases.write(tmp_path / "data/release", releases.planted(COUNTS))
    with (folder / "preference/train-00000.parquet").open("ab") as stream:
        stream.write(b"x")
    assert "train-00000.parquet: found sha256" in refused(tmp_path, tiny("start"))


def test_a_window_that_holds_no_pair(tmp_path: Path) -> None:
    releases.write(tmp_path / "data/release", releases.planted(COUNTS))
    assert "start.max_length: 8: found train: 48 pairs = 0 used + 48 left out (prompt_fills_window 48)" in refused(
        tmp_path, tiny("start", max_length=8)
    )


@pytest.mark.parametrize("source", ["./nowhere", "nowhere", "/no/such/model"])
def test_a_model_that_is_not_there(tmp_path: Path, source: str) -> None:
    releases.write(tmp_path / "data/release", releases.planted(COUNTS))
    assert f"start.model.source: {source}: found no such folder, and no hub name" in refused(tmp_path, tiny("start", model__source=source))


def test_a_model_without_chat_template(started: Path, tmp_path: Path) -> None:
    releases.write(tmp_path / "data/release", releases.planted(COUNTS))
    model, made = model_io.load(str(started / "data/models/start"))
    made.chat_template = None
    saving.save(model, made, tmp_path / "bare")
    assert "found a tokenizer without chat template" in refused(tmp_path, tiny("start", model__source=str(tmp_path / "bare")))


def test_a_trained_model_can_be_trained_on(started: Path, tmp_path: Path) -> None:
    releases.write(tmp_path / "data/release", releases.planted(COUNTS))
    made = run(tmp_path, "start", tiny("start", model__source=str(started / "data/models/start")))
    assert digests(made)["tokenizer.json"] == digests(started / "data/models/start")["tokenizer.json"]


def test_a_template_that_changes_its_prompt_when_an_answer_follows(scratch: Scratch) -> None:
    made = tokenizer.from_scratch(scratch[1], 400, 512)
    made.chat_template = tokenizer.TEMPLATE.replace("{{ '<|assistant|>' }}", "{{ '<|assistant|><think>' }}")
    with pytest.raises(UserError, match="goes on otherwise when an answer follows"):
        tokenizer.check(made, "x")


def test_padding_that_ends_answers_is_replaced_or_refused(scratch: Scratch) -> None:
    made = tokenizer.from_scratch(scratch[1], 400, 512)
    made.pad_token = tokenizer.END
    tokenizer.check(made, "x")
    assert made.pad_token == "<|pad|>"
    made.pad_token = tokenizer.END
    made.get_vocab = lambda: {tokenizer.END: made.eos_token_id}  # type: ignore[method-assign]  # a double
    with pytest.raises(UserError, match="padding that equals the end of an answer"):
        tokenizer.check(made, "x")
