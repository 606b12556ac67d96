"""Outputs to the shared remote and back: what DVC may carry, which is what its cache may hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from flows.storage import cache
from flows.storage.recorded import Entry
from tasks.core.errors import UserError

if TYPE_CHECKING:
    from dvc.repo import Repo

ADD = "`dvc remote add --default NAME URL`"


def remote(repository: Repo) -> str | None:
    """The name of the default remote; None where there is none."""
    name: str | None = repository.config["core"].get("remote")
    return name


def push(repository: Repo) -> int:
    """Send every output that the cache holds; how many files were new there."""
    from dvc.exceptions import UploadError

    try:
        sent: int = repository.push()
    except UploadError as error:
        raise UserError(
            f"remote {remote(repository)!r}", str(error), "a push of every file", "see the lines above, and push again"
        ) from error
    return sent


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
    odb = repository.cloud.get_remote_odb(None, "pull")
    return [entry for entry in entries if odb.exists(entry.md5)]


def _fetch(repository: Repo, entries: Sequence[Entry]) -> None:
    from dvc.exceptions import DownloadError

    try:
        repository.fetch(targets=[str(entry.path) for entry in entries])
    except DownloadError as error:
        raise UserError(
            f"remote {remote(repository)!r}", str(error), "every file of what it lists", "push it again from where it is whole"
        ) from error


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
