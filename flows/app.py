"""The Prefect server's web application behind the guard, with a way to prove to its owner whose it is.

uvicorn --factory flows.app:create        (`flows.server` starts it so, and says in the environment what it is called)
"""

from __future__ import annotations

import os
from urllib.parse import parse_qs

from tasks.core import telemetry  # noqa: F401  (before prefect: switches its usage reports off)

from prefect.server.api.server import create_app  # isort: skip
from prefect.settings import get_current_settings

from flows import access, guard, retry


def create() -> guard.Application:
    """The application."""
    rules = access.rules(os.environ, password=bool(get_current_settings().server.api.auth_string))
    prefect = retry.retried(create_app(final=True))
    return guard.guarded(_with_proof(prefect, access.password()), rules)


def _with_proof(prefect: guard.Application, secret: str) -> guard.Application:
    """The application, which also answers challenges with a proof that it knows this folder's secret."""

    async def application(scope: guard.Message, receive: guard.Receive, send: guard.Send) -> None:
        if scope["type"] != "http" or scope["path"] != access.PROOF_PATH:
            await prefect(scope, receive, send)
            return
        challenge = parse_qs(scope["query_string"].decode("latin-1")).get("challenge", [""])[0]
        port = (scope.get("server") or ("", 0))[1]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": access.proof(secret, port, challenge).encode()})

    return application
