"""With which salt the people of some raw logs are hashed: the public one where the logs are the shipped sample, else a secret.

The sample is known by the digest of every file, not by its place. `tasks.common.salt` says where the salt comes from.
"""

from __future__ import annotations

import json
import os
import secrets
import warnings
from collections.abc import Collection
from pathlib import Path

from tasks.common import salt
from tasks.common.raw_files import files as raw
from tasks.core.errors import UserError

SAMPLE = Path(__file__).with_name("sample.json")  # digest and size of the sample's files; `data/make_sample.py` writes it
OTHERS_MAY_READ = 0o077


def choose(files: Collection[raw.RawFile]) -> str:
    """The salt for logs of these files, made if need be; leaves its fingerprint."""
    found = salt.given() or (salt.PUBLIC if is_sample(files) else _kept() or _make())
    if found == salt.PUBLIC and not is_sample(files):
        place = f"${salt.VARIABLE}" if salt.given() else str(salt.FOLDER / salt.SECRET)
        remedy = f"unset ${salt.VARIABLE}: a run makes one"
        raise UserError(place, "the public salt of the sample", "a secret, for logs of real people", remedy)
    _leave(salt.fingerprint(found))
    return found


def due(folder: Path) -> str | None:
    """Fingerprint of the salt with which logs in the folder would be read now; None where there are no logs, or no salt is made yet."""
    if not folder.is_dir():
        return None
    is_public = _may_be_sample(folder) and is_sample(raw.raw_files(folder))
    found = salt.given() or (salt.PUBLIC if is_public else salt.read_secret())
    return salt.fingerprint(found) if found else None


def leave(folder: Path) -> None:
    """Leave the fingerprint of the salt that is due, so that DVC sees it when it looks for what changed."""
    if mark := due(folder):
        _leave(mark)


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


def _kept() -> str:
    """The secret of earlier runs, with a word where others may read it; nothing where there is none."""
    path, found = salt.FOLDER / salt.SECRET, salt.read_secret()
    if found and (mode := path.stat().st_mode & 0o777) & OTHERS_MAY_READ:
        warnings.warn(f"{path}: others on this machine may read the salt (mode {mode:o}); run `chmod 600 {path}`", stacklevel=2)
    return found


def _make() -> str:
    """A new salt in its file, whole from the first moment: of two runs that make one, both take the same."""
    path, made = salt.FOLDER / salt.SECRET, secrets.token_hex(32)
    beside = salt.FOLDER / f".{salt.SECRET}.{os.getpid()}.new"
    try:
        salt.FOLDER.mkdir(exist_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(made + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(beside, path)
        except FileExistsError:
            return salt.read_secret()
        finally:
            beside.unlink()
    except OSError as error:
        remedy = f"make it writable, or set ${salt.VARIABLE}"
        raise UserError(str(path), error.strerror or "an error", "room for a secret salt", remedy) from error
    former = "; ids of people differ from those of earlier runs" if salt.last_fingerprint() not in (None, _public()) else ""
    warnings.warn(f"made a secret salt for people's ids in {path}{former}: keep it, back it up, show it to nobody", stacklevel=2)
    return made


def _public() -> str:
    return salt.fingerprint(salt.PUBLIC)


def _leave(mark: str) -> None:
    if salt.last_fingerprint() != mark:
        salt.FOLDER.mkdir(exist_ok=True)
        (salt.FOLDER / salt.FINGERPRINT).write_text(mark + "\n", encoding="utf-8")
