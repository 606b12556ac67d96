"""Sections of `params.yaml` that belong to no stage: they say how a run is watched, published and kept, and change no byte of a dataset.

Each has a model `Params` in the module named here; that module's first line says what the section is for.
"""

from __future__ import annotations

import importlib
import inspect

from tasks.core import params
from tasks.core.params import StageParams
from tasks.core.shell import PARAMS

MODULES: dict[str, str] = {  # section: module
    "publish": "flows.versions.settings",
    "private": "flows.storage.private_store",
    "runs": "flows.running.limits",
    "retention": "flows.erasure.retention",
    "gates": "flows.nights.levels",
    "notify": "flows.nights.notify",
}


def models() -> dict[str, type[StageParams]]:
    """The model of each section, in the order of the file."""
    return {name: importlib.import_module(module).Params for name, module in MODULES.items()}


def description(name: str) -> str:
    """What a section is for, without the full stop."""
    return (inspect.getdoc(importlib.import_module(MODULES[name])) or "").partition("\n")[0].rstrip(".")


def load(name: str) -> StageParams:
    """The section as `params.yaml` of the current folder has it."""
    return params.load(PARAMS, name, models()[name])
