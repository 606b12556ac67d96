"""Proximal Policy Optimisation, our own: TRL dropped it with 1.13, others need GPUs.

In: a policy, prompts as tokens, a reward model. Out: the policy, trained in place, and its figures.
One step: the policy answers some prompts; the reward model scores the answers; each token costs its distance to the reference
(the policy as it came in); a value model, which starts as the reward model, says what was to be expected; then a few rounds over
these rollouts with clipped losses. The arithmetic lies in `ppo_math`, the models' part in `ppo_rollouts`.

Schulman et al. 2017 (clipped losses), Ziegler et al. 2019 (KL penalty, adaptive), Stiennon et al. 2020 (separate value model),
Huang et al. 2024 (details), TRL 1.12 (conventions; a test holds every figure against its recorded steps).

Prompts carry no weight, so none is honoured here: the reward model has heard the weights of the pairs.
Memory: policy and value model with their optimizer states, the reward model, and the reference. With an adapter the reference is
the policy with the adapter off, and costs nothing; without one it is a frozen copy. The last policy within the KL bound is kept as
a copy of the trained weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.core.errors import UserError
from tasks.core.shell import tell
from trainer.core import adapters, batches, checkpoints, encode, guard, outcome, parallel, rewards, runtime
from trainer.core import tokenizer as tokenizers
from trainer.core.outcome import Figures
from trainer.core.release import Prompt
from trainer.core.run import Run
from trainer.core.settings import Adapter, Schedule
from trainer.methods import ppo_math, ppo_rollouts
from trainer.methods.ppo_math import KlPrice
from trainer.methods.ppo_rollouts import Sequences, Writing

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PART = "ppo"
ROLLOUT = ("reward", "kl", "length", "ended")  # figures of rollouts


@dataclass(frozen=True)
class Settings:
    """What PPO needs to know; `params.yaml` says what each is."""

    answer: int
    temperature: float
    rounds: int
    minibatches: int
    gamma: float
    decay: float
    clip: float
    value_clip: float
    value_weight: float
    gradient_norm: float
    missing_end: float
    whiten_rewards: bool
    after_end: bool
    kl_coefficient: float
    kl_target: float
    kl_horizon: int
    kl_stop: float
    kl_bound: float
    schedule: Schedule


@dataclass(frozen=True)
class Seen:
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
        precision: str = "float32",
    ) -> None:
        from peft import PeftModel

        self.settings, self.policy, self.precision = settings, policy.eval(), precision
        self.reference = None if isinstance(policy, PeftModel) else copy.deepcopy(policy).requires_grad_(False)
        self.value = adapters.wrap(copy.deepcopy(reward).requires_grad_(True), adapter, "SEQ_CLS").eval()
        self.optimizer, self.rate = pace(self.policy, self.value, settings.schedule, updates)
        self.price = KlPrice(settings.kl_coefficient, settings.kl_target, settings.kl_horizon)
        self.within = Kept(self.policy)

    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "policy": self.policy,
            "value": self.value,
            "optimizer": self.optimizer,
            "rate": self.rate,
            "price": self.price,
            "within": self.within,
        }

    def look(self, sequences: Sequences) -> Seen:
        """What policy, reference and value model say of these rollouts."""
        own, micro = self.settings, self.settings.schedule.micro_batch
        with runtime.autocast(self.precision):
            return Seen(
                ppo_rollouts.in_parts(lambda part: ppo_rollouts.log_probabilities(self.policy, part, own.temperature)[0], sequences, micro),
                ppo_rollouts.in_parts(self._reference, sequences, micro),
                ppo_rollouts.in_parts(lambda part: ppo_rollouts.values(self.value, part, own.after_end), sequences, micro),
            )

    def judge(self, sequences: Sequences, seen: Seen, scores: Tensor) -> Experience:
        """What is to be learnt from rollouts that the reward model has scored."""
        own, mask = self.settings, sequences.answered
        fined = scores - own.missing_end * (~sequences.ended).to(scores.dtype)
        rewarded = ppo_math.rewards(seen.policy - seen.reference, fined, mask, self.price.coefficient, own.after_end)
        if own.whiten_rewards:
            rewarded = ppo_math.whiten(rewarded, ppo_math.valued(mask, own.after_end), centre=False)
        gained = ppo_math.advantages(rewarded, seen.values, own.gamma, own.decay)
        return Experience(sequences, seen.policy, seen.values, rewarded, ppo_math.whiten(gained, mask), gained + seen.values)

    def _reference(self, part: Sequences) -> Tensor:
        if self.reference is not None:
            return ppo_rollouts.log_probabilities(self.reference, part, self.settings.temperature)[0]
        with self.policy.disable_adapter():
            return ppo_rollouts.log_probabilities(self.policy, part, self.settings.temperature)[0]

    def learn(self, given: Experience, run: Run, update: int) -> Figures:
        """Some rounds over the rollouts, in minibatches; mean figures of the steps that were taken."""
        taken: list[Figures] = []
        for places in self._minibatches(len(given.old), np.random.default_rng([run.basis.seed, update, parallel.rank()])):
            figures = self.step(given.take(given.sequences.tokens.new_tensor(places)))
            if figures is None:
                break
            taken.append(figures)
        self.rate.step()
        return {name: sum(one[name] for one in taken) / len(taken) for name in taken[0]} | {"steps": len(taken)}

    def _minibatches(self, rollouts: int, chance: np.random.Generator) -> Iterator[list[int]]:
        """Places of the rollouts of each minibatch, in a new order every round."""
        for _ in range(self.settings.rounds):
            for places in np.split(chance.permutation(rollouts), self.settings.minibatches):
                yield places.tolist()

    def hold(self, figures: Figures, update: int, run: Run) -> bool:
        """Keep a policy whose rollouts are within the KL bound; else go back to the one before, and say so.

        KL is never negative, but its estimate from a few rollouts is, where the policy is far away: so its size counts.
        """
        bound = self.settings.kl_bound
        if not bound or abs(figures["kl"]) <= bound:
            self.within.hold(figures)
            return True
        self.within.give_back()
        tell(
            run.stage,
            f"{PART}: update {update}: KL {figures['kl']:.3f} to the reference is beyond train.ppo.kl_bound {bound:g}: training ends, "
            f"with the policy of the update before (KL {self.within.figures['kl']:.3f}, reward {self.within.figures['reward']:.3f})",
        )
        return False

    def step(self, batch: Experience) -> Figures | None:
        """One optimizer step on a minibatch; None, and no step, where the policy is too far from the one that wrote the rollouts."""
        import torch

        figures = self._losses(batch)
        if self.settings.kl_stop and figures["moved"] > self.settings.kl_stop:
            self.optimizer.zero_grad()
            return None
        for model in (self.policy, self.value):
            parallel.average(model)
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.settings.gradient_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return figures

    def _losses(self, batch: Experience) -> Figures:
        """Losses of a minibatch, their gradients added up a few rollouts at a time; sums are divided by the tokens of all."""
        own, mask = self.settings, batch.sequences.answered
        tokens, places = mask.sum(), ppo_math.valued(mask, own.after_end).sum()
        sums = dict.fromkeys(("loss", "policy_loss", "value_loss", "entropy", "clip_fraction", "moved"), 0.0)
        for rows in batch.sequences.parts(own.schedule.micro_batch):
            part = batch.take(rows)
            mask = part.sequences.answered
            with runtime.autocast(self.precision):
                new, entropy = ppo_rollouts.log_probabilities(self.policy, part.sequences, own.temperature)
                now = ppo_rollouts.values(self.value, part.sequences, own.after_end)
            each, clipped = ppo_math.policy_losses(new, part.old, part.advantages, own.clip)
            policy_loss = ppo_math.total(each, mask) / tokens
            missed = ppo_math.value_losses(now, part.values, part.returns, own.value_clip)
            value_loss = ppo_math.total(missed, ppo_math.valued(mask, own.after_end)) / places
            loss = policy_loss + own.value_weight * value_loss
            loss.backward()  # type: ignore[no-untyped-call]
            shares = (ppo_math.total(one, mask) / tokens for one in (entropy, clipped.float(), ppo_math.distance(new, part.old)))
            for name, value in zip(sums, (loss, policy_loss, value_loss, *shares), strict=True):
                sums[name] += value.item()
        return {name: parallel.mean(value) for name, value in sums.items()}


class Kept:
    """A copy of the trained weights of the last policy that stood within the KL bound; part of a checkpoint."""

    def __init__(self, policy: PreTrainedModel) -> None:
        self.trained = {name: weight for name, weight in policy.named_parameters() if weight.requires_grad}
        self.weights: dict[str, Tensor] = {}
        self.figures: Figures = {}

    def hold(self, figures: Figures) -> None:
        """Keep the policy as it stands, with the figures of its rollouts."""
        self.weights = {name: weight.detach().clone() for name, weight in self.trained.items()}
        self.figures = figures

    def give_back(self) -> None:
        """Let the policy be what was kept."""
        for name, weight in self.trained.items():
            weight.data.copy_(self.weights[name])

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"weights": self.weights, "figures": self.figures}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.weights, self.figures = state["weights"], state["figures"]


def pace(policy: PreTrainedModel, value: PreTrainedModel, schedule: Schedule, updates: int) -> tuple[Optimizer, LRScheduler]:
    """AdamW over both models; the rate rises, then falls linearly, once an update."""
    import torch
    from transformers import get_linear_schedule_with_warmup

    trained = [weight for model in (policy, value) for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=schedule.learning_rate, weight_decay=0.0)
    return optimizer, get_linear_schedule_with_warmup(optimizer, int(updates * schedule.warmup), updates)


def train(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    reward: PreTrainedModel,
    settings: Settings,
    run: Run,
) -> Figures:
    """Let the policy learn from the reward model's scores of its own answers; the reference is the policy as it comes in.

    After the last update the policy writes once more, and nothing is learnt: the figures named `after` are those of the policy that
    comes out, which is always one whose KL was seen within the bound.
    """
    updates = _updates(len(prompts), settings)
    order = batches.plan([len(prompt) for prompt in prompts], [1.0] * len(prompts), settings.schedule.batch, updates + 1, run.basis.seed)
    learner = Learner(policy, reward, settings, run.adapter, updates, run.basis.precision)
    closing = tokenizers.closing(tokenizer)
    how = Writing(
        [tokenizer.eos_token_id, *closing[:1]], tokenizer.pad_token_id, settings.answer, settings.temperature, settings.schedule.micro_batch
    )
    done, _ = checkpoints.restore(run, learner.parts())
    for update, rows in enumerate(order[done:], start=done + 1):
        _seed(run, update)
        with runtime.autocast(run.basis.precision):
            sequences = ppo_rollouts.write(policy, [prompts[row] for row in parallel.share(rows)], how)
        scores = rewards.score(reward, sequences.rows(closing), how.pad, how.micro_batch)
        seen = learner.look(sequences)
        told = _rollout_figures(sequences, seen, scores)
        if not learner.hold(told, update, run) or update > updates:
            break
        learnt = learner.learn(learner.judge(sequences, seen, sequences.tokens.new_tensor(scores, dtype=seen.values.dtype)), run, update)
        run.watch.step(PART, update, updates, learnt | told | {"kl_coefficient": learner.price.coefficient})
        learner.price.hear(told["kl"], settings.schedule.batch)
        checkpoints.save(run, update, learner.parts(), {})
    guard.demand_finite(PART, updates, policy)
    return _outcome(run, learner.within)


def fitting(
    prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase, window: int, answer: int, stage: str
) -> tuple[list[list[int]], Figures]:
    """The prompts that leave room for an answer, as tokens, and the counts; a UserError where there is none."""
    kept, reasons = encode.encode_prompts(prompts, tokenizer, window - answer)
    left_out = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
    told = f"train: {len(prompts)} prompts = {len(kept)} used + {sum(reasons.values())} left out" + (f" ({left_out})" if left_out else "")
    if not kept:
        raise UserError(
            f"train.ppo.answer: {answer}",
            told,
            f"a prompt of at most {window - answer} tokens",
            "raise start.window, or lower train.ppo.answer",
        )
    tell(stage, told)
    return kept, {"prompts": len(kept), **{f"left_out_{reason}": count for reason, count in reasons.items()}}


def demand_same_tokens(ours: PreTrainedTokenizerBase, theirs: PreTrainedTokenizerBase, where: str) -> None:
    """A UserError where policy and reward model read tokens differently: rewards would be those of another text."""
    if ours.get_vocab() != theirs.get_vocab() or ours.chat_template != theirs.chat_template:
        raise UserError(
            where,
            f"a reward model with a tokenizer of its own ({len(theirs)} tokens; the policy has {len(ours)})",
            "the policy's tokenizer and chat template",
            "train the reward model from the same start: `dvc repro reward`",
        )


def _updates(prompts: int, settings: Settings) -> int:
    """Updates of the schedule; a UserError where their rollouts cannot be shared evenly."""
    schedule, pieces = settings.schedule, settings.minibatches * parallel.world()
    if schedule.batch % pieces:
        raise UserError(
            f"train.ppo.schedule.batch: {schedule.batch}",
            f"no even share for {settings.minibatches} minibatches in each of {parallel.world()} processes",
            f"a multiple of {pieces}",
            "change train.ppo.schedule.batch or train.ppo.minibatches, or start fewer processes",
        )
    return batches.steps(prompts, schedule.batch, schedule.epochs, schedule.max_steps)


def _seed(run: Run, update: int) -> None:
    """Let this update draw what it would draw in an unbroken run; each process draws its own."""
    import torch

    torch.manual_seed(int(np.random.SeedSequence([run.basis.seed, update, parallel.rank()]).generate_state(1)[0]))


def _rollout_figures(sequences: Sequences, seen: Seen, scores: np.ndarray) -> Figures:
    """What the rollouts say of the policy that wrote them: means over answers, of all processes."""
    mask = sequences.answered
    figures = {
        "reward": float(scores.mean()),
        "kl": ppo_math.total(seen.policy - seen.reference, mask).item() / len(mask),
        "length": mask.sum().item() / len(mask),
        "ended": sequences.ended.float().mean().item(),
    }
    return {name: parallel.mean(value) for name, value in figures.items()}


def _outcome(run: Run, within: Kept) -> Figures:
    """Figures of the first rollouts, which the reference wrote; of the policy that comes out; and means of the last updates."""
    logged = run.watch.of(PART)
    first = {f"{PART}_{name}_first": logged[0][name] for name in ROLLOUT} if logged else {}
    after = {f"{PART}_{name}_after": value for name, value in within.figures.items()}
    return {f"{PART}_updates": len(logged)} | {f"{PART}_{name}": value for name, value in outcome.tails(logged).items()} | first | after
