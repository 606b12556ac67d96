"""Lists of words and phrases that lie as data beside the code that reads them, one YAML file a concept; parameters may add to them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from tasks.core.errors import UserError
from tasks.core.params import Moved, StageParams, parse

ByLanguage = dict[str, list[str]]
L = TypeVar("L", bound=StageParams)


def with_shipped(path: Path, more: L) -> L:
    """The lists of the file, and behind each what `more` has of it.

    All fields of `more` are lists of texts, or such lists by language; the file has the same names, each with something in it. A UserError
    where it has not.
    """
    expected = "a list under each of " + ", ".join(type(more).model_fields)
    try:
        shipped = type(more).model_validate(_read(path))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        found = error.errors()[0]["msg"] if isinstance(error, ValidationError) else " ".join(str(error).split())
        raise UserError(str(path), found, expected, "restore the file, or install the package again") from error
    names = type(more).model_fields
    return more.model_copy(update={name: _joined(getattr(shipped, name), getattr(more, name)) for name in names})


def moved(model: type[StageParams], key: str, file: Path) -> Moved:
    """What lists that were parameters, named as the fields of the model, are called now: additions below the key, beside the file."""
    return {name: (f"{key}.{name}", file) for name in model.model_fields}


@functools.cache
def _read(path: Path) -> Any:  # noqa: ANN401 (a document may hold anything; the model says what it must)
    return parse(path.read_text(encoding="utf-8"))


def _joined(shipped: Any, more: Any) -> Any:  # noqa: ANN401 (lists, or lists by language)
    """One list behind the other; by language where they are so."""
    if isinstance(shipped, list):
        return [*shipped, *more]
    return {language: [*shipped.get(language, []), *more.get(language, [])] for language in {**shipped, **more}}
