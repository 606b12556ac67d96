"""Every parameter: its path, its meaning, its type and bounds, and the value that `params.yaml` ships.

The meaning is the comment beside the key in `params.yaml`; where none is there, what the model of the section says of it: the field's
description, the comment beside the field, or, of a section, its docstring.
"""

from __future__ import annotations

import importlib
import inspect
import io
import textwrap
import tokenize
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import annotated_types
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from flows import sections
from tasks.core import params, pipeline
from tasks.core.shell import PARAMS

BOUNDS = {
    annotated_types.Ge: ("ge", "≥ {}"),
    annotated_types.Gt: ("gt", "> {}"),
    annotated_types.Le: ("le", "≤ {}"),
    annotated_types.Lt: ("lt", "< {}"),
}
PLAIN = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
# What a name means wherever it stands without a comment of its own.
USUAL = {
    "num_train_epochs": "passes over the rows",
    "seed": "of the random numbers that are drawn",
    "use": "whether it is done at all",
    "enabled": "whether it is used",
    "learning_rate": "of the optimizer, at its highest",
    "method": "how the policy is trained",
    "warn": "level from which on the run warns",
    "stop": "level from which on the run ends, before anything is published or trained",
    "name": "who signs, as git names people",
    "email": "the address beside it",
    **dict.fromkeys(("dropout", "lora_dropout"), "share of the adapter's inputs that are dropped in training"),
    **dict.fromkeys(("width", "hidden_size"), "width of the hidden states"),
    **dict.fromkeys(("layers", "num_hidden_layers"), "layers of the model"),
    **dict.fromkeys(("heads", "num_attention_heads"), "attention heads of a layer"),
}


@dataclass(frozen=True)
class Setting:
    """One parameter, or a section of several."""

    path: str  # such as "clean.names.model"
    meaning: str
    kind: str  # type and bounds in words; "" for a section
    default: object  # as `params.yaml` has it; None for a section


def settings(root: Path) -> list[Setting]:
    """All parameters of the project in `root`, in the order of the stages and their models, then those of sections that belong to no stage.

    A field that several sections share is commented in one of them; the others have its meaning from there.
    """
    file = root / PARAMS
    comments, values = comments_of(file), params.parse(file.read_text(encoding="utf-8"))
    models = {name: importlib.import_module(stage.module).Params for name, stage in pipeline.stages(root).items()} | sections.models()
    found = [entry for name, model in models.items() for entry in _section(name, model, values[name], comments)]
    shared = {field: one.meaning for field, one in reversed(found) if one.meaning}
    usual = ((field, one, shared.get(field) or USUAL.get(field[1], "")) for field, one in found)
    return [one if one.meaning else replace(one, meaning=meaning) for _, one, meaning in usual]


Field = tuple[type[BaseModel], str]


def _section(path: str, model: type[BaseModel], values: Mapping[str, Any], comments: Mapping[str, str]) -> Iterator[tuple[Field, Setting]]:
    for name, field in model.model_fields.items():
        at, inner = f"{path}.{name}", model_in(field.annotation)
        meaning = comments.get(at) or said_of(model, name, field)
        if inner is None:
            yield (model, name), Setting(at, meaning, kind_of(field.annotation, field), values.get(name))
        else:
            yield (model, name), Setting(at, meaning or inspect.getdoc(inner) or "", "", None)
            yield from _section(at, inner, values.get(name) or {}, comments)


def model_in(annotation: object) -> type[BaseModel] | None:
    """The model of a section; None for a plain parameter."""
    parts = typing.get_args(annotation) if typing.get_origin(annotation) in (typing.Union, types.UnionType) else (annotation,)
    return next((part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)), None)


def said_of(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    """What the model, or one that it is made from, says of a field."""
    return field.description or next((found for base in model.__mro__ if (found := field_comments(base).get(name))), "")


def field_comments(model: type) -> dict[str, str]:
    """The comments beside the fields of a class."""
    try:
        source = inspect.getsource(model)
    except (OSError, TypeError):  # a class without source, such as one that pydantic made
        return {}
    found, name = dict[str, str](), ""
    for token in tokenize.generate_tokens(io.StringIO(textwrap.dedent(source)).readline):
        if token.type == tokenize.NAME and token.start[1] == 4:
            name = token.string
        elif token.type == tokenize.COMMENT and token.start[1] > 4:
            found.setdefault(name, token.string.lstrip("# "))
    return found


def kind_of(annotation: object, field: FieldInfo | None = None) -> str:
    """A type in words, with the field's bounds."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        words = "one of " + ", ".join(f"`{value}`" for value in parts) if len(parts) > 1 else f"`{parts[0]}`"
    elif origin in (typing.Union, types.UnionType):
        words = " or ".join(kind_of(part) for part in parts)
    elif origin is list:
        words = f"list of {kind_of(parts[0])}"
    elif origin is dict:
        words = f"{kind_of(parts[1])} by {kind_of(parts[0])}"
    elif origin is typing.Annotated:
        words = kind_of(parts[0])
    else:
        name = cast("type", annotation).__name__
        words = PLAIN.get(name, name)
    return ", ".join([words, *(_bounds(field) if field else [])])


def _bounds(field: FieldInfo) -> list[str]:
    known = [(part, *BOUNDS[type(part)]) for part in field.metadata if type(part) in BOUNDS]
    return [shown.format(getattr(part, name)) for part, name, shown in known]


def comments_of(file: Path) -> dict[str, str]:
    """The comment of each key of a YAML file, by the key's path: beside it on its line, or on lines of its own right below.

    Of several keys on one line the first one has the comment.
    """
    text = file.read_text(encoding="utf-8")
    lines, found, seen = text.splitlines(), dict[str, str](), set[int]()
    for path, node in _keys(yaml.compose(text, Loader=params.LOADER), ""):
        line = node.start_mark.line
        if line not in seen and (comment := _comment(lines[line], node.end_mark.column) or _below(lines, line)):
            found[path] = comment
        seen.add(line)
    return found


def _keys(node: yaml.Node | None, path: str) -> Iterator[tuple[str, yaml.Node]]:
    """Every key of a mapping, and of those in it, by path."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        at = f"{path}.{key.value}" if path else str(key.value)
        yield at, key
        yield from _keys(value, at)


def _comment(line: str, start: int) -> str:
    """What stands behind the sign # on a line, outside quotes."""
    quote = ""
    for place in range(start, len(line)):
        sign = line[place]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign == "#" and line[place - 1] == " ":
            return line[place + 1 :].strip()
    return ""


def _below(lines: list[str], line: int) -> str:
    """Comments on lines of their own right below a key that opens a section."""
    found = []
    for below in lines[line + 1 :] if lines[line].rstrip().endswith(":") else []:
        if not below.lstrip().startswith("#"):
            break
        found.append(below.strip().lstrip("# "))
    return "; ".join(found)
