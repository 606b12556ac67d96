"""PPO: its arithmetic is that of slow counting by hand, padding never matters, and a tiny policy learns what its reward model likes."""

from __future__ import annotations

import functools
import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import UserError
from tests.builders import releases
from tests.builders.killed import killed
from tests.builders.training import COUNTS, digests, released, run, tiny
from trainer.methods import ppo, ppo_math, ppo_rollouts
from trainer.methods.policy_snapshot import PolicySnapshot
from trainer.methods.ppo_math import AdaptiveKLController
from trainer.methods.sections import Ppo
from trainer.models import model_io

END, PAD = 1, 0
MADE = {
    "method": "ppo",
    "ppo__max_new_tokens": 8,
    "ppo__num_mini_batches": 2,
    "ppo__schedule__max_steps": 4,
    "ppo__schedule__learning_rate": 0.03,  # so that four steps are enough to do better than the start
    "monitoring__save_steps": 1,
    "monitoring__logging_steps": 1,
}

# --- arithmetic ---


@st.composite
def rollouts(draw: st.DrawFn) -> dict[str, Any]:
    """Answers of two or more tokens each, with numbers for every token, as plain lists."""
    lines, columns = draw(st.integers(1, 4)), draw(st.integers(2, 6))
    number = st.floats(-3, 3, width=32)
    table = st.lists(st.lists(number, min_size=columns, max_size=columns), min_size=lines, max_size=lines)
    return {
        "lengths": draw(st.lists(st.integers(2, columns), min_size=lines, max_size=lines)),
        "columns": columns,
        **{name: draw(table) for name in ("new", "old", "values", "targets", "kl")},
        "scores": draw(st.lists(number, min_size=lines, max_size=lines)),
    }


def tensors(made: dict[str, Any]) -> dict[str, Any]:
    """The same as tensors; what lies behind an answer is 0, as models' figures are there."""
    import torch

    mask = torch.arange(made["columns"]) < torch.tensor(made["lengths"]).unsqueeze(1)
    tables = {
        name: torch.tensor(made[name], dtype=torch.float64).masked_fill(~mask, 0) for name in ("new", "old", "values", "targets", "kl")
    }
    return {"mask": mask, "scores": torch.tensor(made["scores"], dtype=torch.float64), **tables}


def test_an_answer_goes_up_to_and_with_its_first_end() -> None:
    import torch

    answers = torch.tensor([[5, END, PAD, PAD], [5, 6, 7, 8], [END, 5, END, 5], [5, PAD, 2, END]])
    assert ppo_math.answered(answers, [END]).tolist() == [[True, True, False, False], [True] * 4, [True, False, False, False], [True] * 4]
    assert ppo_math.ended(answers, [END]).tolist() == [True, False, True, True]
    assert ppo_math.answered(answers, [END, 2]).sum(1).tolist() == [2, 4, 1, 3]


@given(rollouts(), st.floats(0, 1), st.booleans())
def test_the_score_is_paid_once_and_every_token_pays_its_divergence(made: dict[str, Any], coefficient: float, after_end: bool) -> None:
    one = tensors(made)
    got = ppo_math.rewards(one["kl"], one["scores"], one["mask"], coefficient, after_end)
    for line, length in enumerate(made["lengths"]):
        wanted = [-coefficient * made["kl"][line][column] if column < length else 0.0 for column in range(made["columns"])]
        wanted[min(length, made["columns"] - 1) if after_end else length - 1] += made["scores"][line]
        assert got[line].tolist() == pytest.approx(wanted, abs=1e-9)


@given(rollouts(), st.floats(0.5, 1), st.floats(0, 1))
def test_advantages_are_the_discounted_sums_of_later_surprises(made: dict[str, Any], gamma: float, decay: float) -> None:
    one = tensors(made)
    got = ppo_math.advantages(one["targets"], one["values"], gamma, decay)
    for line in range(len(got)):
        paid, value = one["targets"][line].tolist(), [*one["values"][line].tolist(), 0.0]
        surprise = [paid[at] + gamma * value[at + 1] - value[at] for at in range(len(paid))]
        for at in range(len(paid)):
            wanted = sum((gamma * decay) ** (later - at) * surprise[later] for later in range(at, len(paid)))
            assert got[line, at].item() == pytest.approx(wanted, abs=1e-6)


def test_with_lambda_one_an_advantage_is_the_rest_of_the_rewards_less_the_value() -> None:
    import torch

    rewards, values = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[0.5, 0.25, 4.0]])
    assert ppo_math.advantages(rewards, values, 1.0, 1.0).tolist() == [[2.5, 2.75, -2.0]]


