"""Typed parameters: one section of `params.yaml` a stage, every key required, unknown keys refused, renamed ones with their new name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.core.errors import UserError, one_of


class StageParams(BaseModel):
    """Base of every stage's `Params`. Subclasses give types and bounds, never defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    renamed: ClassVar[Mapping[str, str]] = {}  # a parameter's old name: its new one; the old name is refused, never read


# libyaml's, ten times as fast, where PyYAML was built with it; both are safe loaders
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(text: str) -> Any:  # noqa: ANN401 (a document may hold anything)
    """What a YAML text holds; raises yaml.YAMLError."""
    return yaml.load(text, Loader=LOADER)


P = TypeVar("P", bound=StageParams)


def load(path: Path, section: str, model: type[P]) -> P:
    """The section of the file as `model`; a UserError names the key, what was found, what was expected."""
    if not path.is_file():
        raise UserError(str(path), "no such file", "the parameters of the pipeline", "restore it with `git checkout params.yaml`")
    try:
        document = parse(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" line {where.line + 1}" if where else ""
        raise UserError(f"{path}{line}", "text that is not YAML", "one mapping a stage", "correct the line") from error
    if section not in document:
        raise UserError(f"{path}", f"no section `{section}`", one_of(document), f"add the section `{section}:`")
    try:
        return model.model_validate(document[section])
    except ValidationError as error:
        raise _renamed(path, section, model, error) or _explain(path, section, model, error) from None


def _renamed(path: Path, section: str, model: type[StageParams], error: ValidationError) -> UserError | None:
    """The first old name in the section with its new one, in one line; None where there is none."""
    for fault in error.errors():
        *outer, last = fault["loc"]
        holder = _model_at(model, outer)
        new = holder.renamed.get(str(last)) if issubclass(holder, StageParams) and fault["type"] == "extra_forbidden" else None
        if new:
            key = ".".join(str(part) for part in (section, *fault["loc"]))
            return UserError(f"{path}: {key}", "an old name", f"`{new}`, as it is called now", "rename the key")
    return None


def _explain(path: Path, section: str, model: type[StageParams], error: ValidationError) -> UserError:
    """The first fault of the section, in one line."""
    fault = error.errors()[0]
    key = ".".join(str(part) for part in (section, *fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return UserError(f"{path}: {key}", "an unknown key", one_of(_siblings(model, fault["loc"])), "correct or delete the key")
    if fault["type"] == "missing":
        return UserError(f"{path}: {key}", "nothing", "a value", "add the key")
    return UserError(f"{path}: {key}", repr(fault["input"]), fault["msg"], "correct the value")


def _siblings(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the keys that exist where an unknown one was found."""
    return list(_model_at(model, location[:-1]).model_fields)


def _model_at(model: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel]:
    """The model of the keys at a place in the section, or the nearest one around it."""
    at: type[BaseModel] = model
    for part in location:
        field = at.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        at = inner
    return at
