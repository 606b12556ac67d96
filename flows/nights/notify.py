"""Who is told when a night fails, is stopped or warned by a gate, or drifts.

The section `notify` of `params.yaml`. A message holds names of stages and gates and figures, never text of logs: not even a stage's own
error line, which may quote what it stumbled over.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable, Iterator
from typing import Literal, cast

from flows import sections
from tasks.core.errors import UserError
from tasks.core.params import StageParams

SECTION = "notify"
Event = Literal["failure", "stop", "warn", "drift"]


class Params(StageParams):
    """The section of `params.yaml`."""

    on: list[Event]
    blocks: list[str]
    variables: list[str]


def load() -> Params:
    """The section as it stands."""
    return cast("Params", sections.load(SECTION))


def tell(events: set[Event], subject: str, body: str) -> Iterator[str]:
    """Tell whoever asked to be told of one of these events; yields a line for each receiver that could not be reached."""
    settings = load()
    if not events & set(settings.on):
        return
    senders = [(name, _block) for name in settings.blocks] + [(name, _url) for name in settings.variables]
    for name, send in senders:
        if fault := _tried(name, send, subject, body):
            yield f"{name} was not told: {fault}"


Sender = Callable[[str, str, str], None]


def _tried(name: str, send: Sender, subject: str, body: str) -> str:
    """What went wrong, or nothing. Receivers are many, and each fails in its own way; the run must not."""
    try:
        send(name, subject, body)
    except Exception as error:
        return _without_addresses(error)
    return ""


def _without_addresses(error: Exception) -> str:
    """The error's kind, and its text where it is ours: that of others may hold a receiver's address, which is a secret."""
    return str(error) if isinstance(error, UserError) else type(error).__name__


def _block(name: str, subject: str, body: str) -> None:
    """By a notification block of Prefect's, as it is set up on the server."""
    from prefect.blocks.abstract import NotificationBlock
    from prefect.blocks.core import Block

    block = Block.load(name)
    if not isinstance(block, NotificationBlock):
        raise UserError(f"notify.blocks: {name}", type(block).__name__, "a notification block", "name another block")
    with block.raise_on_failure():
        sent: object = block.notify(body, subject)
        if inspect.iscoroutine(sent):  # blocks of other packages may know the asynchronous way alone
            asyncio.run(sent)


def _url(variable: str, subject: str, body: str) -> None:
    """By the Apprise URL that an environment variable holds."""
    from apprise import Apprise

    address = os.environ.get(variable, "")
    client = Apprise()
    if not address or not client.add(address):
        found = "an address that Apprise does not know" if address else "nothing in the environment"
        raise UserError(f"notify.variables: {variable}", found, "an Apprise URL, such as mailto://…", "set it, or take it off the list")
    if not client.notify(body=body, title=subject):
        raise UserError(f"notify.variables: {variable}", "no success", "a receiver that takes the message", "see the receiver's own log")
