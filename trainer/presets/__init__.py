"""Presets: a few parameters that belong together, laid over `params.yaml` in place, so that the file still says all that is run.

In: the name of a preset (a YAML file beside this one that holds the keys to change, nested as in `params.yaml`) and the file.
Out: the file with those values and not another byte changed, and a line for each. `scratch` puts the project's own values back.
The packages that a preset needs stand in a `.txt` of its name, for `pip install --no-deps --require-hashes -r`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tasks.core import whole_file
from tasks.core.errors import UserError, one_of
from trainer.models import sources

FOLDER = Path(__file__).parent
Keys = tuple[str, ...]


def names() -> list[str]:
    """The presets that exist."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def lay(name: str, path: Path) -> list[str]:
    """Lay a preset over a file of parameters; a line for each value that changed. Its model must be there before a byte is written."""
    if name not in names():
        raise UserError("--model", repr(name), one_of(names()), "choose a preset, or name any model in start.model.source of params.yaml")
    given = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    source = yaml.safe_load(given)["start"]["model"]["source"]
    if source != sources.SCRATCH:
        sources.find(source, f"--model {name}")
    text = _read(path)
    there = dict(_leaves(yaml.compose(text), ()))
    changes, lines = [], []
    for keys, node in _leaves(yaml.compose(given), ()):
        if keys not in there:
            raise UserError(str(path), f"no key {'.'.join(keys)}", f"every key of the preset {name}", "restore the file from git")
        old, new = text[_span(there[keys])], given[_span(node)]
        if yaml.safe_load(old) != yaml.safe_load(new):
            changes.append((_span(there[keys]), new))
            lines.append(f"{'.'.join(keys)}: {old} -> {new}")
    whole_file.write(path, _replaced(text, changes))
    return lines


def _read(path: Path) -> str:
    """The text of the parameters, which must be YAML."""
    if not path.is_file():
        raise UserError(str(path), "no such file", "the parameters of the pipeline", "run the command in the project's folder")
    text = path.read_text(encoding="utf-8")
    try:
        yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(str(path), "text that is not YAML", "one mapping a stage", "correct it") from error
    return text


def _leaves(node: yaml.Node | None, keys: Keys) -> Iterator[tuple[Keys, yaml.Node]]:
    """Every value that is no mapping, with the keys that lead to it."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _leaves(value, (*keys, str(key.value)))
    elif node is not None:
        yield keys, node


def _span(node: yaml.Node) -> slice:
    """Where in the text the value stands."""
    return slice(node.start_mark.index, node.end_mark.index)


def _replaced(text: str, changes: list[tuple[slice, str]]) -> str:
    """The text with new values, from the last to the first, so that places stay right."""
    for span, new in sorted(changes, key=lambda change: change[0].start, reverse=True):
        text = text[: span.start] + new + text[span.stop :]
    return text


def values(name: str) -> dict[str, Any]:
    """What a preset sets, by dotted key."""
    given = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    return {".".join(keys): yaml.safe_load(given[_span(node)]) for keys, node in _leaves(yaml.compose(given), ())}
