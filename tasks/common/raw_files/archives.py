"""What is inside a raw file: itself, or the members of an archive, unpacked as they are read.

In: a file. Out: (name, stream of bytes) of each member, or what is wrong with it. Archives in archives are opened member by member;
gzip, bzip2, xz, zstd, zip, tar and 7z are told from the bytes, never from the name. Nothing is written but a nested zip and what is in a
7z, to temporary files.

Of packed data that ends or breaks early all that could be unpacked is given before the stream raises `Unreadable`. What unpacks to
more than `Unpack` allows is a bomb, and is left there.
"""

from __future__ import annotations

import bz2
import lzma
import posixpath
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import zstandard
from pydantic import Field

from tasks.common.raw_files import seven_zip
from tasks.common.raw_files.files import Fault, Limited, Stream, Unreadable
from tasks.core.params import StageParams

CHUNK = 4096  # packed bytes fed at a time; a zstd decoder cannot be told when to stop
MOST = 1 << 20  # unpacked bytes asked for at a time
HEAD = 512  # bytes that tell what a stream is: a tar header
SPOOLED = 64 << 20  # bytes of a nested zip that are kept in memory
BROKEN_PACKING = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zstandard.ZstdError,
    zipfile.BadZipFile,
    tarfile.TarError,
    RuntimeError,
    NotImplementedError,
)
PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
SEVEN = {b"7z\xbc\xaf\x27\x1c": "7z"}
UNOPENED = {b"Rar!\x1a\x07": "RAR", b"\x04\x22\x4d\x18": "LZ4"}


class Unpack(StageParams):
    """How much one raw file may hold."""

    max_ratio: int = Field(ge=1, description="unpacked bytes for each packed one")
    free_bytes: int = Field(ge=0, description="so many unpacked bytes are never too many")
    max_members: int = Field(ge=1)
    max_depth: int = Field(ge=1, description="archives in archives")


@dataclass
class _Opening:
    """What is left to one raw file."""

    bounds: Unpack | None
    packed: int
    unpacked: int = 0
    members: int = 0
    over: bool = False  # nothing more is read

    def spend(self, count: int) -> None:
        """Count unpacked bytes; raises when they are too many."""
        self.unpacked += count
        if self.bounds and self.unpacked > max(self.bounds.free_bytes, self.packed * self.bounds.max_ratio):
            self.over = True
            raise Unreadable("bomb", f"more than {self.unpacked // 1_000_000} MB out of {self.packed} bytes: not unpacked further")


def _broken(kind: str) -> Unreadable:
    """What is said of packed data that cannot be unpacked to its end."""
    return Unreadable("broken_archive", f"{kind} data that ends or breaks early; what stands before is read")


def members(path: Path, size: int | None = None, bounds: Unpack | None = None) -> Iterator[tuple[str, Stream | Fault]]:
    """What is inside a file, of which the first `size` bytes count: itself under the name "", or each member under its own name."""
    opening = _Opening(bounds, path.stat().st_size if size is None else size)
    with path.open("rb") as stream:
        yield from _inside("", Peeked(Limited(stream, opening.packed)), opening, 0, stream)


def _inside(
    name: str, stream: Peeked, opening: _Opening, depth: int, file: IO[bytes] | None = None
) -> Iterator[tuple[str, Stream | Fault]]:
    """What is inside one stream; `file` is the same bytes where they can be read in any order."""
    try:
        kind = _kind(stream.peek(HEAD))
    except Unreadable as error:
        yield name, error.fault
        return
    if kind is None:
        yield name, stream
    elif kind in UNOPENED.values():
        yield name, Fault("unread_archive", f"a {kind} archive: unpack it first")
    elif opening.bounds and depth >= opening.bounds.max_depth:
        yield name, Fault("too_deep", f"archives in archives, more than {depth} deep")
    elif kind == "zip":
        yield from _members(name, kind, _zip_members(stream, opening, file), opening, depth)
    elif kind == "7z":
        yield from _members(name, kind, _seven_members(stream, opening, file), opening, depth)
    elif kind == "tar":
        yield from _members(name, kind, _tar_members(stream, opening), opening, depth)
    else:
        yield from _inside(name, Peeked(Unpacked(stream, kind, opening)), opening, depth + 1)


def _kind(head: bytes) -> str | None:
    """The packing that the first bytes tell; None when it is none."""
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    for magic, kind in (PACKED | SEVEN | UNOPENED).items():
        if head.startswith(magic):
            return kind
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")  # checks the header's sum
    except tarfile.HeaderError:
        return None
    return "tar"


def _members(
    above: str, kind: str, found: Iterator[tuple[str, Stream | Fault]], opening: _Opening, depth: int
) -> Iterator[tuple[str, Stream | Fault]]:
    """The members of an archive and what is inside them, until one breaks the archive."""
    try:
        for inner, stream in found:
            name = _joined(above, inner)
            if any(part.startswith(".") or part == "__MACOSX" for part in name.split("/")):
                continue
            opening.members += 1
            if opening.bounds and opening.members > opening.bounds.max_members:
                opening.over = True
                yield above, Fault("too_many_members", f"more than {opening.bounds.max_members}: the others are not read")
            elif isinstance(stream, Fault):
                yield name, stream
            else:
                yield from _inside(name, Peeked(stream), opening, depth + 1)
            if opening.over:
                return
    except Unreadable as error:
        yield above, error.fault
    except BROKEN_PACKING:
        yield above, _broken(kind).fault


