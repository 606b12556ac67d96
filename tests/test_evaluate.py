"""evaluate: every held-out pair is counted, by definitions under which policy, reference and baselines are compared like with like."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.core.errors import UserError
from tests.builders import releases
from tests.builders.training import COUNTS, digests, pair, released, run, stage, tiny
from trainer import evaluate
from trainer.data import encode
from trainer.evaluation import baselines, control, preference_accuracy, proportions
from trainer.evaluation.bootstrap import Bootstrap
from trainer.evaluation.heldout import HeldOutReader, HeldOutSplit
from trainer.models import model_io, scoring, training_context

SMALL = {"resamples": 50, "generations__prompts": 5, "generations__max_new_tokens": 8, "generations__examples": 2, "control__seeds": 2}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a tiny finished run, evaluation included."""
    root = tmp_path_factory.mktemp("judged")
    released(root)
    for name in ("start", "reward", "train"):
        run(root, name)
    run(root, "evaluate", tiny("evaluate", **SMALL))
    return root


def linked(judged: Path, root: Path) -> Path:
    """Another root with the same release and models."""
    (root / "data").mkdir()
    for name in ("release", "models"):
        (root / "data" / name).symlink_to(judged / "data" / name)
    return root


def encoded(count: int) -> list[encode.EncodedPair]:
    return [encode.EncodedPair(pair(f"p{number}", "a", "b"), [1], [2, 3], [4]) for number in range(count)]


def held(policy: np.ndarray, reference: np.ndarray) -> HeldOutSplit:
    """A split whose reward model and TF-IDF judge tell nothing apart."""
    count = policy.shape[1]
    bootstrap = Bootstrap(np.arange(count), 20, 0)
    return HeldOutSplit(encode.FilteredPairs(encoded(count), {}), policy, reference, np.zeros((2, count)), np.zeros(count), bootstrap)


def test_counts_every_held_out_pair_and_writes_flat_metrics(judged: Path) -> None:
    out = judged / "data/evaluation"
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["validation_pairs"], metrics["test_pairs"]) == (COUNTS["validation"], COUNTS["test"])
    assert all(isinstance(value, (int, float)) for value in metrics.values())
    report = json.loads((out / "report.json").read_text())["test"]
    for stratum in preference_accuracy.STRATA:
        for judge in ("implicit", "reward", *baselines.NAMES):
            assert sum(group[judge]["n"] for group in report[stratum].values()) == COUNTS["test"]
    assert {"control_mean", "baseline_tfidf_accuracy", "controlled_policy_balanced", "reward_ece", "generated_win_rate"} <= set(metrics)
    assert {"test_better", "writing_faults", "generated_length_ratio_policy", "generated_circling_reference"} <= set(metrics)
    verdict = json.loads((out / "verdict.json").read_text())
    assert (metrics["test_better"], metrics["writing_faults"]) == (int(verdict["better"]), len(verdict["faults"]))
    assert verdict["faults"], "three steps teach nobody to write"
    assert verdict["sentence"][8:] in (out / "report.html").read_text()


