"""Whose a message is: the names that products give their roles, through one table (`ingest.roles`).

In: a role as a log spells it. Out: the house's role; or, for one that nobody knows, a name that begins with UNKNOWN, so that it costs
the message and not the conversation: `bridged` takes such messages out and ties what follows to what came before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

ROLES = frozenset({"system", "user", "assistant", "tool"})
UNKNOWN = "?"
LONGEST = 40
_names: dict[str, str] = {}


class _Said(Protocol):
    turn_id: str
    parent_id: str | None
    role: str


M = TypeVar("M", bound=_Said)


def learn_roles(table: Mapping[Any, Iterable[str]]) -> None:
    """Take the table, a list of names for each role, in place of the one before; the house's own names are always known."""
    _names.clear()
    _names.update({_word(name): role for role, names in table.items() for name in names})
    _names.update({role: role for role in ROLES})


def role_of(value: object) -> str:
    """The house's name of a role; case, spaces and punctuation do not matter. An unknown one comes back behind UNKNOWN."""
    if not isinstance(value, str):
        return UNKNOWN
    return _names.get(_word(value)) or UNKNOWN + value.strip()[:LONGEST]


def _word(name: str) -> str:
    return "".join(sign for sign in name.casefold() if sign.isalnum())


def bridged(messages: Sequence[M]) -> tuple[Sequence[M], list[str]]:
    """The messages whose role is known, tied to the nearest such one above, and the role names of the others."""
    strangers = {message.turn_id: message for message in messages if message.role.startswith(UNKNOWN)}
    if not strangers:
        return messages, []
    kept = [message for message in messages if message.turn_id not in strangers]
    for message in kept:
        passed: set[str] = set()
        while message.parent_id in strangers and message.parent_id not in passed:
            passed.add(message.parent_id)
            message.parent_id = strangers[message.parent_id].parent_id
    return kept, [message.role.removeprefix(UNKNOWN) for message in strangers.values()]
