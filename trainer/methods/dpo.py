"""Direct Preference Optimisation with TRL, on pairs that we have tokenised, counted and put in order ourselves.

In: a policy that stands where the reference stands, and encoded pairs. Out: the policy,
trained in place; the mean figures of the last steps.

TRL would tokenise, drop and cut by itself, without a count, and score the reference again for every repeated row:
here it gets exactly the tokens that were counted, and the reference's scores as columns. The reference is scored once, before the
first step, and only on rows that are seen. Held-out loss is computed here, over all pairs at once: TRL's own is a mean of batch means.
Both answers of a pair share one row where the model allows it, and the GPU's memory (`shared_prompt`): the same loss at half the cost.

Losses: sigmoid (Rafailov et al. 2023), hinge (SLiC, Zhao et al. 2023), ipo (Azar et al. 2023), robust (Chowdhury et al. 2024),
apo_zero (D'Oosterlinck et al. 2024). Beside any of them may stand the supervised loss of the chosen answers, as in Pang et al. (2024):
DPO only asks that the chosen answer fall less than the rejected one, and a model whose good answers all become unlikely writes broken ones.
It is TRL's, a mean over the tokens of the rows at once, so with it the result depends a little on the rows at once and on the processes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.core.errors import UserError
from trainer.data import batches
from trainer.data.encode import EncodedPair
from trainer.loop import hf_trainer, metrics
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import shared_prompt
from trainer.methods.pair_scores import KnownScores, score
from trainer.models import runtime
from trainer.models.scoring import Scores
from trainer.settings import Schedule

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from trl.trainer.dpo_trainer import DPOTrainer

    Sides = tuple[Tensor, Tensor]  # a number for each chosen and for each rejected answer

# TRL's `discopop` is left out because it learned the wrong way when measured; the others need settings of their own.
LOSSES = ("sigmoid", "hinge", "ipo", "robust", "apo_zero")
SMOOTHED = ("robust",)  # those of them that read label smoothing; TRL lets the others ignore it without a word
SUPERVISED = "sft"  # TRL's name of the supervised loss of the chosen answers, a mean over the tokens of a batch
AUTO = "auto"
FIGURES = {"loss": "loss", "rewards/margins": "margin", "rewards/accuracies": "accuracy"}  # TRL's name: ours


@dataclass(frozen=True)
class Settings:
    """What DPO needs to know."""

    loss_type: str
    beta: float
    label_smoothing: float
    sft_weight: float  # of the supervised loss of the chosen answers; 0 leaves it out
    schedule: Schedule

    @property
    def terms(self) -> dict[str, float]:
        """TRL's names of the parts of the loss, with their weights."""
        return {self.loss_type: 1.0} | ({SUPERVISED: self.sft_weight} if self.sft_weight else {})


def resolve_label_smoothing(loss: str, wanted: float | str, estimate: float | None) -> float:
    """The label smoothing to use: the wanted number, or with `auto` the release's estimate; a UserError where neither can be had."""
    reads = loss in SMOOTHED
    if wanted == AUTO and reads:
        if estimate is None:
            raise UserError(
                "train.dpo.label_smoothing: auto",
                "no `label_smoothing` in the release's methods.json",
                "a release that estimates its label noise",
                "make the release again, or give a number",
            )
        return estimate
    if wanted == AUTO:
        return 0.0
    if wanted and not reads:
        raise UserError(
            f"train.dpo.label_smoothing: {wanted}",
            f"the loss {loss}, which ignores it",
            f"0 or auto, or the loss {' or '.join(SMOOTHED)}",
            "change train.dpo.label_smoothing or train.dpo.loss_type",
        )
    return float(wanted)


def train(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[EncodedPair],
    settings: Settings,
    run: Run,
    heldout: Sequence[EncodedPair] = (),
) -> Metrics:
    """Train the policy to prefer the chosen answers; the reference is the policy as it comes in. `held` is never learned from."""
    from trl.trainer.dpo_config import DPOConfig

    steps = hf_trainer.steps(len(pairs), settings.schedule)
    own = {
        "loss_type": list(settings.terms),
        "loss_weights": list(settings.terms.values()),
        "beta": settings.beta,
        "label_smoothing": settings.label_smoothing,
        "precompute_ref_log_probs": True,  # they come with the reference's scores, so no second model is held
        "disable_dropout": not run.adapter.lora_dropout,  # TRL would switch the adapter's off, too
    }
    arguments = hf_trainer.arguments(DPOConfig, settings.schedule, steps, run, **own)
    held_out = held_out_loss(policy, heldout, tokenizer.pad_token_id, settings, run.context.dtype) if heldout else None
    triples = [(row.prompt, row.chosen, row.rejected) for row in pairs]
    together = shared_prompt.fits(policy, triples, tokenizer.pad_token_id, arguments.per_device_train_batch_size)
    kind, collator = (_sharing(settings), _collator(tokenizer.pad_token_id)) if together else (_trainer_class(), None)
    trainer = kind(
        model=policy,
        args=arguments,
        data_collator=collator,
        train_dataset=_rows(
            pairs, policy, tokenizer.pad_token_id, settings.schedule, steps, run.context.seed, run.context.dtype, run.known
        ),
        processing_class=tokenizer,
    )
    logged = hf_trainer.fit(trainer, run, "dpo", steps, FIGURES, held_out)
    return {"dpo_steps": len(logged)} | {f"dpo_{name}": value for name, value in metrics.final_means(logged).items()}


