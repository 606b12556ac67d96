"""Which texts are the same: one meaning of it for prompts and one for answers, used wherever votes are pooled or answers move.

Two *answers* are equal when they are letter by letter the same, up to what no reader sees: how Unicode spells a letter (NFC), line ends,
blanks at the ends of lines and of the text, characters without width, and which value a placeholder stands for. Case, indentation, line
breaks and figures count: people choose between such answers ("π r²" over "π r2", a poem over its words in one line).

Two *prompts* are equal when each of their messages is: the same texts, attachments and tool calls, and the same values behind the
placeholders of redaction. In a message of one line without code, also runs of blanks and the case of a sentence's first letter are
nothing: "how do I pay?" is "How do I pay?". Everything else counts: "what is IT?" is not "what is it?".

What is only alike (`tasks.common.similarity.near_copies`) may tie a split; it never pools votes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import orjson

PLACEHOLDER = re.compile(r"\[([A-Z]+)_[0-9]{1,9}\]")  # of redaction; which value it stands for, no reader sees
BEFORE_END = re.compile(r"\s\n")
UNSEEN = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")  # without width, or of direction
ENDS = re.compile(r"[^\S\n]+$", re.MULTILINE)
LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x0b\x0c\x85]")
# Full-width letters, ligatures and foreign blanks are spellings; superscripts, fractions and figures in circles are not.
SPELLINGS = re.compile(r"[\uff01-\uff5e\ufb00-\ufb06\u00a0\u2000-\u200a\u202f\u205f\u3000]")
WORD = re.compile(r"[^\W\d_]+")
OPENING = re.compile(r"[.!?] [^\W\d_]+")  # the first word of a sentence that is not the first
PART, ITEM = "\x1e", "\x1f"  # stand between the parts of a message: no repaired text holds them


def same_answer(text: str) -> str:
    """The text as it is compared with other answers; folding twice is folding once."""
    text = PLACEHOLDER.sub(r"[\1]", text) if "_" in text else text
    if _is_folded(text):
        return text
    plain = unicodedata.normalize("NFC", UNSEEN.sub("", LINE_ENDS.sub("\n", text)))
    lines = ENDS.sub("", plain).strip("\n")
    return lines if "\n" in lines else lines.strip()


def _is_folded(text: str) -> bool:
    """Whether a text is ASCII without any of the signs and blanks that `same_answer` folds; patterns would cost ten times that."""
    if not text.isascii() or text != text.strip() or "\r" in text or "\x0b" in text or "\x0c" in text:
        return False
    return "\n" not in text or not BEFORE_END.search(text)


def same_question(text: str) -> str:
    """The text of a prompt's message as it is compared with other prompts' messages; folding twice is folding once."""
    spelt = text if text.isascii() else SPELLINGS.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    plain = same_answer(spelt)
    if "\n" in plain or "\t" in plain or "`" in plain:  # lines, tables and code: every letter may mean something
        return plain
    line = " ".join(plain.split())
    first = WORD.match(line)
    opened = _uncapitalised(first[0]) + line[first.end() :] if first else line
    return OPENING.sub(lambda found: found[0][:2] + _uncapitalised(found[0][2:]), opened)


def _uncapitalised(word: str) -> str:
    """The word without its capital; an acronym and a name such as iPhone stay."""
    return word.lower() if len(word) == 1 or word[1:].islower() else word


def same_calls(calls: str) -> str:
    """Tool calls (as `Turns.tool_calls`) as they are compared: the ids that a server drew for them are nothing."""
    kept = [{key: value for key, value in call.items() if key != "id"} for call in orjson.loads(calls)]
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode()


def same_tools(tools: str) -> str:
    """Offered tools (as `Turns.tools`) as they are compared: the order of keys is nothing."""
    return orjson.dumps(orjson.loads(tools), option=orjson.OPT_SORT_KEYS).decode()


def same_message(
    role: str,
    content: str | None,
    redacted: str | None = None,
    attachments: Sequence[str] | None = None,
    calls: str | None = None,
    tools: str | None = None,
) -> str:
    """One text for a message of a prompt, equal where the messages are.

    `redacted` is the digest of the values behind the content's placeholders, `attachments` those of its pictures and files, `calls` its
    tool calls, `tools` the tools that were offered from it on. A message without any of these is its role and text.
    """
    text = f"{role}:{same_question(content or '')}"
    more = (
        redacted or "",
        ITEM.join(sorted(attachments or ())),
        same_calls(calls) if calls else "",
        *((same_tools(tools),) if tools else ()),
    )
    return PART.join((text, *more)) if any(more) else text
