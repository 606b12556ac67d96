"""What a checkpoint is made of: anything with a state; and of models only what is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from trainer.checkpointing import divergence

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

ADAM = 3  # a weight and its two moments


class Stateful(Protocol):
    """What a checkpoint can hold: models, optimizers, schedules, and whatever has a state."""

    def state_dict(self) -> Mapping[str, object]:
        """All that must come back."""
        ...

    def load_state_dict(self, state: Any, /) -> object:  # noqa: ANN401
        """Be as `state` says."""
        ...


def size(part: Stateful) -> int:
    """Bytes of a model's trained weights and their optimizer; everything else is small beside it."""
    from torch.nn import Module

    if not isinstance(part, Module):
        return 0
    return ADAM * sum(weight.numel() * weight.element_size() for weight in part.parameters() if weight.requires_grad)


def state_of(part: Stateful, where: str, step: int) -> Mapping[str, object]:
    """The state of a part; of a model only what is trained, so that a checkpoint of thin adapters is thin."""
    from torch.nn import Module

    if not isinstance(part, Module):
        return part.state_dict()
    divergence.require_finite(where, step, part)
    return _trained(part)


def _trained(model: Module) -> dict[str, Tensor]:
    frozen = {name for name, weight in model.named_parameters(remove_duplicate=False) if not weight.requires_grad}
    return {name: value for name, value in model.state_dict().items() if name not in frozen}


def load(part: Stateful, state: Mapping[str, object]) -> None:
    """Put a part back to a state; a ValueError or RuntimeError where it is of another shape."""
    from torch.nn import Module

    if not isinstance(part, Module):
        part.load_state_dict(state)
        return
    wanted = set(_trained(part))
    if wanted != set(state):
        raise ValueError(f"weights that differ in name: {sorted(wanted ^ set(state))[:3]}")
    part.load_state_dict(state, strict=False)
