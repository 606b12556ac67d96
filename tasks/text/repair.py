"""Repair of damaged text: mojibake, control and zero-width characters, HTML remains, white space.

`repair(text)` is idempotent. Fenced code (between lines of ```) keeps its spaces, tags and entities.
Mojibake is undone by ftfy (https://ftfy.readthedocs.io); the result is in NFC.
"""

from __future__ import annotations

import html
import re
import unicodedata

import ftfy
import pyarrow as pa
import pyarrow.compute as pc

# Rows without a match are clean as they are; in RE2, so that most rows never reach Python.
SUSPECT = r"[^\x20-\x7e]|  |^ | $|</?[a-zA-Z!]|&#?[a-zA-Z0-9]+;"

FTFY = ftfy.TextFixerConfig(
    unescape_html=False,
    remove_terminal_escapes=True,
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=True,
    normalization="NFC",
    explain=False,
)
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
# Joiners bind letters of some scripts and the parts of an emoji; between plain letters or at an edge they hide.
JOINER = re.compile(r"(?<![^\x00-\u02ff])[\u200c\u200d]+|[\u200c\u200d]+(?![^\x00-\u02ff])")
FENCE = re.compile(r"(^```.*?^```[^\S\n]*$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)
BREAK = re.compile(r"<br\s*/?>|</(?:p|div|li|tr|h[1-6]|ul|ol|table|blockquote)\s*>", re.IGNORECASE)
TAG = re.compile(
    r"</?(?:a|b|i|u|p|s|em|li|ol|ul|tr|td|th|hr|h[1-6]|div|img|pre|sub|sup|body|code|font|form|head|html|span|table|tbody|thead"
    r"|small|strong|script|style|center|blockquote|input|label|button|iframe|meta|link|details|summary)(?:\s[^<>]*)?/?>|<!--.*?-->|<!doctype[^<>]*>",
    re.IGNORECASE | re.DOTALL,
)
ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
SPACES = re.compile(r"[^\S\n]+")
BLANKS = re.compile(r" *\n *(?:\n *){2,}")
PASSES = 12


def repair(text: str) -> str:
    """The text repaired; repairing it again changes nothing."""
    for _ in range(PASSES):  # an entity may hide a tag, a tag an entity: each pass uncovers one layer
        new = _pass(text)
        if new == text:
            break
        text = new
    return text


def _pass(text: str) -> str:
    if not text.isascii():
        text = ftfy.fix_text(text, FTFY)
        text = JOINER.sub("", text.replace("\u2028", "\n").replace("\u2029", "\n"))
    text = CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    if "`" in text:
        parts = FENCE.split(text)
        text = "".join(part if at % 2 else _prose(part) for at, part in enumerate(parts))
    else:
        text = _prose(text)
    return unicodedata.normalize("NFC", text.strip())


def _prose(text: str) -> str:
    """Text outside code: tags and entities become what they stand for, runs of white space one space."""
    if "<" in text:
        text = TAG.sub("", BREAK.sub("\n", text))
    if "&" in text:
        text = ENTITY.sub(lambda found: html.unescape(found[0]), text)
    text = re.sub(r" ?\n ?", "\n", SPACES.sub(" ", text)) if not text.isspace() else text
    return BLANKS.sub("\n\n", text)


def repair_all(texts: pa.Array) -> pa.Array:
    """Every text repaired; nulls stay."""
    suspect = pc.fill_null(pc.match_substring_regex(texts, SUSPECT), False)
    repaired = pa.array([repair(text) for text in texts.filter(suspect).to_pylist()], texts.type)
    return pc.replace_with_mask(texts, suspect, repaired)
