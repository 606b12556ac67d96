"""Objects that a transfer left half written when it broke off: a store that writes in place (WebDAV) keeps them, for DVC they are whole.

DVC asks a remote which objects are there, not how long they are; so they are taken out before the next transfer, which then sends them.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from flows.storage import cache, clients
from flows.storage.recorded import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dvc_data.hashfile.db import HashFileDB

AT_ONCE = 16  # questions


def take_out(odb: HashFileDB, sizes: Mapping[str, int]) -> list[str]:
    """Delete of these objects those that the store holds in another size; their digests."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        there = dict(zip(sizes, pool.map(lambda md5: clients.size(odb, md5), sizes), strict=True))
    broken = [md5 for md5, size in sizes.items() if there[md5] not in (None, size)]
    for md5 in broken:
        odb.delete(md5)
    return broken


def cached(entries: Iterable[Entry]) -> dict[str, int]:
    """Objects of these outputs that DVC's cache holds, with their sizes there."""
    store = cache.folder()
    objects = {md5 for entry in entries for md5 in (entry.md5, *(cache.listed(store, entry) or {}).values())}
    places = {md5: cache.place(store, md5) for md5 in objects}
    return {md5: path.stat().st_size for md5, path in places.items() if path.is_file()}
