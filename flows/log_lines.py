"""How serious a line is that a stage or DVC prints: both streams of a child come as one, so the words must tell."""

from __future__ import annotations

import logging
import re

WARNING = re.compile(r"(\w+: )?warning: |WARNING: |\S+:\d+: \w*Warning: ")
ERROR = re.compile(r"(error|ERROR): ")
TRACEBACK = "Traceback (most recent call last):"


class Levels:
    """The level of each line of one child, in their order: a traceback is an error up to the line that ends it."""

    def __init__(self) -> None:
        self._in_traceback = False

    def of(self, line: str) -> int:
        """The level of the next line."""
        if self._in_traceback:
            self._in_traceback = line.startswith(" ")
            return logging.ERROR
        self._in_traceback = line.startswith(TRACEBACK)
        if self._in_traceback or ERROR.match(line):
            return logging.ERROR
        return logging.WARNING if WARNING.match(line) else logging.INFO
