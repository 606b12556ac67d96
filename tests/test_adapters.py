"""Adapters: what is frozen stays, what is saved is what was trained, rank 0 is no adapter, and two runs are bit-equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import UserError
from tests.builders.training import digests, released, run, tiny
from trainer.models import adapters, model_io, saving
from trainer.settings import Adapter

LORA = Adapter(r=4, lora_alpha=8.0, lora_dropout=0.0, target_modules="all-linear", gradient_checkpointing=False, load_in_4bit=False)
NONE = LORA.model_copy(update={"r": 0})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a tiny run in which start and policy were trained with adapters."""
    root = tmp_path_factory.mktemp("adapted")
    released(root)
    train_all(root)
    return root


def train_all(root: Path) -> None:
    run(root, "start", tiny("start", adapter__r=4))
    (root / "data/models/reward").mkdir(parents=True, exist_ok=True)
    run(root, "train", tiny("train", adapter__r=4, dpo__schedule__learning_rate=0.01))


def model(root: Path, name: str = "start") -> Any:
    return model_io.load(str(root / "data/models" / name))[0]


def weights(given: Any) -> dict[str, Any]:
    return {name: weight.clone() for name, weight in given.state_dict().items()}


def step(given: Any, rate: float = 1.0) -> None:
    """One step of whatever may learn."""
    import torch

    optimizer = torch.optim.SGD([weight for weight in given.parameters() if weight.requires_grad], lr=rate)
    for _ in range(2):  # the first moves only the second of the two matrices
        given(input_ids=torch.tensor([[5, 6, 7, 8]])).logits.square().mean().backward()
        optimizer.step()


def logits(given: Any) -> Any:
    import torch

    with torch.no_grad():
        return given.eval()(input_ids=torch.tensor([[9, 5, 6, 7, 8]])).logits


