"""Who may speak to the Prefect server: the server's own pages and programs on this machine, nobody's web page.

Prefect's API answers every origin and any Host, so each page that a person visits could start runs. The guard stands before it and refuses

- a Host that is not one of the server's names (a page whose own name was turned to point at this machine),
- an Origin that is not the address asked, on any method and on websockets: a page of another host, or of another port of this one,
- what a page of another origin fetches, embeds or frames without naming an Origin; following a link to the UI is let through,
- whoever does not come from this machine, unless a password is set. Prefect asks for that itself.

Programs name no Origin, so they pass.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
HOST = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[^\[\]:]+))(?::\d+)?")
# Browsers neither connect the server's pages to other hosts, nor fetch a picture, a script or a style from them that an artifact names, nor
# show them inside other pages, where a click could be stolen.
# Prefect's own switch stops the UI from counting pages, but its second version asks that company for the counter's settings all the same.
OWN = b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self'; object-src 'none'"
HEADER = (b"content-security-policy", OWN + b"; base-uri 'self'; form-action 'self'; frame-ancestors 'self'")
FORBIDDEN, MISDIRECTED, POLICY_VIOLATION = 403, 421, 1008


@dataclass(frozen=True)
class Rules:
    """What the server is called, and who may come."""

    names: frozenset[str] = LOOPBACK
    any_address: bool = False  # the Host may be any IP address: nobody can turn one to point elsewhere
    password: bool = False  # Prefect asks for one, so other machines may come


def guarded(application: Application, rules: Rules) -> Application:
    """The application behind the guard."""

    async def guard(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await application(scope, receive, send)
        elif refusal := refused(scope, rules):
            await _refuse(scope, send, *refusal)
        else:
            await application(scope, receive, _with_header(send))

    return guard


def refused(scope: Message, rules: Rules) -> tuple[int, str] | None:
    """Status and reason of a refusal; None for a request that may pass."""
    host, origin = _values(scope, b"host"), _values(scope, b"origin")
    if not rules.password and not _is_loopback((scope.get("client") or ("",))[0]):
        return FORBIDDEN, "without a password this server serves this machine only"
    if len(host) != 1 or not _known(host[0], rules):
        return MISDIRECTED, "this server is not called that"
    if origin and origin not in ([f"http://{host[0]}"], [f"https://{host[0]}"]):
        return FORBIDDEN, "pages of other origins may not use this server"
    if _from_elsewhere(scope) and not _is_link(scope):
        return FORBIDDEN, "pages of other origins may not embed this server"
    return None


def _values(scope: Message, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip().lower() for key, value in scope["headers"] if key.lower() == name]


def _known(host: str, rules: Rules) -> bool:
    """Whether the Host, a port perhaps behind it, is a name of this server; any port, because a tunnel may end at another."""
    found = HOST.fullmatch(host)
    name = found["name"] or found["address"] if found else ""
    return name in rules.names or (rules.any_address and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return _is_address(name) and ipaddress.ip_address(name).is_loopback


def _from_elsewhere(scope: Message) -> bool:
    """Whether a browser says that a page of another origin asks; browsers say so where no Origin is sent, too."""
    return any(value in ("cross-site", "same-site") for value in _values(scope, b"sec-fetch-site"))


def _is_link(scope: Message) -> bool:
    """Whether a person followed a link, so that the whole window shows the answer."""
    mode, shown_as = _values(scope, b"sec-fetch-mode"), _values(scope, b"sec-fetch-dest")
    return scope.get("method") == "GET" and mode == ["navigate"] and shown_as == ["document"]


async def _refuse(scope: Message, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": reason})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), HEADER]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"refused: {reason}\n".encode()})


def _with_header(send: Send) -> Send:
    async def send_with_header(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), HEADER]
        await send(message)

    return send_with_header
