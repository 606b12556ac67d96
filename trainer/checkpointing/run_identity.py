"""Which run this is: the release, the parameters, the code, the libraries and the models that it reads; never the machine.

Checkpoints are stored under its digest, so that a run goes on only from its own. What changes nothing about the weights (how often
it speaks, how often it saves) is no part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tasks.core import manifest
from tasks.core.pipeline import Stage
from trainer.models import parallel, training_context
from trainer.models.training_context import TrainingContext

LIBRARIES = ("torch", "transformers", "trl", "peft")
INDIFFERENT = (
    "logging_steps",
    "save_steps",
    "save_total_limit",
    "resume_from_checkpoint",
    "max_loss",
    "max_kl",
    "max_growth",
)  # of `monitoring`; the weights do not depend on them
SHORT = 12  # characters of a digest that are enough to tell two apart

Identity = dict[str, Any]


def describe(stage: Stage, context: TrainingContext, params: Mapping[str, Any]) -> Identity:
    """All that the weights of a run depend on, flat; `params` are all of the stage's own."""
    monitoring = {name: value for name, value in params["monitoring"].items() if name not in INDIFFERENT}
    models = {
        f"model {path.name}": _digest(path / training_context.NAME) for path in stage.data if (path / training_context.NAME).is_file()
    }
    return {
        **asdict(context),
        **dict(_flat("", {**params, "monitoring": monitoring})),
        **{name: version(name) for name in LIBRARIES},
        **models,
        "release": context.release[:SHORT],
        "code": _code(stage),
        "processes": parallel.world(),
    }


def digest(identity: Identity) -> str:
    """The name of a run's folder of checkpoints."""
    return manifest.digest(manifest.dumps(identity))[:SHORT]


def differences(theirs: Identity, ours: Identity) -> str:
    """What differs between two runs: `release 12ab → 34cd, schedule.learning_rate 0.1 → 0.2`."""
    names = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
    return ", ".join(f"{name} {theirs.get(name, 'absent')} → {ours.get(name, 'absent')}" for name in names)


def _digest(path: Path) -> str:
    return manifest.file_digest(path)[:SHORT]


def _flat(prefix: str, document: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def _code(stage: Stage) -> str:
    """Digest of the code that the stage depends on, as `dvc.yaml` lists it."""
    files = sorted({file for path in stage.code for file in ([path] if path.is_file() else path.rglob("*.py"))})
    return manifest.digest("".join(f"{file} {manifest.file_digest(file)}\n" for file in files).encode())[:SHORT]
