"""Records in an unknown format: their keys, and the nearest known format.

In: records. Out: names of keys for a message, and the format whose required keys are most similar.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# The keys that identify each format; one of the sets is enough.
NEEDS: dict[str, tuple[frozenset[str], ...]] = {
    "jsonl": (frozenset({"id", "messages"}), frozenset({"conversation_id", "kind"})),
    "openwebui": (frozenset({"id", "chat"}), frozenset({"type", "data", "meta"})),
    "oasst": (
        frozenset({"message_tree_id", "prompt"}),
        frozenset({"text", "role", "message_id"}),
        frozenset({"text", "role", "user_message_id"}),
    ),
    "hh": (frozenset({"chosen", "rejected"}),),
    "arena": (
        frozenset({"winner", "conversation_a", "conversation_b"}),
        frozenset({"tstamp", "type", "state"}),
        frozenset({"tstamp", "type", "states"}),
    ),
    "sharegpt": (frozenset({"conversations"}), frozenset({"items"})),
    "openai": (frozenset({"messages"}), frozenset({"input", "preferred_output", "non_preferred_output"})),
    "chatgpt": (
        frozenset({"mapping"}),
        frozenset({"title", "create_time", "current_node"}),
        frozenset({"rating", "conversation_id", "message_id"}),
        frozenset({"rating", "conversation_id", "id"}),
    ),
    "librechat": (
        frozenset({"conversationId", "messages"}),
        frozenset({"conversationId", "messagesTree"}),
        frozenset({"conversationId", "messageId", "isCreatedByUser"}),
    ),
    "claude": (frozenset({"uuid", "chat_messages"}),),
    "preference": (
        *(frozenset({prompt, "chosen", "rejected"}) for prompt in ("prompt", "question", "instruction", "query")),
        frozenset({"prompt", "completion", "label"}),
    ),
}
OTHER_WORDS = {"messages": frozenset({"turns", "dialogue", "dialog", "utterances", "history", "chat_messages", "exchanges", "thread"})}
MIN_SIMILARITY = 0.75  # between two spellings
PRINTABLE = re.compile(r"[A-Za-z_$@][\w.$-]{0,39}", re.ASCII)
DIGITS = re.compile(r"\d{4}")
MOST_KEYS = 12
LEAST = 0.4  # minimum score of a format that is worth naming


class Near(NamedTuple):
    """A format, and the keys that it requires."""

    format: str
    needs: frozenset[str]

    def __str__(self) -> str:
        return f"{self.format}, which requires {', '.join(sorted(self.needs))}"


def is_printable(name: object) -> bool:
    """True for a name that may be printed: a word, not text by a person, an address or a number."""
    return isinstance(name, str) and PRINTABLE.fullmatch(name) is not None and "@" not in name[1:] and not DIGITS.search(name)


def keys_of(record: dict[str, object]) -> Iterator[str]:
    """Names of the record's keys; for lists of objects also those of the first object."""
    for key, value in record.items():
        if not is_printable(key):
            continue
        yield key
        first = value[0] if isinstance(value, list) and value else None
        if isinstance(first, dict):
            yield from (f"{key}[].{inner}" for inner in first if is_printable(inner))


def listed_names(keys: Iterable[str]) -> str:
    """The names as a list in words, the first few of many."""
    names = sorted(set(keys))
    more = f" and {len(names) - MOST_KEYS} more" if len(names) > MOST_KEYS else ""
    return ", ".join(names[:MOST_KEYS]) + more if names else "none that can be printed"


def nearest(keys: Iterable[str]) -> Near | None:
    """The format whose required keys are present or similar in spelling; None when there is no similar format."""
    top = {key for key in keys if "[]" not in key}
    scored = [(_closeness(needs, top), name, needs) for name, ways in NEEDS.items() for needs in ways]
    best = max(scored, key=lambda entry: entry[0], default=(0.0, "", frozenset[str]()))
    return Near(*best[1:]) if best[0] >= LEAST else None


def _closeness(needs: frozenset[str], there: set[str]) -> float:
    spare = there - needs
    return sum(1.0 if key in there else 0.55 * _best_similarity(key, spare) for key in sorted(needs)) / len(needs)


def _best_similarity(key: str, others: set[str]) -> float:
    """The similarity of the key to the most similar of the others, or 1 for a synonym; 0 below MIN_SIMILARITY."""
    if others & OTHER_WORDS.get(key, frozenset()):
        return 1.0
    best = max((difflib.SequenceMatcher(None, key, other).ratio() for other in others), default=0.0)
    return best if best >= MIN_SIMILARITY else 0.0
