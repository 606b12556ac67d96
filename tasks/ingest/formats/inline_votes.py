"""Votes inside the message that they rate: `feedback`, `thumb`, `vote`, ... of an answer in a list of messages.

In: messages as the log has them, and their turn ids. Out: thumbs and ratings with a clear direction: words, signs, booleans, 1 and -1 where
the key names a thumb, and ratings that state their scale ("4/5"). Other values are not read, and so are reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tasks.common.vocabulary.kinds import RATING, THUMB
from tasks.ingest.formats.parsed import Act, name_of
from tasks.ingest.formats.vote_words import rating_of, thumb_word

THUMBS = ("feedback", "thumb", "thumbs", "vote", "reaction", "user_feedback", "liked")
RATINGS = ("rating", "score", "stars")
INNER = ("rating", "thumb", "thumbs", "vote", "type", "value", "sentiment", "score")  # of an object under one of these keys
COMMENTS = ("comment", "text", "reason")


class InlineVote(NamedTuple):
    """A vote's kind, value, scale, and its words."""

    kind: str
    value: float
    scale: tuple[float, float]
    label: str | None


def votes_on(natives: Iterable[dict[str, object]], turns: Iterable[str | int], conversation: str, who: str | None) -> Iterator[Act]:
    """The votes on the messages, whose turn ids or places are `turns`; `who` is the user."""
    for native, turn in zip(natives, turns, strict=True):
        for key in (*THUMBS, *RATINGS):
            vote_and_comment = _vote(native, key) if key in native else None
            if vote_and_comment is not None:
                vote, comment = vote_and_comment
                act = Act(conversation, vote.kind, turn, vote.value, vote.scale, vote.label, text=comment, annotator=who)
                act.native_id = f"{conversation}/{turn}/{key}"
                yield act
                break


def _vote(native: dict[str, Any], key: str) -> tuple[InlineVote, str | None] | None:
    """The vote under a key, and its comment. Only what is understood is taken out, because the rest is reported as unread."""
    value = dict.get(native, key)
    if not isinstance(value, dict):
        vote = _vote_of(value, key)
        return None if vote is None else (_mark_read(native, key, vote), None)
    for inner in INNER:
        if inner in value and (vote := _vote_of(dict.get(value, inner), key if key in THUMBS else inner)) is not None:
            comment = next((text for name in COMMENTS if name != inner and (text := name_of(value.get(name)))), None)
            return _mark_read(native[key], inner, vote), comment
    return None


def _mark_read(holder: dict[str, object], key: str, vote: InlineVote) -> InlineVote:
    """The same vote; the key now counts as read."""
    holder.get(key)
    return vote


def _vote_of(value: object, key: str) -> InlineVote | None:
    if isinstance(value, str):
        if (thumb := thumb_word(value)) is not None:
            return InlineVote(THUMB, thumb, (-1.0, 1.0), value)
        spelled = rating_of(value)
        return InlineVote(RATING, spelled[0], spelled[1], value) if spelled and spelled[1] else None
    if key not in THUMBS or not isinstance(value, bool | int | float) or (not isinstance(value, bool) and value not in (1, -1)):
        return None
    return InlineVote(THUMB, 1.0 if value > 0 else -1.0, (-1.0, 1.0), str(value).lower() if isinstance(value, bool) else None)
