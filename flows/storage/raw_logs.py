"""Raw logs to the private store and back, never through DVC's cache.

`push` sends the bytes straight from the workspace, as `dvc add --to-remote` does, and only when they are those that `dvc.lock` names.
`pull` fetches beside, compares each file with its digest, and puts it in place; what else lies there is not touched, or moved aside.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from flows.storage import broken_off, clients
from flows.storage.clients import answering
from flows.storage.private_store import Store
from flows.storage.recorded import Entry
from tasks.core.errors import UserError

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB
    from dvc_data.hashfile.hash_info import HashInfo

ASIDE = "{}-set-aside"  # beside the folder of logs: what lay there and is not in the version that was pulled
NAMED = 3
CHANGED = "run `pairwright run`, then push again"
BLOCK = 1 << 20


def push(repository: Repo, store: Store, entry: Entry) -> bool:
    """Send the logs that `dvc.lock` names to the store; False where it has them. A UserError where others lie here by now."""
    with answering(store.place):
        if _holds(store, entry):
            return False
        if not entry.path.exists():
            raise UserError(str(entry.path), "nothing there", "the logs that dvc.lock names, to keep them", "pull them, or bring them")
        staged, found = _built(repository, store.odb, entry.path)
        if found.value != entry.md5:
            raise UserError(str(entry.path), "logs that changed since the last run", "those that dvc.lock names", CHANGED)
        _send(store, staged, found)
        if _built(repository, store.odb, entry.path)[1].value != entry.md5:  # a file that grew on its way has the bytes of no version
            _take_back(store, staged, entry)
            raise UserError(str(entry.path), "logs that changed while they were stored", "logs that lie still", CHANGED)
    return True


def _holds(store: Store, entry: Entry) -> bool:
    """Whether the store has the logs; what it has of a list or a single file that broke off on its way is taken out."""
    size = clients.size(store.odb, entry.md5)
    if size is None:
        return False
    whole = _digest_in(store.odb, entry.md5) == entry.md5.partition(".")[0] if entry.is_folder else size == entry.size
    if not whole:
        store.odb.delete(entry.md5)
    return whole


def _built(repository: Repo, odb: HashFileDB, path: Path) -> tuple[HashFileDB, HashInfo]:
    """The path as objects that lie where they are, and the digest of the whole."""
    from dvc.fs import LocalFileSystem
    from dvc_data.hashfile.build import build

    staged, _, made = build(odb, str(path.absolute()), LocalFileSystem(), "md5", ignore=repository.dvcignore)
    assert made.hash_info
    return staged, made.hash_info


def _send(store: Store, staged: HashFileDB, whole: HashInfo) -> None:
    """Files first and their list last, so that a list that is there has all its files."""
    from dvc_data.hashfile.transfer import transfer

    broken_off.take_out(store.odb, dict(_sizes(staged, whole)))
    with answering(store.place) as reasons:
        failed = transfer(staged, store.odb, {whole}, hardlink=False, shallow=False).failed
        if failed:
            why = next(iter(reasons), f"{len(failed)} objects that did not arrive")
            raise UserError(store.place, why, "room and leave to write there", "mend it and run `pairwright push`")


def _sizes(staged: HashFileDB, whole: HashInfo) -> Iterator[tuple[str, int]]:
    """Each file that the whole is made of, with its size."""
    for md5 in _files(staged, whole):
        found = staged.get(md5)
        yield md5, found.fs.size(found.path)


def _files(staged: HashFileDB, whole: HashInfo) -> list[str]:
    from dvc_data.hashfile.tree import Tree

    if not whole.isdir:
        return [str(whole.value)]
    return [info.value for _, _, info in Tree.load(staged, whole) if info and info.value]


def _take_back(store: Store, staged: HashFileDB, entry: Entry) -> None:
    """Delete the list of files, without which no version finds them, and files that are not what they are called."""
    from dvc_data.hashfile.hash_info import HashInfo

    for md5 in {entry.md5, *_files(staged, HashInfo("md5", entry.md5))}:
        if md5 == entry.md5 or _digest_in(store.odb, md5) != md5:
            store.odb.delete(md5)


def _digest_in(odb: HashFileDB, md5: str) -> str:
    state = hashlib.md5(usedforsecurity=False)
    with odb.fs.open(odb.oid_to_path(md5), "rb") as stream:
        while block := stream.read(BLOCK):
            state.update(block)
    return state.hexdigest()


def pull(repository: Repo, store: Store, entry: Entry, *, force: bool) -> str | None:
    """Put a version's logs in place; one line about what was done, or None where the store does not hold this version's."""
    with answering(store.place):
        if clients.size(store.odb, entry.md5) is None:
            return None
        wanted = _wanted(store, entry)
    here = _here(repository, entry.path)
    other = sorted(name for name, md5 in here.items() if wanted.get(name) != md5)
    if other and not force:
        raise _in_the_way(entry.path, other, wanted)
    missing = {name: md5 for name, md5 in wanted.items() if here.get(name) != md5}
    with _beside(entry.path) as folder:
        fetched = _fetch(store, missing, folder)
        aside = _set_aside(entry.path, other) if other else None
        for name, file in fetched.items():
            (entry.path / name).parent.mkdir(parents=True, exist_ok=True)
            file.rename(entry.path / name)
    moved = f"; {len(other)} that are not in it moved to {aside}" if aside else ""
    return f"{entry.path}: {len(missing)} of {len(wanted)} files from the private store {store.name!r}{moved}"


def _wanted(store: Store, entry: Entry) -> dict[str, str]:
    """Path below the entry's -> digest, a file that is the entry itself under "."."""
    if not entry.is_folder:
        return {".": entry.md5}
    text: bytes = store.odb.fs.cat_file(store.odb.oid_to_path(entry.md5))
    found = hashlib.md5(text, usedforsecurity=False).hexdigest()
    if found != entry.md5.partition(".")[0]:
        raise _broken(store, entry.md5, found)
    files = {line["relpath"]: line["md5"] for line in json.loads(text)}
    for name in files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise UserError(store.place, f"a file called {name}", f"files below {entry.path}", "do not trust this store")
    return files


