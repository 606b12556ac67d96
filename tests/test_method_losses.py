"""Losses of methods, held against TRL's own trainers on the same batch: ORPO, CPO, SimPO, GRPO, RLOO, and TR-DPO over whole steps."""

from __future__ import annotations

import functools
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.builders import releases
from tests.builders.training import released, run, tiny
from trainer.data import encode, release_reader
from trainer.loop import hf_trainer
from trainer.methods import cpo, grpo, orpo, pairwise, rloo, simpo
from trainer.methods.ppo_rollouts import Sequences
from trainer.methods.sections import Cpo, Grpo, Orpo, Rloo, SimPo
from trainer.models import model_io, typed

SIZE = model_io.Size(vocab_size=400, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, max_length=512)
TOGETHER = pytest.mark.parametrize("together", [True, False], ids=["one row a pair", "a row an answer"])


@functools.cache
def made() -> tuple[Any, Any, list[encode.EncodedPair]]:
    """A model, its tokenizer, and pairs as tokens."""
    import torch

    torch.manual_seed(0)
    rows = releases.planted({"train": 12})
    pairs = [release_reader.Pair(**{name: row[name] for name in release_reader.COLUMNS}) for row in rows]
    model, tokenizer = model_io.make(pairs, SIZE)
    return typed.evaluating(model), tokenizer, encode.encode(pairs, tokenizer, 512).kept


def section(kind: Any, name: str, **other: object) -> Any:
    """A method's own parameters."""
    own = getattr(tiny("train", method=name), name)
    return kind.model_validate(own.model_dump(mode="json") | other)


def ours(judge: Any, together: bool) -> float:
    """The mean loss of the batch of all pairs."""
    model, tokenizer, rows = made()
    columns = [{"prompt_ids": row.prompt, "chosen_ids": row.chosen, "rejected_ids": row.rejected} for row in rows]
    batch = pairwise.collator(tokenizer.pad_token_id, together)(columns)
    now, _ = pairwise.reader(together)(model, batch)
    return float(judge(now, batch).losses.mean())


def padded(side: str) -> dict[str, Any]:
    """One side of all pairs, in the columns of TRL's experimental trainers."""
    import torch

    _, tokenizer, rows = made()
    lines = [(row.prompt + getattr(row, side), len(row.prompt)) for row in rows]
    longest = max(len(tokens) for tokens, _ in lines)

    def laid(fill: int, line: Any) -> Any:
        return torch.tensor([(found := line(tokens, start)) + [fill] * (longest - len(found)) for tokens, start in lines])

    return {
        f"{side}_input_ids": laid(tokenizer.pad_token_id, lambda tokens, _: list(tokens)),
        f"{side}_attention_mask": laid(0, lambda tokens, _: [1] * len(tokens)),
        f"{side}_labels": laid(-100, lambda tokens, start: [-100] * start + tokens[start:]),
    }


def theirs(kind: Any, **settings: object) -> tuple[float, dict[str, float]]:
    """Loss and metrics of a trainer of `trl.experimental` on the same batch."""
    model, tokenizer, _ = made()
    trainer = kind.__new__(kind)
    common = {
        "is_encoder_decoder": False,
        "aux_loss_enabled": False,
        "padding_value": tokenizer.pad_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "alpha": 0.0,
    }
    trainer.accelerator = SimpleNamespace(device="cpu", gather_for_metrics=lambda value: value)
    for name, value in (common | {"label_smoothing": 0.0} | settings).items():
        setattr(trainer, name, value)
    loss, figures = trainer.get_batch_loss_metrics(model, padded("chosen") | padded("rejected"))
    return loss.item(), figures


@TOGETHER
@pytest.mark.parametrize("loss", cpo.LOSSES)
def test_the_loss_of_cpo_is_the_number_of_trl(loss: str, together: bool) -> None:
    from trl.experimental.cpo import CPOTrainer

    own = section(Cpo, "cpo", loss_type=loss, beta=0.05, sft_weight=0.7)
    found, _ = theirs(CPOTrainer, loss_type=loss, beta=0.05, cpo_alpha=0.7)
    assert ours(cpo.judge(own), together) == pytest.approx(found, rel=1e-5)


