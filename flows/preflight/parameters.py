"""Whether every section of `params.yaml` is one that its stage takes, and whether the sections go together.

The models stand in the stages' own modules, which import their libraries: `flows.preflight.stages` asks this in a process of its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator
from types import ModuleType

from flows import sections
from flows.preflight.finding import Finding, counted, error, ok
from flows.preflight.together import faults_between
from tasks.core import params, pipeline
from tasks.core.errors import UserError, one_of
from tasks.core.params import StageParams
from tasks.core.shell import PARAMS

TOPIC = "parameters"
OWN = ("tasks", "trainer")  # packages whose stages have a model of their parameters


def findings() -> Iterator[Finding]:
    """Every fault, a line each; one line that says what was looked at where there is none."""
    modules, read = _modules(), dict[str, StageParams]()
    faults = [*_unknown_sections(modules.keys() | pipeline.stages().keys())]
    for name, module in modules.items():
        try:
            read[name] = params.load(PARAMS, name, module.Params)
            _check(name, module, read[name])
        except UserError as fault:
            faults.append(fault)
    faults += faults_between(read)
    yield from (error(TOPIC, fault) for fault in dict.fromkeys(map(str, faults)))
    if not faults:
        others = len(modules.keys() - pipeline.stages().keys())
        yield ok(TOPIC, ", ".join([counted(len(pipeline.stages()), "stage"), *([counted(others, "other section")] if others else [])]))


def _check(name: str, module: ModuleType, read: StageParams) -> None:
    """What a stage checks of its parameters beyond their types, if it has such a check; the fault names file and section."""
    if not hasattr(module, "check"):
        return
    try:
        module.check(read)
    except UserError as fault:
        where = fault.where.removeprefix(f"{PARAMS}: ")
        inside = where if where.partition(":")[0].startswith(f"{name}.") else f"{name}.{where}"
        raise UserError(f"{PARAMS}: {inside}", fault.found, fault.expected, fault.remedy) from None


def _modules() -> dict[str, ModuleType]:
    """The module with the model of every section: of stages of ours, and of sections that belong to no stage."""
    own = {name: stage.module for name, stage in pipeline.stages().items() if stage.command.split()[2] in OWN}
    return {name: importlib.import_module(module) for name, module in (own | sections.MODULES).items()}


def _unknown_sections(known: Collection[str]) -> Iterator[UserError]:
    """Sections that nothing reads. One that stands where a known one is missing is told by that one's own fault."""
    there = [str(name) for name in params.read(PARAMS)]
    for name in there:
        near = params.nearest(name, sorted(known))
        if name not in known and not (near and near not in there):
            remedy = f"is it `{near}`, which is there too? delete it" if near else "delete it"
            yield UserError(f"{PARAMS}", f"a section `{name}` that nothing reads", one_of(known), remedy)
