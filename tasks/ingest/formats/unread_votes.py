"""Possible votes that are not read: found by the names of keys, at any level of a record that is otherwise read.

In: records and the reader that read them. Out: for each record the names of such keys, as `feedback.rating`.

Which keys a reader reads is not listed anywhere, so that no list can get out of step: the reader reads one such record again as a mapping
(`_Watched`) that notes which keys are accessed. Key names are checked once per set of keys, values never.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tasks.common.raw_files.files import Unreadable

# fmt: off
WORDS = frozenset({
    "annotation", "annotations", "better", "chosen", "choices", "csat", "dislike", "disliked", "dislikes", "downvote", "downvoted",
    "downvotes", "feedback", "grade", "grades", "helpful", "judgement", "judgment", "label", "labels", "like", "liked", "likes",
    "preference", "preferences", "preferred", "rank", "ranking", "rankings", "ranks", "rated", "rating", "ratings", "reaction",
    "reactions", "rejected", "reward", "rewards", "satisfaction", "score", "scores", "stars", "thumb", "thumbs", "thumbsdown",
    "thumbsup", "upvote", "upvoted", "upvotes", "verdict", "vote", "votes", "winner", "worse",
})
# As a key's last word: a property of a vote, not a vote.
NOT_VOTES = frozenset({"id", "ids", "at", "time", "date", "url", "count", "version", "type", "model", "models", "schema"})
# fmt: on
CONTEXTUAL = {("content", "answer")}  # words that are votes below certain keys only
COPIES = frozenset({"snapshot"})  # everything below is a copy
PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
PLAIN = re.compile(r"[A-Za-z][A-Za-z_ -]{0,40}")  # names that may be printed: no ids or addresses
ENOUGH = 3  # records of one kind that are read again
Reader = Callable[[dict[str, object]], object]


class VoteWatch:
    """Remembers which keys are read, for each kind of record."""

    def __init__(self) -> None:
        self._tries: Counter[tuple[Any, ...]] = Counter()
        self._read: dict[tuple[Any, ...], set[str]] = {}

    def unread(self, name: str, read: Reader, record: dict[str, Any], bare: str | None = None) -> list[str]:
        """Names of keys that look like votes and are not read, each once; keys below `bare` are skipped."""
        keys = [key for key, _, _ in votes_in(record, bare)]
        if not keys:
            return []
        kind = (name, tuple(record), str(record.get("kind", record.get("type")))[:20])
        known = self._read.setdefault(kind, set())
        if known.issuperset(keys):
            return []
        untried = [key for key in dict.fromkeys(keys) if key not in known and self._tries[(*kind, key)] < ENOUGH]
        if untried:
            known.update(_taken(read, record).intersection(untried))
            self._tries.update((*kind, key) for key in untried)
        return [key for key in dict.fromkeys(keys) if key not in known]


def votes_in(record: dict[str, object], bare: str | None = None) -> Iterator[tuple[str, str, object]]:
    """All keys that look like a vote and have a value: name (with its parent key), key and value; nothing below `bare`."""
    waiting: list[tuple[str, dict[Any, Any]]] = [("", record)]
    while waiting:
        above, value = waiting.pop()
        for key in _suspects(above, tuple(value)):
            if value[key] not in (None, "", [], {}):
                yield _joined(above, key), key, value[key]
        for key, item in value.items():
            kind = type(item)
            if kind is dict and key not in COPIES:
                waiting.append((key, item))
            elif kind is list and item and type(item[0]) is dict and key != bare:
                waiting.extend((key, inner) for inner in item if type(inner) is dict)


@functools.lru_cache(maxsize=4096)
def _suspects(above: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for key in keys if _looks_like_vote(key) or (above, key) in CONTEXTUAL)


@functools.lru_cache(maxsize=4096)
def _looks_like_vote(key: str) -> bool:
    words = [word.lower() for word in PARTS.findall(key)] if PLAIN.fullmatch(key) else []
    return bool(words) and words[-1] not in NOT_VOTES and not WORDS.isdisjoint(words)


def _joined(above: str, key: str) -> str:
    """The key with its parent key; an id as parent is shown as a star."""
    return f"{above if PLAIN.fullmatch(above) else '*'}.{key}" if above else key


def _taken(read: Reader, record: dict[str, object]) -> set[str]:
    """Names of the keys that the reader accesses, or whose value it also finds elsewhere; all keys where it cannot read the record."""
    taken, votes = set[str](), list(votes_in(record))
    try:
        read(_watched(record, "", taken))
    except Unreadable:  # reported as unread
        return {name for name, _, _ in votes}
    known = {(key, repr(value)) for name, key, value in votes if name in taken}
    unknown = {name for name, key, value in votes if (key, repr(value)) not in known}
    return taken | ({name for name, _, _ in votes} - unknown)


def _watched(value: object, above: str, taken: set[str]) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return _Watched(above, taken, {key: _watched(item, key, taken) for key, item in value.items()})
    return [_watched(item, above, taken) for item in value] if isinstance(value, list) else value


class _Watched(dict[str, object]):
    """A mapping that notes which keys are accessed; testing for a key is no access."""

    def __init__(self, above: str, taken: set[str], items: dict[str, object]) -> None:
        super().__init__(items)
        self._above, self._taken = above, taken

    def __getitem__(self, key: str) -> object:
        self._taken.add(_joined(self._above, str(key)))
        return super().__getitem__(key)

    def get(self, key: str, default: object = None) -> object:
        self._taken.add(_joined(self._above, str(key)))
        return super().get(key, default)

    def __iter__(self) -> Iterator[str]:  # copying it accesses all keys
        return super().__iter__()
