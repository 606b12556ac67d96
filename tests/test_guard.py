"""Claims about who may speak to our Prefect server: Host, Origin, password; the rules alone, then a real server."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from flows import access, guard, probe, server
from flows.guard import Message, Rules
from tasks.core.errors import UserError
from tests.builders import toys

OWN = "127.0.0.1:4200"
FOREIGN = ["http://evil.example", "http://127.0.0.1:8000", "http://localhost:4200", "http://127.0.0.1:4200.evil.example", "null", "file://"]


def asked(rules: Rules, kind: str = "http", method: str = "GET", client: str = "127.0.0.1", **headers: str | list[str]) -> str:
    """What becomes of a request: "passes", or the status of the refusal (websockets are closed)."""
    told: list[Message] = []

    async def application(scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Message) -> None:
        told.append(message)

    async def receive() -> Message:
        raise AssertionError("nobody reads")

    lines = [(name, value) for name, given in headers.items() for value in ([given] if isinstance(given, str) else given)]
    scope = {
        "type": kind,
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in lines],
        "client": (client, 5),
    } | ({"method": method} if kind == "http" else {})

    async def speak() -> None:
        await guard.guarded(application, rules)(scope, receive, send)

    asyncio.run(speak())
    if told[0]["type"] == "websocket.close":
        return "closed"
    policy = dict(told[0]["headers"])[b"content-security-policy"].split(b"; ")
    assert {b"connect-src 'self'", b"object-src 'none'", b"base-uri 'self'", b"form-action 'self'", b"frame-ancestors 'self'"} < {*policy}
    assert b"http" not in policy[0]
    return "passes" if told[0]["status"] == 200 else str(told[0]["status"])


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("host", [OWN, "localhost:4200", "LOCALHOST", "[::1]:4200", "127.0.0.1:9999"])
def test_programs_and_own_pages_pass_under_the_names_of_this_machine(kind: str, host: str) -> None:
    assert asked(Rules(), kind, host=host) == "passes"
    assert asked(Rules(), kind, host=host, origin=f"http://{host}") == "passes"
    assert asked(Rules(), kind, host=host, origin=f"https://{host}", sec_fetch_site="same-origin") == "passes"


@pytest.mark.parametrize(
    "host",
    [
        [], "", "evil.example", "evil.example:4200", "attacker.localhost:4200", "localhost.evil.example", "127.0.0.1.evil.example",
        "10.0.0.7", "localhost:x", "localhost:4200:4200", "[::1", "localhost.", [OWN, "evil.example"], "evil.example@localhost",
        "0.0.0.0:4200",
    ],
    ids=str,
)  # fmt: skip
def test_other_host_is_refused_even_for_its_own_pages(host: str | list[str]) -> None:
    assert asked(Rules(), host=host) == "421"
    assert asked(Rules(), "websocket", host=host) == "closed"
    assert asked(Rules(), host=host, origin=f"http://{host}") == "421"
    assert asked(Rules(password=True), host=host) == "421"


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_page_of_another_origin_is_refused_whatever_it_asks(origin: str, method: str) -> None:
    assert asked(Rules(), method=method, host=OWN, origin=origin) == "403"
    assert asked(Rules(password=True), method=method, host=OWN, origin=origin) == "403"
    assert asked(Rules(), "websocket", host=OWN, origin=origin) == "closed"
    assert asked(Rules(), method=method, host=OWN, origin=[f"http://{OWN}", origin]) == "403"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_page_of_another_origin_may_link_to_the_ui_but_not_embed_it(site: str) -> None:
    link = {"host": OWN, "sec_fetch_site": site, "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert asked(Rules(), **link) == "passes"
    assert asked(Rules(), method="POST", **link) == "403"
    assert asked(Rules(), **link | {"sec_fetch_dest": "iframe"}) == "403"
    assert asked(Rules(), **link | {"sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}) == "403"


def test_other_machines_come_only_where_a_password_is_asked_for() -> None:
    assert asked(Rules(), client="10.0.0.7", host=OWN) == "403"
    assert asked(Rules(), "websocket", client="10.0.0.7", host=OWN) == "closed"
    beyond = Rules(guard.LOOPBACK | {"desk.example"}, any_address=True, password=True)
    for host in ("10.0.0.1:4200", "desk.example", "[fe80::1]:4200"):
        assert asked(beyond, client="10.0.0.7", host=host) == "passes"
    assert asked(beyond, client="10.0.0.7", host="evil.example") == "421"
    assert asked(beyond, client="10.0.0.7", host="10.0.0.1:4200", origin="http://10.0.0.7:4200") == "403"


@pytest.mark.parametrize(
    ("place", "locked"),
    [
        (server.Place(), True),
        (server.Place(lasting=True, password=False), False),
        (server.Place("localhost", lasting=True, password=False), False),
        (server.Place("0.0.0.0", lasting=True, password=False), True),
        (server.Place("::", lasting=True, password=False), True),
        (server.Place("10.0.0.7", lasting=True, password=False), True),
        (server.Place(names=("desk.example",), lasting=True, password=False), True),
    ],
    ids=str,
)
def test_password_is_asked_for_wherever_other_machines_may_come(place: server.Place, locked: bool) -> None:
    assert place.locked is locked


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    for name in ("PREFECT_API_URL", access.SERVER_PASSWORD, access.CLIENT_PASSWORD):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def test_password_is_made_once_for_its_owner_only(home: Path) -> None:
    first = access.password()
    assert access.password() == first
    assert len(first) > 30
    assert stat.S_IMODE((home / "password").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert [path.name for path in home.iterdir()] == ["password"]
    (home / "password").unlink()
    assert access.password() != first


def test_password_that_others_can_read_or_that_is_none_is_refused(home: Path) -> None:
    access.password()
    (home / "password").chmod(0o640)
    with pytest.raises(UserError, match="mode 0640; expected 0600"):
        access.password()
    (home / "password").chmod(0o600)
    for text in ("", "pairwright:", "no colon", "user:pässword"):
        (home / "password").write_text(text)
        with pytest.raises(UserError, match="no password in it"):
            access.password()


def request(url: str, method: str, path: str, body: object = None, **headers: str) -> tuple[int, str]:
    """Status and text of the answer of the server at the URL."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    given = {name.replace("_", "-"): value for name, value in headers.items()} | {"Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), given)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def handshake(url: str, path: str, **headers: str) -> int:
    """Status of the answer to a websocket's first request."""
    asks = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    return request(url, "GET", path, **asks, Sec_WebSocket_Protocol="prefect", **headers)[0]