def _broken(store: Store, md5: str, found: str) -> UserError:
    place = store.odb.oid_to_path(md5)
    return UserError(
        place, f"bytes of MD5 {found}", f"{md5}, as it is called", "delete it there, and push it from where the logs are whole"
    )


def _here(repository: Repo, path: Path) -> dict[str, str | None]:
    """What lies there already, with digests; an empty one for a link that leads nowhere."""
    from dvc.fs import LocalFileSystem
    from dvc_data.hashfile.hash import hash_file

    files, root = LocalFileSystem(), path.absolute()
    inside = [Path(name) for name in repository.dvcignore.find(files, str(root))] if root.is_dir() else []
    found = [root] if root.is_file() else inside
    digests = {one: hash_file(str(one), files, "md5", repository.state)[1].value if one.exists() else "" for one in found}
    return {one.relative_to(root).as_posix(): md5 for one, md5 in digests.items()}


def _in_the_way(path: Path, other: Sequence[str], wanted: Mapping[str, str]) -> UserError:
    named = ", ".join(f"{path / name} ({'changed' if name in wanted else 'not in it'})" for name in other[:NAMED])
    more = f" and {len(other) - NAMED} more" if len(other) > NAMED else ""
    aside = path.with_name(ASIDE.format(path.name))
    return UserError(str(path), f"{named}{more}", "only logs of the version", f"move them away, or `--force` moves them to {aside}")


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A folder beside the logs, which git and DVC pass over, for as long as files arrive."""
    folder = path.with_name(f".{path.name}.new")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fetch(store: Store, missing: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Path of each file -> where its bytes lie in the folder, each of them compared with its digest."""
    from dvc.fs import LocalFileSystem
    from dvc_objects.fs.generic import copy

    fetched = {name: folder.absolute() / str(number) for number, name in enumerate(missing)}
    sources = [store.odb.oid_to_path(md5) for md5 in missing.values()]
    with answering(store.place):
        copy(store.odb.fs, sources, LocalFileSystem(), [str(file) for file in fetched.values()], batch_size=store.odb.fs.jobs)
    for name, file in fetched.items():
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if found != missing[name]:
            raise _broken(store, missing[name], found)
        file.chmod(0o644)  # a local store's objects are read-only
    return fetched


def _set_aside(path: Path, names: Sequence[str]) -> Path:
    """Move files out of the logs, into a new folder beside them."""
    root = path.with_name(ASIDE.format(path.name))
    number = max((int(one.name) for one in root.glob("[0-9]*") if one.name.isdecimal()), default=0) + 1
    folder = root / str(number)
    for name in names:
        place = folder / (path.name if name == "." else name)
        place.parent.mkdir(parents=True, exist_ok=True)
        (path / name).rename(place)
    return folder