@given(rollouts())
def test_whitening_gives_mean_zero_and_variance_one_where_it_counts(made: dict[str, Any]) -> None:
    one = tensors(made)
    white = ppo_math.whiten(one["values"], one["mask"])
    assert (white[~one["mask"]] == 0).all()
    inside = [made["values"][line][column] for line, length in enumerate(made["lengths"]) for column in range(length)]
    if max(inside) - min(inside) > 0.1:
        got = white[one["mask"]]
        assert got.mean().item() == pytest.approx(0, abs=1e-6)
        assert got.var().item() == pytest.approx(1, rel=1e-4)
        kept = ppo_math.whiten(one["values"], one["mask"], centre=False)[one["mask"]]
        assert kept.mean().item() == pytest.approx(sum(inside) / len(inside), abs=1e-6)


@given(rollouts(), st.floats(0.05, 0.5))
def test_policy_losses_are_the_worse_of_free_and_clipped(made: dict[str, Any], clip: float) -> None:
    one = tensors(made)
    losses, clipped = ppo_math.policy_losses(one["new"], one["old"], one["targets"], clip)
    for line, length in enumerate(made["lengths"]):
        for column in range(length):
            gain, ratio = made["targets"][line][column], math.exp(made["new"][line][column] - made["old"][line][column])
            wanted = max(-gain * ratio, -gain * min(max(ratio, 1 - clip), 1 + clip))
            assert losses[line, column].item() == pytest.approx(wanted, rel=1e-6, abs=1e-6)
            assert bool(clipped[line, column]) == (wanted > -gain * ratio)


def test_no_gain_is_counted_beyond_the_clip_and_every_loss_is() -> None:
    import torch

    new = torch.tensor([1.5, 0.5, 1.5, 0.5, 1.0]).log().requires_grad_()
    advantages = torch.tensor([1.0, -1.0, -1.0, 1.0, 1.0])
    losses, clipped = ppo_math.policy_losses(new, torch.zeros(5), advantages, 0.2)
    assert losses.tolist() == pytest.approx([-1.2, 0.8, 1.5, -0.5, -1.0])
    assert clipped.tolist() == [True, True, False, False, False]
    losses.sum().backward()  # type: ignore[no-untyped-call]
    assert new.grad is not None
    assert (new.grad != 0).tolist() == [False, False, True, True, True]


@given(rollouts(), st.floats(0.05, 2))
def test_value_losses_are_the_worse_of_free_and_clipped(made: dict[str, Any], clip: float) -> None:
    one = tensors(made)
    losses = ppo_math.value_losses(one["new"], one["old"], one["targets"], clip)
    for line, length in enumerate(made["lengths"]):
        for column in range(length):
            new, old, wanted = (made[name][line][column] for name in ("new", "old", "targets"))
            held = min(max(new, old - clip), old + clip)
            assert losses[line, column].item() == pytest.approx(max((new - wanted) ** 2, (held - wanted) ** 2) / 2, abs=1e-6)


@given(rollouts(), st.integers(1, 3))
def test_columns_of_padding_change_nothing(made: dict[str, Any], more: int) -> None:
    one = tensors(made)
    wide = tensors(
        {**made, "columns": made["columns"] + more}
        | {name: _widened(made[name], more) for name in ("new", "old", "values", "targets", "kl")}
    )
    assert [value.item() for value in _losses(wide)] == pytest.approx([value.item() for value in _losses(one)], rel=1e-9, abs=1e-9)


def _widened(table: list[list[float]], more: int) -> list[list[float]]:
    return [row + [7.0] * more for row in table]


def _losses(one: dict[str, Any]) -> tuple[Any, Any]:
    """Both losses of one minibatch, by way of everything before them."""
    mask = one["mask"]
    rewards = ppo_math.rewards(one["kl"], one["scores"], mask, 0.1, after_end=False)
    gained = ppo_math.advantages(ppo_math.whiten(rewards, mask, centre=False), one["values"], 0.99, 0.95)
    policy, _ = ppo_math.policy_losses(one["new"], one["old"], ppo_math.whiten(gained, mask), 0.2)
    value = ppo_math.value_losses(one["targets"], one["values"], gained + one["values"], 0.2)
    return ppo_math.mean(policy, mask), ppo_math.mean(value, mask)


@given(rollouts())
def test_distance_is_never_negative_and_zero_without_a_change(made: dict[str, Any]) -> None:
    one = tensors(made)
    assert (ppo_math.distance(one["new"], one["old"]) >= -1e-12).all()
    assert (ppo_math.distance(one["new"], one["new"]) == 0).all()


