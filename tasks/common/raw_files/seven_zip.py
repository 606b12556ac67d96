"""The members of a 7z archive, by py7zr where it is installed: `pip install 'pairwright[7z]'`.

In: the bytes of an archive, in any order, and a count that stops a bomb. Out: each member's name and bytes. They are unpacked once, one
after another, into one temporary file, since the members of a solid archive cannot be had alone; of one that breaks, those before.
"""

from __future__ import annotations

import importlib
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

from tasks.common.raw_files.files import Limited, Unreadable

BROKEN = (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError, RuntimeError, LookupError, AttributeError, TypeError)
SPOOLED = 64 << 20  # bytes of the temporary file that are kept in memory


class _Segment:
    """One member while it is unpacked: a place in the file of all."""

    def __init__(self, file: IO[bytes], spend: Callable[[int], None]) -> None:
        self._file, self._spend, self.start, self.length = file, spend, file.seek(0, 2), 0

    def write(self, block: bytes | bytearray) -> int:
        """Take a block, or stop a bomb."""
        self._spend(len(block))
        self.length += self._file.write(block)
        return len(block)

    def read(self, size: int | None = None) -> bytes:
        """Nothing: what is written is read later."""
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Nowhere: blocks come in order."""
        return self.length

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """The file of all stays open."""

    def size(self) -> int:
        """Bytes so far."""
        return self.length


class _Segments:
    """What py7zr asks for a place for each member."""

    def __init__(self, file: IO[bytes], spend: Callable[[int], None]) -> None:
        self._file, self._spend, self.found = file, spend, dict[str, _Segment]()

    def create(self, filename: str) -> _Segment:
        """The place of the next member."""
        segment = self.found[filename] = _Segment(self._file, self._spend)
        return segment


def members(packed: IO[bytes], spend: Callable[[int], None]) -> Iterator[tuple[str, Limited]]:
    """Name and stream of each file, by name; raises `Unreadable` for a bomb, and behind the last member that could be unpacked."""
    try:
        library: Any = importlib.import_module("py7zr")
    except ImportError:
        raise Unreadable("unread_archive", "a 7z archive: pip install py7zr, or unpack it first") from None
    with tempfile.SpooledTemporaryFile(max_size=SPOOLED) as file:
        segments = _Segments(file, spend)
        failure = _unpack(library, packed, segments)
        for name, segment in sorted(segments.found.items()):
            file.seek(segment.start)
            yield name, Limited(file, segment.length)
    if failure:
        raise Unreadable("broken_archive", f"7z data that ends or breaks early ({failure}); what stands before is read")


def _unpack(library: Any, packed: IO[bytes], segments: _Segments) -> str | None:  # noqa: ANN401
    """Unpack all members, and say what broke the archive, if anything."""
    try:
        with library.SevenZipFile(packed) as archive:
            closed = archive.needs_password()
            if not closed:
                archive.extractall(factory=segments)
    except (library.exceptions.ArchiveError, *BROKEN) as error:
        return type(error).__name__
    if closed:
        raise Unreadable("encrypted", "a 7z archive with a password: unpack it first")
    return None
