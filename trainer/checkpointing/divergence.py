"""Divergence: a run that diverged stops with the reason, before it overwrites a good checkpoint.

Looked at after every step: numbers that are none (NaN, infinity), a loss far above that of the first step, a divergence (`kl`)
from the reference that explodes, and a reward that is bought with length (Singhal et al. 2023, "A Long Way to Go"): it rises while the
answers grow far beyond those of the reference, which are those of the first steps. Weights are looked at before every checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core.errors import UserError
from trainer.settings import Monitoring

if TYPE_CHECKING:
    from torch.nn import Module

SPAN = 5  # steps whose mean counts as one sample of reward and length

Figures = Mapping[str, float]


class DivergedError(UserError):
    """A run that learns nothing good any more, `since` a step."""

    def __init__(self, where: str, found: str, expected: str, remedy: str, since: int = 0) -> None:
        super().__init__(where, found, expected, remedy)
        self.since = since

    def keeping(self, checkpoint: Path | None) -> DivergedError:
        """The same, with where the last good checkpoint lies."""
        kept = f"the last good checkpoint is kept in {checkpoint}" if checkpoint else "no checkpoint was saved before"
        return DivergedError(self.where, self.found, self.expected, f"{self.remedy}; {kept}", self.since)


def check(part: str, step: int, history: Sequence[Figures], monitoring: Monitoring) -> None:
    """Check the figures of all steps so far, the last one being this step's."""
    where, figures = f"{part}: step {step}", history[-1]
    for name, value in figures.items():
        if not math.isfinite(value):
            raise DivergedError(where, f"{name} {value}", "a finite number", "lower the learning rate", step - 1)
    if monitoring.max_kl and figures.get("kl", 0.0) > monitoring.max_kl:
        raise DivergedError(
            where,
            f"a divergence of {figures['kl']:.4g} from the reference",
            f"at most {monitoring.max_kl:g} (monitoring.max_kl)",
            "lower the learning rate, or make the divergence dearer",
            step - 1,
        )
    written = {"reward", "length"} <= set(figures)  # by the model itself: the loss over such answers compares with no other step's
    if monitoring.max_loss and len(history) >= SPAN and not written:
        _check_loss(where, step, history, monitoring.max_loss)
    if monitoring.max_growth and len(history) >= 2 * SPAN and written:
        _check_length(where, step, history, monitoring.max_growth)


def _check_loss(where: str, step: int, history: Sequence[Figures], limit: float) -> None:
    """Hold the last steps' loss against the first's: a learning rate far too high seldom ends in NaN, but always in this."""
    first, now = history[0]["loss"], _mean(history[-SPAN:], "loss")
    if first > 0 and now > limit * first:
        raise DivergedError(
            where,
            f"a loss of {now:.4g} (mean of {SPAN} steps) that began at {first:.4g}",
            f"at most {limit:g} times that (monitoring.max_loss)",
            "lower the learning rate",
            step - SPAN,
        )


def _check_length(where: str, step: int, history: Sequence[Figures], limit: float) -> None:
    """Hold the last steps' rewards and lengths against those of the first."""
    first, last = history[:SPAN], history[-SPAN:]
    reward_then, reward_now, length_then, length_now = (_mean(rows, name) for name in ("reward", "length") for rows in (first, last))
    if reward_now > reward_then and length_now > limit * length_then:
        raise DivergedError(
            where,
            f"a reward up from {reward_then:.4g} to {reward_now:.4g}, and answers grown from {length_then:.4g} to {length_now:.4g} tokens",
            f"answers at most {limit:g} times as long as the reference's (monitoring.max_growth)",
            "look at what the reward model likes, or make the divergence from the reference dearer",
            step - SPAN,
        )


def _mean(rows: Sequence[Figures], name: str) -> float:
    return sum(row[name] for row in rows) / len(rows)


def require_finite(part: str, step: int, model: Module) -> None:
    """Refuse weights that are no numbers: the loss that shows it comes only with the step after."""
    import torch

    for name, weight in model.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise DivergedError(
                f"{part}: step {step}", f"a weight in {name} that is no number", "finite weights", "lower the learning rate"
            )
