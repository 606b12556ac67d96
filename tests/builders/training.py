"""Tiny trainings for tests: the project's own stages and parameters, made small, below a folder of the test."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
from pathlib import Path
from typing import Any

import yaml

from tasks.core import pipeline
from tasks.core.params import StageParams
from tests.builders import releases
from tests.conftest import ROOT
from trainer.checkpointing import checkpoints
from trainer.data import release_reader

COUNTS = {"train": 48, "validation": 8, "test": 16}
SMALL: dict[str, Any] = {  # what makes any training small; a key that a section lacks is left out
    "threads": 2,
    "max_length": 256,
    "vocab_size": 400,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_steps": 3,
    "train_batch_size": 4,
    "per_device_train_batch_size": 4,
    "per_device_eval_batch_size": 4,
    "batch_size": 4,
}


def tiny(name: str, **other: object) -> Any:
    """A stage's own parameters, made small, with `other` laid over them; `a__b` is the key `b` inside `a`."""
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))[name]
    _shrink(document)
    for path, value in other.items():
        *outer, last = path.split("__")
        at = document
        for key in outer:
            at = at[key]
        assert last in at, f"{name} has no parameter {path}"
        at[last] = value
    return module(name).Params.model_validate(document)


def _shrink(document: dict[str, Any]) -> None:
    for key, value in document.items():
        if isinstance(value, dict):
            _shrink(value)
        elif key in SMALL:
            document[key] = SMALL[key]


def module(name: str) -> Any:
    """The module of a stage."""
    return importlib.import_module(pipeline.stage(name, ROOT).module)


def stage(name: str, root: Path) -> pipeline.Stage:
    """A stage of the real path, below another root."""
    real = pipeline.stage(name, ROOT)
    below = {key: root / path for key in ("reports", "checkpoints") if (path := getattr(real, key))}
    return dataclasses.replace(real, data=tuple(root / path for path in real.data), output=root / real.output, **below)


def run(root: Path, name: str, settings: StageParams | None = None) -> Path:
    """Run one stage below `root`, with its own parameters made small where none are given; the folder that it wrote."""
    made = stage(name, root)
    made.output.mkdir(parents=True, exist_ok=True)
    module(name).work(made, settings or tiny(name), made.output)
    checkpoints.end(made)
    return made.output


def released(root: Path, counts: dict[str, int] | None = None) -> Path:
    """A planted release below `root`."""
    return releases.write(root / "data/release", releases.planted(counts or COUNTS))


def pair(prompt: str, chosen: str, rejected: str) -> release_reader.Pair:
    """A pair as training reads it."""
    row = releases.row(prompt, chosen, rejected, "train")
    return release_reader.Pair(**{name: row[name] for name in release_reader.COLUMNS})


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def tiny_model(path: Path) -> Path:
    """A folder with a tiny model and its tokenizer."""
    import torch

    from trainer.models import model_io, saving

    rows = releases.planted({"train": 40})
    pairs = [release_reader.Pair(**{name: row[name] for name in release_reader.COLUMNS}) for row in rows]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model, tokenizer = model_io.make(pairs, model_io.Size(400, 32, 64, 2, 2, 256))
    model_io.fit(model, tokenizer, 256)
    saving.save(model, tokenizer, path)
    return path


def beside(built: Path, root: Path) -> Path:
    """Another root on the same release and start."""
    (root / "data/models").mkdir(parents=True)
    for name in ("release", "models/start"):
        (root / "data" / name).symlink_to(built / "data" / name)
    return root
