"""What our TRL trainers share: arguments that hold on a CPU, a fixed order of rows, logging, one way to run.

TRL's defaults are for GPUs, its sampler and its logs have a say of their own; here all of it is decided once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from trainer.core import batches
from trainer.core.outcome import Figures
from trainer.core.run import Run
from trainer.core.settings import Schedule

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

A = TypeVar("A", bound="TrainingArguments")


def steps(rows: int, schedule: Schedule) -> int:
    """Optimizer steps of the schedule over so many rows."""
    return batches.steps(rows, schedule.batch, schedule.epochs, schedule.max_steps)


def arguments(kind: type[A], schedule: Schedule, count: int, run: Run, **own: Any) -> A:  # noqa: ANN401
    """Arguments of TRL's kind (`DPOConfig`, `KTOConfig`, `RewardConfig`) for `count` steps; `own` are the method's."""
    micro = min(schedule.micro_batch, schedule.batch)
    made: A = kind(
        output_dir=tempfile.mkdtemp(prefix="pairwright-"),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=-(-schedule.batch // micro),
        max_steps=count,
        learning_rate=schedule.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=int(count * schedule.warmup),
        max_length=run.basis.window,
        train_sampling_strategy="sequential",  # the rows come in the order of our plan
        save_strategy="no",
        report_to="none",
        logging_steps=1,
        disable_tqdm=True,
        seed=run.basis.seed,
        data_seed=run.basis.seed,
        **own,
    )
    return made


def fit(trainer: Trainer, run: Run, part: str, count: int, names: Mapping[str, str]) -> list[Figures]:
    """Train; the figures of every step. `part` names them in the log; `names` says which of TRL's are kept, and as what."""
    from transformers import PrinterCallback, ProgressCallback

    logged: list[Figures] = []
    cache = trainer.model.config.use_cache
    trainer.add_callback(_logger(logged, run, part, count, names))
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    trainer.train()
    trainer.model.config.use_cache = cache  # switched off for training; whoever writes with the model wants it on
    Path(trainer.args.output_dir).rmdir()
    return logged


def _logger(logged: list[Figures], run: Run, part: str, count: int, names: Mapping[str, str]) -> TrainerCallback:
    """A callback that keeps every step's figures, without those of the clock, and hands them to the watch."""
    from transformers import TrainerCallback

    class Logger(TrainerCallback):  # type: ignore[misc]
        """Hears each of the trainer's logs."""

        def on_log(
            self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float], **_: object
        ) -> None:
            if "loss" in logs:  # the last log of a run is its timing
                logged.append({ours: logs[theirs] for theirs, ours in names.items()})
                run.watch.step(part, state.global_step, count, logged[-1])

    return Logger()
