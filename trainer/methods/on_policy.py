"""Learning from one's own answers: the loop that PPO, GRPO, RLOO, online DPO and best-of-n share.

In: a learner (the policy and its method), prompts as tokens, a reward model. Out: the policy, trained in place, and its figures.
One update: the policy answers some prompts, `num_generations` times each; the reward model scores the answers; the learner takes a few
steps on them. Each update draws random numbers of its own, so that a resumed run draws what an unbroken one does.

What comes out is the best policy that was seen: of those whose rollouts were within the KL bound the one whose reward, less the fine for
missing ends and the price of its KL, was highest. A batch of rollouts flatters the best of many; so in the end that policy and the start
answer the same prompts with the same random numbers, and where it does worse than the start, the start comes out.

Reward that is bought with length (Singhal et al. 2023) is met in three places: the price of KL in the objective, `kl_bound`, and
`monitoring.max_growth`, which stops a run whose answers grow while its reward rises.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from tasks.core.shell import log
from trainer.checkpointing import checkpoints, divergence
from trainer.checkpointing.stateful import Stateful
from trainer.data import batches
from trainer.loop import metrics
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import ppo_math, ppo_rollouts
from trainer.methods.policy_snapshot import PolicySnapshot
from trainer.methods.ppo_rollouts import SamplingConfig, Sequences
from trainer.models import parallel, reward_models, runtime, typed
from trainer.models import tokenizer as tokenizers
from trainer.settings import Schedule

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PANEL = 4  # batches of prompts that the best policy and the start answer in the end
ROLLOUT = ("reward", "kl", "length", "ended")  # figures of rollouts


class Sampled(Protocol):
    """What every method that samples needs to know; `params.yaml` says what each is."""

    @property
    def max_new_tokens(self) -> int: ...  # noqa: D102
    @property
    def temperature(self) -> float: ...  # noqa: D102
    @property
    def missing_eos_penalty(self) -> float: ...  # noqa: D102
    @property
    def kl_coef(self) -> float: ...  # noqa: D102
    @property
    def kl_bound(self) -> float: ...  # noqa: D102
    @property
    def schedule(self) -> Schedule: ...  # noqa: D102


@dataclass(frozen=True)
class RolloutStats:
    """What models say of every token of the answers, at the time of the rollouts; one line an answer, one column a token."""

    policy: Tensor  # log-probabilities
    reference: Tensor


T = TypeVar("T", bound=Sampled)
S = TypeVar("S", bound=RolloutStats)


class Learner(Generic[T, S]):
    """The policy, its reference, and all that changes while it learns; a method says what a step is.

    With an adapter the reference is the policy with the adapter off, and costs nothing; without one it is a frozen copy.
    """

    name: str  # of the method, in parameters and figures
    num_generations = 1  # answers to each prompt

    def __init__(self, policy: PreTrainedModel, settings: T, dtype: str = "float32") -> None:
        from peft import PeftModel

        self.settings, self.policy, self.dtype = settings, typed.evaluating(policy), dtype
        self.reference = None if isinstance(policy, PeftModel) else copy.deepcopy(policy).requires_grad_(False)
        self.snapshot = PolicySnapshot(self.policy, self.reference)

    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        raise NotImplementedError

    def score_rollouts(self, sequences: Sequences) -> S:
        """What the models say of these rollouts."""
        raise NotImplementedError

    def learn(self, sequences: Sequences, stats: S, scores: np.ndarray, run: Run, update: int) -> Metrics:
        """Learn from rollouts and their rewards; mean figures of the steps that were taken."""
        raise NotImplementedError

    def noted(self, figures: Metrics) -> Metrics:
        """Take note of the figures of this update's rollouts, after the steps on them; what there is to log of it."""
        return {}

    def both(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """Log-probabilities of every token under policy and reference, at the temperature of the rollouts; nothing is learned."""
        own, micro = self.settings, self.settings.schedule.per_device_train_batch_size
        with runtime.autocast(self.dtype):
            mine = ppo_rollouts.in_parts(
                lambda part: ppo_rollouts.log_probabilities(self.policy, part, own.temperature)[0], sequences, micro
            )
            return mine, ppo_rollouts.in_parts(self._reference, sequences, micro)

    def _reference(self, part: Sequences) -> Tensor:
        if self.reference is not None:
            return ppo_rollouts.log_probabilities(self.reference, part, self.settings.temperature)[0]
        with self.policy.disable_adapter():
            return ppo_rollouts.log_probabilities(self.policy, part, self.settings.temperature)[0]

    def fined(self, scores: Tensor, ended: Tensor) -> Tensor:
        """Rewards less the fine for answers without end."""
        return scores - self.settings.missing_eos_penalty * (~ended).to(scores.dtype)

    def keep(self, figures: Metrics, update: int, run: Run) -> bool:
        """Keep a policy whose rollouts are within the KL bound, if it is the best so far; False, and say so, where it is beyond.

        KL is never negative, but its estimate from a few rollouts is, where the policy is far away: so its size counts.
        """
        bound, best = self.settings.kl_bound, self.snapshot
        if not bound or abs(figures["kl"]) <= bound:
            if not best.figures or self.objective(figures) > self.objective(best.figures):
                best.keep(figures, update - 1)
            return True
        log(
            run.stage,
            f"{self.name}: update {update}: KL {figures['kl']:.3f} to the reference is beyond train.{self.name}.kl_bound {bound:g}: "
            f"training ends, with the best policy within it, of update {best.update} "
            f"(KL {best.figures['kl']:.3f}, reward {best.figures['reward']:.3f})",
        )
        return False

    def objective(self, figures: Metrics) -> float:
        """What rollouts are worth: their reward, less the fine for missing ends and the first price of their KL."""
        own = self.settings
        return figures["reward"] - own.missing_eos_penalty * (1 - figures["ended"]) - own.kl_coef * abs(figures["kl"])


L = TypeVar("L", bound=Learner)  # type: ignore[type-arg]  # any method's


@dataclass(frozen=True)
class Rollouts(Generic[L]):
    """How the policy answers prompts, and what is said of its answers."""

    learner: L
    tokenizer: PreTrainedTokenizerBase
    prompts: Sequence[list[int]]
    reward: PreTrainedModel
    run: Run

    def of(self, rows: Sequence[int], update: int) -> tuple[Sequences, RolloutStats, np.ndarray, Metrics]:
        """Answers to these prompts, by the random numbers of that update: with what models say of them, their scores, and their figures.

        The answers to one prompt stand one after the other.
        """
        own, closing, pad = self.learner.settings, tokenizers.closing_tokens(self.tokenizer), self.tokenizer.pad_token_id
        ends, micro = tokenizers.end_tokens(self.tokenizer), own.schedule.per_device_train_batch_size
        asked = [self.prompts[row] for row in parallel.share(rows) for _ in range(self.learner.num_generations)]
        _seed(self.run, update)
        with runtime.autocast(self.run.context.dtype):
            sampling = SamplingConfig(ends, pad, own.max_new_tokens, own.temperature, micro)
            sequences = ppo_rollouts.write(self.learner.policy, asked, sampling)
        scores = reward_models.score(self.reward, sequences.rows(closing), pad, micro)
        stats = self.learner.score_rollouts(sequences)
        return sequences, stats, scores, _rollout_figures(sequences, stats, scores)


def optimizer(models: Sequence[PreTrainedModel], schedule: Schedule, updates: int) -> tuple[Optimizer, LRScheduler]:
    """AdamW over what is trained of these models; the rate rises, then falls linearly, once an update."""
    import torch
    from transformers import get_linear_schedule_with_warmup

    trained = [weight for model in models for weight in model.parameters() if weight.requires_grad]
    made = torch.optim.AdamW(trained, lr=schedule.learning_rate, weight_decay=0.0)
    warmup = int(updates * schedule.warmup_ratio)
    return made, get_linear_schedule_with_warmup(made, warmup, updates)  # type: ignore[no-untyped-call]  # transformers leaves it untyped


def means(taken: Sequence[Metrics]) -> Metrics:
    """Mean figures of some steps; none where no step was taken."""
    return {name: sum(one[name] for one in taken) / len(taken) for name in taken[0]} if taken else {}


def updates_of(prompts: int, settings: Sampled, num_generations: int = 1) -> int:
    """How many updates the schedule makes of so many prompts; a step's batch counts answers."""
    schedule = settings.schedule
    return batches.steps(prompts, schedule.train_batch_size // num_generations, schedule.num_train_epochs, schedule.max_steps)


def train(learner: L, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[list[int]], reward: PreTrainedModel, run: Run) -> Metrics:
    """Let the policy learn from the reward model's scores of its own answers; the reference is the policy as it comes in.

    After the last update the policy writes once more, and nothing is learnt. The figures named `after` are those of the policy that
    comes out, which is the best one seen, always with a KL within the bound.
    """
    schedule, name = learner.settings.schedule, learner.name
    updates = updates_of(len(prompts), learner.settings, learner.num_generations)
    asked = schedule.train_batch_size // learner.num_generations
    order = batches.plan([len(prompt) for prompt in prompts], [1.0] * len(prompts), asked, updates + 1, run.context.seed)
    rollouts = Rollouts(learner, tokenizer, prompts, reward, run)
    done, _ = checkpoints.restore(run, learner.parts())
    for update, rows in enumerate(order[done:], start=done + 1):
        sequences, stats, scores, figures = rollouts.of(rows, update)
        if not learner.keep(figures, update, run) or update > updates:
            break
        learnt = learner.learn(sequences, stats, scores, run, update)
        run.monitor.step(name, update, updates, learnt | figures | learner.noted(figures))
        checkpoints.save(run, update, learner.parts(), {})
    _hand_over(rollouts, [row for rows in order[-PANEL:] for row in rows], len(order) + 1)
    divergence.require_finite(name, updates, learner.policy)
    return _final_metrics(run, name, learner.snapshot)


def _hand_over(rollouts: Rollouts[L], rows: Sequence[int], seed: int) -> None:
    """Let the policy be the best that was seen, or the start where that does better on the same prompts."""
    learner, best = rollouts.learner, rollouts.learner.snapshot
    best.restart()
    if best.update:
        start = learner.objective(rollouts.of(rows, seed)[-1])
        best.restore()
        own = learner.objective(rollouts.of(rows, seed)[-1])
        if not own >= start:
            best.drop()
            best.restore()
        what = f"the best policy, of update {best.update}" if best.update else "the start, since no policy did better"
        log(
            rollouts.run.stage,
            f"{learner.name}: on the same prompts the best policy gets {own:.3f}, the start {start:.3f}: out comes {what}",
        )


def _seed(run: Run, update: int) -> None:
    """Let this update draw what it would draw in an unbroken run; each process draws its own."""
    import torch

    torch.manual_seed(int(np.random.SeedSequence([run.context.seed, update, parallel.rank()]).generate_state(1)[0]))


def _rollout_figures(sequences: Sequences, stats: RolloutStats, scores: np.ndarray) -> Metrics:
    """What the rollouts say of the policy that wrote them: means over answers, of all processes."""
    mask = sequences.answered
    figures = {
        "reward": float(scores.mean()),
        "kl": ppo_math.total(stats.policy - stats.reference, mask).item() / len(mask),
        "length": mask.sum().item() / len(mask),
        "ended": sequences.ended.float().mean().item(),
    }
    return {name: parallel.mean(value) for name, value in figures.items()}


def _final_metrics(run: Run, name: str, snapshot: PolicySnapshot) -> Metrics:
    """Figures of the first rollouts, which the reference wrote; of the policy that comes out; and means of the last updates."""
    logged = run.monitor.metrics_of(name)
    first = {f"{name}_{one}_first": logged[0][one] for one in ROLLOUT} if logged else {}
    after = {f"{name}_{one}_after": value for one, value in snapshot.figures.items()}
    return (
        {f"{name}_updates": len(logged), f"{name}_best_update": snapshot.update}
        | {f"{name}_{one}": value for one, value in metrics.final_means(logged).items()}
        | first
        | after
    )
