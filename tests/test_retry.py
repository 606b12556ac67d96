"""Claims about requests that Prefect's server put off with a 503: they are put again, whole, and its last word is passed on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flows import retry
from flows.guard import Message


class Busy:
    """An application that puts off the first `busy` requests as Starlette does: it answers 503, then raises. It notes the bodies."""

    def __init__(self, busy: int) -> None:
        self.busy, self.bodies = busy, list[bytes]()

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 503 if len(self.bodies) <= self.busy else 201, "headers": []})
        await send({"type": "http.response.body", "body": str(len(self.bodies)).encode()})
        if len(self.bodies) <= self.busy:
            raise OSError("database is locked")


def told_by(application: Any, method: str = "POST") -> tuple[list[Message], str]:
    """What the browser gets for a request whose body comes in two parts, and the error that reaches the server's log."""
    parts = [{"type": "http.request", "body": b"par", "more_body": True}, {"type": "http.request", "body": b"ameters", "more_body": False}]
    told: list[Message] = []

    async def receive() -> Message:
        return parts.pop(0)

    async def send(message: Message) -> None:
        told.append(message)

    async def request() -> str:
        try:
            await retry.retried(application, pauses=(0.0, 0.0, 0.0))({"type": "http", "method": method}, receive, send)
        except (OSError, ValueError) as error:
            return str(error)
        return ""

    error = asyncio.run(request())
    return told, error


@pytest.mark.parametrize("busy", [0, 1, 3])
def test_request_that_was_put_off_is_put_again_whole_until_it_is_taken(busy: int) -> None:
    application = Busy(busy)
    (start, body), error = told_by(application)
    assert (start["status"], body["body"], error) == (201, str(busy + 1).encode(), "")
    assert application.bodies == [b"parameters"] * (busy + 1)


def test_who_is_put_off_to_the_last_is_told_so_once_and_the_log_holds_the_error() -> None:
    (start, body), error = told_by(application := Busy(9))
    assert (start["status"], body["body"], error) == (503, b"4", "database is locked")
    assert len(application.bodies) == 4


def test_what_only_reads_is_asked_once() -> None:
    (start, body), error = told_by(Busy(1), method="GET")
    assert (start["status"], body["body"], error) == (503, b"1", "database is locked")


def test_error_that_is_no_503_is_not_tried_again() -> None:
    tries = []

    async def broken(scope: Message, receive: Any, send: Any) -> None:
        tries.append(scope["method"])
        await send({"type": "http.response.start", "status": 500, "headers": []})
        raise ValueError("a fault")

    assert told_by(broken)[1] == "a fault"
    assert tries == ["POST"]