def _joined(above: str, inner: str) -> str:
    name = posixpath.normpath(inner.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")).lstrip("/")
    return f"{above}/{name}" if above else name


@contextmanager
def _seekable(stream: Peeked, file: IO[bytes] | None) -> Iterator[IO[bytes]]:
    """The bytes of a stream, to be read in any order: the file that they are, or a temporary one."""
    if file is not None:
        yield file
        return
    with tempfile.SpooledTemporaryFile(max_size=SPOOLED) as spool:
        while block := stream.read(MOST):
            spool.write(block)
        spool.seek(0)
        yield cast("IO[bytes]", spool)


def _seven_members(stream: Peeked, opening: _Opening, file: IO[bytes] | None) -> Iterator[tuple[str, Stream | Fault]]:
    with _seekable(stream, file) as packed:
        packed.seek(0)
        yield from seven_zip.members(packed, opening.spend)


def _zip_members(stream: Peeked, opening: _Opening, file: IO[bytes] | None) -> Iterator[tuple[str, Stream | Fault]]:
    with _seekable(stream, file) as packed, zipfile.ZipFile(packed) as archive:
        for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
            if entry.is_dir():
                continue
            if entry.flag_bits & 1:
                yield entry.filename, Fault("encrypted", "a member with a password: unpack it first")
                continue
            try:
                member = archive.open(entry)
            except BROKEN_PACKING:
                yield entry.filename, _broken("zip").fault
                continue
            with member:
                yield entry.filename, _Counted(member.read, opening, streamed=False)


def _tar_members(stream: Peeked, opening: _Opening) -> Iterator[tuple[str, Stream | Fault]]:
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", errorlevel=0) as archive:
        for entry in archive:
            if entry.isfile() and (member := cast("Any", archive.extractfile(entry))):
                yield entry.name, _Counted(member.read1, opening, streamed=True)


class _Counted:
    """A member of an archive; whatever breaks it is `Unreadable`."""

    def __init__(self, read: Callable[[int], bytes], opening: _Opening, *, streamed: bool) -> None:
        self._read, self._opening, self._streamed = read, opening, streamed

    def read(self, size: int, /) -> bytes:
        """As `Stream` says."""
        try:
            block = self._read(min(size, MOST))
        except Unreadable:
            self._opening.over = True
            raise
        except BROKEN_PACKING as error:
            self._opening.over = self._streamed  # what follows in the same stream is lost too
            raise _broken("tar" if self._streamed else "zip") from error
        self._opening.spend(len(block))
        return block


class Peeked:
    """A stream whose first bytes can be looked at before they are read."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self._head = stream, b""

    def peek(self, size: int) -> bytes:
        """The first bytes, which stay; fewer where there are fewer."""
        while len(self._head) < size and (more := self._stream.read(size - len(self._head))):
            self._head += more
        return self._head[:size]

    def read(self, size: int, /) -> bytes:
        """As `Stream` says."""
        if self._head:
            block, self._head = self._head[:size], self._head[size:]
            return block
        return self._stream.read(size)


DECODERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
}


class Unpacked:
    """A packed stream, unpacked; of several packed streams in a row, all."""

    def __init__(self, stream: Stream, kind: str, opening: _Opening) -> None:
        self._stream, self._kind, self._opening = stream, kind, opening
        self._decoder, self._fed = DECODERS[kind](), b""

    def read(self, size: int, /) -> bytes:
        """As `Stream` says; raises `Unreadable` where the packed data ends or breaks early, after all that it holds was read."""
        try:
            while not self._decoder.eof or self._next():
                if block := self._step(min(size, MOST)):
                    self._opening.spend(len(block))
                    return block
        except BROKEN_PACKING as error:
            raise _broken(self._kind) from error
        return b""

    def _next(self) -> bool:
        """Begin with the next packed stream in the row, if any; zeros between are padding."""
        rest = self._decoder.unused_data
        while not (rest := rest.lstrip(b"\0")):
            if not (rest := self._stream.read(CHUNK)):
                return False
        self._decoder, self._fed = DECODERS[self._kind](), rest
        return True

    def _step(self, size: int) -> bytes:
        """Unpack some more; raises EOFError when there is no more."""
        ended = False
        if not self._fed and getattr(self._decoder, "needs_input", True):
            self._fed = self._stream.read(CHUNK)
            ended = not self._fed
        fed, self._fed = self._fed, b""
        block: bytes = self._decoder.decompress(fed) if self._kind == "zstd" else self._decoder.decompress(fed, size)
        if self._kind == "gzip":
            self._fed = self._decoder.unconsumed_tail
        if ended and not block and not self._decoder.eof:
            raise EOFError
        return block
