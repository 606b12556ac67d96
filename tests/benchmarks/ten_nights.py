"""Ten nights from end to end: the real stages on logs that grow, published to git, DVC and a private store, with what goes wrong in a life.

    python -m tests.benchmarks.ten_nights FOLDER

Some twenty seconds a night on an idle machine. What each step left is written down in FOLDER, and a run that was stopped goes on there.
A step that does not do what it should ends the run with a line; the table comes last.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flows import exit_codes
from tests.builders.whole_nights import Done, Keep, Workspace, export, places, workspace

FIRST, DAILY = 300, 30  # conversations of the first night, and those that each further night brings
# put together here, so that this file, which lies in the workspace too, does not hold them
USER, EMAIL = "-".join(("customer", "leaving", "4711")), "@".join(("petra.lindqvist", "example.org"))
PHRASE = " ".join(("heron compass from", "the Kvitsoy lighthouse"))
LEAVER = (5, 8)  # nights from which on, and before which, the person who is erased later is in the logs
STATE = "nights.json"
GIVEN = ("data/raw", "data/01_ingest")  # where logs are as they came
HEAD = ("night", "what", "exit", "seconds", "version", "pairs", "added", "gone", "other changes", "git status")


@dataclass
class State:
    """What is known after the steps so far."""

    done: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    releases: dict[str, dict[str, str]] = field(default_factory=dict)  # digests of the files of each version


class FaultError(Exception):
    """What a step found that should not be so."""


def demand(right: bool, what: str, done: Done | None = None) -> None:
    """End the run with a line, and the end of a command's output, unless all is right."""
    if not right:
        raise FaultError(what + (f"\n{done.out[-6000:]}" if done else ""))


def leaver() -> list[dict[str, Any]]:
    """Three conversations of a person who tells who they are, with ratings, as the plain format has them."""
    return [line for number in range(3) for line in _talk(f"leaving-{number}", number)]


def _talk(name: str, number: int) -> list[dict[str, Any]]:
    asked = f"Where is order K{number}: my {PHRASE}, bought {number + 2} weeks ago? Write to {EMAIL}."
    answers = ("For shipping there is a clear answer. 1. Open the account page. 2. Choose the order.", "People keep doing this wrong.")
    messages = [{"id": "m0", "parent_id": None, "role": "user", "content": asked}]
    messages += [{"id": f"a{at}", "parent_id": "m0", "role": "assistant", "content": text} for at, text in enumerate(answers)]
    chat = {"id": name, "user_id": USER, "topic": "shipping", "created_at": "2026-01-05T00:00:00Z", "messages": messages}
    return [chat, *(_rating(name, at, value) for at, value in enumerate((5, 1)))]


def _rating(name: str, at: int, value: int) -> dict[str, Any]:
    return {
        "id": f"{name}-f{at}",
        "conversation_id": name,
        "kind": "rating",
        "user_id": USER,
        "message_id": f"a{at}",
        "value": value,
        "created_at": "2026-01-05T00:01:00Z",
    }


