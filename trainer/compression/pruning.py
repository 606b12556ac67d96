"""Magnitude pruning: the weights nearest to zero become zero, the same share in every matrix (Han et al. 2015).

In: a model. Out: the same model, changed in place. The embedding is left whole: a rare token's row is small and yet all there is of it.
Nothing is trained afterwards. A zero saves room only where the storage leaves zeros out (`sparse`, `int8`), and no time at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def prune(model: PreTrainedModel, percent: int) -> None:
    """Set the smallest weights of every matrix in the layers to zero."""
    import torch
    from torch.nn.utils import prune as method

    kept = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and id(module.weight) not in kept:
            method.l1_unstructured(module, "weight", amount=percent / 100)  # type: ignore[no-untyped-call]
            method.remove(module, "weight")  # type: ignore[no-untyped-call]