def test_the_price_follows_the_divergence_and_hears_at_most_a_fifth() -> None:
    kl_controller = AdaptiveKLController(0.1, target=5.0, horizon=100)
    kl_controller.update(500.0, 10)
    assert kl_controller.coefficient == pytest.approx(0.1 * (1 + 0.2 * 10 / 100))
    kl_controller.update(5.5, 10)
    assert kl_controller.coefficient == pytest.approx(0.1 * 1.02 * (1 + 0.1 * 10 / 100))
    kl_controller.update(0.0, 10)
    assert kl_controller.coefficient == pytest.approx(0.1 * 1.02 * 1.01 * 0.98)
    fixed = AdaptiveKLController(0.1, target=0.0, horizon=100)
    fixed.update(500.0, 10)
    assert fixed.coefficient == 0.1


# --- models ---


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a tiny run: start, reward model, and a policy by PPO."""
    root = tmp_path_factory.mktemp("ppo")
    releases.add_prompts(released(root), releases.planted({"train": COUNTS["train"]}))
    run(root, "start", tiny("start", threads=1))
    run(root, "reward")
    run(root, "train", tiny("train", **MADE))
    return root


def copied(whole: Path, root: Path) -> Path:
    """A root with the same inputs, and no policy."""
    for name in ("release", "models/start", "models/reward"):
        shutil.copytree(whole / "data" / name, root / "data" / name)
    return root


def test_the_policy_is_whole_and_its_figures_say_how_it_went(whole: Path) -> None:
    policy = digests(whole / "data/models/policy")
    assert policy["model.safetensors"] != digests(whole / "data/models/start")["model.safetensors"]
    figures = json.loads((whole / "data/models/policy/metrics.json").read_text())
    assert (figures["prompts"], figures["left_out_prompt_too_long"], figures["ppo_updates"]) == (COUNTS["train"], 1, 4)
    lines = [json.loads(line) for line in (whole / "data/models/policy/metrics.jsonl").read_text().splitlines()]
    wanted = {"loss", "policy_loss", "value_loss", "reward", "kl", "length", "entropy", "clip_fraction", "kl_coefficient"}
    assert all(wanted <= set(line) for line in lines)
    assert lines[0]["kl"] == pytest.approx(0, abs=1e-4)  # the reference is the policy as it came in
    assert figures["ppo_best_update"] > 0
    assert figures["ppo_reward_after"] > figures["ppo_reward_first"]
    assert figures["ppo_kl_after"] != 0


def test_a_left_padded_batch_is_answered_as_one_by_one(whole: Path) -> None:
    model, tokenizer = model_io.load(str(whole / "data/models/start"))
    prompts = [tokenizer(text)["input_ids"] for text in ("Hi", "My printer shows an error. What now?", "Is it the invoice or the router?")]
    how = ppo_rollouts.SamplingConfig([tokenizer.eos_token_id], tokenizer.pad_token_id, 8, 0.0, 3)
    together = ppo_rollouts.write(model, prompts, how).rows([tokenizer.eos_token_id])
    assert together == [ppo_rollouts.write(model, [prompt], how).rows([tokenizer.eos_token_id])[0] for prompt in prompts]
    assert len({tuple(answer) for _, answer in together}) > 1


def test_rollouts_follow_the_policy_and_not_a_taste_that_came_with_it(whole: Path) -> None:
    import torch

    model, tokenizer = model_io.load(str(whole / "data/models/start"))
    how = ppo_rollouts.SamplingConfig([tokenizer.eos_token_id], tokenizer.pad_token_id, 8, 1.0, 4)
    torch.manual_seed(3)
    plain = ppo_rollouts.write(model, [[5, 6, 7]] * 4, how).tokens.tolist()
    own = {"top_k": 1, "top_p": 0.1, "repetition_penalty": 3.0, "no_repeat_ngram_size": 1, "min_p": 0.9, "temperature": 9.0}
    model.generation_config.update(**own)  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    torch.manual_seed(3)
    assert ppo_rollouts.write(model, [[5, 6, 7]] * 4, how).tokens.tolist() == plain


def test_padding_columns_and_the_size_of_a_micro_batch_leave_the_gradients_as_they_are(whole: Path) -> None:
    import torch

    grown = []
    for pads, micro in ((0, 4), (3, 4), (0, 1)):
        learner, sequences, pad = _learner(whole, micro)
        answers = torch.nn.functional.pad(sequences.answers, (0, pads), value=pad)
        prompts, real = sequences.tokens[:, : sequences.context], sequences.real[:, : sequences.context]
        wide = ppo_rollouts.Sequences.of(prompts, real, answers, [learner_end(sequences)])
        batch = learner.compute_advantages(wide, learner.score_rollouts(wide), torch.tensor([1.0, -1.0, 0.5, 2.0]))
        figures = learner._losses(batch)
        grown.append(
            [figures["loss"], figures["value_loss"], *(float(w.grad.norm()) for w in learner.policy.parameters() if w.grad is not None)]
        )
    assert grown[1] == pytest.approx(grown[0], rel=1e-4, abs=1e-6)
    assert grown[2] == pytest.approx(grown[0], rel=1e-4, abs=1e-6)


def learner_end(sequences: ppo_rollouts.Sequences) -> int:
    """A token that ends every answer: the last of the first."""
    return int(sequences.answers[0, -1])


def _learner(whole: Path, micro: int) -> tuple[ppo.Learner, ppo_rollouts.Sequences, int]:
    """A learner, and four answers that all have an end."""
    import torch

    from trainer.models import reward_models

    policy, tokenizer = model_io.load(str(whole / "data/models/start"))
    reward, _ = reward_models.load(whole / "data/models/reward")
    params = tiny("train", **MADE, ppo__schedule__per_device_train_batch_size=micro)
    settings = params.ppo
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    answers = torch.tensor([[9, 8, 7, end], [9, end, pad, pad], [9, 8, end, pad], [end, pad, pad, pad]])
    prompts, real = ppo_rollouts.pad_left([[5, 6], [7], [5, 6, 7], [8, 9]], pad, policy.device)
    return ppo.Learner(policy, reward, settings, params.adapter, 4), ppo_rollouts.Sequences.of(prompts, real, answers, [end]), pad


def test_a_bound_on_the_divergence_ends_training_with_a_policy_within_it(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copied(whole, tmp_path)
    fast = MADE | {"ppo__schedule__learning_rate": 0.05, "ppo__kl_bound": 0.01, "ppo__kl_stop": 0.0}
    run(root, "train", tiny("train", **fast))
    assert "is beyond train.ppo.kl_bound 0.01: training ends" in capsys.readouterr().out
    figures = json.loads((root / "data/models/policy/metrics.json").read_text())
    assert abs(figures["ppo_kl_after"]) <= 0.01
    assert figures["ppo_updates"] == 1, "the first one leaves the bound at once"
    assert digests(root / "data/models/policy")["model.safetensors"] == digests(root / "data/models/start")["model.safetensors"]


@functools.cache
def settings() -> Ppo:
    """The stage's own, made small."""
    own: Ppo = tiny("train", **MADE).ppo
    return own


