"""The pipeline as defined in `dvc.yaml`: the stages, their order, and what each reads and writes.

No path under `data/` stands anywhere else in the code.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core.errors import UserError, one_of
from tasks.core.params import parse


@dataclass(frozen=True)
class Stage:
    """One stage of `dvc.yaml`; all paths are relative to the project's root."""

    name: str
    command: str
    description: str
    data: tuple[Path, ...]  # what it reads under data/
    code: tuple[Path, ...]  # files and folders of ours that it depends on
    output: Path  # the one folder that it writes
    reports: Path | None  # reports for people (times allowed), outside DVC
    checkpoints: Path | None  # what a killed run leaves for the next one, outside DVC
    private: bool = False  # its output stays on this machine: DVC does not cache it, so it is never pushed

    @property
    def module(self) -> str:
        """Dotted name of the stage's module, e.g. `tasks.clean.stage` or `trainer.train`."""
        package = self.command.split()[2]
        return f"{package}.{self.name}.stage" if package == "tasks" else f"{package}.{self.name}"

    def input(self, name: str) -> Path:
        """The input whose last path component is `name`."""
        for path in self.data:
            if path.name == name:
                return path
        raise UserError(f"dvc.yaml: {self.name}", f"no dep called {name}", one_of(p.name for p in self.data), "add it to the stage's deps")


def stages(root: Path = Path()) -> dict[str, Stage]:
    """All stages in the order of `dvc.yaml`."""
    return _stages((root / "dvc.yaml").resolve())


@functools.lru_cache(maxsize=4)
def _stages(path: Path) -> dict[str, Stage]:
    if not path.is_file():
        raise UserError(str(path), "no such file", "the path of the data", "run the command in the project's folder")
    document = parse(path.read_text(encoding="utf-8"))
    return {name: _stage(name, entry) for name, entry in document["stages"].items()}


def _stage(name: str, entry: dict[str, Any]) -> Stage:
    deps = [Path(dep) for dep in entry["deps"]]
    (output,) = entry["outs"]
    meta = {name: Path(path) for name, path in (entry.get("meta") or {}).items()}
    return Stage(
        name=name,
        command=entry["cmd"],
        description=entry["desc"],
        data=tuple(dep for dep in deps if dep.parts[0] == "data"),
        code=tuple(dep for dep in deps if dep.parts[0] != "data"),
        output=Path(next(iter(output)) if isinstance(output, dict) else output),
        reports=meta.get("reports"),
        checkpoints=meta.get("checkpoints"),
        private=isinstance(output, dict) and next(iter(output.values())).get("cache") is False,
    )


def stage(name: str, root: Path = Path()) -> Stage:
    """One stage by name."""
    known = stages(root)
    if name not in known:
        raise UserError("stage", repr(name), one_of(known), "correct the name")
    return known[name]
