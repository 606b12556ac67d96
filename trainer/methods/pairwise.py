"""What methods on pairs share: rows in order, both answers' log-probabilities, the figures that TRL logs, and one way to train.

In: a policy, encoded pairs, and a judge, which makes a loss of the log-probabilities of both answers. Out: the policy, trained in place.
A judge is all that a method has of its own: `dpo`, `tr_dpo`, `orpo`, `cpo` and `simpo` are one each.

Both answers of a pair share one row where the model allows it, and the GPU's memory (`shared_prompt`): the same loss at half the cost.
Else each answer has a row of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.data import batches
from trainer.data.encode import EncodedPair
from trainer.loop import hf_trainer, metrics
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import shared_prompt
from trainer.models import runtime, scoring
from trainer.models.scoring import Scores
from trainer.settings import Schedule

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    Sides = tuple[Tensor, Tensor]  # a number for each chosen and for each rejected answer
    Given = Mapping[str, Tensor]  # a batch
    Read = Callable[[PreTrainedModel, Given], tuple[Sides, Tensor]]  # sums of both answers' log-probabilities, and the entropy

FIGURES = {  # TRL's name: ours
    "loss": "loss",
    "rewards/margins": "margin",
    "rewards/accuracies": "accuracy",
    "rewards/chosen": "chosen_reward",
    "rewards/rejected": "rejected_reward",
    "logps/chosen": "chosen_logps",
    "logps/rejected": "rejected_logps",
    "entropy": "entropy",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
}


@dataclass(frozen=True)
class Judged:
    """What a method makes of a batch."""

    losses: Tensor  # of every pair
    chosen: Tensor  # implicit rewards, without gradients
    rejected: Tensor


Judge = Callable[["Sides", "Given"], Judged]


def planned(pairs: Sequence[EncodedPair], schedule: Schedule, steps: int, seed: int) -> list[int]:
    """Places of the pairs of all steps, in order."""
    order = batches.plan([row.length for row in pairs], [row.pair.weight for row in pairs], schedule.train_batch_size, steps, seed)
    return [place for batch in order for place in batch]


def table(pairs: Sequence[EncodedPair], places: Sequence[int], **more: np.ndarray) -> Dataset:
    """The rows of all steps, in TRL's own columns for pairs that are tokenised; `more` are columns beside."""
    from datasets import Dataset

    sides = {"prompt_ids": "prompt", "chosen_ids": "chosen", "rejected_ids": "rejected"}
    return Dataset.from_dict({name: [getattr(pairs[place], side) for place in places] for name, side in sides.items()} | more)


def arguments(schedule: Schedule, steps: int, run: Run, **own: object) -> DPOConfig:
    """TRL's arguments; no second model is held for the reference."""
    from trl.trainer.dpo_config import DPOConfig

    return hf_trainer.arguments(
        DPOConfig,
        schedule,
        steps,
        run,
        precompute_ref_log_probs=True,
        disable_dropout=not run.adapter.lora_dropout,  # TRL would switch the adapter's off, too
        **own,
    )


def shared(policy: PreTrainedModel, pairs: Sequence[EncodedPair], pad: int, together: int) -> bool:
    """Whether both answers of a pair can share a row."""
    return shared_prompt.fits(policy, [(row.prompt, row.chosen, row.rejected) for row in pairs], pad, together)


def train_without_reference(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[EncodedPair],
    name: str,
    judge: Judge,
    schedule: Schedule,
    run: Run,
    heldout: Sequence[EncodedPair] = (),
) -> Metrics:
    """Train by a judge that needs no columns but tokens and lengths; `heldout` is never learned from."""
    pad, steps, dtype = tokenizer.pad_token_id, hf_trainer.steps(len(pairs), schedule), run.context.dtype
    made, lengths = arguments(schedule, steps, run), answer_lengths(heldout)
    together = shared(policy, pairs, pad, made.per_device_train_batch_size)
    trainer = judging(judge, reader(together))(
        model=policy,
        args=made,
        data_collator=collator(pad, together),
        train_dataset=table(pairs, planned(pairs, schedule, steps, run.context.seed)),
        processing_class=tokenizer,
    )

    def held_out() -> float:
        return mean_loss(judge, held_out_scores(policy, heldout, pad, schedule.per_device_train_batch_size, dtype), lengths)

    return figures(name, hf_trainer.fit(trainer, run, name, steps, FIGURES, held_out if heldout else None))


def figures(name: str, logged: Sequence[Metrics]) -> Metrics:
    """Steps, and mean figures of the last ones."""
    return {f"{name}_steps": len(logged)} | {f"{name}_{one}": value for one, value in metrics.final_means(logged).items()}


