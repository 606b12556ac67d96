"""The shipped parameters, and what callers put in their place."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from tasks.common.salt import given
from tasks.core.errors import UserError, one_of
from tasks.core.params import StageParams, check, parse

WORKSPACE = Path(__file__).with_name("workspace")  # the files of a workspace, as they are shipped
P = TypeVar("P", bound=StageParams)
Params = Mapping[str, Any]  # as `params.yaml`: a mapping of stages to mappings


@functools.cache
def shipped() -> dict[str, Any]:
    """The parameters as shipped, by stage."""
    document: dict[str, Any] = parse((WORKSPACE / "params.yaml").read_text(encoding="utf-8"))
    return document


def section(stage: str, params: Params | None, own: Params | None = None) -> dict[str, Any]:
    """The stage's parameters: the shipped ones, over them those of `params`, over these `own`."""
    known = shipped()
    if params is not None and not isinstance(params, Mapping):
        raise UserError(
            "params", f"a {type(params).__name__}", "a mapping of stages to parameters, as in params.yaml", "pass {stage: {name: value}}"
        )
    for name, values in (params or {}).items():
        if name not in known:
            raise UserError(
                f"params: {name}", "no such stage", one_of(known), "correct the name; the parameters of a stage stand below its name"
            )
        if not isinstance(values, Mapping):
            raise UserError(
                f"params: {name}", f"a {type(values).__name__}", f"a mapping of parameters of {name}", f"pass {{{name!r}: {{name: value}}}}"
            )
    return laid_over(laid_over(known[stage], (params or {}).get(stage, {})), own or {})


def settings(stage: str, model: type[P], params: Params | None, own: Params | None = None) -> P:
    """The same, checked; a UserError for a name or a value that the stage does not know."""
    return check("parameters", stage, section(stage, params, own), model)


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, object]:
    """The values of `above` in place of those of `below`; mappings are laid over each other, lists replaced."""
    both = {name: laid_over(below[name], value) for name, value in above.items() if _are_mappings(below.get(name), value)}
    return {**below, **above, **both}


def _are_mappings(*values: object) -> bool:
    return all(isinstance(value, Mapping) for value in values)


@functools.cache
def _own_salt() -> str:
    return secrets.token_hex(32)


def salt_of(chosen: str | None) -> str:
    """The salt that people's ids are hashed with: the one chosen, else $PAIRWRIGHT_SALT, else a secret made once in a process."""
    return chosen or given() or _own_salt()
