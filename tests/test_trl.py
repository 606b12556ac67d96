"""What TRL 1.16 does, held against TRL itself: the numbers that ours must equal, and the traps that ours walks round."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from tests.builders import releases
from trainer.data import encode, release_reader
from trainer.loop import hf_trainer
from trainer.methods import dpo, kto, pairwise, shared_prompt
from trainer.models import model_io, scoring, typed
from trainer.settings import Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SIZE = model_io.Size(vocab_size=400, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, max_length=512)
SCHEDULE = Schedule(
    num_train_epochs=1, max_steps=4, train_batch_size=4, per_device_train_batch_size=4, learning_rate=0.01, warmup_ratio=0.0
)
ARGUMENTS: dict[str, Any] = {
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "report_to": "none",
    "disable_tqdm": True,
    "save_strategy": "no",
}


@functools.cache
def made() -> tuple[Any, Any, list[release_reader.Pair]]:
    """A model, its tokenizer and pairs of which one stands the wrong way round now and then."""
    import torch

    torch.manual_seed(0)
    rows = releases.planted({"train": 24})
    pairs = [release_reader.Pair(**{name: row[name] for name in release_reader.COLUMNS}) for row in rows]
    model, tokenizer = model_io.make(pairs, SIZE)
    return model, tokenizer, pairs


def moved(model: Any) -> Any:
    """A copy of the model that has gone some way from where it stood."""
    import copy

    import torch

    other = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(1)
    for weight in other.parameters():
        weight.data += 0.05 * torch.randn(weight.shape, generator=generator)
    return other


def encoded() -> list[encode.EncodedPair]:
    """The pairs as tokens."""
    _, tokenizer, pairs = made()
    return encode.encode(pairs, tokenizer, 512).kept


def singles() -> list[encode.EncodedExample]:
    """Single answers, liked and disliked in turn."""
    rows = encoded()
    sides = [(row.chosen, True) if number % 2 else (row.rejected, False) for number, row in enumerate(rows)]
    blank = release_reader.Example("", [], [], True, "", "", "", "", 1.0)
    return [
        encode.EncodedExample(dataclasses.replace(blank, label=label), row.prompt, answer)
        for row, (answer, label) in zip(rows, sides, strict=True)
    ]


def dpo_trainer(folder: Path, rows: Sequence[encode.EncodedPair], **own: Any) -> Any:
    """TRL's trainer of a moved policy, the rows scored by the model that stood before it."""
    from datasets import Dataset
    from trl.trainer.dpo_config import DPOConfig

    model, tokenizer, _ = made()
    reference = scoring.score(model, rows, tokenizer.pad_token_id, 8)
    table = Dataset.from_dict(
        {
            "prompt_ids": [row.prompt for row in rows],
            "chosen_ids": [row.chosen for row in rows],
            "rejected_ids": [row.rejected for row in rows],
            "ref_chosen_logps": reference.chosen,
            "ref_rejected_logps": reference.rejected,
        }
    )
    config = DPOConfig(
        output_dir=str(folder),
        per_device_eval_batch_size=own.pop("batch", len(rows)),
        max_length=512,
        precompute_ref_log_probs=True,
        **ARGUMENTS,
        **own,
    )
    kind = pairwise.counted_rows()
    return kind(model=moved(model), args=config, train_dataset=table, eval_dataset=table, processing_class=tokenizer)


SMOOTHINGS = [(loss, smooth) for loss in dpo.LOSSES for smooth in ((0.0, 0.2) if loss in dpo.SMOOTHED else (0.0,))]


@pytest.mark.parametrize("weight", [0.0, 0.3])
@pytest.mark.parametrize(("loss", "smooth"), SMOOTHINGS)
def test_the_held_out_loss_of_dpo_is_the_number_of_trl(loss: str, smooth: float, weight: float, tmp_path: Path) -> None:
    model, tokenizer, _ = made()
    rows = encoded()
    beta = 10.0 if loss == "sigmoid_norm" else 0.1  # that of a token
    settings = dpo.Settings(loss, beta, smooth, weight, SCHEDULE)
    terms = {"loss_type": list(settings.terms), "loss_weights": list(settings.terms.values())}
    trainer = dpo_trainer(tmp_path, rows, beta=beta, label_smoothing=smooth, **terms)
    theirs = trainer.evaluate()["eval_loss"]
    reference, lengths = scoring.score(model, rows, tokenizer.pad_token_id, 8), pairwise.answer_lengths(rows)
    now = scoring.score(moved(model), rows, tokenizer.pad_token_id, 8)
    ours = float(dpo.losses(settings, now, reference, lengths).mean())
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert ours != pytest.approx(float(dpo.losses(settings, reference, reference, lengths).mean()), rel=1e-3), "the policy has not moved"


