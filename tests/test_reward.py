"""reward: a scalar that is higher for the chosen answer, the same for an answer whatever stands beside it in the batch."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from tasks.core import params
from tasks.core.errors import UserError
from tests.builders import releases
from tests.builders.training import COUNTS, beside, digests, module, pair, released, run, tiny
from tests.conftest import ROOT
from trainer import reward as stage
from trainer.data import encode, release_reader
from trainer.data.release_reader import Pair
from trainer.evaluation import proportions
from trainer.methods import margins, mixup, reward_modeling
from trainer.models import reward_models, training_context

if TYPE_CHECKING:
    from torch.nn import Linear
    from transformers import PreTrainedModel


def bodily(**other: object) -> stage.Params:
    """Small parameters without token counts, whose own tests are elsewhere."""
    return cast("stage.Params", tiny("reward", counts__use=False, **other))


PLAIN = bodily(margin="none", mixup_alpha=0.0)
SEED = tiny("start").seed


def head_of(model: PreTrainedModel) -> Linear:
    """The layer that makes the reward."""
    return cast("Linear", model.score)


@pytest.fixture(scope="module")
def rewarded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a tiny finished run."""
    root = tmp_path_factory.mktemp("rewarded")
    released(root)
    run(root, "start")
    run(root, "reward", PLAIN)
    return root


def encoded(rewarded: Path, split: str) -> list[encode.EncodedPair]:
    _, tokenizer = reward_models.load(rewarded / "data/models/reward")
    return encode.encode(release_reader.pairs(rewarded / "data/release", split), tokenizer, 256).kept


