"""Guards: a run that diverged stops with the reason, before it overwrites a good checkpoint.

Looked at after every step: numbers that are none (NaN, infinity), a divergence (`kl`) from the reference that explodes, and a
reward that is bought with length (Singhal et al. 2023, "A Long Way to Go"): the reward rises while the answers grow far beyond those of
the reference, which are those of the first steps. Weights are looked at before every checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core.errors import UserError
from trainer.core.settings import Watching

if TYPE_CHECKING:
    from torch.nn import Module

SPAN = 5  # steps whose mean counts as one look at reward and length

Figures = Mapping[str, float]


class DivergedError(UserError):
    """A run that learns nothing good any more."""

    def keeping(self, checkpoint: Path | None) -> DivergedError:
        """The same, with where the last good checkpoint lies."""
        kept = f"the last good checkpoint is kept in {checkpoint}" if checkpoint else "no checkpoint was saved before"
        return DivergedError(self.where, self.found, self.expected, f"{self.remedy}; {kept}")


def check(part: str, step: int, history: Sequence[Figures], watching: Watching) -> None:
    """Look at the figures of all steps so far, the last one being this step's."""
    figures = history[-1]
    for name, value in figures.items():
        if not math.isfinite(value):
            raise DivergedError(f"{part}: step {step}", f"{name} {value}", "a finite number", "lower the learning rate")
    if watching.max_kl and figures.get("kl", 0.0) > watching.max_kl:
        raise DivergedError(
            f"{part}: step {step}",
            f"a divergence of {figures['kl']:.4g} from the reference",
            f"at most {watching.max_kl:g} (watching.max_kl)",
            "lower the learning rate, or make the divergence dearer",
        )
    if watching.max_growth and {"reward", "length"} <= set(figures) and len(history) >= 2 * SPAN:
        _check_length(part, step, history, watching.max_growth)


def _check_length(part: str, step: int, history: Sequence[Figures], limit: float) -> None:
    """Hold the last steps' rewards and lengths against those of the first."""
    (reward_then, length_then), (reward_now, length_now) = (
        tuple(sum(row[name] for row in rows) / SPAN for name in ("reward", "length")) for rows in (history[:SPAN], history[-SPAN:])
    )
    if reward_now > reward_then and length_now > limit * length_then:
        raise DivergedError(
            f"{part}: step {step}",
            f"a reward up from {reward_then:.4g} to {reward_now:.4g}, and answers grown from {length_then:.4g} to {length_now:.4g}",
            f"answers at most {limit:g} times as long as the reference's (watching.max_growth)",
            "look at what the reward model likes, or make the divergence from the reference dearer",
        )


def demand_finite(part: str, step: int, model: Module) -> None:
    """Refuse weights that are no numbers: the loss that shows it comes only with the step after."""
    import torch

    for name, weight in model.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise DivergedError(
                f"{part}: step {step}", f"a weight in {name} that is no number", "finite weights", "lower the learning rate"
            )
