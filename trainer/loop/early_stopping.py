"""Early stopping: evaluates held-out loss, stops after so many evaluations without a better one, and goes back to the best weights.

It is a part of a checkpoint as models and optimizers are, best weights included, so a resumed run stops where an unbroken one does.
With `early_stopping_patience: 0` it only evaluates: nothing is kept, and the weights of the last step stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict

from tasks.core.shell import log

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from trainer.loop.run import Run

HeldOut = Callable[[], float]


class BestSoFar(TypedDict):
    """What a resumed run must know."""

    best_step: int
    best_loss: float
    worse: int  # evaluations since then
    weights: dict[str, Tensor]


class EarlyStopping:
    """Keeps the best evaluation of one part of a run."""

    def __init__(self, run: Run, part: str, model: Module, held_out: HeldOut | None) -> None:
        self.run, self.part, self.model, self.held_out = run, part, model, held_out
        self.best_step, self.best_loss, self.worse = 0, float("inf"), 0
        self.weights: dict[str, Tensor] = {}

    def evaluate(self, step: int) -> bool:
        """Evaluate if it is time to; whether to stop. The model is left ready to be trained."""
        monitoring = self.run.monitoring
        if self.held_out is None or not monitoring.eval_steps or step % monitoring.eval_steps:
            return False
        loss = self.held_out()
        self.model.train()
        self.run.monitor.held_out(self.part, step, loss)
        self.worse = 0 if loss < self.best_loss else self.worse + 1
        if loss < self.best_loss:
            self.best_step, self.best_loss = step, loss
            if monitoring.early_stopping_patience:
                self.weights = {name: weight.detach().cpu().clone() for name, weight in self._trained()}
        return bool(monitoring.early_stopping_patience) and self.worse >= monitoring.early_stopping_patience

    def restore_best(self, step: int) -> None:
        """Go back to the best weights, where they were kept."""
        if not self.weights or self.best_step == step:
            return
        for name, weight in self._trained():
            weight.data.copy_(self.weights[name])
        log(self.run.stage, f"{self.part}: back to step {self.best_step}, whose held-out loss {self.best_loss:.4f} is the best")

    def state_dict(self) -> BestSoFar:
        """What a resumed run must know."""
        return {"best_step": self.best_step, "best_loss": self.best_loss, "worse": self.worse, "weights": self.weights}

    def load_state_dict(self, state: BestSoFar) -> None:
        """Go on from there."""
        self.best_step, self.best_loss = state["best_step"], state["best_loss"]
        self.worse, self.weights = state["worse"], state["weights"]

    def _trained(self) -> list[tuple[str, Tensor]]:
        return [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]