@TOGETHER
@pytest.mark.parametrize("weight", [0.0, 0.4])
def test_the_loss_of_simpo_is_the_number_of_trl(weight: float, together: bool) -> None:
    from trl.experimental.cpo import CPOTrainer

    own = section(SimPo, "simpo", beta=2.0, gamma=0.8, sft_weight=weight)
    found, _ = theirs(CPOTrainer, loss_type="simpo", beta=2.0, simpo_gamma=0.8, cpo_alpha=weight)
    assert ours(simpo.judge(own), together) == pytest.approx(found, rel=1e-5)


@TOGETHER
def test_the_odds_ratio_of_orpo_is_the_number_of_trl_whose_supervised_part_counts_the_prompt_too(together: bool) -> None:
    from trl.experimental.orpo import ORPOTrainer

    found, figures = theirs(ORPOTrainer, beta=0.3)
    supervised = ours(orpo.judge(section(Orpo, "orpo", beta=1e-12)), together)
    assert ours(orpo.judge(section(Orpo, "orpo", beta=0.3)), together) - supervised == pytest.approx(found - figures["nll_loss"], rel=1e-4)
    assert supervised != pytest.approx(figures["nll_loss"], rel=1e-5)


def test_the_odds_of_answers_that_are_nearly_certain_are_those_of_trl() -> None:
    import torch
    from trl.experimental.orpo import ORPOTrainer

    means: Any = torch.tensor([-0.01, -0.5, -3.0]), torch.tensor([-0.2, -0.02, -0.1])
    like: Any = SimpleNamespace(beta=0.3, accelerator=SimpleNamespace(device="cpu"))
    losses, *_ = ORPOTrainer.odds_ratio_loss(like, *means)
    lengths = {"length_chosen": torch.tensor([4.0, 8.0, 2.0]), "length_rejected": torch.tensor([3.0, 5.0, 9.0])}
    sums = (means[0] * lengths["length_chosen"], means[1] * lengths["length_rejected"])
    found = orpo.judge(section(Orpo, "orpo", beta=0.3))(sums, lengths)
    supervised = -float(sums[0].sum() / lengths["length_chosen"].sum())
    assert found.losses.tolist() == pytest.approx((supervised - losses).tolist(), rel=1e-5)


# --- several answers to a prompt ---


def graded() -> tuple[Any, grpo.Graded]:
    """Log-probabilities of now, and six answers of different lengths that were written a little before."""
    import torch

    torch.manual_seed(3)
    end, answers = 1, torch.randint(2, 9, (6, 5))
    for line, last in enumerate((4, 2, 0, 3, 1, 4)):
        answers[line, last] = end
    sequences = Sequences.of(torch.full((6, 2), 7), torch.ones(6, 2, dtype=torch.bool), answers, [end])
    old, reference, new = (-3 * torch.rand(6, 5) for _ in range(3))
    return new.requires_grad_(), grpo.Graded(sequences, old, reference, torch.randn(6))


def trl_loss(kind: Any, new: Any, part: grpo.Graded, **settings: object) -> float:
    """The loss of TRL's trainer for these log-probabilities."""
    import torch

    trainer = kind.__new__(kind)
    accelerator = SimpleNamespace(num_processes=1, gather=lambda value: value, reduce=lambda value, **_: value)
    args = SimpleNamespace(use_bias_correction_kl=False, delta=None, steps_per_generation=1)
    common: dict[str, object] = {
        "accelerator": accelerator,
        "args": args,
        "aux_loss_enabled": False,
        "top_entropy_quantile": 1.0,
        "off_policy_mask_threshold": None,
        "importance_sampling_level": "token",
        "use_vllm": False,
        "_entropy_bonus_enabled": False,
        "current_gradient_accumulation_steps": 1,
        "model": SimpleNamespace(training=True),
        "_metrics": {"train": defaultdict(list)},
        "_get_per_token_logps_and_entropies": lambda *_, **__: (new, torch.zeros_like(new), None),
    }
    for name, value in (common | settings).items():
        setattr(trainer, name, value)
    mask = part.sequences.answered.long()
    prompts = part.sequences.tokens[:, : part.sequences.context]
    inputs = {
        "prompt_ids": prompts,
        "prompt_mask": torch.ones_like(prompts),
        "completion_ids": part.sequences.answers,
        "completion_mask": mask,
        "advantages": part.advantages,
        "old_per_token_logps": part.old,
        "ref_per_token_logps": part.reference,
        "old_logps": (part.old * mask).sum(1),
        "num_items_in_batch": mask.sum(),
    }
    return float(trainer._compute_loss(None, inputs))


