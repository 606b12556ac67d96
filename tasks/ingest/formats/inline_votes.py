"""Votes that stand on the message that they judge: `feedback`, `thumb`, `vote`, ... of an answer in a list of messages.

In: messages as the log has them, and their turn ids. Out: thumbs and ratings whose direction leaves no doubt: words, signs, truth values,
1 and -1 where the key speaks of a thumb, and ratings that say their scale ("4/5"). Whatever else stands there is not taken, and so is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tasks.ingest.formats.parsed import Act, name_of
from tasks.ingest.formats.vote_words import rating_of, thumb_word

THUMBS = ("feedback", "thumb", "thumbs", "vote", "reaction", "user_feedback", "liked")
RATINGS = ("rating", "score", "stars")
INNER = ("rating", "thumb", "thumbs", "vote", "type", "value", "sentiment", "score")  # of an object under one of these keys
COMMENTS = ("comment", "text", "reason")


class Said(NamedTuple):
    """A vote's kind, value, scale, and the words that say it."""

    kind: str
    value: float
    scale: tuple[float, float]
    label: str | None


def votes_on(natives: Iterable[dict[str, Any]], turns: Iterable[str | int], conversation: str, who: str | None) -> Iterator[Act]:
    """The votes on the messages, whose turn ids or places are `turns`; `who` chats."""
    for native, turn in zip(natives, turns, strict=True):
        for key in (*THUMBS, *RATINGS):
            found = _vote(native, key) if key in native else None
            if found is not None:
                said, comment = found
                act = Act(conversation, said.kind, turn, said.value, said.scale, said.label, text=comment, annotator=who)
                act.native_id = f"{conversation}/{turn}/{key}"
                yield act
                break


def _vote(native: dict[str, Any], key: str) -> tuple[Said, str | None] | None:
    """The vote under a key, and the comment beside it. Only what is understood is taken out, for what is not taken is told."""
    value = dict.get(native, key)
    if not isinstance(value, dict):
        said = _said(value, key)
        return None if said is None else (_taken(native, key, said), None)
    for inner in INNER:
        if inner in value and (said := _said(dict.get(value, inner), key if key in THUMBS else inner)) is not None:
            comment = next((text for name in COMMENTS if name != inner and (text := name_of(value.get(name)))), None)
            return _taken(native[key], inner, said), comment
    return None


def _taken(holder: dict[str, Any], key: str, said: Said) -> Said:
    """The same; and the key counts as read."""
    holder.get(key)
    return said


def _said(value: object, key: str) -> Said | None:
    if isinstance(value, str):
        if (thumb := thumb_word(value)) is not None:
            return Said("thumb", thumb, (-1.0, 1.0), value)
        spelled = rating_of(value)
        return Said("rating", spelled[0], spelled[1], value) if spelled and spelled[1] else None
    if key not in THUMBS or not isinstance(value, bool | int | float) or (not isinstance(value, bool) and value not in (1, -1)):
        return None
    return Said("thumb", 1.0 if value > 0 else -1.0, (-1.0, 1.0), str(value).lower() if isinstance(value, bool) else None)
