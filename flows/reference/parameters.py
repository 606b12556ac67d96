"""The page of parameters: every key of `params.yaml`, by stage."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from flows import sections
from flows.reference.markdown import page, table, text
from flows.reference.settings import Setting, settings
from tasks.core import pipeline

LEAD = (
    "Every number and switch stands in `params.yaml`, one section a stage, and a few that change no byte of a dataset. No key has a "
    "default in the code: the values here are those that the project ships. After a change `dvc repro` runs the stages that depend on it, "
    "and no others."
)
LONGEST = 60  # characters of a default that is shown


def render(root: Path) -> str:
    """The page as Markdown."""
    stages = pipeline.stages(root)
    by_stage = groupby(settings(root), lambda setting: setting.path.partition(".")[0])
    said = {name: stages[name].description if name in stages else sections.description(name) for name in (*stages, *sections.MODULES)}
    return page("Parameters", LEAD, *(_section(name, said[name], list(known)) for name, known in by_stage))


def _section(name: str, description: str, known: Iterable[Setting]) -> str:
    rows = [(f"`{one.path}`", text(one.meaning), one.kind or "*section*", default(one)) for one in known]
    return f"## {name}\n\n{text(description)}.\n\n" + table(("parameter", "meaning", "type", "shipped as"), rows)


def default(setting: Setting) -> str:
    """The shipped value, or how long it is."""
    if not setting.kind:
        return ""
    shown = json.dumps(setting.default, ensure_ascii=False)
    if len(shown) <= LONGEST:
        return f"`{shown}`"
    held = setting.default
    return f"{len(held)} entries" if isinstance(held, list | dict) else f"`{shown[:LONGEST]}…`"
