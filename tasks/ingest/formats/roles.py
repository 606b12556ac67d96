"""Roles of messages: the names that products use, mapped by one table (`ingest.roles`).

In: a role as a log spells it. Out: one of our roles; or, for an unknown one, a name that begins with UNKNOWN, so that only the message is
lost and not the conversation: `bridged` removes such messages and links what follows to what came before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from tasks.common.vocabulary.roles import ROLES, Role

UNKNOWN = "?"
LONGEST = 40
_names: dict[str, str] = {}


class _Said(Protocol):
    turn_id: str
    parent_id: str | None
    role: str


M = TypeVar("M", bound=_Said)


def learn_roles(table: Mapping[Role, Iterable[str]]) -> None:
    """Replace the table (a list of names per role); our own names are always known."""
    _names.clear()
    _names.update({_word(name): role for role, names in table.items() for name in names})
    _names.update({role: role for role in ROLES})


def role_of(value: object) -> str:
    """Our name of a role, ignoring case, spaces and punctuation. An unknown one is returned with the prefix UNKNOWN."""
    if not isinstance(value, str):
        return UNKNOWN
    return _names.get(_word(value)) or UNKNOWN + value.strip()[:LONGEST]


def _word(name: str) -> str:
    return "".join(sign for sign in name.casefold() if sign.isalnum())


def bridged(messages: Sequence[M]) -> tuple[Sequence[M], list[str]]:
    """The messages with a known role, linked to the nearest one above, and the role names of the others."""
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
