r"""Text that acts on nothing where it is shown: on a terminal, in a log, in a message of Prefect's.

Names of files and words of logs may hold what a terminal obeys (an escape sequence, a bell), what makes one line look like two, or what
turns the order of the letters after it. Here it is spelled out as JSON does it (`\u001b`), so that a JSON document stays the same document.
"""

from __future__ import annotations

import re

# All control characters but the tab, separators of lines, marks of direction and of no width, lone surrogates, invisible tags. What joins
# letters in Persian and in emoji is left.
ACTIVE = re.compile("[\x00-\x08\n-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]")
ACTIVE_BUT_LINES = re.compile(ACTIVE.pattern.replace("\n-", "\x0b-"))


def line(words: object) -> str:
    """Anything as one line."""
    return ACTIVE.sub(_spelled, str(words))


def lines(words: object) -> str:
    """Anything as text whose line breaks are meant."""
    return ACTIVE_BUT_LINES.sub(_spelled, str(words))


def _spelled(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