@pytest.mark.parametrize("loss", ["grpo", "dapo", "dr_grpo"])
@pytest.mark.parametrize("kl", [0.0, 0.04])
def test_the_loss_of_grpo_is_the_number_of_trl_and_parts_of_a_batch_add_up(loss: str, kl: float) -> None:
    import torch
    from trl.trainer.grpo_trainer import GRPOTrainer

    new, batch = graded()
    own = section(Grpo, "grpo", loss_type=loss, kl_coef=kl, epsilon=0.2, max_new_tokens=5)
    tokens = int(batch.sequences.answered.sum())

    def loss_of(places: list[int]) -> float:
        part = batch.take(torch.tensor(places))
        each, _ = grpo.token_losses(own, new[places], part)
        return float(grpo.reduced(own, each, part.sequences.answered, len(batch), tokens))

    expected = trl_loss(GRPOTrainer, new, batch, beta=kl, loss_type=loss, epsilon_low=0.2, epsilon_high=0.2, max_completion_length=5)
    assert loss_of([0, 1, 2, 3, 4, 5]) == pytest.approx(expected, rel=1e-5)
    assert loss_of([0, 1]) + loss_of([2, 3, 4, 5]) == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_rloo_is_the_number_of_trl() -> None:
    from trl.trainer.rloo_trainer import RLOOTrainer

    new, batch = graded()
    each, _ = rloo.answer_losses(section(Rloo, "rloo", epsilon=0.2), new, batch)
    assert float(each.mean()) == pytest.approx(trl_loss(RLOOTrainer, new, batch, epsilon_low=0.2, epsilon_high=0.2), rel=1e-5)


def test_advantages_are_those_beside_the_other_answers_to_the_same_prompt() -> None:
    import torch

    rewards = torch.tensor([[1.0, 3.0, 2.0], [5.0, 5.0, 5.0]])
    assert grpo.advantages(rewards, "none").tolist() == pytest.approx([-1, 1, 0, 0, 0, 0])
    assert grpo.advantages(rewards, "group").tolist() == pytest.approx([-1 / 1.0001, 1 / 1.0001, 0, 0, 0, 0])
    assert rloo.advantages(rewards, False).tolist() == pytest.approx([-1.5, 1.5, 0, 0, 0, 0])
    normal = rloo.advantages(rewards, True)
    assert float(normal.mean()) == pytest.approx(0, abs=1e-6)
    assert float(normal.std()) == pytest.approx(1, rel=1e-3)


# --- a reference that follows ---


@pytest.mark.slow
def test_tr_dpo_ends_at_the_weights_of_trl(tmp_path: Path) -> None:
    from trl.trainer.dpo_config import DPOConfig

    released(tmp_path)
    run(tmp_path, "start")
    own = {"ref_model_mixup_alpha": 0.5, "ref_model_sync_steps": 2}
    settings = tiny("train", method="tr_dpo", tr_dpo__schedule__max_steps=5, **{f"tr_dpo__{name}": value for name, value in own.items()})
    policy = model_io.load(str(run(tmp_path, "train", settings)))[0].state_dict()
    start, (model, tokenizer) = str(tmp_path / "data/models/start"), model_io.load(str(tmp_path / "data/models/start"))
    rows = encode.encode(release_reader.train_pairs(tmp_path / "data/release", False, 7), tokenizer, 256).kept
    schedule = settings.tr_dpo.schedule
    like = SimpleNamespace(
        checkpoints=None,
        scratch=tmp_path / "trl",
        monitoring=SimpleNamespace(save_steps=0),
        context=SimpleNamespace(dtype="float32", max_length=256, seed=7),
    )
    terms = {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, settings.tr_dpo.sft_weight], "beta": settings.tr_dpo.beta}
    arguments = hf_trainer.arguments(DPOConfig, schedule, 5, like, sync_ref_model=True, disable_dropout=True, **terms, **own)  # type: ignore[arg-type]  # what of a run is read is there
    trainer = pairwise.counted_rows()(
        model=model,
        ref_model=model_io.load(start)[0],
        args=arguments,
        train_dataset=pairwise.table(rows, pairwise.planned(rows, schedule, 5, 7)),
        processing_class=tokenizer,
    )
    trainer.train()
    found = model.state_dict()
    before = model_io.load(start)[0].state_dict()
    assert max(float((policy[name] - found[name]).abs().max()) for name in found) < 1e-4
    assert max(float((policy[name] - before[name]).abs().max()) for name in found) > 1e-3, "it has learned"
