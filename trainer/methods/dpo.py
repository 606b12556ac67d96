"""Direct Preference Optimisation with TRL, on pairs that we have tokenised, counted and put in order ourselves.

In: a policy that stands where the reference stands, and encoded pairs. Out: the policy,
trained in place; the mean figures of the last steps.

TRL would tokenise, drop and cut by itself, without a count, and score the reference again for every repeated row:
here it gets exactly the tokens that were counted, and the reference's scores as columns.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.core import batches, hf, outcome
from trainer.core.encode import Encoded
from trainer.core.outcome import Figures
from trainer.core.run import Run
from trainer.core.scoring import score
from trainer.core.settings import Schedule

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from trl import DPOTrainer

# TRL's `discopop` is left out because it learned the wrong way when measured; the others need settings of their own.
LOSSES = ("sigmoid", "hinge", "ipo", "robust", "apo_zero")
FIGURES = {"loss": "loss", "rewards/margins": "margin", "rewards/accuracies": "accuracy"}  # TRL's name: ours


@dataclass(frozen=True)
class Settings:
    """What DPO needs to know."""

    loss: str
    beta: float
    label_smoothing: float
    schedule: Schedule


def train(policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Encoded], settings: Settings, run: Run) -> Figures:
    """Train the policy to prefer the chosen answers; the reference is the policy as it comes in."""
    from trl import DPOConfig

    steps = hf.steps(len(pairs), settings.schedule)
    own = {
        "loss_type": [settings.loss],
        "beta": settings.beta,
        "label_smoothing": settings.label_smoothing,
        "precompute_ref_log_probs": True,  # they come with the reference's scores, so no second model is held
    }
    trainer = _trainer_class()(
        model=policy,
        args=hf.arguments(DPOConfig, settings.schedule, steps, run, **own),
        train_dataset=_rows(pairs, policy, tokenizer.pad_token_id, settings.schedule, steps, run.basis.seed),
        processing_class=tokenizer,
    )
    logged = hf.fit(trainer, run, "dpo", steps, FIGURES)
    return {"dpo_steps": steps} | {f"dpo_{name}": value for name, value in outcome.tails(logged).items()}


def _rows(pairs: Sequence[Encoded], policy: PreTrainedModel, pad: int, schedule: Schedule, steps: int, seed: int) -> Dataset:
    """The rows of all steps, in order, in TRL's own columns for pairs that are tokenised and scored; only what is seen is scored."""
    from datasets import Dataset

    weights = [row.pair.weight for row in pairs]
    order = batches.plan([row.length for row in pairs], weights, schedule.batch, steps, seed)
    places = [place for batch in order for place in batch]
    seen = sorted(set(places))
    reference = score(policy, [pairs[place] for place in seen], pad, schedule.micro_batch)
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


def _trainer_class() -> type[DPOTrainer]:
    """TRL's trainer, taking rows as they are."""
    from trl import DPOTrainer

    class CountedRows(DPOTrainer):  # type: ignore[misc]
        """Neither tokenises nor scores: both is done."""

        def _prepare_dataset(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
            return dataset

        def _precompute_ref_logps(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
            return dataset

    return CountedRows
