"""Commands typed one after another into one shell, what each said, and whether that is what a page shows."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.builders.pages import Command
from tests.conftest import ROOT

BIN = Path(sys.executable).parent
BEGIN, END = "\x1e", "\x1f"
OF_ITS_OWN = "pairwright chat"  # a model of another training writes something else
LOGGED = re.compile(r"^[\d:.]+ \| \w+ +\| \w+ run '.*?' - ")  # before each line that a flow logs
FIGURE = re.compile(r"\d+(?:[.,]\d+)*")
TIMEOUT = 1800
TYPED = {  # what a person types at a terminal
    "pairwright forget --raw-id -": "customer-3\ny\n",
    "pairwright forget --raw-id - --purge": "customer-3\ny\n",
    "pairwright chat --model data/models/final": "/quit\n",
}


@dataclass(frozen=True)
class Said:
    """A command that was run: what it wrote on both streams, and its exit code."""

    command: Command
    out: str
    code: int


def environment(**more: str) -> dict[str, str]:
    """Variables of a person in a checkout who has no server, no git identity, and nothing of the machine's own settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "PAIRWRIGHT_", "GIT_", "VIRTUAL_ENV"))}
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "MAKEFLAGS": "APT="}  # make asks no system's package manager
    return kept | quiet | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT}/tasks/library", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"} | more


def run(root: Path, commands: Sequence[Command], before: Mapping[str, str], **more: str) -> list[Said]:
    """Run the commands in the folder, as lines of one shell; `before` one there may be lines of which nothing is told."""
    script = "\n".join(_step(at, command.text, before.get(command.text, ":")) for at, command in enumerate(commands))
    streams: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
        "errors": "replace",
    }
    with subprocess.Popen(["bash", "-c", script], cwd=root, env=environment(**more), start_new_session=True, **streams) as process:
        try:
            out, _ = process.communicate(timeout=TIMEOUT)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    found = re.findall(rf"{BEGIN}(\d+)\n(.*?){END}(\d+)\n", out, re.DOTALL)
    assert len(found) == len(commands), out[-4000:]
    return [Said(commands[int(at)], words.replace("\r\n", "\n"), int(code)) for at, words, code in found]


def _step(at: int, text: str, before: str) -> str:
    """A command in the shell itself, so that `cd`, `export` and `source` last, between two marks. One that asks has its answers."""
    typed = TYPED.get(text)
    asks = f"printf %s {shlex.quote(typed)} | script -qefc {shlex.quote(text)} /dev/null" if typed else text
    return f"{{ {before}\n}}\nprintf '{BEGIN}{at}\\n'\n{{ {asks}\n}} 2>&1\nprintf '{END}%d\\n' $?"


def unlike(shown: Sequence[str], out: str) -> list[str]:
    """The lines of a page that no line of the output is like, in the page's order. `...` stands for lines, or for the rest of one."""
    if " ".join(shown).split() == out.split():
        return []  # in columns on a terminal
    lines, missing = out.splitlines(), []
    for line in shown:
        at = next((at for at, said in enumerate(lines) if _like(line, said)), None)
        if at is not None:
            lines = lines[at + 1 :]
        elif line.strip() != "...":
            missing.append(line)
    return missing


def _like(shown: str, said: str) -> bool:
    """Equal but for what differs from one dataset to the next."""
    begin = shown.removesuffix("...").rstrip(", ")
    return form(said).startswith(form(begin)) if shown.endswith("...") else form(said) == form(shown)


def form(line: str) -> str:
    """A line without figures, identifiers, what a flow writes before it, and the reasons behind a count of dropped rows."""
    plain = re.sub(r"(dropped) \(.*\)$", r"\1", LOGGED.sub("", line.rstrip()))
    return re.sub(r" +", " ", FIGURE.sub("N", re.sub(r"\b[0-9a-f]{8,16}\b", "ID", plain)))


def faults(said: Iterable[Said]) -> Iterator[str]:
    """Commands that failed, or said something else than their page shows."""
    for one in said:
        if one.code != 0:
            yield f"{one.command.place}: `{one.command.text}` ended with {one.code}:\n{one.out[-3000:]}"
        elif one.command.output and not one.command.text.startswith(OF_ITS_OWN) and (missing := unlike(one.command.output, one.out)):
            yield f"{one.command.place}: `{one.command.text}` does not say {missing}; it says:\n{one.out[-3000:]}"