FIGURES = st.fixed_dictionaries({"reward": st.floats(-3, 3), "kl": st.floats(-4, 4), "ended": st.floats(0, 1)})


@given(st.lists(FIGURES, min_size=1, max_size=8), st.sampled_from([0.0, 1.0, 3.0]))
def test_the_best_policy_before_the_first_beyond_the_bound_is_kept(seen: list[dict[str, float]], bound: float) -> None:
    import torch

    seen[0]["kl"] = 0.0  # the first rollouts are the reference's
    policy = torch.nn.Linear(1, 1)
    learner = ppo.Learner.__new__(ppo.Learner)
    learner.settings = settings().model_copy(update={"kl_bound": bound})
    learner.snapshot = PolicySnapshot(policy, None)  # type: ignore[arg-type]  # any module has weights
    within = 0
    for number, figures in enumerate(seen):
        policy.weight.data.fill_(number)
        if not learner.keep(figures, number + 1, SimpleNamespace(stage="train")):  # type: ignore[arg-type]  # its name is all that is read
            break
        within += 1
    assert within == next((at for at, one in enumerate(seen) if bound and abs(one["kl"]) > bound), len(seen))
    best = max(range(within), key=lambda at: (learner.objective(seen[at]), -at))
    learner.snapshot.restore()
    assert (learner.snapshot.update, policy.weight.item(), learner.snapshot.figures) == (best, best, seen[best])


def test_a_policy_that_runs_away_is_not_what_comes_out(whole: Path, tmp_path: Path) -> None:
    root = copied(whole, tmp_path)
    away = MADE | {"ppo__schedule__learning_rate": 0.05, "ppo__kl_stop": 0.0, "ppo__kl_bound": 0.0, "ppo__kl_coef": 10.0}
    run(root, "train", tiny("train", **away))
    figures = json.loads((root / "data/models/policy/metrics.json").read_text())
    assert abs(figures["ppo_kl"]) > 1, "it ran away"
    assert (figures["ppo_updates"], figures["ppo_best_update"]) == (4, 0)
    assert digests(root / "data/models/policy")["model.safetensors"] == digests(root / "data/models/start")["model.safetensors"]


