"""Repair of text: characters, remains of HTML, white space. Code between back-ticks keeps its spaces, tags and entities.

`repair_all(texts)` takes and gives an Arrow array; `repair(text)` does one text and is idempotent.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from tasks.text.characters import settle

# Rows without a match are whole as they are (RE2): most rows never reach Python.
SUSPECT = r"[^\x20-\x7e\n]|  |\A[ \n]|[ \n]\z| \n|\n\n\n|<[/!a-zA-Z]|&[#a-zA-Z]"
PASSES = 16  # each uncovers one layer, such as an escaped entity; real logs have one or two

CODE = r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`"  # an unclosed fence runs to the end: the answer was cut off
# A whole page, or indented tags: code that nobody fenced. It stays as it is.
SOURCE = re.compile(r"<(?:!doctype|html|head|body|script|style|\?xml)\b|^[ \t]+<[a-z/]", re.IGNORECASE | re.MULTILINE)
BLOCK = "p|div|li|ul|ol|tr|td|th|table|tbody|thead|h[1-6]|blockquote|section|article|details|summary|center|pre"
INLINE = "a|abbr|b|big|del|em|font|i|ins|mark|s|small|span|strike|strong|sub|sup|tt|u"
TAG = re.compile(rf"({CODE})|(?<!['\"])<(/?)({BLOCK}|{INLINE})(?:\s[^<>]*)?>[ \t]*", re.IGNORECASE | re.DOTALL)
BREAK = re.compile(rf"({CODE})|<br\s*/?>[ \t]*\n?|<hr\s*/?>", re.IGNORECASE | re.DOTALL)
# What a front end folds away: the model's thinking and its tool calls, and comments.
HIDDEN = re.compile(
    rf"({CODE})|<details\s+type=\"(?:reasoning|tool_calls|code_interpreter)\".*?</details>|<!--.*?-->", re.IGNORECASE | re.DOTALL
)
ENTITY = re.compile(rf"({CODE})|(&(?:#\d{{1,7}}|#[xX][0-9a-fA-F]{{1,6}}|[a-zA-Z][a-zA-Z0-9]{{1,30}});)", re.DOTALL)
RUN = re.compile(rf"({CODE})|(?<=[^ \t\n])[ \t]+(?=[^ \t\n])", re.DOTALL)  # inside a line: indentation stays
LINE_TAIL = re.compile(rf"({CODE})|[ \t]+(?=\n)", re.DOTALL)
BLANK_LINES = re.compile(rf"({CODE})|\n{{3,}}", re.DOTALL)


def repair_all(texts: pa.Array) -> pa.Array:
    """Every text repaired; nulls stay."""
    return apply(texts, SUSPECT, repair)


def apply(texts: pa.Array, suspect: str, change: Callable[[str], str]) -> pa.Array:
    """The texts with `change` done to those that the RE2 pattern `suspect` finds; equal texts are changed once."""
    mask = pc.fill_null(pc.match_substring_regex(texts, suspect), False)
    few = texts.filter(mask).dictionary_encode()
    changed = pa.array([change(text) for text in few.dictionary.to_pylist()], texts.type)
    return pc.replace_with_mask(texts, mask, changed.take(few.indices))


def repair(text: str) -> str:
    """The text repaired; repairing it again changes nothing."""
    for _ in range(PASSES):
        before, text = text, _spaces(_markup(settle(text)))
        if text == before:
            break
    return text


def _markup(text: str) -> str:
    """Entities become characters and tags line breaks or nothing. `a < b`, code and mere mentions of a tag stay."""
    if SOURCE.search(text):
        return text
    if "&" in text:
        text = ENTITY.sub(lambda found: found[1] or html.unescape(found[2]), text)
    if "<" not in text:
        return text
    text = BREAK.sub(lambda found: found[1] or "\n", HIDDEN.sub(_code, text))
    tags = [found for found in TAG.finditer(text) if found[3]]
    # A tag without its counterpart is talked about ("how do I centre a <div>?"), or is no tag ("a<b and c>d").
    paired = {tag[3].lower() for tag in tags if tag[2]} & {tag[3].lower() for tag in tags if not tag[2]}
    return TAG.sub(lambda found: _tag(found, paired), text) if paired else text


def _tag(found: re.Match[str], paired: set[str]) -> str:
    """What stands in a tag's place."""
    name = (found[3] or "").lower()
    if name not in paired:
        return found[0]
    if name == "li":
        return "" if found[2] else "\n- "
    if re.fullmatch(INLINE, name):
        return found[0][found[0].rindex(">") + 1 :]
    return "\n"


def _spaces(text: str) -> str:
    """Runs of spaces inside a line become one, ends of lines and of the text lose theirs, blank lines come singly."""
    if " \n" in text or "\t\n" in text:
        text = LINE_TAIL.sub(_code, text)
    if "\n\n\n" in text:
        text = BLANK_LINES.sub(lambda found: found[1] or "\n\n", text)
    if "  " in text or "\t" in text:
        text = RUN.sub(lambda found: found[1] or " ", text)
    return text.strip(" \t\n")


def _code(found: re.Match[str]) -> str:
    """Code where the match is code; nothing where it is something else."""
    return found[1] or ""
