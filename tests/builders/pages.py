"""What the pages for people hold: blocks of code, and the commands in them as somebody would type them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.conftest import ROOT

MADE = "docs/reference/"  # pages that are made from the code: what they show of commands is a usage line
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
SHELL = ("sh", "console")
PROMPT = "$ "
PROGRAMS = ("accelerate", "cp", "dvc", "git", "make", "nice", "pairwright", "pip", "prefect", "python", "rm", "tensorboard", "transformers")
TYPED = re.compile(r"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(?:" + "|".join(PROGRAMS) + r")(?= )")


@dataclass(frozen=True)
class Block:
    """Fenced code of a page."""

    page: str  # its path in the project
    line: int
    language: str  # what stands behind the fence; empty for output
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A line to type, and what the page shows of its output."""

    page: str
    line: int
    text: str  # without prompt and comment
    output: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@cache
def tokens(page: Path) -> tuple[Token, ...]:
    """The page's tokens, with those inside of paragraphs and headings."""
    parsed = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    return tuple(inner for token in parsed for inner in (token, *(token.children or ())))


@cache
def blocks() -> tuple[Block, ...]:
    """The fenced code of every page that people wrote."""
    found = ((str(page.relative_to(ROOT)), token) for page in PAGES for token in tokens(page) if token.type in ("fence", "code_block"))
    return tuple(
        Block(page, token.map[0] + 1, token.info.strip(), token.content) for page, token in found if token.map and not page.startswith(MADE)
    )


@cache
def commands() -> tuple[Command, ...]:
    """Every line of these blocks that is to be typed into a shell."""
    return tuple(command for block in blocks() if block.language in SHELL for command in _of(block))


def _of(block: Block) -> Iterator[Command]:
    """The commands of a block. A backslash carries one on; in a console it begins with the prompt, and output follows."""
    lines = re.sub(r" *\\\n\s*", " ", block.text).splitlines()
    console = block.language == "console"
    for at, line in enumerate(lines):
        text = without_comment(line.removeprefix(PROMPT) if console else line)
        if text and (not console or line.startswith(PROMPT)):
            yield Command(block.page, block.line + 1 + at, text, tuple(_output(lines[at + 1 :])) if console else ())


def _output(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if line.startswith(PROMPT):
            return
        yield line


def without_comment(line: str) -> str:
    """The line up to a `#` that begins a comment."""
    return re.sub(r"(^|\s+)#.*", "", line).strip()


@cache
def mentions() -> tuple[Command, ...]:
    """Commands in sentences: spans of code that begin with the name of a program and say more than it."""
    found = ((str(page.relative_to(ROOT)), token.content) for page in PAGES for token in tokens(page) if token.type == "code_inline")
    return tuple(Command(page, 0, text) for page, text in found if TYPED.match(text))
