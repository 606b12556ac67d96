"""Debian packages that augmenters need, where they are switched on: a machine without them makes another dataset, and only says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flows.preflight import history
from flows.preflight.finding import Finding, error, ok, warning
from tasks.augment.registry import AUGMENTERS
from tasks.core import params
from tasks.core.errors import UserError
from tasks.core.shell import PARAMS

TOPIC = "augmenters"
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
    before = history.last()
    if before and before["environment"].get(NAMES.get(name, name)):
        return error(TOPIC, UserError(name, f"no {what}", f"Debian's {packages}, which {before['tag']} was made with", remedy))
    if on_missing == "error":
        return error(TOPIC, UserError(name, f"no {what}", f"Debian's {packages} (augment.on_missing: error)", remedy))
    return warning(TOPIC, f"{name} is switched on and will be skipped: no {what}; {remedy}")
