"""Repair of text: characters, remains of HTML, white space. It does no harm: what may be meant stays.

HTML gives way only where it is the form of the whole text: every part of it stands in a block (`<p>…</p><ul>…</ul>`), as editors
store what people type. Anywhere else a tag is what is talked about. Code, tables, tabs, indentation and Markdown's hard breaks stay.

`repair_all(texts)` takes and gives an Arrow array; `repair(text)` does one text and is idempotent.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from html.entities import html5
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import filled, replaced, strings
from tasks.common.characters import clean_characters

# Rows without a match are whole as they are (RE2): most rows never reach Python.
SUSPECT = r"[^\x20-\x7e\n]|\A[ \n]|[ \n]\z| \n|\n\n\n|<[/!a-zA-Z]|&[#a-zA-Z]"
PASSES = 16  # each uncovers one layer, such as damage below damage; real logs have one or two

CODE = r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`"  # an unclosed fence runs to the end: the answer was cut off
BLOCK = "p|div|li|ul|ol|tr|td|th|table|tbody|thead|h[1-6]|blockquote|section|article|center|pre"
INLINE = "a|abbr|b|big|del|em|font|i|ins|mark|s|small|span|strike|strong|sub|sup|tt|u"
COVERED = re.compile(rf"\s*<(?:{BLOCK})(?:\s[^<>]*)?>.*</(?:{BLOCK})>\s*(?:<br\s*/?>\s*)*", re.IGNORECASE | re.DOTALL)
# A whole page, indented tags, names for style sheets and scripts, braces: a source that nobody fenced, and no editor's.
SOURCE = re.compile(
    r"<(?:!doctype|html|head|body|script|style|form|input|button|img|svg|\?xml)\b|^[ \t]+<[a-z/]|<[^<>]*\s(?:class|className|id"
    r"|on[a-z]+|data-[a-z]+)="
    r"|[{}]|```|\bhtml\b|\bcss\b|\btags?\b",
    re.IGNORECASE | re.MULTILINE,
)
PAIR = re.compile(rf"<(/?)({BLOCK}|{INLINE})(?:\s[^<>]*)?>[ \t]*", re.IGNORECASE)
BREAK = re.compile(r"<br\s*/?>[ \t]*\n?|<hr\s*/?>", re.IGNORECASE)
INNER_BREAK = re.compile(rf"({CODE})|(?<=[^\s`'\"])<br ?/?>[ \t]*\n?", re.IGNORECASE | re.DOTALL)  # right behind a word: a new line
NOTHING = re.compile(r"(?:\s|<br\s*/?>|&nbsp;)*", re.IGNORECASE)
TABLE = re.compile(r"^[ \t]*\|.*<br", re.IGNORECASE | re.MULTILINE)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
TALK = re.compile(r"\bhtml|\bxml|\bentit|\bescap|\bmarkup|\bmarkdown|line ?break|\btags?\b|<br ?/?> ", re.IGNORECASE)
NAME = r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});"
ENTITY = re.compile(rf"({CODE})|({NAME})", re.DOTALL)
TAG = re.compile(r"</?[a-zA-Z!]")
ALONE = re.compile(
    r"(?<![^\s\"'“(])&(?!amp;|lt;|gt;|[nm]dash;|hellip;|bull;|middot;|times;|[lr]arr;)[^;\s]+;(?![^\s\"'”).,])"
)  # "write &nbsp; for a space"
LINE_TAIL = re.compile(rf"({CODE})|(?<![ \t])(?:[ \t]+(?=\n[ \t]*(?:\n|\Z))| (?=\n))", re.DOTALL)  # two spaces before a line break it
BLANK_LINES = re.compile(rf"({CODE})|\n{{3,}}", re.DOTALL)
INDENTED = re.compile(r"\n[ \t]+\S")


def repair_all(texts: pa.Array[Any]) -> pa.Array[Any]:
    """Every text repaired; nulls stay."""
    return apply(texts, SUSPECT, repair)


def apply(texts: pa.Array[Any], suspect: str, change: Callable[[str], str]) -> pa.Array[Any]:
    """The texts with `change` done to those that the RE2 pattern `suspect` finds; equal texts are changed once."""
    mask = filled(pc.match_substring_regex(texts, suspect), False)
    few = texts.filter(mask).dictionary_encode()
    changed: pa.Array[Any] = pa.array([change(text) for text in strings(few.dictionary)], texts.type)
    return replaced(texts, mask, changed.take(few.indices))


def repair(text: str) -> str:
    """The text repaired; repairing it again changes nothing."""
    for _ in range(PASSES):
        before, text = text, _spaces(_markup(clean_characters(text)))
        if text == before:
            break
    return text


def _markup(text: str) -> str:
    """The words of a text that an editor stored as HTML; line breaks and entities of other texts, where they can be nothing else."""
    if NOTHING.fullmatch(text):
        return ""
    if "<" in text and COVERED.fullmatch(text) and not SOURCE.search(text):
        text = PAIR.sub(_tag, BREAK.sub("\n", COMMENT.sub("", text)))
    elif "<br" in text.lower() and not TALK.search(text) and not TABLE.search(text):
        text = INNER_BREAK.sub(lambda found: found[1] or "\n", text)
    return _entities(text) if "&" in text else text


def _tag(found: re.Match[str]) -> str:
    """What stands in a tag's place."""
    if found[2].lower() == "li":
        return "" if found[1] else "\n- "
    return found[0][found[0].rindex(">") + 1 :] if re.fullmatch(INLINE, found[2].lower()) else "\n"


def _entities(text: str) -> str:
    """The text with characters for entities; as it was where they are talked about: where tags or further entities would come of it."""
    if TALK.search(text) or any(_character(found[0]) != found[0] for found in ALONE.finditer(text)):
        return text
    changed = ENTITY.sub(lambda found: found[1] or _character(found[2]), text)
    fresh = len(TAG.findall(changed)) > len(TAG.findall(text)) or re.search("&amp;(?:#?[a-zA-Z0-9]+;)", text)
    return text if fresh else changed


def _character(entity: str) -> str:
    """The character of an entity; `&notanentity;` is none."""
    return html.unescape(entity) if entity[1] == "#" else html5.get(entity[1:], entity)


def _spaces(text: str) -> str:
    """Ends of lines and of the text lose their spaces, blank lines come singly where no line is indented."""
    if " \n" in text or "\t\n" in text:
        text = LINE_TAIL.sub(_code, text)
    if "\n\n\n" in text and not INDENTED.search(text):
        text = BLANK_LINES.sub(lambda found: found[1] or "\n\n", text)
    text = re.sub(r"\A(?:[ \t]*\n)+", "", text.rstrip(" \t\n"))
    return text if INDENTED.search(text) else text.lstrip(" \t")


def _code(found: re.Match[str]) -> str:
    """Code where the match is code; nothing where it is something else."""
    return found[1] or ""