@pytest.mark.parametrize("adapter", [0, 2])
def test_a_policy_that_its_own_rollouts_flattered_gives_way_to_the_start(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], adapter: int
) -> None:
    def flattered(learner: ppo.Learner, figures: dict[str, float], update: int, run: object) -> bool:
        learner.snapshot.keep(figures | {"kl": 0.0, "reward": 100.0}, update - 1)
        return True

    monkeypatch.setattr(ppo.Learner, "keep", flattered)
    root = copied(whole, tmp_path)
    away = MADE | {"ppo__schedule__learning_rate": 0.05, "ppo__kl_stop": 0.0, "ppo__kl_coef": 10.0, "adapter__r": adapter}
    run(root, "train", tiny("train", **away))
    assert "out comes the start, since no policy did better" in capsys.readouterr().out
    assert json.loads((root / "data/models/policy/metrics.json").read_text())["ppo_best_update"] == 0
    assert digests(root / "data/models/policy")["model.safetensors"] == digests(root / "data/models/start")["model.safetensors"]


def test_an_update_ends_where_the_policy_has_moved_too_far(whole: Path, tmp_path: Path) -> None:
    root = copied(whole, tmp_path)
    run(root, "train", tiny("train", **(MADE | {"ppo__schedule__learning_rate": 0.05, "ppo__kl_stop": 0.001})))
    lines = [json.loads(line) for line in (root / "data/models/policy/metrics.jsonl").read_text().splitlines()]
    assert all(1 <= line["steps"] < 4 and line["moved"] <= 0.001 for line in lines)


def test_an_adapter_is_trained_against_the_policy_without_it(whole: Path, tmp_path: Path) -> None:
    root = copied(whole, tmp_path)
    run(root, "train", tiny("train", **MADE, adapter__r=2))
    lines = [json.loads(line) for line in (root / "data/models/policy/metrics.jsonl").read_text().splitlines()]
    assert lines[0]["kl"] == pytest.approx(0, abs=1e-4)
    assert abs(lines[-1]["kl"]) > 1e-5


@pytest.mark.parametrize(
    ("other", "error"),
    [
        ({"ppo__num_mini_batches": 3}, r"schedule.train_batch_size: 4: found no even share for 3 minibatches in each of 1 processes"),
        ({"monitoring__eval_steps": 1}, r"train.monitoring.eval_steps: 1: found the method ppo, which has no held-out loss"),
        ({"ppo__max_new_tokens": 256}, r"train.ppo.max_new_tokens: 256: found train: 49 prompts = 0 used \+ 49 left out"),
    ],
)
def test_what_cannot_end_well_is_refused_before_any_step(
    whole: Path, tmp_path: Path, other: dict[str, Any], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=error):
        run(copied(whole, tmp_path), "train", tiny("train", **(MADE | other)))
    assert "step 1 of" not in capsys.readouterr().out


def test_a_reward_model_of_other_tokens_is_refused(whole: Path, tmp_path: Path) -> None:
    root = copied(whole, tmp_path)
    (root / "data/models/reward/chat_template.jinja").write_text("{{ messages[-1]['content'] }}", encoding="utf-8")
    with pytest.raises(UserError, match="a reward model with a tokenizer of its own"):
        run(root, "train", tiny("train", **MADE))


@pytest.fixture(scope="module", params=[0, 2], ids=["all weights", "adapter"])
def unbroken(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> tuple[dict[str, Any], dict[str, str]]:
    """Parameters, and the digests of the policy that an unbroken run makes with them."""
    parameters = MADE | {"adapter__r": request.param, "adapter__lora_dropout": 0.1}
    root = copied(whole, tmp_path_factory.mktemp("unbroken"))
    return parameters, digests(run(root, "train", tiny("train", **parameters)))


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["step:3", "torch.save:9", "rename:2"])
def test_a_killed_run_ends_with_the_bytes_of_an_unbroken_one(
    whole: Path, tmp_path: Path, unbroken: tuple[dict[str, Any], dict[str, str]], moment: str
) -> None:
    parameters, wanted = unbroken
    root = copied(whole, tmp_path)
    killed(root, "train", moment, **parameters)
    assert list((root / "data/checkpoints/train").glob("*/step-*")), "something to go on from"
    assert digests(run(root, "train", tiny("train", **parameters))) == wanted
