"""The salt that people's ids are hashed with: where it comes from, and the little that may be told of it.

In this order: $PAIRWRIGHT_SALT; for the shipped sample, whose people are invented, a public one; for all other logs the secret in
`.pairwright/salt`, made at the first run, which git and DVC ignore. The sample is known by the digest of every file, not by its place.

`.pairwright/fingerprint`, which git keeps, names the salt of the last run without giving it away. The stages that hash depend on it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import secrets
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from tasks.common.raw_files import files as raw
from tasks.core.errors import UserError

VARIABLE = "PAIRWRIGHT_SALT"
PUBLIC = "pairwright-sample"
FOLDER = Path(".pairwright")
SECRET, FINGERPRINT = "salt", "fingerprint"  # files in FOLDER
SAMPLE = Path(__file__).with_name("sample.json")  # digest and size of the sample's files; `data/make_sample.py` writes it
OTHERS_MAY_READ = 0o077
_USED: ContextVar[str] = ContextVar("salt", default="")


@contextmanager
def using(chosen: str) -> Iterator[None]:
    """This salt in place of every other while the block runs, for those who call stages from Python; nothing is left on disk."""
    token = _USED.set(chosen)
    try:
        yield
    finally:
        _USED.reset(token)


def settle(files: Collection[raw.RawFile]) -> str:
    """The salt for logs of these files, made if need be; leaves its fingerprint."""
    found = given() or (PUBLIC if is_sample(files) else _kept() or _make())
    if found == PUBLIC and not is_sample(files):
        raise UserError(
            _place(), "the public salt of the sample", "a secret, for logs of real people", f"unset ${VARIABLE}: a run makes one"
        )
    _leave(fingerprint(found))
    return found


def current() -> str:
    """The salt of the stages after the logs were read."""
    found = given() or (PUBLIC if told() == fingerprint(PUBLIC) else _secret())
    if not found:
        raise UserError(str(FOLDER / SECRET), "no such file", "the salt that the logs were read with", "put it there, or read them again")
    return found


def due(folder: Path) -> str | None:
    """Fingerprint of the salt with which logs in the folder would be read now; None where there are no logs, or no salt is made yet."""
    if not folder.is_dir():
        return None
    found = given() or (PUBLIC if _may_be_sample(folder) and is_sample(raw.raw_files(folder)) else _secret())
    return fingerprint(found) if found else None


def told() -> str | None:
    """The fingerprint that the last run left."""
    path = FOLDER / FINGERPRINT
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def leave(folder: Path) -> None:
    """Leave the fingerprint of the salt that is due, so that DVC sees it when it looks for what changed."""
    if mark := due(folder):
        _leave(mark)


@functools.lru_cache(maxsize=8)
def fingerprint(salt: str) -> str:
    """16 hex digits that tell salts apart; dear to compute, so that guesses at a short salt are, too."""
    return hashlib.scrypt(salt.encode(), salt=b"pairwright fingerprint", n=1 << 14, r=8, p=1, dklen=8).hex()


def is_sample(files: Collection[raw.RawFile]) -> bool:
    """Whether these are files of the shipped sample and no other."""
    known = {str(entry["sha256"])[:16] for entry in _sample().values()}
    return bool(files) and all(file.digest in known for file in files)


def _sample() -> dict[str, dict[str, str | int]]:
    found: dict[str, dict[str, str | int]] = json.loads(SAMPLE.read_text(encoding="utf-8"))
    return found


def _may_be_sample(folder: Path) -> bool:
    """By sizes alone, because digests of large logs take long."""
    known = {entry["bytes"] for entry in _sample().values()}
    for above, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(above, name) for name in names if not name.startswith(".")]
        if not all(path.stat().st_size in known for path in paths if path.is_file()):
            return False
    return True


def given() -> str:
    """The salt that this process was given; nothing where it was given none."""
    return _USED.get() or os.environ.get(VARIABLE, "").strip()


def _place() -> str:
    return f"${VARIABLE}" if given() else str(FOLDER / SECRET)


def _secret() -> str:
    """What the file holds; nothing where there is none."""
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


def _kept() -> str:
    """The same, with a word where others may read it."""
    path, found = FOLDER / SECRET, _secret()
    if found and (mode := path.stat().st_mode & 0o777) & OTHERS_MAY_READ:
        warnings.warn(f"{path}: others on this machine may read the salt (mode {mode:o}); run `chmod 600 {path}`", stacklevel=2)
    return found


def _make() -> str:
    """A new salt in its file, whole from the first moment: of two runs that make one, both take the same."""
    path, made = FOLDER / SECRET, secrets.token_hex(32)
    beside = FOLDER / f".{SECRET}.{os.getpid()}.new"
    try:
        FOLDER.mkdir(exist_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(made + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(beside, path)
        except FileExistsError:
            return _secret()
        finally:
            beside.unlink()
    except OSError as error:
        raise UserError(
            str(path), error.strerror or "an error", "room for a secret salt", f"make it writable, or set ${VARIABLE}"
        ) from error
    former = "; ids of people differ from those of earlier runs" if told() not in (None, fingerprint(PUBLIC)) else ""
    warnings.warn(f"made a secret salt for people's ids in {path}{former}: keep it, back it up, show it to nobody", stacklevel=2)
    return made


def _leave(mark: str) -> None:
    if told() != mark:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / FINGERPRINT).write_text(mark + "\n", encoding="utf-8")
