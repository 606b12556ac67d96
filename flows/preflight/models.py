"""Models and word lists that parameters name: there, on a hub, or nowhere. Nothing is loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flows.preflight.finding import Finding, error, ok, warning
from tasks.core import params
from tasks.core.errors import UserError
from tasks.core.shell import PARAMS
from trainer.models import sources

TOPIC = "model"
SOURCE = "start.model.source"
# Parameters that name a model, and what they may say in place of one.
OTHERS = {
    "pair.trainability.tokenizer": "bytes",
    "decontaminate.embedding.model": "",
    "release.probe.embedding": "",
    "release.meaning.model": "",
}
TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt")


def findings() -> Iterator[Finding]:
    """A line each for the model to train and for every other that is switched on."""
    document = params.read(PARAMS)
    source = _value(document, SOURCE)
    if isinstance(source, str):
        yield _of_training(source)
    for key, besides in OTHERS.items():
        name = _value(document, key)
        if isinstance(name, str) and name not in ("", besides):
            yield _other(name, key)


def _value(document: Mapping[str, Any], key: str) -> object:
    """The value at a dotted key; None where there is none, which is told elsewhere."""
    at: object = document
    for part in key.split("."):
        at = at.get(part) if isinstance(at, Mapping) else None
    return at


def _of_training(source: str) -> Finding:
    """The model that training starts from."""
    if source == sources.SCRATCH:
        return ok(TOPIC, "made from scratch")
    if sources.is_hub_name(source):
        return _on_hub(source, SOURCE)
    try:
        found = sources.find(source, f"{PARAMS}: {SOURCE}: {source}")
    except UserError as fault:
        return error(TOPIC, fault)
    if not found.gguf and not any((Path(found.place) / name).is_file() for name in TOKENIZERS):
        return error(
            TOPIC, UserError(f"{PARAMS}: {SOURCE}: {source}", "no tokenizer", "tokenizer.json beside config.json", "copy the model whole")
        )
    return ok(TOPIC, f"{source}, with its tokenizer")


def _other(name: str, key: str) -> Finding:
    """A model that looks at texts, or a tokenizer."""
    if Path(name).expanduser().exists():
        return ok(TOPIC, f"{key}: {name}")
    if sources.is_hub_name(name):
        return _on_hub(name, key)
    return error(TOPIC, UserError(f"{PARAMS}: {key}: {name}", "no such file or folder", sources.KINDS, "correct it, or switch it off"))


def _on_hub(name: str, key: str) -> Finding:
    """A name on the Hugging Face hub: fetched before, or to be fetched, with a word where nothing says which version of it."""
    repository, _, revision = name.partition("@")
    if any(_hub_cache().glob(f"models--{repository.replace('/', '--')}/snapshots/*/*")):
        if key == SOURCE and not revision:
            return warning(TOPIC, f"{key}: {name}, fetched before, but not pinned: `{name}@COMMIT` takes the same weights every time")
        return ok(TOPIC, f"{key}: {name}, fetched before")
    if os.environ.get("HF_HUB_OFFLINE", "") in ("", "0"):
        return warning(TOPIC, f"{key}: {name} is not in the hub's cache: the run fetches it")
    remedy = "unset HF_HUB_OFFLINE, or copy the model here"
    return error(TOPIC, UserError(f"{PARAMS}: {key}: {name}", "nothing in the hub's cache", "a model that was fetched before", remedy))


def _hub_cache() -> Path:
    """Where the hub's library keeps what it fetched."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
