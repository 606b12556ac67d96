"""The salt that people's ids are hashed with: where it comes from, and the little that may be told of it.

In this order: $PAIRWRIGHT_SALT; for the shipped sample, whose people are invented, a public one; for all other logs the secret in
`.pairwright/salt`, made at the first run, which git and DVC ignore (`tasks.common.log_salt` chooses, and makes it).

`.pairwright/fingerprint`, which git keeps, names the salt of the last run without giving it away. The stages that hash depend on it.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from tasks.core.errors import UserError

VARIABLE = "PAIRWRIGHT_SALT"
PUBLIC = "pairwright-sample"
FOLDER = Path(".pairwright")
SECRET, FINGERPRINT = "salt", "fingerprint"  # files in FOLDER
_USED: ContextVar[str] = ContextVar("salt", default="")


def current() -> str:
    """The salt of the stages after the logs were read."""
    found = given() or (PUBLIC if last_fingerprint() == fingerprint(PUBLIC) else read_secret())
    if not found:
        raise UserError(str(FOLDER / SECRET), "no such file", "the salt that the logs were read with", "put it there, or read them again")
    return found


def last_fingerprint() -> str | None:
    """The fingerprint that the last run left."""
    path = FOLDER / FINGERPRINT
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


@functools.lru_cache(maxsize=8)
def fingerprint(salt: str) -> str:
    """16 hex digits that tell salts apart; dear to compute, so that guesses at a short salt are, too."""
    return hashlib.scrypt(salt.encode(), salt=b"pairwright fingerprint", n=1 << 14, r=8, p=1, dklen=8).hex()


@contextmanager
def using(chosen: str) -> Iterator[None]:
    """This salt in place of every other while the block runs, for those who call stages from Python; nothing is left on disk."""
    token = _USED.set(chosen)
    try:
        yield
    finally:
        _USED.reset(token)


def given() -> str:
    """The salt that this process was given; nothing where it was given none."""
    return _USED.get() or os.environ.get(VARIABLE, "").strip()


def read_secret() -> str:
    """What the file holds; nothing where there is none, a UserError where it cannot be read or is empty."""
    path = FOLDER / SECRET
    remedy = f"put the salt of earlier runs there, or delete it: a run makes a new one, and with it new ids; or set ${VARIABLE}"
    try:
        found = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        what = (error.strerror if isinstance(error, OSError) else None) or "bytes that are no text"
        raise UserError(str(path), what, "a file with the salt", remedy) from error
    if not found:
        raise UserError(str(path), "an empty file", "a file with the salt", remedy)
    return found
