"""What our TRL trainers share: arguments that hold on any machine, a fixed order of rows, logs, checkpoints, one way to run.

TRL's defaults are for GPUs, its sampler, its logs and its checkpoints have a say of their own; here all of it is decided once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from trainer.checkpointing import checkpoints, divergence, stateful
from trainer.checkpointing.stateful import Stateful
from trainer.data import batches
from trainer.loop.early_stopping import EarlyStopping
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.models import parallel
from trainer.settings import Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.reward_config import RewardConfig

A = TypeVar("A", "DPOConfig", "KTOConfig", "RewardConfig")
NEEDED = ["optimizer.pt", "scheduler.pt", "trainer_state.json", checkpoints.EXTRA]
STOPPING, BESIDE = "stopping.pt", "beside.pt"  # files of ours in a checkpoint
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors")


def steps(rows: int, schedule: Schedule) -> int:
    """Optimizer steps of the schedule over so many rows."""
    return batches.steps(rows, schedule.train_batch_size, schedule.num_train_epochs, schedule.max_steps)


def arguments(kind: type[A], schedule: Schedule, count: int, run: Run, **own: Any) -> A:  # noqa: ANN401
    """Arguments of TRL's kind (`DPOConfig`, `KTOConfig`, `RewardConfig`) for `count` steps; `own` are the method's."""
    saves = run.checkpoints is not None and run.monitoring.save_steps > 0
    made: A = kind(
        output_dir=str(run.checkpoints / checkpoints.BESIDE if run.checkpoints and saves else run.scratch),
        use_cpu=parallel.on_cpu(),
        bf16=run.context.dtype == "bfloat16",
        gradient_checkpointing=False,
        per_device_train_batch_size=min(schedule.per_device_train_batch_size, schedule.train_batch_size),
        gradient_accumulation_steps=parallel.accumulation(schedule.train_batch_size, schedule.per_device_train_batch_size),
        max_steps=count,
        learning_rate=schedule.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=int(count * schedule.warmup_ratio),
        max_length=run.context.max_length,
        train_sampling_strategy="sequential",  # the rows come in the order of our plan
        save_strategy="steps" if saves else "no",
        save_steps=run.monitoring.save_steps or count,
        report_to="none",
        logging_steps=1,
        logging_nan_inf_filter=False,  # else a loss that is no number is logged as the mean of those before
        disable_tqdm=True,
        ddp_find_unused_parameters=False,  # all are used; looking for them costs a walk over the graph
        seed=run.context.seed,
        data_seed=run.context.seed,
        **own,
    )
    return made


def fit(
    trainer: Trainer,
    run: Run,
    part: str,
    count: int,
    names: Mapping[str, str],
    held_out: Callable[[], float] | None = None,
    beside: Stateful | None = None,
    after_step: Callable[[int], None] | None = None,
) -> list[Metrics]:
    """Train, or go on from a checkpoint; the figures of every step. `names` says which of TRL's figures are kept, and as what.

    `part` names them in the log; `held_out` gives the exact loss on pairs that are not learned from. `beside` is what else a checkpoint
    must hold; `after_step` is called after every optimizer step, before its checkpoint.
    """
    from transformers import PrinterCallback, ProgressCallback

    cache = _model(trainer).config.use_cache
    early_stopping = EarlyStopping(run, part, _model(trainer), held_out)
    ours: dict[str, Stateful] = {STOPPING: early_stopping} | ({BESIDE: beside} if beside else {})
    trainer.add_callback(_watcher(trainer, run, part, count, names, early_stopping, ours))
    if after_step:
        trainer.add_callback(_stepper(after_step))
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    trainer.floating_point_ops = _uncounted  # type: ignore[method-assign]  # replaced on purpose
    found = _resumed(trainer, run, ours, count)
    _hush(trainer)
    try:
        trainer.train(resume_from_checkpoint=str(found) if found else None)
    except (RuntimeError, ValueError) as error:
        if found is None or trainer.state.global_step > checkpoints.step_of(found):
            raise
        raise checkpoints.misfit(found, str(error)) from error
    divergence.require_finite(part, trainer.state.global_step, _model(trainer))
    early_stopping.restore_best(trainer.state.global_step)
    _model(trainer).config.use_cache = cache  # switched off for training; whoever writes with the model wants it on
    return run.monitor.metrics_of(part)


def _model(trainer: Trainer) -> PreTrainedModel:
    """What it trains, which is always given to it."""
    return cast("PreTrainedModel", trainer.model)


def _uncounted(inputs: object) -> int:
    """Floating-point operations, which nobody reads: to count them the trainer walks through all modules at every step."""
    return 0


def _resumed(trainer: Trainer, run: Run, ours: Mapping[str, Stateful], count: int) -> Path | None:
    """The checkpoint to go on from, with what is ours in it put back; the trainer puts back the rest."""
    import torch

    checkpoints.require_disk_space(run, stateful.size(_model(trainer)))
    found = checkpoints.latest(run, [*NEEDED, *ours, *_random_files()], WEIGHTS, count)
    if found:
        checkpoints.read_extra(found, run)
        for name, part in ours.items():
            part.load_state_dict(torch.load(found / name, weights_only=True))
    return found


def _hush(trainer: Trainer) -> None:
    """Silence that a resumed model lacks its output weights, where they are its input weights, which it has."""
    if getattr(_model(trainer).config, "tie_word_embeddings", False):
        logging.getLogger("transformers.trainer").addFilter(lambda record: "missing keys in the checkpoint" not in record.getMessage())


def _random_files() -> list[str]:
    """Where transformers keeps the random states of each process."""
    return [f"rng_state_{rank}.pth" for rank in range(parallel.world())] if parallel.world() > 1 else ["rng_state.pth"]


def _stepper(after_step: Callable[[int], None]) -> TrainerCallback:
    """A callback that says how many steps were taken, after each."""
    from transformers import TrainerCallback

    class Stepper(TrainerCallback):
        """Called after the weights have changed, before logs and saves."""

        def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
            after_step(state.global_step)

    return Stepper()


def _watcher(
    trainer: Trainer,
    run: Run,
    part: str,
    count: int,
    names: Mapping[str, str],
    early_stopping: EarlyStopping,
    ours: Mapping[str, Stateful],
) -> TrainerCallback:
    """A callback that hands every step's metrics to the monitor, computes held-out loss, and seals checkpoints."""
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):
        """Called at each of the trainer's logs and saves; a log comes before the save of the same step."""

        def on_log(  # type: ignore[override]  # the trainer never logs without `logs`
            self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float], **_: object
        ) -> None:
            if "loss" in logs:  # the last log of a run is its timing
                run.monitor.step(part, state.global_step, count, {ours: logs[theirs] for theirs, ours in names.items()})
                control.should_training_stop |= early_stopping.evaluate(state.global_step)

        def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
            _seal(trainer, run, part, Path(cast("str", args.output_dir)) / f"checkpoint-{state.global_step}", ours)

    return Watcher()


def _seal(trainer: Trainer, run: Run, part: str, folder: Path, ours: Mapping[str, Stateful]) -> None:
    """What the trainer wrote beside becomes a checkpoint, once every process has written its part and the weights are numbers."""
    import torch

    divergence.require_finite(part, trainer.state.global_step, _model(trainer))
    parallel.wait()
    if parallel.rank() == 0:
        checkpoints.write_extra(folder, run, {})
        for name, held in ours.items():
            torch.save(held.state_dict(), folder / name)
        checkpoints.publish(run, trainer.state.global_step, folder)
    parallel.wait()