def metrics(root: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((root / "data/models/reward/metrics.json").read_text())
    return found


def settings(**other: Any) -> reward_modeling.Settings:
    return replace(reward_modeling.Settings("none", 1.0, 0.0, 0.0, PLAIN.schedule), **other)


# --- the model ---


def test_writes_a_model_that_scores_answers(rewarded: Path) -> None:
    made = rewarded / "data/models/reward"
    model, _ = reward_models.load(made)
    assert type(model).__name__ == "LlamaForSequenceClassification"
    assert model.config.num_labels == 1
    assert digests(made)["tokenizer.json"] == digests(rewarded / "data/models/start")["tokenizer.json"]
    told = json.loads((made / "trained_on.json").read_text())
    assert told["release"] == release_reader.verified(rewarded / "data/release")
    assert (metrics(rewarded)["pairs"], metrics(rewarded)["left_out"]) == (COUNTS["train"], 0)


def test_an_answers_reward_does_not_depend_on_the_rows_beside_it(rewarded: Path) -> None:
    import torch

    model, tokenizer = reward_models.load(rewarded / "data/models/reward")
    rows = [(row.prompt, side) for row in encoded(rewarded, "test") for side in (row.chosen, row.rejected)]
    alone = [model(input_ids=torch.tensor([prompt + answer])).logits.item() for prompt, answer in rows]
    assert np.std(alone) > 1e-3, "the rewards differ"
    for batch in (1, 5, 64):
        assert reward_models.score(model, rows, tokenizer.pad_token_id, batch) == pytest.approx(alone, abs=1e-5)


def test_the_reward_is_read_at_the_answers_last_token(rewarded: Path) -> None:
    import torch

    model, tokenizer = reward_models.load(rewarded / "data/models/reward")
    row = encoded(rewarded, "test")[0]
    states = model.model(input_ids=torch.tensor([row.prompt + row.chosen])).last_hidden_state[0]
    (found,) = reward_models.score(model, [(row.prompt, row.chosen)], tokenizer.pad_token_id, 1)
    assert found == pytest.approx(head_of(model)(states[-1]).item(), abs=1e-6)
    assert row.chosen[-1] == tokenizer.eos_token_id != tokenizer.pad_token_id


def test_the_new_head_depends_on_the_seed_alone(rewarded: Path) -> None:
    import torch

    heads = []
    for noise, seed in ((1, 3), (2, 3), (2, 4)):
        torch.manual_seed(noise)
        heads.append(head_of(reward_models.begin(rewarded / "data/models/start", seed)[0]).weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_two_runs_give_the_same_bytes(rewarded: Path, tmp_path: Path) -> None:
    again = run(beside(rewarded, tmp_path), "reward", PLAIN)
    assert digests(again) == digests(rewarded / "data/models/reward")


def test_an_adapter_leaves_a_plain_model_whose_head_has_learned(rewarded: Path, tmp_path: Path) -> None:
    import torch

    made = run(beside(rewarded, tmp_path), "reward", bodily(adapter__r=2))
    model, _ = reward_models.load(made)
    fresh, _ = reward_models.begin(rewarded / "data/models/start", SEED)
    assert set(model.state_dict()) == set(fresh.state_dict())
    assert not torch.equal(head_of(model).weight, head_of(fresh).weight)
    assert not torch.equal(model.model.layers[0].mlp.up_proj.weight, fresh.model.layers[0].mlp.up_proj.weight)
    assert torch.equal(model.model.embed_tokens.weight, fresh.model.embed_tokens.weight)
    assert (made / "adapter/adapter_model.safetensors").is_file()


def test_the_head_of_a_body_in_bfloat16_is_trained_in_single_precision(rewarded: Path) -> None:
    import torch

    model, tokenizer = reward_models.begin(rewarded / "data/models/start", 3, "bfloat16")
    assert (model.model.embed_tokens.weight.dtype, head_of(model).weight.dtype) == (torch.bfloat16, torch.float32)
    assert np.isfinite(reward_models.score(model, [([9, 9], [9, 1])], tokenizer.pad_token_id, 1)).all()


# --- the loss ---


def test_the_first_loss_is_that_of_bradley_and_terry(rewarded: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    root = beside(rewarded, tmp_path)
    run(root, "reward", bodily(margin="confidence", margin_size=2.0, mixup_alpha=0.0, center_rewards_coefficient=0.0))
    told = float(first_step(capsys.readouterr().out))
    model, tokenizer = reward_models.begin(root / "data/models/start", SEED)
    rows = {tuple(row.prompt + row.chosen): row for row in encoded(rewarded, "train")}
    dataset = reward_modeling._rows(list(rows.values()), settings(), 3, SEED)
    seen = [rows[tuple(ids)] for ids in dataset[: PLAIN.schedule.train_batch_size]["chosen_ids"]]
    gaps = reward_modeling.gaps(model, seen, tokenizer.pad_token_id, 2)
    assert all(row.pair.confidence == 1 for row in seen)
    assert told == pytest.approx(np.mean(-np.log(1 / (1 + np.exp(-(gaps - 2.0))))), abs=1e-4)


def first_step(log: str) -> str:
    line = next(line for line in log.splitlines() if "reward: step 1" in line)
    return line.split("loss ")[1].split(",")[0]


def test_a_batch_in_parts_learns_as_a_whole_batch(rewarded: Path, tmp_path: Path) -> None:
    run(beside(rewarded, tmp_path), "reward", bodily(margin="none", mixup_alpha=0.0, schedule__per_device_train_batch_size=2))
    for name, value in metrics(rewarded).items():
        assert metrics(tmp_path)[name] == pytest.approx(value, abs=2e-5), name


def test_a_row_of_weight_two_is_seen_twice_as_often(rewarded: Path) -> None:
    pairs = [replace(row, pair=replace(row.pair, weight=1.0 + at % 2)) for at, row in enumerate(encoded(rewarded, "train"))]
    steps = 30 * len(pairs) // PLAIN.schedule.train_batch_size
    seen = Counter(map(tuple, reward_modeling._rows(pairs, settings(), steps, 0)["chosen_ids"]))
    heavy, light = (sum(seen[tuple(row.prompt + row.chosen)] for row in pairs[side::2]) for side in (1, 0))
    assert heavy / light == pytest.approx(2, rel=0.1)


def test_centring_prices_how_far_a_pairs_rewards_are_from_zero(rewarded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    losses, mean = [], 0.0
    for strength in (0.0, 0.5):
        run(beside(rewarded, tmp_path / f"{strength}"), "reward", bodily(center_rewards_coefficient=strength))
        said = capsys.readouterr().out
        losses.append(float(first_step(said)))
        mean = float(said.partition("mean ")[2].split()[0])
    assert abs(mean) > 0.1
    assert losses[1] - losses[0] == pytest.approx(0.5 * (2 * mean) ** 2, rel=0.01)


# --- margins ---


def rated(recipe: str, margin: float | None, confidence: float = 0.75) -> Pair:
    return replace(pair(f"{recipe} {margin}", "a", "b"), recipe=recipe, margin=margin, confidence=confidence)


def test_a_margin_counts_in_means_of_its_recipe_and_asks_for_nothing_where_none_is_given() -> None:
    pairs = [rated("stars", 1.0), rated("stars", 3.0), rated("votes", 0.2), rated("votes", 0.2), rated("edit", None)]
    assert margins.for_pairs(pairs, "margin", 2.0) == [1.0, 3.0, 2.0, 2.0, 0.0]


def test_one_wild_margin_is_capped() -> None:
    pairs = [*(rated("stars", 0.1) for _ in range(99)), rated("stars", 1000.0)]
    assert margins.for_pairs(pairs, "margin", 1.0)[-1] == margins.MOST  # type: ignore[index]


def test_a_guess_asks_for_no_margin_and_certainty_for_a_whole_one() -> None:
    assert margins.for_pairs([rated("x", 1, 0.5), rated("x", 1, 0.75), rated("x", 1, 1.0)], "confidence", 3.0) == [0.0, 1.5, 3.0]


def test_every_margin_can_be_asked_for() -> None:
    assert set(stage.Params.model_fields["margin"].annotation.__args__) == set(margins.MARGINS)  # type: ignore[union-attr]
    assert margins.for_pairs([rated("x", 1.0)], "none", 1.0) is None


# --- mixing ---


def drawn(**columns: list[float]) -> dict[str, Any]:
    import torch

    return {name: torch.tensor(values) for name, values in columns.items()}


def test_mixing_rewards_is_mixing_the_features_before_the_head(rewarded: Path) -> None:
    import torch

    model, _ = reward_models.load(rewarded / "data/models/reward")
    rows = encoded(rewarded, "test")[:4]
    ends = [
        [model.model(torch.tensor([row.prompt + side])).last_hidden_state[0, -1] for side in (row.chosen, row.rejected)] for row in rows
    ]
    features = torch.stack([chosen - rejected for chosen, rejected in ends])
    given = drawn(share=[0.9, 0.2, 0.5, 1.0], turn=[1.0, -1.0, -1.0, 1.0], lot=[0.4, 0.1, 0.3, 0.2])
    partner = [1, 3, 0, 2]  # who comes next in the order of the lots, 1 3 2 0
    share, turn = given["share"][:, None], given["turn"][:, None]
    slow = head_of(model)(share * features + (1 - share) * turn * features[partner])[:, 0]
    quick, labels = mixup.mixed(head_of(model)(features)[:, 0], given)
    assert torch.allclose(quick, slow, atol=1e-6)
    assert labels.tolist() == pytest.approx([1.0, 0.2, 0.5, 1.0]), "only a turned partner softens the label"


def test_a_pair_mixed_with_itself_turned_teaches_indifference() -> None:
    gaps, labels = mixup.mixed(drawn(gap=[2.0])["gap"], drawn(share=[0.5], turn=[-1.0], lot=[0.0]))
    assert (gaps.item(), labels.item()) == (0.0, 0.5)


def test_without_shares_the_mixed_loss_is_the_plain_one() -> None:
    gaps = drawn(gap=[2.0, -1.0, 0.3])["gap"]
    whole = drawn(share=[1.0] * 3, turn=[-1.0] * 3, lot=[0.3, 0.1, 0.2])
    assert mixup.loss(gaps, whole).item() == pytest.approx(reward_modeling.loss(gaps.numpy()), abs=1e-6)


def test_the_trainer_learns_from_mixed_pairs_with_their_margins(rewarded: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import torch

    root = beside(rewarded, tmp_path)
    run(root, "reward", bodily(margin="confidence", margin_size=1.0, mixup_alpha=0.5, center_rewards_coefficient=0.1))
    model, tokenizer = reward_models.begin(root / "data/models/start", SEED)
    batch = reward_modeling._rows(encoded(rewarded, "train"), settings(mixup_alpha=0.5), 3, SEED)[: PLAIN.schedule.train_batch_size]
    both = [
        reward_models.score(model, [([], ids) for ids in batch[side]], tokenizer.pad_token_id, 4) for side in ("chosen_ids", "rejected_ids")
    ]
    gaps = torch.tensor(both[0] - both[1] - 1.0, dtype=torch.float32)
    slow = mixup.loss(gaps, drawn(**{name: batch[name] for name in mixup.COLUMNS})).item() + 0.1 * np.mean((both[0] + both[1]) ** 2)
    assert float(first_step(capsys.readouterr().out)) == pytest.approx(slow, abs=1e-4)


# --- figures ---


def test_held_out_figures_are_counted_pair_by_pair(rewarded: Path) -> None:
    model, tokenizer = reward_models.load(rewarded / "data/models/reward")
    gaps = []
    for row in encoded(rewarded, "validation"):
        chosen, rejected = (
            reward_models.score(model, [(row.prompt, side)], tokenizer.pad_token_id, 1)[0] for side in (row.chosen, row.rejected)
        )
        gaps.append(chosen - rejected)
    found = metrics(rewarded)
    assert found["validation_pairs"] == COUNTS["validation"] == len(gaps)
    assert found["validation_accuracy"] == proportions.correctness(gaps).mean()
    assert found["validation_loss"] == pytest.approx(np.mean(np.log1p(np.exp(-np.array(gaps)))), abs=1e-5)


def test_a_reward_that_reads_length_is_seen() -> None:
    lengths = np.array([[3.0, 50.0, 7.0], [9.0, 40.0, 8.0]])
    assert stage.reads_length(lengths, lengths * 2 + [100.0, -100.0, 0.0]) == pytest.approx(1.0), "whatever the prompts are worth"
    assert stage.reads_length(lengths, -lengths) == pytest.approx(-1.0)
    assert stage.reads_length(np.ones((2, 3)), lengths) == 0.0


# --- mistakes, each one line before any step ---


def refused(root: Path, wanted: stage.Params) -> str:
    with pytest.raises(UserError) as caught:
        run(root, "reward", wanted)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def started(rewarded: Path, root: Path, rows: list[dict[str, Any]]) -> Path:
    """A root whose start says that it was trained on a release of these rows."""
    releases.write(root / "data/release", rows)
    shutil.copytree(rewarded / "data/models/start", root / "data/models/start")
    known = training_context.read(rewarded / "data/models/start", rewarded / "data/release")
    training_context.write(root / "data/models/start", replace(known, release=release_reader.verified(root / "data/release")), {})
    return root


def test_no_train_pairs(rewarded: Path, tmp_path: Path) -> None:
    assert "no pair in the split train" in refused(started(rewarded, tmp_path, releases.planted({"test": 4})), PLAIN)


def test_no_pair_fits_the_window(rewarded: Path, tmp_path: Path) -> None:
    root = started(rewarded, tmp_path, [releases.row("Why? " * 300, "Yes.", "No.", "train")])
    assert "start.max_length: 256: found train: 1 pairs = 0 used + 1 left out" in refused(root, PLAIN)


def test_a_start_of_another_release(rewarded: Path, tmp_path: Path) -> None:
    (tmp_path / "data/models").mkdir(parents=True)
    (tmp_path / "data/models/start").symlink_to(rewarded / "data/models/start")
    releases.write(tmp_path / "data/release", releases.planted(COUNTS, seed=5))
    assert "a model trained on release" in refused(tmp_path, PLAIN)


def test_without_validation_pairs_it_still_trains(rewarded: Path, tmp_path: Path) -> None:
    run(started(rewarded, tmp_path, releases.planted({"train": 12})), "reward", bodily(monitoring__eval_steps=1))
    assert metrics(tmp_path)["validation_pairs"] == 0


def test_a_language_model_is_no_reward_model(rewarded: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found a LlamaForCausalLM; expected a reward model"):
        reward_models.load(rewarded / "data/models/start")
    with pytest.raises(UserError, match="expected a model that transformers loads"):
        reward_models.load(tmp_path)


def test_an_unknown_margin_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8").replace("  margin: none", "  margin: stars")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"reward.margin: found 'stars'; expected one of confidence, margin, none"):
        params.load(tmp_path / "params.yaml", "reward", stage.Params)


# --- slow: a kill, and what it learns ---


@pytest.mark.slow
def test_a_run_killed_and_resumed_ends_like_an_unbroken_one(rewarded: Path, tmp_path: Path) -> None:
    wanted = {
        "schedule__max_steps": 12,
        "monitoring__save_steps": 2,
        "monitoring__logging_steps": 1,
        "mixup_alpha": 0.3,
        "margin": "confidence",
    }
    unbroken = run(beside(rewarded, tmp_path / "unbroken"), "reward", tiny("reward", **wanted))
    root = beside(rewarded, tmp_path / "killed")
    code = "from pathlib import Path; from tests.builders import training as t; "
    code += f"t.run(Path({str(root)!r}), 'reward', t.tiny('reward', **{wanted!r}))"
    with subprocess.Popen([sys.executable, "-uc", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert any("step 7 of 12" in line for line in process.stdout)
        process.send_signal(signal.SIGKILL)
    assert not (root / "data/models/reward/model.safetensors").exists()
    assert list((root / "data/checkpoints/reward").rglob("*.safetensors"))
    resumed = run(root, "reward", tiny("reward", **wanted))
    assert (resumed / "token_counts.safetensors").is_file()
    assert digests(resumed) == digests(unbroken)


@pytest.mark.slow
def test_finds_a_planted_preference_under_ten_percent_of_turned_labels(tmp_path: Path) -> None:
    releases.write(tmp_path / "data/release", releases.planted({"train": 1200, "validation": 100, "test": 400}))
    own = {name: params.load(ROOT / "params.yaml", name, module(name).Params) for name in ("start", "reward")}
    for name, wanted in own.items():
        run(tmp_path, name, wanted)
    model, tokenizer = reward_models.load(tmp_path / "data/models/reward")
    held_out = encode.encode(release_reader.pairs(tmp_path / "data/release", "test"), tokenizer, own["start"].max_length).kept
    assert proportions.correctness(reward_modeling.gaps(model, held_out, tokenizer.pad_token_id, 32)).mean() >= 0.80
