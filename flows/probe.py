"""Questions to a Prefect API that is already there: whether it answers, is ours, and would obey any web page."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from flows import access
from tasks.core.errors import UserError

OK, UNAUTHORIZED = 200, 401
PATIENCE = 5.0  # seconds
STRANGER = "page-of-a-stranger.invalid"  # a name that nobody can have


def answers(url: str) -> bool:
    """Whether a Prefect API answers at the URL."""
    return _asked(f"{url}/health")[:2] == (OK, b"true")


def ours(url: str) -> bool:
    """Whether the server at the URL knows this folder's password; it is not told."""
    if not access.password_file().exists():
        return False
    parts, challenge = urlsplit(url), secrets.token_hex(16)
    status, said, _ = _asked(f"{parts.scheme}://{parts.netloc}{access.PROOF_PATH}?challenge={challenge}")
    return status == OK and hmac.compare_digest(said, access.proof(access.password(), parts.port or 80, challenge).encode())


def demand_entry(url: str, password: str) -> None:
    """A UserError when the server does not take the password that Prefect will send."""
    headers = {"Authorization": f"Basic {base64.b64encode(password.encode()).decode()}"} if password else {}
    if not os.environ.get("PREFECT_API_KEY") and _asked(f"{url}/version", headers)[0] == UNAUTHORIZED:
        found = "a password that it does not take" if password else "no password for it"
        raise UserError(f"Prefect server at {url}", found, f"its password in {access.CLIENT_PASSWORD}", "set the variable")


def openness(url: str) -> str:
    """How a foreign web page would get in, in words; nothing where it could not, or would be asked for a password."""
    if _asked(f"{url}/version")[0] != OK:
        return ""
    foreign = {"Origin": f"http://{STRANGER}"}
    status, _, allowed = _asked(f"{url}/version", foreign)
    heard = status == OK and allowed in ("*", foreign["Origin"])  # the page may read answers
    obeyed = _asked(f"{url}/deployments/filter", foreign, b'{"limit": 1}')[0] == OK  # a question, but asked as orders are
    ways = ["every Origin"] if heard or obeyed else []
    if _asked(f"{url}/version", {"Host": STRANGER})[0] == OK:
        ways.append("every Host")
    return f"it answers {' and '.join(ways)} without a password" if ways else ""


def _asked(url: str, headers: Mapping[str, str] = MappingProxyType({}), body: bytes | None = None) -> tuple[int, bytes, str]:
    """Status, body and allowed origin of the answer to a GET, or to a POST of the body; status 0 where nobody answers."""
    more = {"Content-Type": "application/json"} if body else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, {**headers, **more}), timeout=PATIENCE) as answer:
            return answer.status, answer.read().strip(), answer.headers.get("Access-Control-Allow-Origin", "")
    except urllib.error.HTTPError as error:
        return error.code, b"", ""
    except (OSError, ValueError):
        return 0, b"", ""