class Nights:
    """The ten nights, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / STATE
        self.state = State(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else State()
        self.at = Workspace(folder / "project")

    def walk(self) -> None:
        """Do each step that is not done."""
        for step in STEPS:
            name = step.__name__.strip("_")
            if name not in self.state.done:
                step(self)
                self.state.done.append(name)
                (self.folder / STATE).write_text(json.dumps(asdict(self.state), indent=1), encoding="utf-8")
                sys.stdout.write(f"{name}: as it should be\n")
                sys.stdout.flush()

    def set_up(self) -> None:
        """A new workspace."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.at = workspace(self.folder)

    def first(self) -> None:
        """The first logs."""
        self._ordinary(1, "first logs")

    def second(self) -> None:
        """More logs."""
        self._ordinary(2, "more logs")

    def third(self) -> None:
        """More logs."""
        self._ordinary(3, "more logs")

    def fourth(self) -> None:
        """A parameter is changed by a person, who commits nothing."""
        self.at.set_parameters(pair__confidence__min=0.6)
        self._ordinary(4, "a parameter changed")

    def fifth(self) -> None:
        """Somebody comes who will leave; what names them is nowhere but where logs lie as they came."""
        self._ordinary(5, "a person comes")
        told = self._told((USER, EMAIL))
        demand(bool(told), "the planted values are nowhere, so nothing was tried")
        stray = [one for one in told if not one[0].startswith(("private/", *(f"project/{name}" for name in GIVEN)))]
        demand(not stray, f"values of a person outside of the raw logs: {stray[:5]}")

    def sixth(self) -> None:
        """The exporter renames a field: the gate of the feedback stops the night and nothing is published; mended, the night is well."""
        head, tags = self.at.well("git", "rev-parse", "HEAD"), self.at.tags()
        self._export(6, value="score")
        done = self.at.night()
        demand(done.code == exit_codes.FAILED and "rule no_value" in done.out, f"a broken exporter: exit {done.code}", done)
        demand(self.at.tags() == tags and self.at.well("git", "rev-parse", "HEAD") == head, "a held night was published", done)
        self._row(6, "exporter broken", done)
        self._ordinary(6, "exporter mended")

    def seventh(self) -> None:
        """Back to the third version; then the logs of the night, by the parameters of then."""
        demand(not self.at.status(), "changes before going back")
        done = self.at.command("pairwright", "rollback", "3")
        demand(done.code == 0, "no way back", done)
        self._published(7, "rollback to 3", done)
        demand(self.at.release() == self.state.releases[self._tag(3)], "another release than version 3 after going back", done)
        self._ordinary(7, "logs after it")

    def eighth(self) -> None:
        """The person leaves: a purge, the night, the purge again; nothing of them is left.

        What the purge changed in git, placements and records, the next night commits.
        """
        first = self._forget()
        demand(first.code == exit_codes.FAILED and "run `pairwright run`, then the same command again" in first.out, "first purge", first)
        self._ordinary(8, "erased")
        again = self._forget()
        demand(again.code == 0, "second purge", again)
        self._row(8, "purge", again)
        told = self._told((USER, EMAIL, PHRASE))
        demand(not told, f"still there after the erasure: {told[:8]}", again)

    def ninth(self) -> None:
        """Most of the logs are gone, and a person says that this is right."""
        export(self.at.root, lambda number: number % 5 < 2 and number < self._grown(9))
        held = self.at.night()
        demand(held.code == exit_codes.STOPPED_BY_GATE, f"half of the logs: exit {held.code}", held)
        self._row(9, "logs shrank", held)
        done = self.at.night("--accept", "volume")
        self._demand_night(done)
        self._published(9, "accepted", done)

    def tenth(self) -> None:
        """All logs again."""
        self._ordinary(10, "more logs")

    def cloned(self) -> None:
        """A clone has version 3 by pulling it, and makes the same again; all versions are listed, and every byte is whole."""
        shutil.rmtree(self.folder / "clone", ignore_errors=True)
        clone, tag = self.at.clone("clone"), self._tag(3)
        pulled = clone.command("pairwright", "pull", "--rev", tag)
        demand(pulled.code == 0 and clone.release() == self.state.releases[tag], "another release than version 3 in the clone", pulled)
        shutil.rmtree(clone.root / "data" / "release")
        again = clone.command("dvc", "repro", "--force", "release")
        demand(again.code == 0 and clone.release() == self.state.releases[tag], "version 3 made again is another", again)
        demand(not clone.status(), f"changes in the clone: {clone.status()}", again)
        self.state.rows.append(["", "clone: pull", str(pulled.code), f"{pulled.seconds:.0f}", tag, *[""] * 5])
        self.state.rows.append(["", "clone: dvc repro --force", str(again.code), f"{again.seconds:.0f}", tag, *[""] * 5])
        verified = clone.command("pairwright", "verify")
        demand(verified.code == 0 and "no faults" in verified.out, "verify in the clone", verified)
        listed = clone.well("pairwright", "versions")
        demand(all(tag in listed for tag in self.at.tags()), f"not all versions are listed:\n{listed}")
        sys.stdout.write(f"{verified.out}{listed}")

    def verified(self) -> None:
        """Every byte of the workspace is whole."""
        done = self.at.command("pairwright", "verify")
        demand(done.code == 0 and "no faults" in done.out, "verify", done)

    def _ordinary(self, night: int, what: str) -> None:
        """The night's logs and the run, which must publish a version more."""
        self._export(night)
        before = len(self.at.tags())
        done = self.at.night()
        self._demand_night(done)
        demand(len(self.at.tags()) == before + 1, "no version came out", done)
        self._published(night, what, done)

    def _export(self, night: int, value: str = "value") -> None:
        keep: Keep = lambda number: number < self._grown(night)  # noqa: E731
        export(self.at.root, keep, leaver() if LEAVER[0] <= night < LEAVER[1] else (), value=value)

    def _grown(self, night: int) -> int:
        return FIRST + DAILY * (night - 1)

    def _demand_night(self, done: Done) -> None:
        demand(done.code == 0, f"exit {done.code}", done)
        demand(not self.at.status(), f"changes after the night:\n{self.at.status()}", done)

    def _published(self, night: int, what: str, done: Done) -> None:
        """Note the newest version, held against the one before it."""
        tags = self.at.tags()
        self.state.releases[tags[-1]] = self.at.release()
        changes = self._changes(*tags[-2:]) if len(tags) > 1 else ["", "", ""]
        self._row(night, what, done, tags[-1], changes)

    def _changes(self, before: str, after: str) -> list[str]:
        """Counts of the difference, held against what the records of both versions say."""
        found = self.at.diff(before, after)
        counts = {name: by_split["all"] for name, by_split in found["pairs"].items()}
        said = [sum(self._pairs(tag).values()) for tag in (before, after)]
        demand([counts["before"], counts["after"]] == said, f"{before} to {after}: {counts} beside records of {said}")
        demand(said[0] + counts["added"] - counts["gone"] == said[1], f"{before} to {after}: {counts} does not add up")
        others = sum(not {"added", "gone"} & set(row["kinds"]) for row in found["rows"])
        return [str(counts["added"]), str(counts["gone"]), str(others)]

    def _pairs(self, tag: str) -> dict[str, int]:
        record = json.loads(self.at.well("git", "show", f"{tag}:data/versions/v{tag[9:].split('.')[0]}.json"))
        return {name: count for name, count in record["metrics"].items() if name.startswith("pairs_")}

    def _row(self, night: int, what: str, done: Done, tag: str = "", changes: list[str] | None = None) -> None:
        pairs = str(sum(self._pairs(tag).values())) if tag else ""
        state = f"{len(self.at.status().splitlines())} changed" if self.at.status() else "clean"
        self.state.rows.append([str(night), what, str(done.code), f"{done.seconds:.0f}", tag, pairs, *(changes or ["", "", ""]), state])

    def _tag(self, number: int) -> str:
        return f"dataset@v{number}.0.0"

    def _forget(self) -> Done:
        return self.at.command("pairwright", "forget", "--raw-id", "-", "--purge", "--yes", text=USER + "\n")

    def _told(self, values: tuple[str, ...]) -> list[tuple[str, str]]:
        """Where the values stand: in files, in cells of tables, and in what git packs."""
        history = self.at.well("git", "log", "-p", "--all", "--format=%B", "--", ".", ":!tests")
        return [*places(values, self.folder), *(("git", value) for value in values if value in history)]


STEPS: tuple[Callable[[Nights], None], ...] = (
    Nights.set_up,
    Nights.first,
    Nights.second,
    Nights.third,
    Nights.fourth,
    Nights.fifth,
    Nights.sixth,
    Nights.seventh,
    Nights.eighth,
    Nights.ninth,
    Nights.tenth,
    Nights.cloned,
    Nights.verified,
)


def main() -> int:
    """Walk the nights, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ten_nights", description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    nights = Nights(parser.parse_args().folder.resolve())
    try:
        nights.walk()
    except (FaultError, AssertionError, subprocess.TimeoutExpired) as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 1
    finally:
        rows = [list(HEAD), *nights.state.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            sys.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
