"""The deployments of `prefect.yaml`, read without Prefect: flows that exist, parameters that they take, times that can come."""

from __future__ import annotations

import ast
import functools
import importlib.util
import zoneinfo
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from flows.entrypoint import parts
from flows.preflight.finding import Finding, counted, error, ok, warning
from tasks.core.errors import UserError, one_of
from tasks.core.params import nearest, parse

TOPIC = "deployments"
FILE = Path("prefect.yaml")
TIMES = ("cron", "interval", "rrule")
CRONITER = "_vendor/croniter/croniter.py"
CRON = "five fields: minute hour day month weekday, such as 0 3 * * *"


def findings() -> Iterator[Finding]:
    """Every fault; one line that says what was looked at where there is none."""
    if not FILE.is_file():
        yield warning(TOPIC, UserError(str(FILE), "no such file", "the deployments that `pairwright serve` serves", "restore it from git"))
        return
    try:
        document = parse(FILE.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        yield error(TOPIC, UserError(str(FILE), "text that is not YAML", "deployments", "correct it, or restore it from git"))
        return
    entries = document.get("deployments") if isinstance(document, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        yield error(TOPIC, UserError(str(FILE), "no list of deployments", "`deployments:` with an entry each", "restore it from git"))
        return
    faults = [fault for entry in entries for fault in _faults(entry)]
    yield from (error(TOPIC, fault) for fault in faults)
    if not faults:
        yield ok(TOPIC, f"{counted(len(entries), 'deployment')}: {', '.join(str(entry['name']) for entry in entries)}")


def _faults(entry: Mapping[str, Any]) -> Iterator[UserError]:
    where = f"{FILE}: {entry.get('name', 'a deployment')}"
    if missing := [key for key in ("name", "entrypoint") if not isinstance(entry.get(key), str)]:
        yield UserError(where, f"no {missing[0]}", "name and entrypoint", "add it")
        return
    yield from _of_flow(where, str(entry["entrypoint"]), entry.get("parameters") or {})
    for schedule in entry.get("schedules") or ():
        yield from _of_schedule(where, schedule if isinstance(schedule, Mapping) else {})


def _of_schedule(where: str, schedule: Mapping[str, Any]) -> Iterator[UserError]:
    if not schedule.keys() & set(TIMES):
        yield UserError(f"{where}: schedules", "an entry without times", one_of(TIMES), "add them")
    if "cron" in schedule:
        yield from cron_faults(where, str(schedule["cron"]))
    zone = schedule.get("timezone", "UTC")
    if zone not in zoneinfo.available_timezones():
        near = nearest(str(zone), sorted(zoneinfo.available_timezones()))
        yield UserError(f"{where}: timezone", repr(zone), "a time zone such as Europe/Berlin", f"write `{near}`" if near else "correct it")


def cron_faults(where: str, text: str) -> Iterator[UserError]:
    """A fault for what Prefect would not take as times."""
    reader = _croniter()
    if reader and not reader.is_valid(text):
        yield UserError(f"{where}: cron", repr(text), CRON, "correct it")


@functools.cache
def _croniter() -> Any:  # noqa: ANN401  (a class of Prefect's, which has no types)
    """Prefect's own reader of such times, from its file: importing Prefect takes seconds. None where Prefect has it no longer."""
    prefect = importlib.util.find_spec("prefect")
    file = Path(next(iter(prefect.submodule_search_locations or ()), "")) / CRONITER if prefect else Path(CRONITER)
    spec = importlib.util.spec_from_file_location("prefect_croniter", file) if file.is_file() else None
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.croniter


def _of_flow(where: str, entrypoint: str, parameters: Mapping[str, Any]) -> Iterator[UserError]:
    """Faults of the flow that an entry names, and of the parameters that it hands over."""
    module, name = parts(entrypoint)
    functions = _functions(module)
    if functions is None:
        yield UserError(f"{where}: entrypoint", repr(entrypoint), "MODULE.FUNCTION, such as flows.build.build", "correct the module")
        return
    if name not in functions:
        yield UserError(f"{where}: entrypoint", f"no function {name} in {module}", one_of(functions), "correct the function")
        return
    for key in parameters:
        if key not in functions[name]:
            near = nearest(str(key), functions[name])
            remedy = f"write `{near}`" if near else "take it out"
            yield UserError(f"{where}: parameters.{key}", f"nothing that {name} takes", one_of(functions[name]), remedy)


def _functions(module: str) -> dict[str, list[str]] | None:
    """Functions of a module, each with its parameters; None where there is no such module."""
    path = Path(f"{module.replace('.', '/')}.py")
    if not path.is_file():
        try:
            spec = importlib.util.find_spec(module) if module else None
        except (ImportError, ValueError):
            return None
        if spec is None or spec.origin is None:
            return None
        path = Path(spec.origin)
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return {node.name: [argument.arg for argument in node.args.args] for node in tree.body if isinstance(node, ast.FunctionDef)}
