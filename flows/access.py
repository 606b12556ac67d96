"""What our Prefect server asks of whoever comes: its names, its password, and how it proves to be ours.

The password lies in Prefect's home, readable for its owner only. It is made at the first start and stays the same.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from flows.guard import LOOPBACK, Rules
from tasks.core.errors import UserError

NAMES, ANY_ADDRESS = "PAIRWRIGHT_SERVER_NAMES", "PAIRWRIGHT_SERVER_ANY_ADDRESS"  # how the server's process is told its rules
SERVER_PASSWORD, CLIENT_PASSWORD = "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"  # Prefect's own names
PROOF_PATH = "/pairwright/proof"
USER = "pairwright"
OWNER_ONLY = 0o600


def home() -> Path:
    """Prefect's home for this project; put into the environment, so it must be called before prefect is imported."""
    return Path(os.environ.setdefault("PREFECT_HOME", str(Path.cwd() / ".prefect")))


def password_file() -> Path:
    """Where the password lies."""
    return home() / "password"


def password() -> str:
    """The password in the form that Prefect wants, `user:password`; made when there is none."""
    path = password_file()
    if not path.exists():
        _make(path)
    if path.stat().st_mode & 0o077:
        raise UserError(
            str(path), f"mode {path.stat().st_mode & 0o777:04o}", "0600: a password is its owner's only", f"run `chmod 600 {path}`"
        )
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if not text.isascii() or len(text.partition(":")[2]) < 1:
        raise UserError(str(path), "no password in it", "user:password on one line", "delete the file, and a new one is made")
    return text


def whereabouts() -> str:
    """Where a person finds the password."""
    return f"in ${SERVER_PASSWORD}" if os.environ.get(SERVER_PASSWORD) else f"in {password_file()}"


def _make(path: Path) -> None:
    """A new password file, there only when it is whole."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # what runs say is nobody else's
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY), "w", encoding="utf-8") as stream:
        stream.write(f"{USER}:{secrets.token_urlsafe(24)}\n")
    with suppress(FileExistsError):  # another command was quicker: its password is the one
        os.link(beside, path)
    beside.unlink()


def proof(password: str, port: int, challenge: str) -> str:
    """What only somebody who knows the password can say; it holds for one port, so that nobody can pass on what another server said."""
    return hmac.new(password.encode(), f"pairwright server {port} {challenge}".encode(), hashlib.sha256).hexdigest()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at the host."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise UserError("--host", repr(host), "an address or a name of this machine", "try 127.0.0.1, or 0.0.0.0 for all") from error
    return all(ipaddress.ip_address(str(address).partition("%")[0]).is_loopback for address in found)


def told(host: str, names: Sequence[str]) -> dict[str, str]:
    """Environment that tells the server's process its rules."""
    beyond = not is_loopback(host)
    own = [host, *names, *([socket.gethostname()] if beyond else [])]
    return {NAMES: ",".join(sorted({name.lower() for name in own})), ANY_ADDRESS: "1" if beyond else ""}


def rules(environment: Mapping[str, str], *, password: bool) -> Rules:
    """The server's rules as `told`."""
    names = {name for name in environment.get(NAMES, "").split(",") if name}
    return Rules(LOOPBACK | names, bool(environment.get(ANY_ADDRESS)), password)
