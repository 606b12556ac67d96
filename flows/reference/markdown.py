"""Markdown of the reference pages: headings, tables, and text out of docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

NOTE = "<!-- Made by `python -m flows.reference`: change what it says where the thing is defined, then run that. -->"
CODE = re.compile(r"(`[^`]*`)")


def page(title: str, lead: str, *parts: str) -> str:
    """A whole page."""
    return "\n\n".join([NOTE, f"# {title}", text(lead), *parts]) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown already, on one line each."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


def text(words: str) -> str:
    """Plain text as Markdown: what looks like a tag outside code is shown, not obeyed."""
    parts = CODE.split(words)
    return "".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))


def docstring(thing: object) -> str:
    """A docstring as Markdown: its indented blocks are code."""
    found = inspect.getdoc(thing) or ""
    blocks = found.split("\n\n")
    return "\n\n".join(block if block.startswith("    ") else text(block) for block in blocks)


def sentence(words: str) -> str:
    """Words as a sentence: a capital in front, a full stop behind."""
    words = words.strip()
    ended = words if words.endswith((".", "!", "?", ":")) else f"{words}."
    return ended[:1].upper() + ended[1:]
