"""train: the policy learns from the release that its start was made from, and the same run gives the same bytes."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest

from tasks.core import params
from tasks.core.errors import UserError
from tests.builders import releases
from tests.builders.training import COUNTS, digests, pair, released, run, tiny
from tests.conftest import ROOT
from trainer import methods, train
from trainer.data import encode, release_reader
from trainer.methods import dpo, kto, names, pair_scores, sections
from trainer.models import model_io, scoring, tokenizer, training_context
from trainer.settings import Schedule


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a tiny finished run."""
    root = tmp_path_factory.mktemp("trained")
    released(root)
    for name in ("start", "train"):
        run(root, name)
    return root


def test_writes_the_policy_beside_its_reference(trained: Path) -> None:
    policy, reference = digests(trained / "data/models/policy"), digests(trained / "data/models/start")
    assert _without_curves(policy) == _without_curves(reference)
    assert policy["model.safetensors"] != reference["model.safetensors"]
    assert policy["tokenizer.json"] == reference["tokenizer.json"]
    told = json.loads((trained / "data/models/policy/trained_on.json").read_text())
    assert told["release"] == release_reader.verified(trained / "data/release")
    metrics = json.loads((trained / "data/models/policy/metrics.json").read_text())
    assert (metrics["pairs"], metrics["left_out"]) == (COUNTS["train"], 0)


def _without_curves(files: dict[str, str]) -> set[str]:
    """Names of files, but for the tables of figures: each method has its own."""
    return {name for name in files if not name.startswith("curves/")}


@pytest.mark.slow
def test_the_same_run_on_one_core_gives_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/release").symlink_to(trained / "data/release")
    code = "import os, pathlib; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from tests.builders import training as t; "
    code += f"[t.run(pathlib.Path({str(tmp_path)!r}), name) for name in ('start', 'train')]"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "5", "OMP_NUM_THREADS": "1"}, check=True)
    assert digests(tmp_path / "data/models") == digests(trained / "data/models")