def _rows(
    pairs: Sequence[EncodedPair],
    policy: PreTrainedModel,
    pad: int,
    schedule: Schedule,
    steps: int,
    seed: int,
    dtype: str = "float32",
    known: KnownScores | None = None,
) -> Dataset:
    """The rows of all steps, in order, in TRL's own columns for pairs that are tokenised and scored; only what is seen is scored."""
    from datasets import Dataset

    weights = [row.pair.weight for row in pairs]
    order = batches.plan([row.length for row in pairs], weights, schedule.train_batch_size, steps, seed)
    places = [place for batch in order for place in batch]
    seen = sorted(set(places))
    with runtime.autocast(dtype):  # as the policy will be, or their roundings differ and every pair begins with a margin
        scores = known.score if known else score
        reference = scores(policy, [pairs[place] for place in seen], pad, schedule.per_device_train_batch_size)
    at = [bisect_left(seen, place) for place in places]
    return Dataset.from_dict(
        {
            "prompt_ids": [pairs[place].prompt for place in places],
            "chosen_ids": [pairs[place].chosen for place in places],
            "rejected_ids": [pairs[place].rejected for place in places],
            "ref_chosen_logps": reference.chosen[at],
            "ref_rejected_logps": reference.rejected[at],
        }
    )


def held_out_loss(
    policy: PreTrainedModel, heldout: Sequence[EncodedPair], pad: int, settings: Settings, dtype: str = "float32"
) -> Callable[[], float]:
    """How to get the mean loss over pairs that are not learned from; the reference is the policy as it stands now."""

    def scores() -> Scores:
        with runtime.autocast(dtype):
            return score(policy, heldout, pad, settings.schedule.per_device_train_batch_size)

    reference, lengths = scores(), answer_lengths(heldout)
    return lambda: float(losses(settings, scores(), reference, lengths).mean())


def answer_lengths(pairs: Sequence[EncodedPair]) -> Scores:
    """Tokens of both answers of every pair."""
    return Scores(np.array([len(row.chosen) for row in pairs]), np.array([len(row.rejected) for row in pairs]))


def losses(settings: Settings, policy: Scores, reference: Scores, lengths: Scores) -> np.ndarray:
    """Each pair's loss; `lengths` are the tokens of both answers."""
    import torch

    parts = [(torch.from_numpy(scores.chosen), torch.from_numpy(scores.rejected)) for scores in (policy, reference, lengths)]
    found: np.ndarray = loss_of(settings, parts[0], parts[1], parts[2]).numpy()
    return found


def loss_of(settings: Settings, policy: Sides, reference: Sides, lengths: Sides) -> Tensor:
    """Each pair's loss, as TRL 1.16 computes it. The supervised part is that of all pairs together, and the same for each."""
    from torch.nn import functional

    chosen, rejected = (mine - theirs for mine, theirs in zip(policy, reference, strict=True))
    reward, smooth = settings.beta * (chosen - rejected), settings.label_smoothing
    found: Tensor
    match settings.loss_type:
        case "sigmoid":
            found = functional.softplus(-reward)
        case "hinge":
            found = functional.relu(1 - reward)
        case "ipo":  # per token, as its authors meant it
            found = (chosen / lengths[0] - rejected / lengths[1] - 1 / (2 * settings.beta)) ** 2
        case "robust":
            found = ((1 - smooth) * functional.softplus(-reward) - smooth * functional.softplus(reward)) / (1 - 2 * smooth)
        case "apo_zero":
            found = (-settings.beta * chosen).sigmoid() + (settings.beta * rejected).sigmoid()
        case other:
            raise ValueError(f"no loss {other}")
    return found - settings.sft_weight * policy[0].sum() / lengths[0].sum() if settings.sft_weight else found


def _trainer_class() -> type[DPOTrainer]:
    """TRL's trainer, taking rows as they are."""
    from trl.trainer.dpo_trainer import DPOTrainer

    class CountedRows(DPOTrainer):
        """Neither tokenises nor scores: both is done."""

        def _prepare_dataset(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
            return dataset

        def _precompute_ref_logps(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
            return dataset

    return CountedRows


def _sharing(settings: Settings) -> type[DPOTrainer]:
    """The same with both answers of a pair in one row, for rows of `_collator`."""

    class Sharing(_trainer_class()):  # type: ignore[misc]
        """TRL's loss, without what TRL counts beside it."""

        def _compute_loss(self, model: PreTrainedModel, inputs: dict[str, Tensor], return_outputs: bool) -> Tensor:
            now = shared_prompt.log_probabilities(model, inputs)
            before, lengths = ((inputs[f"{name}_chosen"], inputs[f"{name}_rejected"]) for name in ("reference", "length"))
            chosen, rejected = (self.beta * (mine - theirs).detach() for mine, theirs in zip(now, before, strict=True))
            for name, value in (("margins", chosen - rejected), ("accuracies", (chosen > rejected).float())):
                self._metrics["train"][f"rewards/{name}"].append(self.accelerator.gather(value).mean())
            return loss_of(settings, now, before, lengths).mean()

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            """Only now the figures are asked for: before the way back, the GPU would wait for it to begin."""
            figures = self._metrics["train"]
            for name, values in figures.items():
                figures[name] = [float(value) for value in values]
            super().log(logs, start_time)

    return Sharing


def _collator(pad: int) -> Callable[[Sequence[Mapping[str, Any]]], dict[str, Tensor]]:
    """Rows of `_rows` as `shared_prompt` reads them, the reference's scores and the lengths beside."""

    def collate(rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        import torch

        found = shared_prompt.tensors([(row["prompt_ids"], row["chosen_ids"], row["rejected_ids"]) for row in rows], pad)
        for side in ("chosen", "rejected"):
            found[f"reference_{side}"] = torch.tensor([row[f"ref_{side}_logps"] for row in rows])
            found[f"length_{side}"] = torch.tensor([float(len(row[f"{side}_ids"])) for row in rows])
        return found

    return collate
