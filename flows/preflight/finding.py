"""What a check found: how bad it is, what it is about, and one line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tasks.core.errors import UserError

Level = Literal["ok", "warning", "error"]
BYTE_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Finding:
    """One line of `pairwright check`."""

    level: Level
    topic: str
    text: str

    def document(self) -> dict[str, str]:
        """As `--json` prints it."""
        return asdict(self)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Finding:
        """Back from what another process printed."""
        return cls(document["level"], document["topic"], document["text"])


def ok(topic: str, text: str) -> Finding:
    """Nothing is wrong."""
    return Finding("ok", topic, text)


def warning(topic: str, fault: UserError | str) -> Finding:
    """A run may go on, and a person should know."""
    return Finding("warning", topic, str(fault))


def error(topic: str, fault: UserError | str) -> Finding:
    """A run would fail, or do what nobody wants."""
    return Finding("error", topic, str(fault))


def errors(found: Iterable[Finding]) -> list[Finding]:
    """Those that stop a run."""
    return [finding for finding in found if finding.level == "error"]


def warnings(found: Iterable[Finding]) -> list[Finding]:
    """Those that are told, and stop nothing."""
    return [finding for finding in found if finding.level == "warning"]


def in_bytes(count: float) -> str:
    """A number of bytes in words, such as 4.5 MB."""
    for unit in BYTE_UNITS[:-1]:
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == BYTE_UNITS[0] else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} {BYTE_UNITS[-1]}"


def counted(count: int, one: str, many: str = "") -> str:
    """A count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
