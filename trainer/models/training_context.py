"""What all training stages of one run share: the release, the seed, the window. Decided in `start`, read by all later ones.

`trained_on.json` lies beside every model and says of which release and with which parameters it was made. A stage that reads a
model holds it against the release that it reads: pairs held out in one release may have been trained on in another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tasks.core import manifest
from tasks.core.errors import UserError

NAME = "trained_on.json"


@dataclass(frozen=True)
class TrainingContext:
    """What `start` decided for every stage after it."""

    release: str  # SHA-256 of the release's manifest
    source: str  # where the model came from
    seed: int
    threads: int
    max_length: int  # tokens of prompt and answer together
    dtype: str
    shuffle_labels: bool


def write(folder: Path, context: TrainingContext, params: Mapping[str, object]) -> None:
    """Say what a model was trained on, and with which parameters of its own stage."""
    (folder / NAME).write_bytes(manifest.dumps(asdict(context) | {"params": params}))


def read(model: Path, release: Path) -> TrainingContext:
    """The context of a trained model; a UserError where the release is not the one that it was trained on."""
    from trainer.data import release_reader as releases

    digest = releases.verified(release)
    document = _read_document(model / NAME)
    if document["release"] != digest:
        raise UserError(
            str(model / NAME),
            f"a model trained on release {document['release'][:16]}…",
            f"one trained on {digest[:16]}…, which lies in {release}",
            "train again with `dvc repro`: pairs held out here may have been trained on there",
        )
    return _context(document)


def of(model: Path) -> TrainingContext:
    """The context of a model, whatever release it was trained on; a UserError where it says nothing of it."""
    return _context(_read_document(model / NAME))


def _context(document: Mapping[str, Any]) -> TrainingContext:
    return TrainingContext(**{name: document[name] for name in TrainingContext.__dataclass_fields__})


def _read_document(path: Path) -> dict[str, Any]:
    """What a model says of itself; a UserError where it says nothing, or not enough."""
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        lacking = [name for name in TrainingContext.__dataclass_fields__ if name not in document]
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError) as error:
        raise UserError(
            str(path), "no such file, or no JSON", "what a training stage writes", "train the model again with `dvc repro`"
        ) from error
    if lacking:
        raise UserError(str(path), f"no {', '.join(lacking)}", "what a training stage writes", "train the model again with `dvc repro`")
    return document