@pytest.mark.slow
def test_the_same_evaluation_gives_the_same_bytes_and_says_what_the_judge_is_worth(
    judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = run(linked(judged, tmp_path), "evaluate", tiny("evaluate", **SMALL))
    assert digests(again) == digests(judged / "data/evaluation")
    said = capsys.readouterr().out.splitlines()
    assert "the reference (p " in said[-1]
    assert any("the judge of generations is the reward model, trained on votes of the same people" in line for line in said)


def test_log_probabilities_equal_the_sum_taken_token_by_token(judged: Path) -> None:
    import torch

    from trainer.data import release_reader

    model, tokenizer = model_io.load(str(judged / "data/models/policy"))
    pairs = encode.encode(release_reader.pairs(judged / "data/release", "test"), tokenizer, 256).kept
    scores = scoring.score(model, pairs, tokenizer.pad_token_id, 5)
    for at, one in enumerate(pairs[:4]):
        ids = torch.tensor([one.prompt + one.chosen])
        logs = model(input_ids=ids).logits[0].log_softmax(-1)
        slow = sum(logs[len(one.prompt) + step - 1, token].item() for step, token in enumerate(one.chosen))
        assert scores.chosen[at] == pytest.approx(slow, rel=1e-5)


def test_a_policy_equal_to_its_reference_ties_on_every_pair(judged: Path) -> None:
    model, tokenizer = model_io.load(str(judged / "data/models/start"))
    reader = HeldOutReader.of(judged / "data/release", tokenizer, 256, 5)
    first, second = reader.likelihoods(model)["test"], reader.likelihoods(model)["test"]
    figures = evaluate._split(held(first, second), 0.01)
    assert figures["ties"] == COUNTS["test"]
    assert figures["implicit"]["accuracy"] == 0.5
    assert figures["p_implicit"] == figures["p_likelihood"] == 1.0
    assert figures["better"] is False


def test_each_definition_reads_its_own_scores() -> None:
    one = held(np.array([[-4.0], [-3.0]]), np.array([[-6.0], [-2.0]]))  # two tokens against one
    assert {name: mark.item() for name, mark in one.correctness.items()} == {
        "implicit": 1.0,  # +2 against -1
        "likelihood": 0.0,  # -4 against -3
        "per_token": 1.0,  # -2 against -3
        "reference_implicit": 0.5,
        "reference_likelihood": 0.0,
        "reference_per_token": 0.0,  # -3 against -2
        "reward": 0.5,
        "longer": 0.5,  # one character each
        "tfidf": 0.5,
    }


def test_better_needs_both_definitions() -> None:
    reference = np.stack([np.zeros(100), np.tile([1.0, -1.0], 50)])  # right in half of the pairs
    clear = np.stack([np.full(100, 5.0), np.zeros(100)])
    assert evaluate._split(held(clear, reference), 0.01)["better"] is True
    little = reference + np.array([[0.1], [0.0]])  # implicit always right, but the model still writes the same answers
    figures = evaluate._split(held(little, reference), 0.01)
    assert figures["implicit"]["accuracy"] == 1.0
    assert figures["better"] is False


def test_the_reward_models_rewards_of_both_sides_are_those_of_the_single_answers(judged: Path) -> None:
    from trainer.models import reward_models

    model, tokenizer = reward_models.load(judged / "data/models/reward")
    reader = HeldOutReader.of(judged / "data/release", tokenizer, 256, 5)
    both = reader.rewards(model)["test"]
    for at, row in enumerate(reader.encodings["test"].kept[:3]):
        alone = [reward_models.score(model, [(row.prompt, side)], reader.pad, 1)[0] for side in (row.chosen, row.rejected)]
        assert both[:, at] == pytest.approx(alone, abs=1e-5)


def test_a_control_is_the_training_of_the_policy_but_for_its_labels(judged: Path) -> None:
    made = stage("evaluate", judged)
    context = training_context.read(made.input("policy"), made.input("release"))
    model, tokenizer = model_io.load(str(made.input("start")))
    reader = HeldOutReader.of(made.input("release"), tokenizer, context.max_length, 5)
    reference = reader.likelihoods(model)["test"]
    params = control._trained(made.input("policy") / training_context.NAME)
    report = json.loads((judged / "data/evaluation/report.json").read_text())
    assert control._one(made, context, params, reader, reference) == pytest.approx(report["test"]["implicit"]["accuracy"])
    with control._starting_point(made, context, params, reader, reference) as (own, reads, before):
        shuffled = control._one(own, replace(context, seed=context.seed + 1, shuffle_labels=True), params, reads, before)
    assert report["control"]["accuracies"][0] == pytest.approx(shuffled)


def test_a_method_with_a_supervised_part_has_a_control_whose_start_saw_shuffled_labels(judged: Path) -> None:
    made = stage("evaluate", judged)
    context = training_context.read(made.input("policy"), made.input("release"))
    params = control._trained(made.input("policy") / training_context.NAME)
    reader, reference = HeldOutReader({}, 0, 5), np.zeros((2, 0))
    assert params.dpo.sft_weight > 0
    with control._starting_point(made, context, params, reader, reference) as (own, _, before):
        assert training_context.read(own.input("start"), made.input("release")).shuffle_labels
        assert before.shape == (2, COUNTS["test"])
    assert not own.input("start").exists()
    plain = params.model_copy(update={"dpo": params.dpo.model_copy(update={"sft_weight": 0.0})})
    with control._starting_point(made, context, plain, reader, reference) as (own, _, before):
        assert (own, before is reference) == (made, True)


def test_a_control_that_was_not_run_says_so_and_why(judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(linked(judged, tmp_path), "evaluate", tiny("evaluate", **{**SMALL, "control__seeds": 0, "generations__prompts": 0}))
    assert json.loads((out / "report.json").read_text())["control"] == {"seeds": 0, "why_not": "evaluate.control.seeds is 0"}
    said = capsys.readouterr().out
    assert "control on shuffled labels: not run (evaluate.control.seeds is 0)" in said
    assert "generations: none (evaluate.generations.prompts is 0)" in said
    page = (out / "report.html").read_text()
    assert "not run" in page
    assert json.loads((out / "metrics.json").read_text())["control_seeds"] == 0


def test_ppo_has_no_control_because_it_reads_no_labels(judged: Path, tmp_path: Path) -> None:
    policy = copied(judged, tmp_path, lambda told: told["params"].update(method="ppo"))
    made = stage("evaluate", policy)
    context = training_context.read(made.input("policy"), made.input("release"))
    reader = HeldOutReader({}, 0, 1)
    assert "ppo reads no labels itself" in str(control.run(made, context, reader, np.zeros((2, 0)), 5)["why_not"])


def test_a_policy_trained_by_another_version_is_refused(judged: Path, tmp_path: Path) -> None:
    root = copied(judged, tmp_path, lambda told: told["params"].pop("method"))
    with pytest.raises(UserError, match=r"parameters of another version of the stage train \(method\)"):
        control._trained(root / "data/models/policy" / training_context.NAME)


def copied(judged: Path, root: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Another root whose policy says something else of its training."""
    shutil.copytree(judged / "data/models", root / "data/models")
    (root / "data/release").symlink_to(judged / "data/release")
    path = root / "data/models/policy" / training_context.NAME
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    return root


def test_a_model_of_another_release_is_refused(judged: Path, tmp_path: Path) -> None:
    releases.write(tmp_path / "data/release", releases.planted(COUNTS, seed=1))
    (tmp_path / "data/models").symlink_to(judged / "data/models")
    with pytest.raises(UserError, match="found a model trained on release"):
        run(tmp_path, "evaluate", tiny("evaluate", **SMALL))


def test_ties_count_one_half() -> None:
    assert proportions.correctness([2.0, 0.0, -1.0]).tolist() == [1.0, 0.5, 0.0]
    assert proportions.proportion(proportions.correctness([1.0, 0.0]))["accuracy"] == 0.75
