"""DVC's clients of remotes: what each kind of address needs installed, and their errors as one line.

Each kind of address but folders and HTTP needs a package of its own, which is an extra of ours.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tasks.core.errors import UserError

if TYPE_CHECKING:
    from dvc_data.hashfile.db import HashFileDB

# Scheme of an address -> the extra; its package is dvc-EXTRA, its list of packages locks/EXTRA.txt.
EXTRAS = {"s3": "s3", "gs": "gs", "azure": "azure", "ssh": "ssh", "webdav": "webdav", "webdavs": "webdav"}
LIST = "locks/{}.txt"
LOGGERS = ("dvc_data", "dvc_objects")  # print a traceback for each file that fails
ACCESS = "check its address, your access to it, and the room there"


def scheme(url: str) -> str:
    """The kind of an address; empty for that of a folder."""
    found = urlsplit(url).scheme if "://" in url else ""
    return "" if found == "file" else found


def missing(url: str) -> str:
    """The extra that the address needs and that is not installed; empty where there is nothing to install."""
    extra = EXTRAS.get(scheme(url), "")
    return extra if extra and importlib.util.find_spec(f"dvc_{extra}") is None else ""


def remedy(extra: str) -> str:
    """The command that installs it: from the tested list where that lies here."""
    here = LIST.format(extra)
    return f"run `pip install -r {here}`" if Path(here).is_file() else f"run `pip install 'pairwright[{extra}]'`"


def demand(remotes: Mapping[str, Mapping[str, Any]], name: str) -> None:
    """A UserError where the client of a remote, one of DVC's configuration, is not installed."""
    url = str(remotes.get(name.lower(), {}).get("url", ""))
    if extra := missing(url):
        raise UserError(f"remote {name!r}", f"no dvc-{extra}", f"the client of {scheme(url)}:// addresses", remedy(extra))


def size(store: HashFileDB, md5: str) -> int | None:
    """Bytes of an object in a store; None where it is not there. `exists` of many clients says no also where nobody answers."""
    try:
        found: int = store.fs.info(store.oid_to_path(md5))["size"]
    except FileNotFoundError as error:
        if isinstance(error.__cause__, OSError):  # so the HTTP client calls a server that does not answer
            raise error.__cause__ from error
        return None
    return found


@contextmanager
def answering(where: str) -> Iterator[list[str]]:
    """Whatever the client of a store raises, as one line: each kind has errors of its own. Gives those of single files, as they come."""
    from dvc.lock import LockError

    with _heard() as reasons:
        try:
            yield reasons
        except (UserError, LockError):
            raise
        except Exception as error:
            found = next(iter(reasons), "") or " ".join(str(error).split()) or type(error).__name__
            raise UserError(where, found, "a store that answers and takes what is sent", ACCESS) from error


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Errors of files that DVC would print with their traceback, as a line each."""
    told: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(" ".join(str(record.exc_info[1] if record.exc_info else record.getMessage()).split()))

    listener, loggers = Listener(logging.ERROR), [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.propagate, logger.handlers) for logger in loggers]
    for logger in loggers:
        logger.propagate, logger.handlers = False, [listener]
    try:
        yield told
    finally:
        for logger, (propagates, handlers) in zip(loggers, before, strict=True):
            logger.propagate, logger.handlers = propagates, handlers
