"""Ask Prefect's API again where it says 503: its own clients do, its page does not, and a person's click on "Quick run" would be lost.

On SQLite a transaction that read first and writes later is refused at once when another one wrote in between, however long the database
would wait; Prefect takes such a transaction back whole and answers 503, "errors clients can retry on".
"""

from __future__ import annotations

import asyncio

from flows.guard import Application, Message, Receive, Send

PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)  # seconds before each further try; the transactions that stand in the way take milliseconds
READING = frozenset({"GET", "HEAD", "OPTIONS"})  # the page itself asks for these again
UNAVAILABLE = 503


def retried(application: Application, pauses: tuple[float, ...] = PAUSES) -> Application:
    """The application; a request that changes something and was answered 503 is put to it again, after each of `pauses` (seconds)."""

    async def retry(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READING:
            await application(scope, receive, send)
            return
        asked = await _whole(receive)
        for pause in pauses:
            if not await _put_off(application, scope, _replayed(asked, receive), send):
                return
            await asyncio.sleep(pause)
        await application(scope, _replayed(asked, receive), send)

    return retry


async def _whole(receive: Receive) -> list[Message]:
    """The request's body: all of its messages."""
    messages = [await receive()]
    while messages[-1].get("more_body", False):
        messages.append(await receive())
    return messages


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    """A channel that gives the messages, and then what the real one gives."""
    left = iter(messages)

    async def replay() -> Message:
        for message in left:
            return dict(message)
        return await receive()

    return replay


async def _put_off(application: Application, scope: Message, receive: Receive, send: Send) -> bool:
    """Put the request to the application; whether it answered 503, which is then kept back. Any other answer is sent as it comes."""
    put_off = False

    async def watch(message: Message) -> None:
        nonlocal put_off
        put_off = put_off or message.get("status") == UNAVAILABLE
        if not put_off:
            await send(message)

    try:
        await application({**scope}, receive, watch)
    except Exception:
        if not put_off:  # Starlette answers for an error, and then raises it for the server's log
            raise
    return put_off
