"""Dynamic eight-bit kernels: weights are integers, activations are turned into integers on the fly, sums are exact.

In: a model and, for its matrices, integers with one scale a row. Out: the same model, whose linear layers and embedding are replaced.

Two traps, both measured:
- Without `reduce_range` the kernels of x86 machines before VNNI saturate: the error is threefold, and differs by machine.
- One scale serves all activations of a call, so a row's result depends a little on the rows beside it in the batch.

torch calls the tensors that the kernel packs (not the kernel) deprecated; where they are gone, `int8` storage still loads.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Linear, Module
    from transformers import PreTrainedModel

Rows = tuple["Tensor", "Tensor"]  # integers, and the scale of each row


def install(model: PreTrainedModel, weights: Mapping[str, Rows]) -> None:
    """Put integer modules where the named weights are; a head that is tied to the embedding computes with the embedding's."""
    from torch import nn

    tied = model.get_input_embeddings().weight
    names = {id(module): name for name, module in model.named_modules()}
    embedding = names[id(model.get_input_embeddings())]
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear):
            shared = module.weight is tied
            _replace(model, name, _linear(weights[f"{embedding if shared else name}.weight"], module))
    _replace(model, embedding, _embedding(weights[f"{embedding}.weight"]))


def _replace(model: PreTrainedModel, name: str, module: Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)


def _linear(rows: Rows, old: Linear) -> Module:
    """A linear layer that computes with integers."""
    import torch
    from torch import nn

    values, scale = rows
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*quantized tensor creation.*")
        whole = torch._make_per_channel_quantized_tensor(values, scale.double(), torch.zeros(len(scale), dtype=torch.int64), 0)
    packed = torch.ops.quantized.linear_prepack(whole, None if old.bias is None else old.bias.detach())

    class DynamicLinear(nn.Module):
        """y = x W + b with an eight-bit W."""

        in_features, out_features = old.in_features, old.out_features

        def forward(self, given: Tensor) -> Tensor:
            """The layer's output in single precision."""
            made: Tensor = torch.ops.quantized.linear_dynamic(given, packed, True)
            return made

    return DynamicLinear()


def _embedding(rows: Rows) -> Module:
    """An embedding whose rows are integers until they are looked up."""
    from torch import nn

    class IntegerEmbedding(nn.Module):
        """The row of each token, times its scale."""

        num_embeddings, embedding_dim = rows[0].shape

        def forward(self, tokens: Tensor) -> Tensor:
            """The tokens' rows in single precision."""
            return rows[0][tokens].float() * rows[1][tokens][..., None]

    return IntegerEmbedding()
