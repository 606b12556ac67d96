"""Outputs to the shared remote and back: what DVC may carry, which is what its cache may hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flows.storage import broken_off, cache, clients
from flows.storage.recorded import Entry
from tasks.core.errors import UserError

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB

ADD = "`dvc remote add --default NAME URL`"


def remote(repository: Repo) -> str | None:
    """The name of the default remote; None where there is none."""
    name: str | None = repository.config["core"].get("remote")
    return name


def push(repository: Repo, entries: Sequence[Entry]) -> int:
    """Send every output that the cache holds; how many files were new there."""
    mend(repository, str(remote(repository)), entries)
    with _opened(repository):
        sent: int = repository.push()
    return sent


def mend(repository: Repo, name: str, entries: Iterable[Entry]) -> None:
    """Take out of a remote what an earlier push of these outputs left there half written."""
    with _opened(repository, name) as odb:
        broken_off.take_out(odb, broken_off.cached(entries))


@contextmanager
def _opened(repository: Repo, name: str | None = None) -> Iterator[HashFileDB]:
    """The objects of a remote, or of the default one; what its client raises meanwhile is one line."""
    name = name or str(remote(repository))
    clients.demand(repository.config["remote"], name)
    with clients.answering(f"remote {name!r}"):
        yield repository.cloud.get_remote_odb(name)


def pull(repository: Repo, outputs: Sequence[Entry], *, force: bool) -> Iterator[str]:
    """Put the outputs in place that the cache or the remote holds; a line for each that neither has."""
    store = cache.folder()
    lacking = [entry for entry in outputs if any(cache.lacking(store, entry))]
    there = _in_remote(repository, lacking)
    if there:
        _fetch(repository, there)
    away = [entry for entry in lacking if any(cache.lacking(store, entry))]
    for entry in away:
        yield f"left out: {entry.path}: {_why(repository)}"
    whole = [entry for entry in outputs if entry not in away]
    _check_out(repository, whole, force)
    yield f"outputs: {len(whole)} in place, {len(there)} of them fetched" + (f" from {remote(repository)!r}" if there else "")


def _why(repository: Repo) -> str:
    name = remote(repository)
    return f"the remote {name!r} does not hold it" if name else f"no remote is set, {ADD} names one"


def _in_remote(repository: Repo, entries: Sequence[Entry]) -> list[Entry]:
    """Those that the default remote holds; where a folder's list is there, its files are."""
    if not entries or not remote(repository):
        return []
    with _opened(repository) as odb:
        return [entry for entry in entries if clients.size(odb, entry.md5) is not None]


def _fetch(repository: Repo, entries: Sequence[Entry]) -> None:
    with _opened(repository):
        repository.fetch(targets=[str(entry.path) for entry in entries])


def _check_out(repository: Repo, entries: Sequence[Entry], force: bool) -> None:
    from dvc.exceptions import CheckoutError
    from dvc_data.hashfile.checkout import PromptError

    if not entries:
        return
    try:
        repository.checkout(targets=[str(entry.path) for entry in entries], force=force)
    except (CheckoutError, PromptError) as error:
        found = " ".join(str(error).split())
        raise UserError("dvc checkout", found, "outputs that nobody changed by hand", "move them away, or pull with `--force`") from error
