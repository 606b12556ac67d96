"""Words of people in Markdown: shown as they are, and nothing else."""

from __future__ import annotations

import html
import re

from tasks.core import visible

# Markdown syntax (but for the underscores within a name), and what turns a bare URL into a link.
MARKS = re.compile(r"[\\`*~\[\]]|(?<![^\W_])_|_(?![^\W_])|(?<=:)(?=//)|(?<=www)(?=\.)")


def quoted(words: str) -> str:
    """The words escaped: shown literally, with no control character, HTML element, link, image or code."""
    return MARKS.sub(r"\\\g<0>", html.escape(visible.lines(words)))
