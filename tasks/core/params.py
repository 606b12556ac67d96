"""Typed parameters: one section of `params.yaml` a stage, every key required, unknown keys refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.core.errors import UserError, one_of


class StageParams(BaseModel):
    """Base of every stage's `Params`. Subclasses give types and bounds, never defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


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
    return check(str(path), section, document[section], model)


def check(path: str, section: str, values: object, model: type[P]) -> P:
    """The values of a section as `model`; a UserError says `path`, the key, what was found and what was expected."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _explain(path, section, model, error) from None


def _explain(path: str, section: str, model: type[StageParams], error: ValidationError) -> UserError:
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
    at: type[BaseModel] = model
    for part in location[:-1]:
        field = at.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        at = inner
    return list(at.model_fields)
