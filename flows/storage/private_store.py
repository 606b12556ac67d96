"""Where the raw logs are kept: a store of their own, apart from what is shared.

It is a DVC remote, or a folder, and holds what DVC's own would: the list of a folder's files, and the files, named by content. So the
digest of `data/raw` in `dvc.lock` is all that it takes to find a version's logs again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.storage import clients
from tasks.core import params
from tasks.core.errors import UserError
from tasks.core.params import StageParams
from tasks.core.shell import PARAMS

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB

SECTION = "private"
KEY = f"{PARAMS}: {SECTION}.remote"
PLACE = "private store {!r}"


class Params(StageParams):
    """The section `private`."""

    remote: str


class NoSuchRemoteError(UserError):
    """The name that `params.yaml` gives is no remote of this machine's."""


@dataclass(frozen=True)
class Store:
    """An open store."""

    name: str
    odb: HashFileDB

    @property
    def place(self) -> str:
        """How an error names it."""
        return PLACE.format(self.name)


def named() -> str:
    """What `params.yaml` calls the store; empty where there is none."""
    return params.load(PARAMS, SECTION, Params).remote


def opened(repository: Repo) -> Store | None:
    """The store that `params.yaml` names, which shares nothing with any other remote; None where it names none."""
    name = named()
    if not name:
        return None
    remotes = repository.config["remote"]
    if name.lower() not in remotes:
        if "/" not in name:
            raise NoSuchRemoteError(
                KEY, f"{name!r}, which is no remote here", _known(remotes), f"run `dvc remote add --local {name} URL`, or name another one"
            )
        remotes[name.lower()] = {"url": str(Path(name).expanduser().resolve())}
    _check_apart(repository, name)
    clients.demand(remotes, name)
    with clients.answering(PLACE.format(name)):
        return Store(name, repository.cloud.get_remote_odb(name, "push"))


def _known(remotes: Iterable[str]) -> str:
    return "one of " + ", ".join([*remotes, "a folder's path"])


def _check_apart(repository: Repo, name: str) -> None:
    """A UserError where whoever reads the workspace, its cache or another remote would read the private store as well."""
    own = _url(repository, name)
    if repository.config["core"].get("remote", "").lower() == name.lower():
        raise UserError(KEY, f"{name!r}, the default remote", "one that nobody else reads", "give raw logs a remote of their own")
    others = {f"the remote {other!r}": _url(repository, other) for other in repository.config["remote"] if other != name.lower()}
    others |= {"DVC's cache": repository.cache.local.path, "the workspace": str(Path.cwd().resolve())}
    for what, url in others.items():
        if own == url or own.startswith(f"{url}/") or (url.startswith(f"{own}/") and what != "the workspace"):
            raise UserError(KEY, f"{name!r}, which shares {url} with {what}", "a place of its own", "give raw logs a remote of their own")


def _url(repository: Repo, name: str) -> str:
    """A remote's address; that of a folder without links."""
    from dvc.fs import get_fs_config

    url = str(get_fs_config(repository.config, name=name)["url"]).rstrip("/")
    return url if "://" in url else str(Path(url).resolve())
