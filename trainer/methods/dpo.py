"""Direct Preference Optimisation with TRL, on pairs that we have tokenised, counted and put in order ourselves.

In: a policy that stands where the reference stands, and encoded pairs. Out: the policy,
trained in place; the figures that TRL logged at every step.

TRL would tokenise, drop and cut by itself, without a count, and score the reference again for every repeated row:
here it gets exactly the tokens that were counted, and the reference's scores as columns.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.core import batches
from trainer.core.encode import Encoded
from trainer.core.scoring import score

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
    from trl import DPOConfig, DPOTrainer

# TRL's `discopop` is left out because it learned the wrong way when measured; the others need settings of their own.
LOSSES = ("sigmoid", "hinge", "ipo", "robust", "apo_zero")
Figures = dict[str, float]
Report = Callable[[int, Figures], None]


@dataclass(frozen=True)
class Settings:
    """What DPO needs to know."""

    loss: str
    beta: float
    label_smoothing: float
    batch: int
    steps: int
    learning_rate: float
    warmup: float
    window: int
    seed: int


def train(
    policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Encoded], settings: Settings, report: Report
) -> list[Figures]:
    """Train the policy to prefer the chosen answers; the reference is the policy as it comes in."""
    from transformers import PrinterCallback, ProgressCallback

    logged: list[Figures] = []
    cache = policy.config.use_cache
    with tempfile.TemporaryDirectory() as scratch:  # TRL wants a folder, even to write nothing there
        trainer = _trainer_class()(
            model=policy,
            args=_arguments(settings, Path(scratch)),
            train_dataset=_rows(pairs, policy, tokenizer.pad_token_id, settings),
            processing_class=tokenizer,
            callbacks=[_logger(logged, report)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.remove_callback(ProgressCallback)
        trainer.train()
        policy.config.use_cache = cache  # switched off for training; whoever writes with the model wants it on
    return logged


def _arguments(settings: Settings, scratch: Path) -> DPOConfig:
    """TRL's configuration. On a CPU it must be told three times: its defaults are for GPUs."""
    from trl import DPOConfig

    return DPOConfig(
        output_dir=str(scratch),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        loss_type=[settings.loss],
        beta=settings.beta,
        label_smoothing=settings.label_smoothing,
        per_device_train_batch_size=settings.batch,
        max_steps=settings.steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=int(settings.steps * settings.warmup),
        max_length=settings.window,
        train_sampling_strategy="sequential",  # the rows come in the order of our plan
        precompute_ref_log_probs=True,  # they come with the reference's scores, so no second model is held
        save_strategy="no",
        report_to="none",
        logging_steps=1,
        disable_tqdm=True,
        seed=settings.seed,
        data_seed=settings.seed,
    )


def _rows(pairs: Sequence[Encoded], policy: PreTrainedModel, pad: int, settings: Settings) -> Dataset:
    """The rows of all steps, in order, in TRL's own columns for pairs that are tokenised and scored; only what is seen is scored."""
    from datasets import Dataset

    weights = [row.pair.weight for row in pairs]
    order = batches.plan([row.length for row in pairs], weights, settings.batch, settings.steps, settings.seed)
    places = [place for batch in order for place in batch]
    seen = sorted(set(places))
    reference = score(policy, [pairs[place] for place in seen], pad, settings.batch)
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


def _logger(logged: list[Figures], report: Report) -> TrainerCallback:
    """A callback that keeps every step's figures, without those of the clock, and hands them to `report`."""
    from transformers import TrainerCallback

    class Logger(TrainerCallback):  # type: ignore[misc]
        """Hears each of the trainer's logs."""

        def on_log(
            self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float], **_: object
        ) -> None:
            if "loss" in logs:  # the last log of a run is its timing
                logged.append({"loss": logs["loss"], "margin": logs["rewards/margins"], "accuracy": logs["rewards/accuracies"]})
                report(state.global_step, logged[-1])

    return Logger()
