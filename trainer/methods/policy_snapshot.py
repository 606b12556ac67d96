"""The best policy of a run that learns from its own answers: a copy of the trained weights, and what its answers were worth.

In: a policy, its reference, the figures of its rollouts. Out: the policy as it was kept, or as it came in. Part of a checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from trainer.loop.metrics import Metrics

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


class Kept(TypedDict):
    """What a checkpoint holds of a snapshot."""

    weights: dict[str, Tensor]
    figures: Metrics
    first: Metrics
    update: int


class PolicySnapshot:
    """A copy of the trained weights of the best policy that stood within the KL bound; part of a checkpoint."""

    def __init__(self, policy: PreTrainedModel, reference: PreTrainedModel | None) -> None:
        self.trained = {name: weight for name, weight in policy.named_parameters() if weight.requires_grad}
        frozen = dict(reference.named_parameters()) if reference is not None else {}
        self.start = {name: frozen[name] if frozen else weight.detach().clone() for name, weight in self.trained.items()}
        self.weights: dict[str, Tensor] = {}
        self.figures: Metrics = {}
        self.first: Metrics = {}  # of the start's own rollouts
        self.update = 0  # updates that the policy had had; 0 is the start

    def keep(self, figures: Metrics, update: int) -> None:
        """Keep the policy as it stands after so many updates, with the figures of its rollouts."""
        self.weights = {name: weight.detach().clone() for name, weight in self.trained.items()}
        self.first = self.first or figures
        self.figures, self.update = figures, update

    def restore(self) -> None:
        """Let the policy be what was kept."""
        self._lay(self.weights)

    def restart(self) -> None:
        """Let the policy be what it came in as."""
        self._lay(self.start)

    def drop(self) -> None:
        """Let what is kept be the start."""
        self.weights, self.figures, self.update = self.start, self.first, 0

    def _lay(self, weights: dict[str, Tensor]) -> None:
        for name, weight in self.trained.items():
            weight.data.copy_(weights[name])

    def state_dict(self) -> Kept:
        """What a checkpoint keeps."""
        return {"weights": self.weights, "figures": self.figures, "first": self.first, "update": self.update}

    def load_state_dict(self, state: Kept) -> None:
        """Go on from a checkpoint."""
        self.weights, self.figures, self.first, self.update = state["weights"], state["figures"], state["first"], state["update"]
