"""What an export says of training, in one place: the sections start, reward and train of `params.yaml`, and the model to train.

In: `params.yaml`, and the model named on the command line. Out: a `Plan`. Clusters need a real model: one made from scratch, or one that
only this project's own readers open (GGUF), is refused before anything is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tasks.core import params
from tasks.core.errors import UserError
from trainer import reward, start, train
from trainer.data import batches
from trainer.methods.sections import Dpo
from trainer.models.sources import GGUF, PACKAGE, SCRATCH
from trainer.settings import Schedule


@dataclass(frozen=True)
class Plan:
    """The model, and how it is trained."""

    base: str
    start: start.Params
    reward: reward.Params
    train: train.Params
    smoothing: float  # of the labels, where the loss reads it

    @property
    def max_length(self) -> int:
        """Tokens of prompt and answer together."""
        return self.start.max_length


def read(file: Path, base: str | None, estimate: float | None) -> Plan:
    """The plan; `base` goes before `start.model.source`, and `estimate` is the release's own guess of its label noise."""
    began = params.load(file, "start", start.Params)
    trained = params.load(file, "train", train.Params)
    return Plan(
        named(base or began.model.source, "--base" if base else "start.model.source"),
        began,
        params.load(file, "reward", reward.Params),
        trained,
        smoothing(trained.dpo, estimate),
    )


def named(source: str, where: str) -> str:
    """The model's name, where a cluster can load it; a folder by its whole path, since scripts run in a folder of their own."""
    if source == SCRATCH or source.endswith(GGUF) or source.startswith(PACKAGE):
        raise UserError(
            f"{where}: {source}",
            "no model that a cluster can load",
            "owner/name on the Hugging Face hub, or a folder that every node sees",
            "give one with --base NAME",
        )
    folder = Path(source).expanduser()
    return str(folder.absolute()) if folder.is_dir() else source


def smoothing(own: Dpo, estimate: float | None) -> float:
    """Label smoothing as the stage train uses it: only `robust` reads it, and `auto` is the release's estimate."""
    if own.loss_type != "robust":
        return 0.0
    return (estimate or 0.0) if own.label_smoothing == "auto" else own.label_smoothing


def choice(found: str, known: dict[str, str], where: str, trainer: str) -> str:
    """The trainer's own word for a setting; a UserError where it has none."""
    if found not in known:
        raise UserError(f"{where}: {found}", f"nothing of the kind in {trainer}", "one of " + ", ".join(known), "change it for this export")
    return known[found]


def steps(schedule: Schedule, rows: int) -> int:
    """Optimizer steps in all, as the stage would count them."""
    return batches.steps(rows, schedule.train_batch_size, schedule.num_train_epochs, schedule.max_steps)


def epochs(schedule: Schedule) -> int:
    """Whole epochs, for trainers that count nothing else."""
    return max(1, round(schedule.num_train_epochs))
