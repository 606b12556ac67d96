"""Debian packages that augmenters need, where they are switched on: a machine without them makes another dataset, and only says so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flows.preflight.finding import Finding, error, ok, warning
from tasks.augment.registry import AUGMENTERS
from tasks.core import params
from tasks.core.errors import UserError
from tasks.core.shell import PARAMS

TOPIC = "augmenters"
RECORDS = Path("data/versions")  # of published versions, one file each, with the environment of each
NUMBERED = re.compile(r"v(\d+)\.json")
NAMES = {"synonym": "wordnet", "back_translation": "apertium"}  # how a version's environment calls what an augmenter needs


def findings() -> Iterator[Finding]:
    """A line for each augmenter that is on and cannot work here; one for all where none is."""
    section = params.read(PARAMS).get("augment")
    settings = section.get("augmenters") if isinstance(section, Mapping) else None
    if not isinstance(section, Mapping) or not isinstance(settings, Mapping):
        return
    on = [name for name in AUGMENTERS if isinstance(one := settings.get(name), Mapping) and one.get("enabled") is True]
    lacking = {name: what for name in on if (what := AUGMENTERS[name].missing())}
    yield from (_missing(name, what, section.get("on_missing")) for name, what in lacking.items())
    if not lacking:
        yield ok(TOPIC, f"{', '.join(on)}: what they need is installed" if on else "none is switched on")


def _missing(name: str, what: str, on_missing: object) -> Finding:
    """One augmenter whose package is not installed: a fault where it was when the last version was made, or where parameters say so."""
    packages = " ".join(AUGMENTERS[name].PACKAGES)
    remedy = f"run `apt-get install {packages}`, or set augment.augmenters.{name}.enabled to false"
    before, environment = last_environment()
    if environment.get(NAMES.get(name, name)):
        return error(TOPIC, UserError(name, f"no {what}", f"Debian's {packages}, which {before} was made with", remedy))
    if on_missing == "error":
        return error(TOPIC, UserError(name, f"no {what}", f"Debian's {packages} (augment.on_missing: error)", remedy))
    return warning(TOPIC, f"{name} is switched on and will be skipped: no {what}; {remedy}")


def last_environment() -> tuple[str, Mapping[str, Any]]:
    """Tag and environment of the newest version that has a record; nothing where there is none, or it cannot be read."""
    numbered = {int(found[1]): path for path in RECORDS.glob("v*.json") if (found := NUMBERED.fullmatch(path.name))}
    if not numbered:
        return "", {}
    path = numbered[max(numbered)]
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError) as fault:
        raise UserError(str(path), "a record that cannot be read", "JSON, as `publish` wrote it", f"run `git checkout {path}`") from fault
    environment = record.get("environment") if isinstance(record, dict) else None
    return str(record.get("tag", path.stem)) if isinstance(record, dict) else "", environment if isinstance(environment, dict) else {}