@pytest.mark.parametrize("weight", [0.0, 0.3])
@pytest.mark.parametrize(("loss", "smooth"), SMOOTHINGS)
def test_both_answers_in_one_row_have_the_loss_and_the_gradient_of_trl(loss: str, smooth: float, weight: float, tmp_path: Path) -> None:
    model, tokenizer, _ = made()
    rows = encoded()
    rows = [dataclasses.replace(row, prompt=row.prompt[: 3 + 5 * (at % 3)]) for at, row in enumerate(rows)]  # prompts of many lengths
    settings = dpo.Settings(loss, 0.1, smooth, weight, SCHEDULE)
    terms = {"loss_type": list(settings.terms), "loss_weights": list(settings.terms.values())}
    theirs = dpo_trainer(tmp_path, rows, beta=0.1, label_smoothing=smooth, **terms)
    table = list(theirs.train_dataset)
    ours = pairwise.judging(dpo.judge(settings), pairwise.reader(True))(
        model=moved(model),
        args=theirs.args,
        train_dataset=theirs.train_dataset,
        processing_class=tokenizer,
        data_collator=pairwise.collator(tokenizer.pad_token_id, True),
    )
    losses, models = [], []
    for trainer in (theirs, ours):
        models.append(typed.evaluating(cast("PreTrainedModel", trainer.model)))
        found = trainer.compute_loss(trainer.model, trainer.data_collator(table))
        found.backward()
        losses.append(found.item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for other, mine in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert mine.grad is not None
        assert other.grad is not None
        assert mine.grad.numpy() == pytest.approx(other.grad.numpy(), rel=1e-3, abs=1e-5)


def test_rows_are_shared_only_where_a_model_heeds_the_mask_and_the_positions() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    model, tokenizer, _ = made()
    rows = [(row.prompt, row.chosen, row.rejected) for row in encoded()]
    pad = tokenizer.pad_token_id
    assert shared_prompt.fits(model, rows, pad, 4)
    config = model.config
    size = {name: getattr(config, name) for name in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")}
    heads = {"num_attention_heads": config.num_attention_heads, "num_key_value_heads": config.num_attention_heads}
    sliding = MistralForCausalLM(MistralConfig(**size, **heads, sliding_window=8, pad_token_id=pad))
    assert not shared_prompt.fits(sliding, rows, pad, 4)
    with _eager(model):
        assert not shared_prompt.fits(model, rows, pad, 4)


def test_logits_of_shared_rows_need_room_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [([1], [2, 3], [4]), ([1, 2, 3, 4, 5], [6], [7])]  # at most 2 + 1 + 1 logits a pair
    monkeypatch.setattr(shared_prompt, "MOST_LOGITS", 4 * 16 * 100)
    assert shared_prompt.has_room(pairs, 16, 100)
    assert not shared_prompt.has_room(pairs, 17, 100)


@contextlib.contextmanager
def _eager(model: Any) -> Iterator[None]:
    """The model with the attention that adds its mask."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@pytest.mark.parametrize("loss", [one for one in dpo.LOSSES if one not in dpo.SMOOTHED])
def test_trl_ignores_label_smoothing_where_we_refuse_it(loss: str, tmp_path: Path) -> None:
    rows = encoded()[:8]
    plain, smoothed = (
        dpo_trainer(tmp_path, rows, loss_type=[loss], label_smoothing=smooth).evaluate()["eval_loss"] for smooth in (0.0, 0.3)
    )
    assert plain == smoothed


def test_trl_counts_accuracy_as_a_mean_of_batch_means(tmp_path: Path) -> None:
    model, tokenizer, _ = made()
    rows = encoded()[:7]
    reference, now = (scoring.score(one, rows, tokenizer.pad_token_id, 8) for one in (model, moved(model)))
    right = now.margin > reference.margin
    rows = [row for _, row in sorted(zip(right, rows, strict=True), key=lambda both: bool(both[0]))]
    theirs = dpo_trainer(tmp_path, rows, batch=5).evaluate()["eval_rewards/accuracies"]
    parts = np.split(np.sort(right), [5])
    assert theirs == pytest.approx(np.mean([part.mean() for part in parts]), abs=1e-6)
    assert theirs != pytest.approx(right.mean(), abs=1e-3)


def test_trl_cuts_answers_at_the_window_without_a_word() -> None:
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    row = {"prompt_ids": [1, 2, 3, 4], "chosen_ids": [5, 6, 7], "rejected_ids": [5, 6, 8]}
    both = DataCollatorForPreference(pad_token_id=0, max_length=6)([row])["input_ids"]
    assert both.tolist() == [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]], "identical after the cut"
    from tests.builders.training import pair
    from trainer.models import tokenizer

    letters = tokenizer.from_scratch([], 300, 99)
    found = encode.encode([pair("12345", "abcdefgh", "abcdefgi")], letters, 12)
    assert (found.kept, found.reasons) == ([], {"equal_after_truncation": 1})


def test_trl_leaves_a_shared_message_in_both_answers_where_one_side_begins_the_other() -> None:
    from trl.data_utils import extract_prompt

    asked, said = {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}
    found = extract_prompt({"chosen": [asked, said, asked, said], "rejected": [asked, said]})
    assert found["chosen"][0] == found["rejected"][0] == said, "learned as an answer, though both sides share it"
    assert "prompt" in release_reader.COLUMNS, "ours has a prompt of its own, so that TRL looks for none"


def test_trl_needs_to_be_told_of_the_processor_and_of_half_precision(tmp_path: Path) -> None:
    import torch
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.kto_config import KTOConfig

    for kind in (DPOConfig, KTOConfig):
        bare = kind(output_dir=str(tmp_path), use_cpu=True)
        assert bare.bf16 is True, "TRL takes half precision unless told"
        assert bare.gradient_checkpointing is True
        if torch.cuda.is_available():
            assert kind(output_dir=str(tmp_path)).device.type != "cpu"
        told = SimpleNamespace(dtype="float32", max_length=512, seed=1)
        run = SimpleNamespace(checkpoints=None, scratch=tmp_path, context=told, monitoring=SimpleNamespace(save_steps=0))
        ours = hf_trainer.arguments(kind, SCHEDULE, 4, run)  # type: ignore[arg-type, type-var]  # doubles, and a class of a loop
        assert (ours.bf16, ours.gradient_checkpointing, ours.learning_rate) == (False, False, SCHEDULE.learning_rate)
        assert ours.use_cpu is not torch.cuda.is_available()


def test_discopop_is_known_to_trl_and_not_to_us() -> None:
    from trl.trainer.dpo_trainer import DPOTrainer

    assert '"discopop"' in inspect.getsource(DPOTrainer._compute_loss)
    assert "discopop" not in dpo.LOSSES


# --- KTO ---


def kto_trainer(folder: Path, rows: Sequence[encode.EncodedExample], weighed: kto.WeightedSettings, **own: Any) -> Any:
    """TRL's trainer of a moved policy, the rows and their mismatched answers scored by the model that stood before it."""
    from datasets import Dataset
    from trl.trainer.kto_config import KTOConfig

    model, tokenizer, _ = made()
    pad = tokenizer.pad_token_id
    others = kto.mismatched(rows, len(rows), 512)[0]
    table = Dataset.from_dict(
        {
            "prompt_ids": [row.prompt for row in rows],
            "completion_ids": [row.answer for row in rows],
            "label": [row.example.label for row in rows],
            "KL_completion_ids": [answer for _, answer in others],
            "ref_logps": scoring.sums(model, [(row.prompt, row.answer) for row in rows], pad, 8),
            "ref_KL_logps": scoring.sums(model, others, pad, 8),
        }
    )
    if weighed.loss_type not in kto.ANCHORED:
        table = table.remove_columns(["KL_completion_ids", "ref_KL_logps"])
    config = KTOConfig(
        output_dir=str(folder),
        per_device_eval_batch_size=len(rows),
        train_sampling_strategy="sequential",
        max_length=512,
        loss_type=weighed.loss_type,
        beta=weighed.beta,
        desirable_weight=weighed.liked,
        undesirable_weight=weighed.disliked,
        precompute_ref_log_probs=True,
        **ARGUMENTS,
        **own,
    )
    kind = kto._trainer_class()
    return kind(model=moved(model), args=config, train_dataset=table, eval_dataset=table, processing_class=tokenizer)


@pytest.mark.parametrize("loss", kto.LOSSES)
def test_the_held_out_loss_of_kto_is_the_number_of_trl(loss: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer, _ = made()
    rows, weighed = singles(), kto.WeightedSettings(loss, 0.1, 1.0, 1.5)
    trainer = kto_trainer(tmp_path, rows, weighed)
    theirs = trainer.evaluate()["eval_loss"]
    policy = model_io.make(made()[2], SIZE)[0]
    policy.load_state_dict(model.state_dict())
    held_out = kto.held_out_loss(policy, rows, tokenizer.pad_token_id, weighed, 512, 8)
    before = held_out()
    policy.load_state_dict(moved(model).state_dict())
    assert held_out() == pytest.approx(theirs, rel=1e-5)
    assert held_out() != pytest.approx(before, rel=1e-3), "the policy has not moved"


def test_trl_takes_each_prompt_with_the_answer_before_it_and_so_do_we() -> None:
    from datasets import Dataset
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.kto_trainer import KTOTrainer

    _, tokenizer, pairs = made()
    asked = [{"prompt": one.prompt, "completion": one.chosen} for one in pairs[:7]]
    table = Dataset.from_list([{**one, "label": bool(at % 2)} for at, one in enumerate(asked)])
    stub = type("Stub", (), {"_tokenizer": tokenizer, "calculate_KL": True, "desirable_weight": 1.0, "undesirable_weight": 1.0})()
    config = type("Config", (), {"dataset_num_proc": None, "max_length": 512, "per_device_train_batch_size": 3})()
    assert {"dataset_num_proc", "max_length", "per_device_train_batch_size"} <= set(dir(KTOConfig)), "the settings the double stands for"
    theirs = KTOTrainer._prepare_dataset(stub, table, tokenizer, config, "train")
    blank = release_reader.Example("", [], [], True, "", "", "", "", 1.0)
    rows = [encode.EncodedExample(blank, row["prompt_ids"], row["completion_ids"]) for row in theirs]
    ours, cut = kto.mismatched(rows, 3, 512)
    assert [answer for _, answer in ours] == theirs["KL_completion_ids"]
    assert cut == 0
    same = [dataclasses.replace(blank, prompt=one["prompt"], completion=one["completion"]) for one in asked]
    whole = encode.encode_examples(same, tokenizer, 512)
    assert [(one.prompt, one.answer) for one in whole.kept] == [(row.prompt, row.answer) for row in rows], "the same tokens"


def test_trl_gives_no_margin_for_a_step_of_one_label_and_ours_does(tmp_path: Path) -> None:
    rows = [row for row in singles() if row.example.label][:4]
    trainer = kto_trainer(
        tmp_path, rows, kto.WeightedSettings("kto", 0.1, 1.0, 1.0), max_steps=1, per_device_train_batch_size=4, learning_rate=1e-3
    )
    seen: list[dict[str, float]] = []
    trainer.args.logging_steps = trainer.state.logging_steps = 1
    trainer.add_callback(_listener(seen))
    trainer.train()
    step = next(one for one in seen if "loss" in one)
    assert step["rewards/margins"] == pytest.approx(step["rewards/chosen"])
    assert "rewards/rejected" not in step


def _listener(seen: list[dict[str, float]]) -> Any:
    from transformers import TrainerCallback

    class Listener(TrainerCallback):
        def on_log(self, args: object, state: object, control: object, **told: Any) -> None:
            seen.append(dict(told["logs"]))

    return Listener()
