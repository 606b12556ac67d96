"""evaluate: every held-out pair is counted, by definitions under which policy and reference are compared like with like."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import UserError
from tests import releases
from tests.test_train import trained
from tests.training import COUNTS, pair, stage
from trainer import evaluate
from trainer.core import encode, models, scoring, statistics

__all__ = ["trained"]
PARAMS = evaluate.Params(threads=2, batch=5, significance=0.01)


def judge(root: Path) -> Path:
    made = stage("evaluate", root)
    made.output.mkdir(parents=True, exist_ok=True)
    evaluate.work(made, PARAMS, made.output)
    return made.output


def encoded(count: int) -> list[encode.Encoded]:
    return [encode.Encoded(pair(f"p{number}", "a", "b"), [1], [2, 3], [4]) for number in range(count)]


def test_counts_every_held_out_pair_and_writes_flat_metrics(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = judge(trained)
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["validation_pairs"], metrics["test_pairs"]) == (COUNTS["validation"], COUNTS["test"])
    assert all(isinstance(value, (int, float)) for value in metrics.values())
    report = json.loads((out / "report.json").read_text())["test"]
    for stratum in evaluate.STRATA:
        assert sum(group["implicit"]["n"] for group in report[stratum].values()) == COUNTS["test"]
    assert "the reference (p " in capsys.readouterr().out.splitlines()[-1]


def test_log_probabilities_equal_the_sum_taken_token_by_token(trained: Path) -> None:
    import torch

    from trainer.core import release

    model, tokenizer = models.load(str(trained / "data/models/policy"))
    pairs = encode.encode(release.pairs(trained / "data/release", "test"), tokenizer, 256).kept
    scores = scoring.score(model, pairs, tokenizer.pad_token_id, 5)
    for at, one in enumerate(pairs[:4]):
        ids = torch.tensor([one.prompt + one.chosen])
        logs = model(input_ids=ids).logits[0].log_softmax(-1)
        slow = sum(logs[len(one.prompt) + step - 1, token].item() for step, token in enumerate(one.chosen))
        assert scores.chosen[at] == pytest.approx(slow, rel=1e-5)


def test_a_policy_equal_to_its_reference_ties_on_every_pair(trained: Path, tmp_path: Path) -> None:
    from trainer.core import release

    model, tokenizer = models.load(str(trained / "data/models/start"))
    pairs = encode.encode(release.pairs(trained / "data/release", "test"), tokenizer, 256)
    scores = scoring.score(model, pairs.kept, tokenizer.pad_token_id, 5)
    both = np.stack([scores.chosen, scores.rejected])
    figures = evaluate._split(pairs, both, both, 0.01)
    assert figures["ties"] == COUNTS["test"]
    assert figures["implicit"]["accuracy"] == 0.5
    assert figures["p_implicit"] == figures["p_likelihood"] == 1.0
    assert figures["better"] is False


def test_each_definition_reads_its_own_scores() -> None:
    pairs = encoded(1)  # two tokens against one
    policy, reference = np.array([[-4.0], [-3.0]]), np.array([[-6.0], [-2.0]])
    marks = {name: mark.item() for name, mark in evaluate.judgements(pairs, policy, reference).items()}
    assert marks == {
        "implicit": 1.0,  # +2 against -1
        "likelihood": 0.0,  # -4 against -3
        "per_token": 1.0,  # -2 against -3
        "reference_implicit": 0.5,
        "reference_likelihood": 0.0,
        "reference_per_token": 0.0,  # -3 against -2
    }


def test_better_needs_both_definitions() -> None:
    pairs = encode.Encoding(encoded(100), {})
    reference = np.stack([np.zeros(100), np.tile([1.0, -1.0], 50)])  # right in half of the pairs
    clear = np.stack([np.full(100, 5.0), np.zeros(100)])
    assert evaluate._split(pairs, clear, reference, 0.01)["better"] is True
    little = reference + np.array([[0.1], [0.0]])  # implicit always right, but the model still writes the same answers
    figures = evaluate._split(pairs, little, reference, 0.01)
    assert figures["implicit"]["accuracy"] == 1.0
    assert figures["better"] is False


def test_a_model_of_another_release_is_refused(trained: Path, tmp_path: Path) -> None:
    releases.write(tmp_path / "data/release", releases.planted(COUNTS, seed=1))
    (tmp_path / "data/models").symlink_to(trained / "data/models")
    with pytest.raises(UserError, match="found a model trained on release"):
        judge(tmp_path)


def test_wilson_gives_the_published_values() -> None:
    assert statistics.wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert statistics.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert statistics.wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_share_and_narrows_with_more_pairs(total: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, 2 * total)) / 2
    low, high = statistics.wilson(right, total)
    assert -1e-12 <= low <= right / total + 1e-12
    assert right / total - 1e-12 <= high <= 1 + 1e-12
    wide, narrow = high - low, np.subtract(*statistics.wilson(4 * right, 4 * total)[::-1])
    assert narrow < wide


def test_mcnemar_is_exact_and_blind_to_agreement() -> None:
    first = np.array([1.0] * 10 + [0.0] * 2)
    agreed = np.ones(1000)
    expected = 2 * sum([1, 12, 66]) / 2**12
    assert statistics.mcnemar(first, 1 - first) == pytest.approx(expected)
    assert statistics.mcnemar(np.append(first, agreed), np.append(1 - first, agreed)) == pytest.approx(expected)
    assert statistics.mcnemar(agreed, agreed) == 1.0


def test_ties_count_one_half() -> None:
    assert statistics.marks([2.0, 0.0, -1.0]).tolist() == [1.0, 0.5, 0.0]
    assert statistics.share(statistics.marks([1.0, 0.0]))["accuracy"] == 0.75


@pytest.mark.slow
def test_a_planted_preference_is_learned_and_shuffled_labels_are_not(tmp_path: Path) -> None:
    from tests.benchmarks import planted

    told = planted.measure(tmp_path / "told", 0, False)
    shuffled = [planted.measure(tmp_path / f"shuffled{seed}", seed, True)["test_accuracy"] for seed in range(3)]
    assert told["test_better"] == 1
    assert told["test_accuracy"] >= 0.8
    # One run on noise leans to one side by chance, and leans in all held-out pairs alike: only the mean is near one half.
    assert np.mean(shuffled) == pytest.approx(0.5, abs=0.15)
    assert max(shuffled) < told["test_accuracy"] - 0.1
