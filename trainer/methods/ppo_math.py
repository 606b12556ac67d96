"""The arithmetic of PPO: tensors in, tensors out; no model, no randomness.

One line a rollout, one column a token of the answer. A mask says which columns count; what lies outside never changes a result.
Masked entries of a result are 0.

Proximal policy optimisation: Schulman et al. 2017. Advantages: Schulman et al. 2016 (GAE). The penalty for leaving the reference and
its adaptive coefficient: Ziegler et al. 2019. Whitening and the place of the score: Huang et al. 2024, "The N+ implementation
details of RLHF with PPO". Two conventions of TRL 1.12, held against its recorded steps: the variance of whitening is the unbiased
one, and the score may lie one column after the end (`after_end`), where the value of the finished answer stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MOST_ERROR = 0.2  # Ziegler et al. 2019: the controller takes at most so large a relative error
TINY = 1e-8


def answered(answers: Tensor, ends: Sequence[int]) -> Tensor:
    """Which tokens belong to the answers: all up to and with the first that ends one."""
    end = _is_end(answers, ends).long()
    return end.cumsum(1) - end == 0


def ended(answers: Tensor, ends: Sequence[int]) -> Tensor:
    """Which answers have an end."""
    return _is_end(answers, ends).any(1)


def _is_end(answers: Tensor, ends: Sequence[int]) -> Tensor:
    return (answers.unsqueeze(-1) == answers.new_tensor(list(ends))).any(-1)


def valued(mask: Tensor, after_end: bool) -> Tensor:
    """Which columns have a value: those of the answer, and with `after_end` also the next one, where there is one."""
    if not after_end:
        return mask
    wider = mask.clone()
    wider[:, 1:] |= mask[:, :-1]
    return wider


def mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the entries that count."""
    return total(values, mask) / mask.sum()


def total(values: Tensor, mask: Tensor) -> Tensor:
    """Sum of the entries that count."""
    return values.masked_fill(~mask, 0).sum()


def whiten(values: Tensor, mask: Tensor, centre: bool = True) -> Tensor:
    """The entries that count, with variance 1; with mean 0 too, unless their mean is to stay (`centre` off)."""
    middle = mean(values, mask)
    variance = total((values - middle) ** 2, mask) / (mask.sum() - 1).clamp(min=1)
    white = (values - middle) * (variance + TINY).rsqrt()
    return (white if centre else white + middle).masked_fill(~mask, 0)


def rewards(kl: Tensor, scores: Tensor, mask: Tensor, coefficient: float, after_end: bool) -> Tensor:
    """The reward of every token: minus its price in KL; and the score of the whole answer once, at the last column that has a value."""
    made = (-coefficient * kl).masked_fill(~mask, 0)
    last = valued(mask, after_end).sum(1) - 1
    return made.scatter_add(1, last.unsqueeze(1), scores.to(made.dtype).unsqueeze(1))


def advantages(rewards: Tensor, values: Tensor, gamma: float, gae_lambda: float) -> Tensor:
    """Generalised advantage estimation: the sum over later columns of (gamma decay)^distance times the surprise there."""
    made = values.new_zeros(values.shape)
    later, following = values.new_zeros(len(values)), values.new_zeros(len(values))
    for column in reversed(range(values.shape[1])):
        surprise = rewards[:, column] + gamma * following - values[:, column]
        later = surprise + gamma * gae_lambda * later
        made[:, column], following = later, values[:, column]
    return made


def policy_losses(new: Tensor, old: Tensor, advantages: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Loss of every token, and whether the clip decided it: no gain is counted for a ratio outside 1 ± clip."""
    ratio = (new - old).exp()
    unclipped, clipped = -advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip)
    return unclipped.maximum(clipped), clipped > unclipped


def value_losses(new: Tensor, old: Tensor, returns: Tensor, clip: float) -> Tensor:
    """Half the squared error of every value, or of the value held within `clip` of the old one where that is worse."""
    clipped = old + (new - old).clamp(-clip, clip)
    return 0.5 * ((new - returns) ** 2).maximum((clipped - returns) ** 2)


def distance(new: Tensor, old: Tensor) -> Tensor:
    """How far each token's probability has moved since the rollout: an estimate of KL(old, new) that is never negative (Schulman 2020)."""
    change = new - old
    return change.exp() - 1 - change


@dataclass
class AdaptiveKLController:
    """The coefficient of the KL penalty. It rises while rollouts are further from the reference than `target`, else it falls.

    A target of 0 keeps it as it is. State of the run: it belongs into a checkpoint.
    """

    coefficient: float
    target: float  # KL of a whole answer, in nats
    horizon: int  # rollouts in which the coefficient changes by a fifth at most

    def update(self, kl: float, rollouts: int) -> None:
        """Take note of the mean KL of so many rollouts."""
        if self.target:
            error = min(max(kl / self.target - 1, -MOST_ERROR), MOST_ERROR)
            self.coefficient *= 1 + error * rollouts / self.horizon

    def state_dict(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {"coefficient": self.coefficient}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from a checkpoint."""
        self.coefficient = state["coefficient"]
