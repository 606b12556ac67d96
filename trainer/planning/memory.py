"""Bytes that a step of training holds, counted on a model without weights: torch's fake tensors have shapes and no memory.

In: a configuration of transformers, and what goes through the model at once. Out: parameters, and bytes of activations.

Activations are what autograd keeps for the way back, seen by `torch.autograd.graph.saved_tensors_hooks`, each storage once. They hold for
any architecture and any kind of attention that runs on this machine; a GPU's kernels may keep a little more or less.
An adapter's own are added by shape: its frozen matrices keep no input, its thin ones do. With checkpointing a layer keeps its input only,
and the largest layer is computed again on the way back (Chen et al. 2016).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trainer.models import runtime
from trainer.settings import Adapter

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Linear
    from transformers import PreTrainedConfig, PreTrainedModel

SINGLE, HALF = 4, 2  # bytes of a number
FOUR_BIT = 0.5 + SINGLE / 64  # bytes of a weight in four bits: half a byte, and a scale for each 64 of them (Dettmers et al. 2023)


@dataclass(frozen=True)
class Shape:
    """What goes through the model at once."""

    rows: int
    tokens: int  # of a row
    logits: int  # positions of a row from which tokens are read; 0 where there is a head of one number


@dataclass(frozen=True)
class Sizes:
    """Parameters of a model by what becomes of them."""

    whole: int
    trained: int  # of the adapter, or all
    linear: int  # in the matrices that four bits can hold
    largest: int  # the largest tensor that is trained


@dataclass
class _Kept:
    """Bytes of what autograd keeps, by the layer that made it; 0 stands for all outside of layers."""

    layers: dict[int, int] = field(default_factory=lambda: {0: 0})
    inputs: int = 0  # of layers
    adapters: dict[int, int] = field(default_factory=lambda: {0: 0})
    now: int = 0
    seen: set[int] = field(default_factory=set)
    alive: list[Tensor] = field(default_factory=list)  # else a storage's address would be used again

    def keep(self, tensor: Tensor) -> Tensor:
        """Count a tensor's storage, if it is new and no weight."""
        import torch

        storage = tensor.untyped_storage()
        if not isinstance(tensor, torch.nn.Parameter) and storage._cdata not in self.seen:
            self.seen.add(storage._cdata)
            self.alive.append(tensor)
            self.layers[self.now] = self.layers.get(self.now, 0) + storage.nbytes()
        return tensor


def sizes(config: PreTrainedConfig, adapter: Adapter) -> Sizes:
    """Parameters of the model that this configuration describes, with this adapter."""
    with _fake():
        model = _model(config, SINGLE)
    linear = list(_linear(model, adapter).values())
    whole = sum(weight.numel() for weight in model.parameters())
    matrices = sum(module.weight.numel() for module in _linear(model, None).values())
    if not adapter.r:
        return Sizes(whole, whole, matrices, max(weight.numel() for weight in model.parameters()))
    thin = [adapter.r * (module.in_features + module.out_features) for module in linear]
    return Sizes(
        whole, sum(thin), matrices, max([adapter.r * max(module.in_features, module.out_features) for module in linear], default=0)
    )


def activations(config: PreTrainedConfig, shape: Shape, adapter: Adapter, number: int) -> int:
    """Bytes that autograd holds when the way back begins, where numbers take `number` bytes."""
    import torch

    kept = _Kept()
    with _fake():
        model = _model(config, number).train()
        if adapter.r:
            model.requires_grad_(False)
            model.get_input_embeddings().weight.requires_grad_(True)  # so that all that follows has a way back
        _watch(model, kept, adapter)
        ids = torch.zeros(shape.rows, shape.tokens, dtype=torch.long)
        with torch.autograd.graph.saved_tensors_hooks(kept.keep, lambda tensor: tensor):
            _forward(model, ids, shape)
    each = {layer: count + kept.adapters.get(layer, 0) for layer, count in kept.layers.items()}
    outside = each.pop(0)
    if adapter.gradient_checkpointing and each:
        return outside + kept.inputs + max(each.values())
    return outside + sum(each.values())


def _forward(model: PreTrainedModel, ids: Tensor, shape: Shape) -> None:
    """A pass as the methods make it, up to the loss."""
    import torch

    if not shape.logits:
        getattr(model, model.base_model_prefix)(input_ids=ids)
        return
    logits = model(input_ids=ids, use_cache=False, logits_to_keep=shape.logits).logits
    labels = torch.zeros(logits.shape[:2].numel(), dtype=torch.long)
    torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels)


@contextmanager
def _fake() -> Iterator[None]:
    """Tensors made in here have no memory."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with runtime.quiet(), FakeTensorMode():
        yield


def _model(config: PreTrainedConfig, number: int) -> PreTrainedModel:
    import torch
    from transformers import AutoModelForCausalLM

    kind = torch.float32 if number == SINGLE else torch.bfloat16
    made: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=kind, trust_remote_code=False)  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    return made


def _linear(model: PreTrainedModel, adapter: Adapter | None) -> dict[str, Linear]:
    """The linear layers without the output; with an adapter those that it adapts."""
    import torch

    output = model.get_output_embeddings()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    found = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and module is not output}
    if adapter is None or adapter.target_modules == "all-linear":
        return found
    wanted = [adapter.target_modules] if isinstance(adapter.target_modules, str) else adapter.target_modules
    return {name: module for name, module in found.items() if name.rsplit(".", 1)[-1] in wanted}


def _watch(model: PreTrainedModel, kept: _Kept, adapter: Adapter) -> None:
    """Let each layer say when it begins and ends, and each adapted matrix what its thin ones would keep."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    for place, layer in enumerate(layers, start=1):
        layer.register_forward_pre_hook(lambda _, given, place=place: _enter(kept, place, given))
        layer.register_forward_hook(lambda *_: setattr(kept, "now", 0))
    for module in _linear(model, adapter).values() if adapter.r else ():
        module.register_forward_hook(lambda _, given, __: _thin(kept, given[0], adapter.r))


def _enter(kept: _Kept, place: int, given: tuple[Any, ...]) -> None:
    kept.now = place
    kept.inputs += sum(part.numel() * part.element_size() for part in given[:1])


def _thin(kept: _Kept, given: Tensor, rank: int) -> None:
    rows = given.numel() // given.shape[-1]
    kept.adapters[kept.now] = kept.adapters.get(kept.now, 0) + (given.numel() + rows * rank) * given.element_size()
