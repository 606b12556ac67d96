"""The Prefect server's web application, with a header that keeps its pages from calling anybody but the server itself.

Prefect's own switch stops the UI from counting pages, but its second version fetches the counter's settings from that company all the same.
The header forbids browsers any connection to other hosts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tasks.core import telemetry  # noqa: F401  (before prefect: switches its usage reports off)

from prefect.server.api.server import create_app  # isort: skip

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
HEADER = (b"content-security-policy", b"connect-src 'self'")


def create() -> Callable[[Message, Receive, Send], Awaitable[None]]:
    """The application, for `uvicorn --factory flows.app:create`."""
    prefect = create_app(final=True)

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        async def send_with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), HEADER]
            await send(message)

        await prefect(scope, receive, send_with_header)

    return application