def test_before_its_first_step_the_policy_is_the_reference(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(trained, "train", tiny("train", dpo__sft_weight=0.0))
    first = next(line for line in capsys.readouterr().out.splitlines() if "dpo: step 1" in line)
    assert "loss 0.6931" in first, "log 2"


def test_an_unknown_loss_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8").replace("loss_type: sigmoid", "loss_type: discopop")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"train.dpo.loss_type: found 'discopop'; expected one of apo_zero, hinge"):
        params.load(tmp_path / "params.yaml", "train", train.Params)


def test_held_out_loss_is_looked_at_on_the_validation_pairs(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(trained, "train", tiny("train", dpo__schedule__max_steps=2, monitoring__eval_steps=1))
    assert len([line for line in capsys.readouterr().out.splitlines() if "held-out" in line]) == 2, "one look a step"


def test_training_stops_early_and_says_how_many_steps_it_took(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data/models").mkdir(parents=True)
    for name in ("release", "models/start"):
        (tmp_path / "data" / name).symlink_to(trained / "data" / name)
    far = {"dpo__schedule__max_steps": 12, "dpo__schedule__learning_rate": 0.3}
    out = run(
        tmp_path, "train", tiny("train", monitoring__eval_steps=1, monitoring__early_stopping_patience=1, monitoring__max_loss=0.0, **far)
    )
    looks = [line for line in capsys.readouterr().out.splitlines() if "held-out loss" in line and "back to" not in line]
    assert len(looks) < 12
    assert json.loads((out / "metrics.json").read_text())["dpo_steps"] == len(looks)


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_a_look_at_held_out_loss_without_held_out_rows_is_refused(method: str, tmp_path: Path) -> None:
    rows = releases.planted({"train": 12})
    releases.add_unpaired(releases.write(tmp_path / "data/release", rows), releases.examples(rows))
    run(tmp_path, "start")
    with pytest.raises(UserError, match=rf"train.monitoring.eval_steps: 1: found no held-out row for {method}"):
        run(tmp_path, "train", tiny("train", method=method, monitoring__eval_steps=1))


def test_a_model_that_does_not_say_what_it_was_trained_on_is_refused(trained: Path, tmp_path: Path) -> None:
    for text, found in ((None, "found no such file"), ("{", "no JSON"), ('{"seed": 7}', "found no release, source, threads")):
        if text:
            (tmp_path / training_context.NAME).write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=found):
            training_context.read(tmp_path, trained / "data/release")


def test_a_release_that_was_changed_after_the_start_is_refused(tmp_path: Path) -> None:
    folder = released(tmp_path)
    run(tmp_path, "start")
    with (folder / "preference/train-00000.parquet").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(UserError, match=r"train-00000\.parquet: found sha256"):
        run(tmp_path, "train")


@pytest.mark.parametrize("path", ["dpo", "kto", "ppo"])
def test_no_epoch_at_all_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=rf"{path}.schedule.num_train_epochs\n.*greater than 0"):
        tiny("train", **{f"{path}__schedule__num_train_epochs": 0})


def test_the_losses_that_parameters_allow_are_those_of_the_methods() -> None:
    for section, module in ((sections.Dpo, dpo), (sections.Kto, kto)):
        assert get_args(section.model_fields["loss_type"].annotation) == module.LOSSES


# --- label smoothing ---


def test_smoothing_is_the_number_or_the_estimate_of_the_release() -> None:
    assert dpo.resolve_label_smoothing("robust", 0.2, None) == 0.2
    assert dpo.resolve_label_smoothing("robust", "auto", 0.13) == 0.13
    assert dpo.resolve_label_smoothing("sigmoid", "auto", 0.13) == 0.0
    assert dpo.resolve_label_smoothing("sigmoid", 0.0, 0.13) == 0.0


@pytest.mark.parametrize("loss", [one for one in dpo.LOSSES if one not in dpo.SMOOTHED])
def test_smoothing_that_a_loss_would_ignore_is_refused(loss: str) -> None:
    with pytest.raises(UserError, match=rf"train.dpo.label_smoothing: 0.1: found the loss {loss}, which ignores it; expected 0 or auto"):
        dpo.resolve_label_smoothing(loss, 0.1, 0.13)


def test_smoothing_by_an_estimate_that_is_not_there_is_refused(trained: Path) -> None:
    with pytest.raises(UserError, match=r"train.dpo.label_smoothing: auto: found no `label_smoothing` in the release's methods.json"):
        run(trained, "train", tiny("train", dpo__loss_type="robust"))


def test_the_estimate_of_the_release_is_said_and_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = released(tmp_path)
    (folder / "methods.json").write_text(json.dumps({"label_smoothing": 0.2}), encoding="utf-8")
    releases.sign(folder)
    run(tmp_path, "start")
    for loss, said in (("robust", "label smoothing: 0.2 (the release's"), ("sigmoid", "label smoothing: not used by the loss sigmoid")):
        run(tmp_path, "train", tiny("train", dpo__loss_type=loss, dpo__schedule__max_steps=1))
        assert said in capsys.readouterr().out


# --- weights ---


def test_the_table_of_methods_says_of_each_what_it_makes_of_row_weights() -> None:
    told = dict(re.findall(r"^    (\w+) +[\w ]+?  +(honoured|refused|none)\b", methods.__doc__ or "", re.MULTILINE))
    assert set(told) == {*names.ALL, "reward"}


def test_a_pair_of_weight_two_is_seen_twice_as_often_and_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [pair(f"p{number}", "good answer", "bad") for number in range(40)]
    weighed = [dataclasses.replace(one, weight=2.0 if at % 2 else 1.0) for at, one in enumerate(asked)]
    schedule = Schedule(
        num_train_epochs=1, max_steps=1, train_batch_size=4, per_device_train_batch_size=4, learning_rate=0.01, warmup_ratio=0.0
    )
    made = tokenizer.from_scratch([], 300, 99)
    rows = encode.encode(weighed, made, 99).kept
    model = model_io.make([], model_io.Size(300, 32, 64, 1, 2, 99))[0]
    scored: list[str] = []

    def score(model: Any, pairs: Any, pad: int, batch: int) -> Any:
        scored.extend(row.pair.pair_id for row in pairs)
        return pair_scores.score(model, pairs, pad, batch)

    monkeypatch.setattr(dpo, "score", score)
    table = dpo._rows(rows, model, made.pad_token_id, schedule, 300, 0)
    assert sorted(scored) == sorted(row.pair.pair_id for row in rows)
    heavy = {tuple(row.prompt) for row in rows if row.pair.weight == 2.0}
    seen = Counter(tuple(ids) in heavy for ids in table["prompt_ids"])
    assert seen[True] / seen[False] == pytest.approx(2, rel=0.1)


# --- learning ---

LEARNERS = [("dpo", loss) for loss in dpo.LOSSES] + [("kto", loss) for loss in kto.LOSSES]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "loss"), LEARNERS)
def test_every_loss_moves_the_policy_towards_what_was_preferred(method: str, loss: str, learners: Path) -> None:
    longer = {f"{method}__schedule__{name}": value for name, value in (("max_steps", 25), ("train_batch_size", 8), ("learning_rate", 0.01))}
    settings = tiny(
        "train", method=method, **{f"{method}__loss_type": loss, f"{method}__schedule__per_device_train_batch_size": 8, **longer}
    )
    (policy, made), (reference, _) = (
        model_io.load(str(folder)) for folder in (run(learners, "train", settings), learners / "data/models/start")
    )
    rows = encode.encode(release_reader.pairs(learners / "data/release", "train"), made, 256).kept
    pad = made.pad_token_id
    gained = scoring.score(policy, rows, pad, 16).margin - scoring.score(reference, rows, pad, 16).margin
    assert (gained > 0).mean() > 0.75, "on the pairs that it learned from"


@pytest.fixture(scope="module")
def learners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a tiny start on a release without wrong labels, with an estimate of them, and with single answers."""
    root = tmp_path_factory.mktemp("learners")
    rows = releases.planted({**COUNTS, "train": 64}, noise=0.0)
    folder = releases.write(root / "data/release", rows)
    (folder / "methods.json").write_text(json.dumps({"label_smoothing": 0.1}), encoding="utf-8")
    releases.add_unpaired(folder, releases.examples(rows))
    run(root, "start")
    return root


def test_importing_the_stages_is_cheap() -> None:
    code = "import sys, trainer.start, trainer.train, trainer.evaluate; "
    code += "print(sorted({'torch', 'transformers', 'trl', 'datasets'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout == "[]\n"
