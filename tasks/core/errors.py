"""The one error that a user may see: where, what was found, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.core import visible


class UserError(Exception):
    """A mistake in input, parameters or environment. Printed as one line, never with a traceback."""

    def __init__(self, where: str, found: str, expected: str, remedy: str) -> None:
        super().__init__(where, found, expected, remedy)
        self.where, self.found, self.expected, self.remedy = where, found, expected, remedy

    def __str__(self) -> str:
        return visible.line(f"{self.where}: found {self.found}; expected {self.expected}; {self.remedy}")


def one_of(names: Iterable[str]) -> str:
    """The names that exist, for an error about one that does not."""
    return "one of " + ", ".join(sorted(names))
