"""The reward model with TRL, on pairs that we have tokenised, counted and put in order ourselves.

In: a model with a scalar head and encoded pairs. Out: the model, trained in place so that the chosen answer's reward is the
higher one; the mean figures of the last steps.

The loss is the Bradley-Terry model's: -log sigmoid(r_chosen - r_rejected), as in Ouyang et al. (2022). TRL would tokenise, drop and
shuffle by itself, without a count: here it gets exactly the tokens that were counted, each pair as often as its weight says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.core import batches, hf, outcome
from trainer.core.encode import Encoded
from trainer.core.outcome import Figures
from trainer.core.run import Run
from trainer.core.settings import Schedule

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from trl import RewardTrainer

FIGURES = {"loss": "loss", "margin": "margin", "accuracy": "accuracy", "mean_reward": "reward"}  # TRL's name: ours


@dataclass(frozen=True)
class Settings:
    """What the reward model needs to know."""

    centre: float
    schedule: Schedule


def train(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Encoded], settings: Settings, run: Run) -> Figures:
    """Train the model to score the chosen answers higher."""
    from trl import RewardConfig

    steps = hf.steps(len(pairs), settings.schedule)
    own = {"center_rewards_coefficient": settings.centre or None, "pad_to_multiple_of": None}
    trainer = _trainer_class()(
        model=model,
        args=hf.arguments(RewardConfig, settings.schedule, steps, run, **own),
        train_dataset=_rows(pairs, settings.schedule.batch, steps, run.basis.seed),
        processing_class=tokenizer,
    )
    logged = hf.fit(trainer, run, "reward", steps, FIGURES)
    return {"reward_steps": steps} | {f"reward_{name}": value for name, value in outcome.tails(logged).items()}


def _rows(pairs: Sequence[Encoded], batch: int, steps: int, seed: int) -> Dataset:
    """The rows of all steps, in order, in TRL's own columns for pairs that are tokenised."""
    from datasets import Dataset

    order = batches.plan([row.length for row in pairs], [row.pair.weight for row in pairs], batch, steps, seed)
    seen = [pairs[place] for rows in order for place in rows]
    return Dataset.from_dict(
        {"chosen_ids": [row.prompt + row.chosen for row in seen], "rejected_ids": [row.prompt + row.rejected for row in seen]}
    )


def _trainer_class() -> type[RewardTrainer]:
    """TRL's trainer, taking rows as they are."""
    from trl import RewardTrainer

    class CountedRows(RewardTrainer):  # type: ignore[misc]
        """Neither tokenises nor drops: both is done."""

        def _prepare_dataset(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
            return dataset

    return CountedRows
