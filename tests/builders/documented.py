"""Workspaces in which the commands of the pages are typed: what the reader is taken to have, and what is put for their own names."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from flows import sections
from tasks.core import pipeline
from tests.builders import pages, toys, transcripts
from tests.builders.checkouts import checkout
from tests.builders.pages import Command
from tests.builders.projects import DATA_STAGES
from tests.builders.transcripts import Said
from tests.conftest import ROOT

SAMPLE = Path("data/raw/sample")
IDENTITY = "[user]\n\tname = Jane\n\temail = jane@example.org\n[init]\n\tdefaultBranch = main\n"
STEPS = 3
LINES = {"desk.jsonl": 260, "battles.jsonl": 40}  # of the sample's logs


@dataclass(frozen=True)
class Workspace:
    """A checkout with its stores beside it."""

    root: Path

    @property
    def outside(self) -> Path:
        return self.root.parent

    def copy(self, folder: Path) -> Workspace:
        """The same in another folder, with stores of its own."""
        shutil.copytree(self.outside, folder, symlinks=True, dirs_exist_ok=True)
        return Workspace(folder / self.root.name)

    def page(self, name: str, skipped: Sequence[str] = (), before: Mapping[str, str] | None = None, **more: str) -> list[Said]:
        """Type the commands of a page but those skipped; `before` one there may be lines that make what its reader is taken to have."""
        commands = [one for one in pages.commands() if one.page == name and one.text not in skipped]
        ready = [replace(one, text=self.filled(one.text)) for one in commands]
        lines = {self.filled(text): script for text, script in (before or {}).items()}
        return transcripts.run(
            self.root, ready, lines, GIT_CONFIG_GLOBAL=str(self.outside / "gitconfig"), OUTSIDE=str(self.outside), **more
        )

    def do(self, script: str) -> None:
        """Lines of a person's that stand on no page."""
        (said,) = transcripts.run(
            self.root,
            [Command("", 0, f"set -e\n{script}\nset +e")],
            {},
            GIT_CONFIG_GLOBAL=str(self.outside / "gitconfig"),
            OUTSIDE=str(self.outside),
        )
        assert said.code == 0, said.out

    def filled(self, text: str) -> str:
        """A command with what a reader puts into it."""
        for name, value in self.placeholders().items():
            text = text.replace(name, value)
        return text

    def placeholders(self) -> dict[str, str]:
        """What the pages call by a made-up name, and what it is here."""
        return {
            "PAIR_ID": self.pair(),
            "s3://bucket/path": str(self.outside / "store"),
            "s3://private-bucket/logs": str(self.outside / "vault"),
            "git@example.org:team/dataset.git": str(self.outside / "origin.git"),
            "my-logs/": f"{self.outside}/logs/",
            "dataset@v3.0.0": "dataset@v1.0.0",
            "diff 3 4": "diff 1 2",
            "diff 4 ": "diff 2 ",
            "rollback 3": "rollback 1",
        }

    def pair(self) -> str:
        """The first pair of the release; nothing where none is built."""
        file = self.root / "data/release/preference/train-00000.parquet"
        return str(pq.read_table(file, columns=["pair_id"])["pair_id"][0]) if file.is_file() else ""


def fresh(folder: Path) -> Workspace:
    """A checkout of the project with a short training, a part of the sample's logs, and the environment that `make install` makes."""
    made = Workspace(checkout(folder / "desk"))
    for name, count in LINES.items():
        file = made.root / SAMPLE / name
        file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:count]))
    _quicken(made.root / "params.yaml")
    (made.root / ".venv").mkdir()
    (made.root / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (made.root / ".venv" / ".installed").touch()
    (folder / "gitconfig").write_text(IDENTITY, encoding="utf-8")
    made.do(
        "git init -q --bare ../origin.git; git add -A; git commit -qm 'My logs'; mkdir ../logs; cp examples/five_lines/log.jsonl ../logs"
    )
    return made


def _quicken(path: Path) -> None:
    """Leave out what takes minutes and changes no command."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    for schedule in (document["start"]["schedule"], document["reward"]["schedule"], document["train"]["dpo"]["schedule"]):
        schedule["max_steps"] = STEPS
    document["augment"]["augmenters"]["back_translation"]["enabled"] = False
    document["compress"]["variants"] = ["half"]
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def quick(folder: Path) -> Workspace:
    """A toy workspace whose stages of the dataset have the names, inputs and outputs of the real ones, over a folder of logs."""
    made = Workspace(toys.make(folder / "desk"))
    (made.root / "data/raw").mkdir()
    (made.root / "data/raw/log.jsonl").write_text("{}", encoding="utf-8")
    document, params = toys.path_of(made.root), yaml.safe_load((made.root / "params.yaml").read_text(encoding="utf-8"))
    training = document["stages"]["train"] | {"deps": ["data/release", "trainer"]}
    document["stages"] = {name: _toy(name) for name in DATA_STAGES} | {"train": training}
    document["artifacts"]["dataset"]["path"] = "data/release"
    toys.set_path(made.root, document)
    quiet = {name: {"wait": 0, "fate": ""} for name in document["stages"]} | {name: params[name] for name in sections.MODULES}
    (made.root / "params.yaml").write_text(yaml.safe_dump(quiet, sort_keys=False), encoding="utf-8")
    (folder / "gitconfig").write_text(IDENTITY, encoding="utf-8")
    return made


def _toy(name: str) -> dict[str, Any]:
    """A stage of that name that copies its input."""
    known = pipeline.stages(ROOT)
    real = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][name]
    read = [str(one.output) for one in known.values() if any(dep.startswith(f"{one.output}/") for dep in real["deps"])]
    return {
        "desc": real["desc"],
        "cmd": f"python -m toys {name}",
        "deps": [*(read or ["data/raw"]), "toys"],
        "params": [name],
        "outs": [{str(known[name].output): {"persist": True}}],
    }


def python(page: str) -> list[str]:
    """The blocks of Python of a page."""
    return [block.text for block in pages.blocks() if block.page == page and block.language == "python"]


def outputs(page: str) -> list[str]:
    """The blocks of a page that show output."""
    return [block.text for block in pages.blocks() if block.page == page and not block.language]
