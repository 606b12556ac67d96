"""Apertium as one long-running pipeline of programs: texts in, translated texts out, without a shell and without a start per text.

A mode file of Apertium (`/usr/share/apertium/modes/eng-spa.mode`; $APERTIUM_DATADIR names another folder) is a shell
pipeline. Its programs are started once, each with `-z`, so that all of them flush at the end of a text, marked by a NUL
byte; without it a text stays in the pipe until later ones push it out.
"""

from __future__ import annotations

import os
import select
import shlex
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from tasks.core.errors import UserError

NUL = b"\0"
STUCK_SECONDS = 60.0  # without output for so long, the pipeline is stuck and is ended


def mode_file(mode: str) -> Path:
    """The file that defines the mode's pipeline."""
    return Path(os.environ.get("APERTIUM_DATADIR") or "/usr/share/apertium") / "modes" / f"{mode}.mode"


def missing(modes: Sequence[str]) -> str | None:
    """The first missing mode file or program; None when all exist."""
    for mode in modes:
        if not mode_file(mode).is_file():
            return str(mode_file(mode))
        for program, *_ in commands(mode, "-g"):
            if shutil.which(program) is None:
                return program
    return None


def commands(mode: str, generator: str) -> list[list[str]]:
    """The mode's programs with their arguments; `generator` is -g (mark what failed) or -n (do not)."""
    words = shlex.split(mode_file(mode).read_text(encoding="utf-8").replace("|", " | "))
    programs: list[list[str]] = [[]]
    for word in words:
        if word == "|":
            programs.append([])
        elif word != "$2":
            programs[-1].append(generator if word == "$1" else word)
    return [[program, "-z", *arguments] for program, *arguments in programs]


class Pipeline:
    """A chain of modes, kept alive until `close`; restarted when a program dies."""

    def __init__(self, modes: Sequence[str]) -> None:
        last = len(modes) - 1
        self._commands = [command for at, mode in enumerate(modes) for command in commands(mode, "-g" if at == last else "-n")]
        self._programs: list[subprocess.Popen[bytes]] = []
        self._writer: threading.Thread | None = None

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def translate(self, texts: Sequence[str]) -> list[str | None]:
        """The translation of each text; None for a text that crashes the pipeline."""
        done: list[str | None] = []
        killers = 0
        while len(done) < len(texts):
            more = self._pass(texts[len(done) :])
            done += more
            if len(done) == len(texts):
                break
            self.close()
            killers = 0 if more else killers + 1
            if killers > 2:
                raise UserError(
                    "apertium", "a pipeline that ended unexpectedly", "a translation", "reinstall apertium and apertium-eng-spa"
                )
            if not more:
                done.append(None)
        return done

    def close(self) -> None:
        """End all programs."""
        for program in self._programs:
            program.kill()
            program.wait()
        if self._writer:
            self._writer.join()  # it notices at its next write
        for program in self._programs:
            for stream in (program.stdin, program.stdout):
                if stream:
                    stream.close()
        self._programs, self._writer = [], None

    def _start(self) -> None:
        for command in self._commands:
            source = self._programs[-1].stdout if self._programs else subprocess.PIPE
            program = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
            if self._programs and self._programs[-1].stdout:
                self._programs[-1].stdout.close()  # the next program has it now, so that all end when one dies
            self._programs.append(program)

    def _pass(self, texts: Sequence[str]) -> list[str | None]:
        """Send all texts and collect translations until all are there or the pipeline ends."""
        if not self._programs:
            self._start()
        self._writer = threading.Thread(target=self._send, args=(self._programs[0], texts), daemon=True)
        self._writer.start()
        return self._collect(len(texts))

    @staticmethod
    def _send(program: subprocess.Popen[bytes], texts: Sequence[str]) -> None:
        try:
            for start in range(0, len(texts), 64):
                batch = texts[start : start + 64]
                data = b"".join(text.replace("\0", " ").encode("utf-8", "replace") + NUL for text in batch)
                _write(program, data)
        except BrokenPipeError:
            return  # a program died: the reader sees the end of output, and texts without a translation are sent again

    def _collect(self, count: int) -> list[str | None]:
        output = self._programs[-1].stdout
        assert output is not None
        answers: list[str | None] = []
        rest = b""
        while len(answers) < count and (data := _read(output)):
            *whole, rest = (rest + data).split(NUL)
            answers += [text.decode("utf-8", "replace") for text in whole]
        return answers[:count]


def _read(output: IO[bytes]) -> bytes:
    """The available output; empty at its end, or after a timeout."""
    ready, _, _ = select.select([output], [], [], STUCK_SECONDS)
    return output.read(1 << 16) if ready else b""


def _write(program: subprocess.Popen[bytes], data: bytes) -> None:
    """All of the data: an unbuffered pipe may take only a part at once."""
    assert program.stdin is not None
    view = memoryview(data)
    while view:
        view = view[program.stdin.write(view) :]
