"""The states of all random generators of this process: Python's, numpy's, torch's, and those of its accelerators."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


class States(TypedDict):
    """One process's generators."""

    python: tuple[Any, ...]
    numpy: tuple[Tensor, int, int, float]  # keys, position, and a normal number that is not yet given out
    torch: Tensor
    cuda: list[Tensor]  # one an accelerator


def states() -> States:
    """As torch can write and read it without trusting the file: tensors, numbers and tuples."""
    import torch

    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (torch.from_numpy(np.asarray(keys).astype(np.int64)), int(position), int(has_gauss), float(gauss)),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore(state: States) -> None:
    """Let every generator go on from there."""
    import torch

    random.setstate(state["python"])
    keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
