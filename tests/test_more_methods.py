"""The other methods, from a release to a policy: what they log, that two runs and a killed one end alike, and what they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest

from flows.reference import figures
from tasks.core import params
from tasks.core.errors import UserError
from tests.builders import releases
from tests.builders.killed import killed
from tests.builders.training import COUNTS, digests, released, run, tiny
from tests.conftest import ROOT
from trainer import train
from trainer.methods import cpo, from_release, names, online
from trainer.methods.sections import Cpo, Grouped

PAIRED = ("sft", "tr_dpo", "orpo", "cpo", "simpo")
GROUPED = ("grpo", "rloo", "online", "best_of_n")
PREFERRED = {"loss", "margin", "accuracy", "chosen_reward", "rejected_reward", "chosen_logps", "rejected_logps", "entropy", "grad_norm"}
WRITTEN = {"loss", "reward", "kl", "length", "ended", "entropy", "reward_spread", "grad_norm"}
TOLD = {  # figures of every step, by what TRL logs
    "sft": {"loss", "grad_norm", "learning_rate"},
    **dict.fromkeys(("tr_dpo", "orpo", "cpo", "simpo"), PREFERRED),
    **dict.fromkeys(("grpo", "rloo"), WRITTEN | {"clip_fraction", "moved"}),
    "online": WRITTEN | PREFERRED,
    "best_of_n": WRITTEN,
}


def small(method: str, **other: object) -> dict[str, Any]:
    """Parameters of a tiny run."""
    own: dict[str, Any] = {"method": method, "monitoring__save_steps": 1, "monitoring__logging_steps": 1}
    if method == "tr_dpo":
        own["tr_dpo__ref_model_sync_steps"] = 1
    if method in GROUPED:
        names = {"num_generations": 2, "num_mini_batches": 2, "max_new_tokens": 8, "schedule__learning_rate": 0.01}
        own |= {f"{method}__{name}": value for name, value in names.items()}
    return own | {f"{method}__{name}": value for name, value in other.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a tiny start and reward model, with prompts."""
    root = tmp_path_factory.mktemp("methods")
    releases.add_prompts(released(root), releases.planted({"train": COUNTS["train"]}))
    run(root, "start", tiny("start", threads=1))
    run(root, "reward")
    return root


def copied(whole: Path, root: Path) -> Path:
    """A root with the same inputs, and no policy."""
    for name in ("release", "models/start", "models/reward"):
        shutil.copytree(whole / "data" / name, root / "data" / name)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("method", [*PAIRED, *GROUPED])
def test_two_runs_of_a_method_give_the_same_bytes_and_log_what_trl_logs(whole: Path, tmp_path: Path, method: str) -> None:
    root = copied(whole, tmp_path)
    out = run(root, "train", tiny("train", **small(method)))
    first = digests(out)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    assert all(TOLD[method] <= set(line) for line in lines)
    if method in PAIRED:
        assert first["model.safetensors"] != digests(root / "data/models/start")["model.safetensors"]
    shutil.rmtree(out)
    assert digests(run(root, "train", tiny("train", **small(method)))) == first


@pytest.mark.slow
@pytest.mark.parametrize("method", [*PAIRED, *GROUPED])
def test_a_killed_run_of_a_method_ends_with_the_bytes_of_an_unbroken_one(whole: Path, tmp_path: Path, method: str) -> None:
    wanted = digests(run(copied(whole, tmp_path / "unbroken"), "train", tiny("train", **small(method))))
    root = copied(whole, tmp_path / "killed")
    killed(root, "train", "step:3", **small(method))
    assert list((root / "data/checkpoints/train").glob("*/step-*")), "something to go on from"
    assert digests(run(root, "train", tiny("train", **small(method)))) == wanted


def test_every_method_that_parameters_allow_has_a_section_and_an_entry() -> None:
    allowed = get_args(train.Params.model_fields["method"].annotation)
    assert set(allowed) == set(names.ALL) == set(from_release.METHODS)
    assert set(allowed) <= set(train.Params.model_fields)
    assert get_args(Cpo.model_fields["loss_type"].annotation) == cpo.LOSSES


@pytest.mark.parametrize(("found", "right"), [("ipo", "train.dpo.loss_type: ipo"), ("raft", "best_of_n"), ("online_dpo", "online")])
def test_a_method_that_is_a_setting_of_another_is_refused_with_its_name_here(found: str, right: str, tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8").replace("  method: dpo ", f"  method: {found} ")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=rf"train.method: found '{found}'; expected .*{right}"):
        params.load(tmp_path / "params.yaml", "train", train.Params)


def test_a_reference_that_follows_is_refused_with_an_adapter() -> None:
    with pytest.raises(UserError, match=r"train.adapter.r: 4: found the method tr_dpo.*set train.adapter.r to 0"):
        train.check(tiny("train", **small("tr_dpo"), adapter__r=4))


@pytest.mark.parametrize("method", GROUPED)
def test_answers_that_make_no_whole_groups_are_refused(method: str) -> None:
    with pytest.raises(UserError, match=r"train_batch_size: 4: found no even share for 1 minibatches of 3 answers to each prompt"):
        train.check(tiny("train", **small(method, num_generations=3, num_mini_batches=1)))


def test_an_adapter_learns_online_against_the_policy_without_it(whole: Path, tmp_path: Path) -> None:
    out = run(copied(whole, tmp_path), "train", tiny("train", **small("online"), adapter__r=2))
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["kl"] == pytest.approx(0, abs=1e-4)
    assert abs(lines[-1]["kl"]) > 1e-5


def test_held_out_loss_is_looked_at_by_methods_without_a_reference(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(copied(whole, tmp_path), "train", tiny("train", **small("orpo"), monitoring__eval_steps=1))
    assert len([line for line in capsys.readouterr().out.splitlines() if "held-out loss" in line]) == 3


def test_the_best_and_the_worst_answer_are_picked_within_a_prompt_and_a_price_of_length_can_turn_them() -> None:
    import torch

    rewards, lengths = torch.tensor([[1.0, 4.0, 2.0], [0.0, -1.0, -1.0]]), torch.tensor([[5, 60, 5], [5, 5, 5]])
    assert [places.tolist() for places in online.ranked(rewards)] == [[1, 3], [0, 4]]
    assert [places.tolist() for places in online.ranked(rewards - 0.1 * lengths)] == [[2, 3], [1, 4]]


def test_sections_of_own_answers_share_their_settings() -> None:
    assert all(issubclass(type(getattr(tiny("train"), name)), Grouped) for name in GROUPED)


def test_a_night_can_begin_with_the_model_that_the_last_one_handed_over(whole: Path, tmp_path: Path) -> None:
    night = copied(whole, tmp_path / "last")
    last = run(night, "train", tiny("train", **small("sft")))
    (tmp_path / "next/data").mkdir(parents=True)
    (tmp_path / "next/data/release").symlink_to(night / "data/release")
    start = run(tmp_path / "next", "start", tiny("start", model__source=str(last), schedule__num_train_epochs=0))
    assert digests(start)["model.safetensors"] == digests(last)["model.safetensors"]


@pytest.mark.parametrize("method", [*PAIRED, *GROUPED])
def test_every_figure_of_a_method_has_a_meaning(method: str) -> None:
    logged = TOLD[method] - {"loss"}
    assert [name for name in logged if figures.meaning("train", f"{'supervised' if method == 'sft' else method}_{name}") is None] == []