def test_rank_0_is_the_same_model(trained: Path, tmp_path: Path) -> None:
    plain = model(trained)
    assert adapters.wrap(plain, NONE, "CAUSAL_LM") is plain
    assert adapters.merged(plain) is plain
    assert all(weight.requires_grad for weight in plain.parameters())
    adapters.save(plain, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_adapter_changes_nothing_before_it_learns(trained: Path) -> None:
    plain = model(trained)
    before = logits(plain)
    assert bool((logits(adapters.wrap(plain, LORA, "CAUSAL_LM")) == before).all())


def test_learning_moves_the_adapter_and_nothing_else(trained: Path) -> None:
    wrapped = adapters.wrap(model(trained), LORA, "CAUSAL_LM")
    before = weights(wrapped)
    step(wrapped, rate=100.0)  # with small ones it hangs on the last bits whether keys move, whose gradient is tiny over four tokens
    moved = {name for name, weight in wrapped.state_dict().items() if not bool((weight == before[name]).all())}
    assert moved == {name for name in before if "lora_" in name}


def test_merged_is_the_adapter_on_the_fly(trained: Path) -> None:
    import torch

    plain = model(trained)
    names, before = list(plain.state_dict()), logits(plain)
    wrapped = adapters.wrap(plain, LORA, "CAUSAL_LM")
    step(wrapped)
    flying = logits(wrapped)
    whole = adapters.merged(wrapped)
    assert type(whole) is type(model(trained))
    assert list(whole.state_dict()) == names
    assert not torch.allclose(flying, before, atol=1e-3)
    torch.testing.assert_close(logits(whole), flying, atol=1e-5, rtol=1e-5)


def test_the_head_of_a_reward_model_is_trained_and_merged(trained: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    plain = AutoModelForSequenceClassification.from_pretrained(trained / "data/models/start", num_labels=1)
    before = weights(plain)["score.weight"]
    wrapped = adapters.wrap(plain, LORA, "SEQ_CLS")
    step(wrapped)
    flying = logits(wrapped)
    whole = adapters.merged(wrapped)
    assert not bool((whole.get_parameter("score.weight") == before).all())
    assert float((logits(whole) - flying).abs().max()) < 1e-4


@pytest.mark.parametrize("targets", ["q_prj", ["q_proj", "lm_head"], ["layers"], []])
def test_targets_that_do_not_exist_are_refused_with_those_that_do(trained: Path, targets: object) -> None:
    with pytest.raises(UserError) as caught:
        adapters.wrap(model(trained), LORA.model_copy(update={"target_modules": targets}), "CAUSAL_LM")
    assert "one of down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_named_targets_are_the_only_ones(trained: Path) -> None:
    wrapped = adapters.wrap(model(trained), LORA.model_copy(update={"target_modules": ["q_proj", "v_proj"]}), "CAUSAL_LM")
    assert {name.split(".")[-4] for name, weight in wrapped.named_parameters() if weight.requires_grad} == {"q_proj", "v_proj"}


def test_an_adapter_begins_the_same_whatever_was_drawn_before(trained: Path) -> None:
    import torch

    begun = []
    for drawn in (0, 5):
        torch.manual_seed(7)
        torch.randn(drawn)
        state = torch.random.get_rng_state()
        begun.append(weights(adapters.wrap(model(trained), LORA, "CAUSAL_LM")))
        assert bool((torch.random.get_rng_state() == state).all()), "others draw as if there were no adapter"
    assert all(bool((weight == begun[1][name]).all()) for name, weight in begun[0].items())


def test_frozen_weights_may_be_held_in_half_precision_but_what_learns_is_not(trained: Path) -> None:
    import torch

    assert (adapters.weight_dtype(LORA, "bfloat16"), adapters.weight_dtype(NONE, "bfloat16")) == ("bfloat16", "float32")
    half = model_io.load(str(trained / "data/models/start"), dtype="bfloat16")[0]
    wrapped = adapters.wrap(half, LORA, "CAUSAL_LM")
    assert {weight.dtype for weight in wrapped.parameters() if weight.requires_grad} == {torch.float32}
    assert {weight.dtype for weight in adapters.merged(wrapped).parameters()} == {torch.float32}


# --- through the stages ---


def test_training_moves_only_the_adapter(trained: Path) -> None:
    start, policy = model(trained), model(trained, "policy")
    moved = {name for name, weight in policy.state_dict().items() if not bool((weight == start.state_dict()[name]).all())}
    assert moved == {name for name in start.state_dict() if "_proj" in name}, "embeddings and norms have no adapter"


def test_the_adapter_beside_the_policy_makes_the_policy_of_the_start(trained: Path) -> None:
    from peft import PeftModel

    beside = trained / "data/models/policy/adapter"
    made = PeftModel.from_pretrained(model(trained), beside)
    assert float((logits(made) - logits(model(trained, "policy"))).abs().max()) < 1e-5
    assert float((logits(made) - logits(model(trained))).abs().max()) > 1e-3
    assert {path.name for path in beside.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    assert json.loads((beside / "adapter_config.json").read_text())["base_model_name_or_path"] == ""


def test_two_runs_with_adapters_are_bit_equal(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/release").symlink_to(trained / "data/release")
    train_all(tmp_path)
    assert digests(tmp_path / "data/models") == digests(trained / "data/models")


def test_only_the_adapter_reaches_the_optimizer_of_trl(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.loop import hf_trainer

    fit = hf_trainer.fit
    learned, adapted = set[str](), set[str]()

    def heard(trainer: Any, *rest: Any, **more: Any) -> Any:
        figures = fit(trainer, *rest, **more)
        names = {id(weight): name for name, weight in trainer.model.named_parameters()}
        adapted.update(name for name in names.values() if "lora_" in name and ".default." in name)
        learned.update(names[id(weight)] for group in trainer.optimizer.param_groups for weight in group["params"])
        return figures

    monkeypatch.setattr(hf_trainer, "fit", heard)
    run(trained, "train", tiny("train", adapter__r=4, dpo__schedule__learning_rate=0.01))
    assert adapted
    assert learned == adapted


@pytest.mark.parametrize("rank", [0, 4])
def test_what_is_computed_again_is_the_same_and_less_is_kept(trained: Path, rank: int) -> None:
    import torch

    results = []
    for recompute in (False, True):
        learner = adapters.wrap(
            model(trained), LORA.model_copy(update={"r": rank, "gradient_checkpointing": recompute}), "CAUSAL_LM"
        ).train()
        kept: list[int] = []

        def keep(tensor: torch.Tensor, kept: list[int] = kept) -> torch.Tensor:
            kept.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = learner(input_ids=torch.arange(5, 60)[None]).logits.square().mean()
        at_once = sum(kept)
        loss.backward()
        results.append((at_once, {name: weight.grad for name, weight in learner.named_parameters() if weight.grad is not None}))
    (plain, gradients), (spare, again) = results
    assert spare < plain / 2
    assert all(torch.equal(gradients[name], again[name]) for name in gradients)


def test_an_adapter_on_four_bits_is_added_to_the_weights_in_single_precision(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    import torch
    from transformers import AutoModelForCausalLM

    from trainer.gpu_check import checks

    released(tmp_path)
    run(tmp_path, "start", tiny("start", model__hidden_size=64, model__intermediate_size=128))  # four bits come in blocks of 64
    checks.quantize(tmp_path / "data/models/start", tmp_path / "four")
    model, tokenizer = model_io.load(str(tmp_path / "four"), dtype="bfloat16")
    learner = adapters.wrap(model, LORA, "CAUSAL_LM")
    with torch.no_grad():
        for name, weight in learner.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.1)
        tokens = torch.arange(20)[None]
        before = learner(input_ids=tokens).logits.float()
        saving.save(adapters.merged(learner), tokenizer, tmp_path / "whole")
        again = AutoModelForCausalLM.from_pretrained(tmp_path / "whole")
        assert {weight.dtype for weight in again.parameters()} == {torch.float32}
        assert float((again(input_ids=tokens).logits - before).abs().max()) < 0.1 * float(before.abs().max())
