"""Proximal Policy Optimisation, our own: TRL dropped it with 1.13, others need GPUs.

In: a policy, prompts as tokens, a reward model. Out: the policy, trained in place, and its figures.
One step: the policy answers some prompts; the reward model scores the answers; each token costs its distance to the reference
(the policy as it came in); a value model, which starts as the reward model, says what was to be expected; then a few rounds over
these rollouts with clipped losses. The arithmetic lies in `ppo_math`, the models' part in `ppo_rollouts`.

Schulman et al. 2017 (clipped losses), Ziegler et al. 2019 (KL penalty, adaptive), Stiennon et al. 2020 (separate value model),
Huang et al. 2024 (details), TRL 1.12 (conventions; a test holds every figure against its recorded steps).

Prompts carry no weight, so none is honoured here: the reward model was trained with the weights of the pairs.
What comes out is the best policy that was seen: of those whose rollouts were within the KL bound the one whose reward, less the fine for
missing ends and the price of its KL, was highest. A batch of rollouts flatters the best of many; so in the end that policy and the start
answer the same prompts with the same random numbers, and where it does worse than the start, the start comes out.

Memory: policy and value model with their optimizer states, the reward model, and the reference. With an adapter the reference is
the policy with the adapter off, and costs nothing; without one it is a frozen copy. The best policy is kept as a copy of the trained
weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from tasks.core.errors import UserError
from tasks.core.shell import log
from trainer.checkpointing import checkpoints, divergence
from trainer.checkpointing.stateful import Stateful
from trainer.data import batches, encode
from trainer.data.release_reader import Prompt
from trainer.loop import metrics
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import ppo_math, ppo_rollouts
from trainer.methods.ppo_math import AdaptiveKLController
from trainer.methods.ppo_rollouts import SamplingConfig, Sequences
from trainer.models import adapters, parallel, reward_models, runtime, typed
from trainer.models import tokenizer as tokenizers
from trainer.settings import Adapter, Schedule

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PART = "ppo"
PANEL = 4  # batches of prompts that the best policy and the start answer in the end
ROLLOUT = ("reward", "kl", "length", "ended")  # figures of rollouts


@dataclass(frozen=True)
class Settings:
    """What PPO needs to know; `params.yaml` says what each is."""

    max_new_tokens: int
    temperature: float
    num_ppo_epochs: int
    num_mini_batches: int
    gamma: float
    gae_lambda: float
    cliprange: float
    cliprange_value: float
    vf_coef: float
    max_grad_norm: float
    missing_eos_penalty: float
    whiten_rewards: bool
    after_end: bool
    kl_coef: float
    kl_target: float
    kl_horizon: int
    kl_stop: float
    kl_bound: float
    schedule: Schedule


@dataclass(frozen=True)
class RolloutStats:
    """What three models say of every token of the answers, at the time of the rollouts."""

    policy: Tensor  # log-probabilities
    reference: Tensor
    values: Tensor


@dataclass(frozen=True)
class Experience:
    """What is to be learnt from rollouts; tensors of one line a rollout, one column a token."""

    sequences: Sequences
    old: Tensor  # log-probabilities at the time of the rollouts
    values: Tensor
    rewards: Tensor
    advantages: Tensor  # whitened
    returns: Tensor

    def take(self, places: Tensor) -> Experience:
        """Some of the rollouts."""
        others = (self.old, self.values, self.rewards, self.advantages, self.returns)
        return Experience(self.sequences.take(places), *(tensor[places] for tensor in others))


class Learner:
    """The four models, and all that changes while the policy learns."""

    def __init__(
        self,
        policy: PreTrainedModel,
        reward: PreTrainedModel,
        settings: Settings,
        adapter: Adapter,
        updates: int,
        dtype: str = "float32",
    ) -> None:
        from peft import PeftModel

        self.settings, self.policy, self.dtype = settings, typed.evaluating(policy), dtype
        self.reference = None if isinstance(policy, PeftModel) else copy.deepcopy(policy).requires_grad_(False)
        self.value = typed.evaluating(adapters.wrap(copy.deepcopy(reward).requires_grad_(True), adapter, "SEQ_CLS"))
        self.optimizer, self.lr_scheduler = make_optimizer(self.policy, self.value, settings.schedule, updates)
        self.kl_controller = AdaptiveKLController(settings.kl_coef, settings.kl_target, settings.kl_horizon)
        self.snapshot = PolicySnapshot(self.policy, self.reference)

    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        return {
            "policy": self.policy,
            "value": self.value,
            "optimizer": self.optimizer,
            "lr_scheduler": self.lr_scheduler,
            "kl_controller": self.kl_controller,
            "snapshot": self.snapshot,
        }

    def score_rollouts(self, sequences: Sequences) -> RolloutStats:
        """What policy, reference and value model say of these rollouts."""
        own, micro = self.settings, self.settings.schedule.per_device_train_batch_size
        with runtime.autocast(self.dtype):
            return RolloutStats(
                ppo_rollouts.in_parts(lambda part: ppo_rollouts.log_probabilities(self.policy, part, own.temperature)[0], sequences, micro),
                ppo_rollouts.in_parts(self._reference, sequences, micro),
                ppo_rollouts.in_parts(lambda part: ppo_rollouts.values(self.value, part, own.after_end), sequences, micro),
            )

    def compute_advantages(self, sequences: Sequences, stats: RolloutStats, scores: Tensor) -> Experience:
        """What is to be learnt from rollouts that the reward model has scored."""
        own, mask = self.settings, sequences.answered
        fined = scores - own.missing_eos_penalty * (~sequences.ended).to(scores.dtype)
        rewarded = ppo_math.rewards(stats.policy - stats.reference, fined, mask, self.kl_controller.coefficient, own.after_end)
        if own.whiten_rewards:
            rewarded = ppo_math.whiten(rewarded, ppo_math.valued(mask, own.after_end), centre=False)
        gained = ppo_math.advantages(rewarded, stats.values, own.gamma, own.gae_lambda)
        return Experience(sequences, stats.policy, stats.values, rewarded, ppo_math.whiten(gained, mask), gained + stats.values)

    def _reference(self, part: Sequences) -> Tensor:
        if self.reference is not None:
            return ppo_rollouts.log_probabilities(self.reference, part, self.settings.temperature)[0]
        with self.policy.disable_adapter():
            return ppo_rollouts.log_probabilities(self.policy, part, self.settings.temperature)[0]

    def learn(self, given: Experience, run: Run, update: int) -> Metrics:
        """Some rounds over the rollouts, in minibatches; mean figures of the steps that were taken."""
        taken: list[Metrics] = []
        for places in self._minibatches(len(given.old), np.random.default_rng([run.context.seed, update, parallel.rank()])):
            figures = self.step(given.take(given.sequences.tokens.new_tensor(places)))
            if figures is None:
                break
            taken.append(figures)
        self.lr_scheduler.step()
        return {name: sum(one[name] for one in taken) / len(taken) for name in taken[0]} | {"steps": len(taken)}

    def _minibatches(self, rollouts: int, chance: np.random.Generator) -> Iterator[list[int]]:
        """Places of the rollouts of each minibatch, in a new order every round."""
        for _ in range(self.settings.num_ppo_epochs):
            for places in np.split(chance.permutation(rollouts), self.settings.num_mini_batches):
                yield places.tolist()

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
            f"{PART}: update {update}: KL {figures['kl']:.3f} to the reference is beyond train.ppo.kl_bound {bound:g}: training ends, "
            f"with the best policy within it, of update {best.update} (KL {best.figures['kl']:.3f}, reward {best.figures['reward']:.3f})",
        )
        return False

    def objective(self, figures: Metrics) -> float:
        """What rollouts are worth: their reward, less the fine for missing ends and the first price of their KL."""
        own = self.settings
        return figures["reward"] - own.missing_eos_penalty * (1 - figures["ended"]) - own.kl_coef * abs(figures["kl"])

    def step(self, batch: Experience) -> Metrics | None:
        """One optimizer step on a minibatch; None, and no step, where the policy is too far from the one that wrote the rollouts."""
        import torch

        figures = self._losses(batch)
        if self.settings.kl_stop and figures["moved"] > self.settings.kl_stop:
            self.optimizer.zero_grad()
            return None
        for model in (self.policy, self.value):
            parallel.average(model)
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.settings.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return figures

    def _losses(self, batch: Experience) -> Metrics:
        """Losses of a minibatch, their gradients added up a few rollouts at a time; sums are divided by the tokens of all."""
        own, mask = self.settings, batch.sequences.answered
        tokens, places = mask.sum(), ppo_math.valued(mask, own.after_end).sum()
        sums = dict.fromkeys(("loss", "policy_loss", "value_loss", "entropy", "clip_fraction", "moved"), 0.0)
        for rows in batch.sequences.parts(own.schedule.per_device_train_batch_size):
            part = batch.take(rows)
            mask = part.sequences.answered
            with runtime.autocast(self.dtype):
                new, entropy = ppo_rollouts.log_probabilities(self.policy, part.sequences, own.temperature)
                now = ppo_rollouts.values(self.value, part.sequences, own.after_end)
            each, clipped = ppo_math.policy_losses(new, part.old, part.advantages, own.cliprange)
            policy_loss = ppo_math.total(each, mask) / tokens
            missed = ppo_math.value_losses(now, part.values, part.returns, own.cliprange_value)
            value_loss = ppo_math.total(missed, ppo_math.valued(mask, own.after_end)) / places
            loss = policy_loss + own.vf_coef * value_loss
            loss.backward()  # type: ignore[no-untyped-call]
            shares = (ppo_math.total(one, mask) / tokens for one in (entropy, clipped.float(), ppo_math.distance(new, part.old)))
            for name, value in zip(sums, (loss, policy_loss, value_loss, *shares), strict=True):
                sums[name] += value.item()
        return {name: parallel.mean(value) for name, value in sums.items()}


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


@dataclass(frozen=True)
class Rollouts:
    """How the policy answers prompts, and what is said of its answers."""

    learner: Learner
    tokenizer: PreTrainedTokenizerBase
    prompts: Sequence[list[int]]
    reward: PreTrainedModel
    run: Run

    def of(self, rows: Sequence[int], update: int) -> tuple[Sequences, RolloutStats, np.ndarray, Metrics]:
        """Answers to these prompts, by the random numbers of that update: with what models say of them, their scores, and their figures."""
        own, closing = self.learner.settings, tokenizers.closing_tokens(self.tokenizer)
        ends, pad, micro = (
            tokenizers.end_tokens(self.tokenizer),
            self.tokenizer.pad_token_id,
            own.schedule.per_device_train_batch_size,
        )
        _seed(self.run, update)
        with runtime.autocast(self.run.context.dtype):
            sampling = SamplingConfig(ends, pad, own.max_new_tokens, own.temperature, micro)
            sequences = ppo_rollouts.write(self.learner.policy, [self.prompts[row] for row in parallel.share(rows)], sampling)
        scores = reward_models.score(self.reward, sequences.rows(closing), pad, micro)
        stats = self.learner.score_rollouts(sequences)
        return sequences, stats, scores, _rollout_figures(sequences, stats, scores)


def make_optimizer(policy: PreTrainedModel, value: PreTrainedModel, schedule: Schedule, updates: int) -> tuple[Optimizer, LRScheduler]:
    """AdamW over both models; the rate rises, then falls linearly, once an update."""
    import torch
    from transformers import get_linear_schedule_with_warmup

    trained = [weight for model in (policy, value) for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=schedule.learning_rate, weight_decay=0.0)
    warmup = int(updates * schedule.warmup_ratio)
    return optimizer, get_linear_schedule_with_warmup(optimizer, warmup, updates)  # type: ignore[no-untyped-call]  # transformers leaves it untyped


def train(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    reward: PreTrainedModel,
    settings: Settings,
    run: Run,
) -> Metrics:
    """Let the policy learn from the reward model's scores of its own answers; the reference is the policy as it comes in.

    After the last update the policy writes once more, and nothing is learnt. The figures named `after` are those of the policy that
    comes out, which is the best one seen, always with a KL within the bound.
    """
    schedule = settings.schedule
    updates = batches.steps(len(prompts), schedule.train_batch_size, schedule.num_train_epochs, schedule.max_steps)
    order = batches.plan(
        [len(prompt) for prompt in prompts], [1.0] * len(prompts), settings.schedule.train_batch_size, updates + 1, run.context.seed
    )
    learner = Learner(policy, reward, settings, run.adapter, updates, run.context.dtype)
    rollouts = Rollouts(learner, tokenizer, prompts, reward, run)
    done, _ = checkpoints.restore(run, learner.parts())
    for update, rows in enumerate(order[done:], start=done + 1):
        sequences, stats, scores, rollout_metrics = rollouts.of(rows, update)
        if not learner.keep(rollout_metrics, update, run) or update > updates:
            break
        learnt = learner.learn(
            learner.compute_advantages(sequences, stats, sequences.tokens.new_tensor(scores, dtype=stats.values.dtype)), run, update
        )
        run.monitor.step(PART, update, updates, learnt | rollout_metrics | {"kl_coefficient": learner.kl_controller.coefficient})
        learner.kl_controller.update(rollout_metrics["kl"], settings.schedule.train_batch_size)
        checkpoints.save(run, update, learner.parts(), {})
    _hand_over(rollouts, [row for rows in order[-PANEL:] for row in rows], len(order) + 1)
    divergence.require_finite(PART, updates, policy)
    return _final_metrics(run, learner.snapshot)


def _hand_over(rollouts: Rollouts, rows: Sequence[int], seed: int) -> None:
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
        log(rollouts.run.stage, f"{PART}: on the same prompts the best policy gets {own:.3f}, the start {start:.3f}: out comes {what}")


def fitting_prompts(
    prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase, max_length: int, answer: int, stage: str
) -> tuple[list[list[int]], Metrics]:
    """The prompts that leave room for an answer, as tokens, and the counts; a UserError where there is none."""
    kept, reasons = encode.encode_prompts(prompts, tokenizer, max_length - answer)
    left_out = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
    summary = f"train: {len(prompts)} prompts = {len(kept)} used + {sum(reasons.values())} left out" + (
        f" ({left_out})" if left_out else ""
    )
    if not kept:
        raise UserError(
            f"train.ppo.max_new_tokens: {answer}",
            summary,
            f"a prompt of at most {max_length - answer} tokens",
            "raise start.max_length, or lower train.ppo.max_new_tokens",
        )
    log(stage, summary)
    return kept, {"prompts": len(kept), **{f"left_out_{reason}": count for reason, count in reasons.items()}}


def require_same_tokens(ours: PreTrainedTokenizerBase, theirs: PreTrainedTokenizerBase, where: str) -> None:
    """A UserError where policy and reward model read tokens differently: rewards would be those of another text."""
    if ours.get_vocab() != theirs.get_vocab() or ours.chat_template != theirs.chat_template:
        raise UserError(
            where,
            f"a reward model with a tokenizer of its own ({len(theirs)} tokens; the policy has {len(ours)})",
            "the policy's tokenizer and chat template",
            "train the reward model from the same start: `dvc repro reward`",
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


def _final_metrics(run: Run, snapshot: PolicySnapshot) -> Metrics:
    """Figures of the first rollouts, which the reference wrote; of the policy that comes out; and means of the last updates."""
    logged = run.monitor.metrics_of(PART)
    first = {f"{PART}_{name}_first": logged[0][name] for name in ROLLOUT} if logged else {}
    after = {f"{PART}_{name}_after": value for name, value in snapshot.figures.items()}
    return (
        {f"{PART}_updates": len(logged), f"{PART}_best_update": snapshot.update}
        | {f"{PART}_{name}": value for name, value in metrics.final_means(logged).items()}
        | first
        | after
    )
