"""Several processes that train one model on shares of every batch (data-parallel), started by `accelerate launch`.

With one process all of it does nothing. The processes know each other by the environment that the launcher sets
(`RANK`, `WORLD_SIZE`). All see the same rows in the same order and take their share of each batch; gradients are averaged, so
all hold the same weights. Only rank 0 speaks and writes.

Trap: a process that waits for the others waits for ever when one of them ended; the launcher ends them all when one fails.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tasks.core.errors import UserError

if TYPE_CHECKING:
    from torch.nn import Module

T = TypeVar("T")


def rank() -> int:
    """Number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    """Number of processes."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def begin() -> None:
    """Meet the other processes; accelerate picks gloo on CPUs and NCCL on GPUs."""
    if world() > 1:
        import torch
        from accelerate import PartialState

        os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))  # else accelerate says that it takes one
        PartialState(cpu=on_cpu())


def on_cpu() -> bool:
    """Whether training runs on the CPU: there is nothing else, or the machine says so."""
    import torch

    return os.environ.get("PAIRWRIGHT_DEVICE") == "cpu" or not torch.cuda.is_available()


def end() -> None:
    """Part from the other processes."""
    if world() > 1:
        from torch import distributed

        if distributed.is_initialized():
            distributed.destroy_process_group()


def share(rows: Sequence[T]) -> list[T]:
    """The rows of a batch that this process takes: every n-th, so that rows sorted by length spread evenly."""
    return list(rows[rank() :: world()])


def average(model: Module) -> None:
    """Put the mean over all processes into every gradient; call it before clipping."""
    if world() == 1:
        return
    from torch import distributed

    for weight in model.parameters():
        if weight.grad is not None:
            distributed.all_reduce(weight.grad)
            weight.grad /= world()


def mean(value: float) -> float:
    """The mean of a number over all processes."""
    return sum(gather(value)) / world()


def gather(value: T) -> list[T]:
    """What every process holds, in the order of their ranks."""
    if world() == 1:
        return [value]
    from torch import distributed

    found: list[Any] = [None] * world()
    distributed.all_gather_object(found, value)
    return found


def wait() -> None:
    """Go on when all processes are here."""
    gather(None)


def accumulation(batch: int, at_once: int) -> int:
    """Micro-batches that each process adds up to one step, so that a step sees `batch` rows whatever the number of processes."""
    micro = min(at_once, batch)
    if batch % (micro * world()):
        raise UserError(
            f"schedule.train_batch_size: {batch}",
            f"no even share for {world()} process{'es' if world() > 1 else ''} that take{'' if world() > 1 else 's'} {micro} rows at once",
            "a multiple of schedule.per_device_train_batch_size times the number of processes",
            "change schedule.train_batch_size or schedule.per_device_train_batch_size, or start fewer processes",
        )
    return batch // (micro * world())