@pytest.fixture(scope="module")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[server.Api]:
    """The server of one run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        patch.setenv("PREFECT_SERVER_CSRF_PROTECTION_ENABLED", "false")  # a person's own setting does not open our server
        patch.setenv("PREFECT_SERVER_CORS_ALLOWED_ORIGINS", "*")
        for name in ("PREFECT_API_URL", access.SERVER_PASSWORD, access.CLIENT_PASSWORD):
            patch.delenv(name, raising=False)
        with server.api() as api:
            assert api.fresh
            yield api


def entry(api: server.Api) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(api.password.encode()).decode()}"}


def test_even_the_server_of_one_run_asks_for_its_password(one_run: server.Api) -> None:
    assert request(one_run.url, "GET", "/api/version")[0] == 401
    assert request(one_run.url, "GET", "/api/csrf-token?client=me")[0] == 401
    assert request(one_run.url, "POST", "/api/deployments/filter", {})[0] == 403  # no token, and none to be had
    wrong = {"Authorization": f"Basic {base64.b64encode(b'pairwright:guess').decode()}"}
    assert request(one_run.url, "GET", "/api/version", **wrong)[0] == 401
    assert request(one_run.url, "GET", "/api/version", **entry(one_run))[0] == 200


def test_orders_need_the_servers_own_token(one_run: server.Api) -> None:
    status, told = request(one_run.url, "POST", "/api/deployments/filter", {}, **entry(one_run))
    assert (status, "CSRF" in told) == (403, True)
    token = json.loads(request(one_run.url, "GET", "/api/csrf-token?client=me", **entry(one_run))[1])["token"]
    proven = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "me", **entry(one_run)}
    assert request(one_run.url, "POST", "/api/deployments/filter", {}, **proven) == (200, "[]")


def test_foreign_page_gets_nothing_from_a_real_server_even_with_the_password(one_run: server.Api) -> None:
    foreign = {"Origin": "http://127.0.0.1:1"}
    for method, path in (("GET", "/api/health"), ("OPTIONS", "/api/deployments/filter"), ("POST", "/api/deployments/filter")):
        assert request(one_run.url, method, path, {}, **foreign, **entry(one_run))[0] == 403
    assert request(one_run.url, "GET", "/api/health", Host="evil.example")[0] == 421
    for path in ("/api/events/out", "/api/events/in", "/api/logs/out", "/api/task_runs/subscriptions/scheduled"):
        assert handshake(one_run.url, path, **foreign) == 403
        assert handshake(one_run.url, path, Host="evil.example") == 403
        assert handshake(one_run.url, path) == 101  # a program's: Prefect asks it for the password next


def test_server_proves_to_be_ours_to_whoever_has_the_password_only(one_run: server.Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert probe.ours(one_run.url)
    assert probe.openness(one_run.url) == ""
    probe.demand_entry(one_run.url, one_run.password)
    with pytest.raises(UserError, match="does not take"):
        probe.demand_entry(one_run.url, "pairwright:guess")
    monkeypatch.setenv("PREFECT_HOME", str(Path(os.environ["PREFECT_HOME"]) / "another"))
    assert not probe.ours(one_run.url)
    access.password()
    assert not probe.ours(one_run.url)


def test_proof_of_one_port_is_none_for_another() -> None:
    assert access.proof("a:b", 1, "c") != access.proof("a:b", 2, "c")


def test_name_of_no_machine_is_refused_in_one_line(tmp_path: Path) -> None:
    root = toys.make(tmp_path / "toy")
    done = toys.pairwright(root, "serve", "--host", "no-such-name.invalid")
    assert done.returncode == 1
    assert done.stderr.startswith("error: --host: found 'no-such-name.invalid'")
    assert len(done.stderr.splitlines()) == 1
