"""Low-rank adapters (LoRA, Hu et al. 2021) through peft: two thin matrices learn beside each frozen one.

In: a model, and what the parameters say of the adapter. Out: `wrap` gives the model that a method trains, `merged` the ordinary
model with what was learned added to its weights, `save` the adapter alone. With rank 0 there is no adapter: the same model goes
through all of them. Methods do not know whether they train a model or an adapter.

Traps: peft draws the first matrices from the global generator, so here they have a seed of their own; it freezes what it does not
know, so the head of a reward model is named as trained; it writes the path of the base model, which is this machine's.
Weights that are frozen may be held in bfloat16; those that are trained never are, or small steps would be rounded away.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from tasks.core import manifest
from tasks.core.errors import UserError, one_of
from trainer.models import four_bit
from trainer.models.reward_heads import HEAD
from trainer.settings import Adapter

if TYPE_CHECKING:
    from peft import PeftModel
    from torch.nn import Module
    from transformers import PreTrainedModel

Kind = Literal["CAUSAL_LM", "SEQ_CLS"]
ALL = "all-linear"
NAME = "default"  # peft's name of the adapter that is trained; TRL may add a frozen copy beside it
FOLDER = "adapter"


def weight_dtype(adapter: Adapter, dtype: str) -> str:
    """How a model's weights are held: in the run's precision or in four bits, but in single precision where they are trained themselves."""
    if adapter.load_in_4bit:
        return four_bit.held(adapter, dtype)
    return dtype if adapter.r else "float32"


def wrap(model: PreTrainedModel, adapter: Adapter, kind: Kind) -> PreTrainedModel:
    """The model with an adapter that changes nothing yet, all else frozen; the same model where the rank is 0."""
    import torch
    from peft import LoraConfig, get_peft_model

    if adapter.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    if adapter.r == 0:
        return model
    config = LoraConfig(
        task_type=kind,
        r=adapter.r,
        lora_alpha=adapter.lora_alpha,  # type: ignore[arg-type]  # peft takes any number
        lora_dropout=adapter.lora_dropout,
        target_modules=_targets(model, adapter.target_modules),
        modules_to_save=[HEAD] if kind == "SEQ_CLS" else None,
    )
    model.config._name_or_path = ""  # peft would keep the path
    with torch.random.fork_rng():
        torch.manual_seed(torch.initial_seed())
        return cast("PreTrainedModel", get_peft_model(model, config, adapter_name=NAME))  # it hands on what it lacks itself


def _targets(model: PreTrainedModel, targets: str | list[str]) -> str | list[str]:
    """The modules to adapt, each of which must be there."""
    if targets == ALL:
        return ALL
    wanted = [targets] if isinstance(targets, str) else targets
    there = _names(model)
    wrong = [name for name in wanted if name not in there]
    if wrong or not wanted:
        raise UserError(
            "adapter.target_modules",
            f"no module called {', '.join(map(repr, wrong))}" if wrong else "no name",
            f"`{ALL}`, or {one_of(there)}",
            "correct the names",
        )
    return list(wanted)


def _names(model: PreTrainedModel) -> set[str]:
    """Last names of the linear layers, without the output: it makes the logits, which methods compute in parts."""
    import torch

    outputs: tuple[Module | None, ...] = (model.get_output_embeddings(), getattr(model, HEAD, None))  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    linear = [(name, module) for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    return {name.rsplit(".", 1)[-1] for name, module in linear if not any(module is output for output in outputs)}


def merged(model: PreTrainedModel) -> PreTrainedModel:
    """An ordinary model with the adapter added to its weights, in single precision; the same model where there is no adapter."""
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        return model
    single = _dequantized(model) if getattr(model.get_base_model(), "is_quantized", False) else model.float()
    whole: PreTrainedModel = single.merge_and_unload(safe_merge=True, adapter_names=[NAME])
    return whole.requires_grad_(True)


def _dequantized(model: PeftModel) -> PeftModel:
    """The adapter on the same weights in single precision. peft would round the sum to four bits again, which few small steps survive."""
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    config, learned = model.peft_config[NAME], get_peft_model_state_dict(model, adapter_name=NAME)
    single = model.unload().dequantize().float()
    single._weight_conversions = None  # or transformers would save it as it was read, in four bits
    config.base_model_name_or_path = None  # or peft warns of another name
    again = get_peft_model(single, config, adapter_name=NAME)
    set_peft_model_state_dict(again, learned, adapter_name=NAME)
    return again


def save(model: PreTrainedModel, folder: Path) -> None:
    """The adapter alone into `adapter/`, for whoever has the model that it was trained on; nothing where there is no adapter."""
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        return
    model.peft_config[NAME].base_model_name_or_path = ""
    model.save_pretrained(folder / FOLDER, selected_adapters=[NAME], save_embedding_layers=False)
    (folder / FOLDER / "README.md").unlink(missing_ok=True)  # a form for a hub, not filled in
    path = folder / FOLDER / "adapter_config.json"
    document = json.loads(path.read_bytes())
    path.write_bytes(manifest.dumps(document | {"target_modules": sorted(document["target_modules"])}))  # from a set, in any order