def held_out_scores(policy: PreTrainedModel, heldout: Sequence[EncodedPair], pad: int, batch: int, dtype: str) -> Scores:
    """Log-probabilities of both answers of pairs that are not learned from, in the precision in which the policy learns."""
    with runtime.autocast(dtype):
        return scoring.score(policy, heldout, pad, batch)


def answer_lengths(pairs: Sequence[EncodedPair]) -> Scores:
    """Tokens of both answers of every pair."""
    return Scores(np.array([len(row.chosen) for row in pairs]), np.array([len(row.rejected) for row in pairs]))


def mean_loss(judge: Judge, now: Scores, lengths: Scores) -> float:
    """The mean loss of pairs by a judge that needs no columns but lengths."""
    import torch

    sides = [(torch.from_numpy(scores.chosen), torch.from_numpy(scores.rejected)) for scores in (now, lengths)]
    given = {"length_chosen": sides[1][0], "length_rejected": sides[1][1]}
    return float(judge(sides[0], given).losses.mean())


def counted_rows() -> type[DPOTrainer]:
    """TRL's trainer, taking rows as they are."""
    from trl.trainer.dpo_trainer import DPOTrainer

    class CountedRows(DPOTrainer):
        """Neither tokenises nor scores: both is done."""

        def _prepare_dataset(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
            return dataset

        def _precompute_ref_logps(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
            return dataset

    return CountedRows


def judging(judge: Judge, read: Read) -> type[DPOTrainer]:
    """The same with the loss of a judge, for rows of `collator`."""

    class Judging(counted_rows()):  # type: ignore[misc]
        """The figures are those that TRL logs."""

        def _compute_loss(self, model: PreTrainedModel, inputs: dict[str, Tensor], return_outputs: bool) -> Tensor:
            now, entropy = read(model, inputs)
            found = judge(now, inputs)
            told = {
                "rewards/margins": found.chosen - found.rejected,
                "rewards/accuracies": (found.chosen > found.rejected).float(),
                "rewards/chosen": found.chosen,
                "rewards/rejected": found.rejected,
                "logps/chosen": now[0].detach(),
                "logps/rejected": now[1].detach(),
                "entropy": entropy,
            }
            for name, value in told.items():
                self._metrics["train"][name].append(self.accelerator.gather(value).mean())
            return found.losses.mean()

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            """Only now the figures are asked for: before the way back, the GPU would wait for it to begin."""
            figures = self._metrics["train"]
            for name, values in figures.items():
                figures[name] = [float(value) for value in values]
            super().log(logs, start_time)

    return Judging


def reader(together: bool) -> Read:
    """How log-probabilities and entropy are read of a batch of `collator`."""
    return _read_shared if together else _read_alone


def _read_shared(model: PreTrainedModel, given: Given) -> tuple[Sides, Tensor]:
    lines, sides, entropy = shared_prompt.read(model, given)
    return (-(lines * (sides == shared_prompt.CHOSEN)).sum(1), -(lines * (sides == shared_prompt.REJECTED)).sum(1)), entropy


def _read_alone(model: PreTrainedModel, given: Given) -> tuple[Sides, Tensor]:
    import torch

    kept = torch.arange(int(given["first"]), given["tokens"].shape[1] - 1, device=given["tokens"].device)
    asked: dict[str, Any] = {"input_ids": given["tokens"], "attention_mask": given["mask"]}
    logits, labels = model(**asked, use_cache=False, logits_to_keep=kept).logits, given["labels"][:, kept + 1]
    chosen, rejected = (-shared_prompt.token_losses(logits, labels).sum(1)).chunk(2)
    return (chosen, rejected), shared_prompt.entropy(logits, labels)


def collator(pad: int, together: bool) -> Callable[[Sequence[Mapping[str, Any]]], dict[str, Tensor]]:
    """Rows of `table` as `reader` reads them, with the lengths of both answers, and the reference's scores where the rows have them."""

    def collate(rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        import torch

        triples = [(row["prompt_ids"], row["chosen_ids"], row["rejected_ids"]) for row in rows]
        found = shared_prompt.tensors(triples, pad) if together else _alone(triples, pad)
        for side in ("chosen", "rejected"):
            found[f"length_{side}"] = torch.tensor([float(len(row[f"{side}_ids"])) for row in rows])
            if f"ref_{side}_logps" in rows[0]:
                found[f"reference_{side}"] = torch.tensor([row[f"ref_{side}_logps"] for row in rows])
        return found

    return collate


def _alone(triples: Sequence[shared_prompt.Triple], pad: int) -> dict[str, Tensor]:
    """First all chosen answers, then all rejected ones, each with its prompt."""
    import torch

    tokens, mask, labels = scoring.tensors([(one[0], one[side]) for side in (1, 2) for one in triples], pad)
    first = torch.tensor(min(len(one[0]) for one in triples) - 1)
    return {"tokens": tokens, "mask": mask, "labels": labels, "first": first}
