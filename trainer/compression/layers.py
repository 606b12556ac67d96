"""A model's layers as a list that can be shortened: fewer layers are the one change that saves size and time alike, on any machine.

In: a decoder of transformers and the numbers of the layers to keep. Out: the same model with only these, still plain transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.core.errors import UserError

if TYPE_CHECKING:
    from torch.nn import Module, ModuleList
    from transformers import PreTrainedModel


def count(model: PreTrainedModel) -> int:
    """How many layers the model has."""
    layers: int = model.config.get_text_config().num_hidden_layers
    return layers


def find(model: PreTrainedModel) -> tuple[Module, str]:
    """The module that holds the list of layers, and the list's name in it."""
    from torch.nn import ModuleList

    for path, module in model.named_modules():
        if isinstance(module, ModuleList) and len(module) == count(model):
            parent, _, name = path.rpartition(".")
            return model.get_submodule(parent), name
    raise UserError(
        "compress.variants",
        f"no list of layers in a {type(model).__name__}",
        "a decoder with one",
        "take drop-N and student-N off the list",
    )


def keep(model: PreTrainedModel, places: Sequence[int]) -> None:
    """Leave only these layers, in the given order, and number them anew."""
    from torch.nn import ModuleList

    holder, name = find(model)
    every: ModuleList = getattr(holder, name)
    setattr(holder, name, ModuleList([every[place] for place in places]))
    for number, layer in enumerate(getattr(holder, name)):
        for module in layer.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = number  # under which the cache keeps its keys and values
    config = model.config.get_text_config()
    config.num_hidden_layers = len(places)
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[place] for place in places]
