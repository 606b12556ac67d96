"""Typed parameters: one section of `params.yaml` a stage, every key required, unknown keys refused, renamed ones with their new name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.core.errors import UserError, one_of

Moved = Mapping[str, tuple[str, Path]]


class StageParams(BaseModel):
    """Base of every stage's `Params`. Subclasses give types and bounds, never defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    renamed: ClassVar[Mapping[str, str]] = {}  # a parameter's old name: its new one; the old name is refused, never read
    moved: ClassVar[Moved] = {}  # a list's old name: the key that adds to it now, and the file that holds it


# libyaml's, ten times as fast, where PyYAML was built with it; both are safe loaders
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(text: str) -> Any:  # noqa: ANN401 (a document may hold anything)
    """What a YAML text holds; raises yaml.YAMLError."""
    return yaml.load(text, Loader=LOADER)


ALIKE = 0.7  # share of letters from which on a wrong name may stand for a right one
P = TypeVar("P", bound=StageParams)


def load(path: Path, section: str, model: type[P]) -> P:
    """The section of the file as `model`; a UserError names the key, what was found, what was expected."""
    document = read(path)
    if section not in document:
        near = nearest(section, [str(name) for name in document])
        remedy = f"rename `{near}:` to `{section}:`" if near else f"add the section `{section}:`"
        raise UserError(f"{path}", f"no section `{section}`", one_of(document), remedy)
    return check(str(path), section, document[section], model)


def read(path: Path) -> dict[str, Any]:
    """All sections of the file, as they stand; a UserError where there is no such file, or no YAML in it."""
    if not path.is_file():
        raise UserError(str(path), "no such file", "the parameters of the pipeline", "restore it with `git checkout params.yaml`")
    try:
        document = parse(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" line {where.line + 1}" if where else ""
        raise UserError(f"{path}{line}", "text that is not YAML", "one mapping a stage", "correct the line") from error
    if not isinstance(document, dict):
        raise UserError(str(path), "no mapping", "one mapping a stage", "restore it with `git checkout params.yaml`")
    return document


def check(path: str, section: str, values: object, model: type[P]) -> P:
    """The values of a section as `model`; a UserError says `path`, the key, what was found and what was expected."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise (
            _renamed(path, section, model, error) or _moved(path, section, model, error) or _explain(path, section, model, error)
        ) from None


def _unknown(model: type[StageParams], error: ValidationError) -> Iterator[tuple[type[StageParams], tuple[str, ...]]]:
    """Keys that no model knows: the model where each stands, and its path in the section."""
    for fault in error.errors():
        if fault["type"] == "extra_forbidden":
            holder = _model_at(model, fault["loc"][:-1])
            if issubclass(holder, StageParams):
                yield holder, tuple(map(str, fault["loc"]))


def _renamed(path: str, section: str, model: type[StageParams], error: ValidationError) -> UserError | None:
    """The first old name in the section with its new one, in one line; None where there is none."""
    for holder, place in _unknown(model, error):
        new = holder.renamed.get(place[-1])
        if new:
            key = ".".join((section, *place))
            return UserError(f"{path}: {key}", "an old name", f"`{new}`, as it is called now", "rename the key")
    return None


def _moved(path: str, section: str, model: type[StageParams], error: ValidationError) -> UserError | None:
    """The first list in the section that lies in a file now, in one line; None where there is none."""
    for holder, place in _unknown(model, error):
        moved = holder.moved.get(place[-1])
        if moved:
            above = ".".join((section, *place[:-1]))
            found, expected = f"a list that {_shown(moved[1])} holds now", f"additions to it in {above}.{moved[0]}"
            return UserError(f"{path}: {above}.{place[-1]}", found, expected, "move them there, and delete the key")
    return None


def _shown(file: Path) -> Path:
    """The file as seen from here where it lies below, else its whole path."""
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


def _explain(path: str, section: str, model: type[StageParams], error: ValidationError) -> UserError:
    """The first fault of the section, in one line; an unknown key before a missing one, which it may stand for."""
    faults = error.errors()
    fault = next((one for one in faults if one["type"] == "extra_forbidden"), faults[0])
    key = ".".join(str(part) for part in (section, *fault["loc"]))
    if fault["type"] == "extra_forbidden":
        known = _siblings(model, fault["loc"])
        near = nearest(key, [f"{section}.{name}" for name in _paths(model)])
        remedy = f"write `{near}`, or delete the key" if near else "correct or delete the key"
        return UserError(f"{path}: {key}", "an unknown key", one_of(known), remedy)
    if fault["type"] == "missing":
        return UserError(f"{path}: {key}", "nothing", "a value", "add the key")
    if fault["type"] == "literal_error":
        return _not_offered(f"{path}: {key}", fault["input"], re.findall(r"'([^']*)'", fault.get("ctx", {}).get("expected", "")))
    return UserError(f"{path}: {key}", repr(fault["input"]), fault["msg"], "correct the value")


def _not_offered(where: str, found: object, offered: Sequence[str]) -> UserError:
    """A value that is none of a few names."""
    near = difflib.get_close_matches(str(found), offered, 1, ALIKE)
    return UserError(where, repr(found), one_of(offered), f"write `{near[0]}`" if near else "correct the value")


def nearest(key: str, known: Sequence[str]) -> str | None:
    """The parameter that a wrong name may stand for: one spelled nearly so, first in the same section, then by its last part alone."""
    above, _, name = key.rpartition(".")
    beside = {path.removeprefix(f"{above}."): path for path in known if path.rpartition(".")[0] == above}
    elsewhere = {path.rpartition(".")[2]: path for path in reversed(known)}
    for names in (beside, elsewhere):
        if found := difflib.get_close_matches(name, names, 1, ALIKE):
            return names[found[0]]
    return None


def _paths(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Every key of a section, and of those in it, by path."""
    for name, field in model.model_fields.items():
        yield above + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _paths(field.annotation, f"{above}{name}.")


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
