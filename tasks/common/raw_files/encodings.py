"""Bytes that are no plain UTF-8: UTF-16 and UTF-32 with a mark or without, Windows-1252, single broken bytes.

In: a stream, or the bytes of one record. Out: UTF-8, or the text and a word for what was odd about it.
"""

from __future__ import annotations

import codecs
import re

from tasks.common.raw_files.archives import Peeked
from tasks.common.raw_files.files import Stream, Unreadable

MARKS = (  # the longer ones first: the mark of UTF-32 begins with that of UTF-16
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\xef\xbb\xbf", None),
)
SIGNS = b"{[ \r\n\t"  # with which JSON may begin
UNMARKED = {(True, False): "utf-16-le", (False, True): "utf-16-be"}  # whether the first and second byte of a sign are there
SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
HIGH = re.compile(rb"[\x80-\xff]+")
FOREIGN_RUN = 4  # letters beyond ASCII in a row that hardly occur in the languages that Windows-1252 is for
WINDOWS, BROKEN = "windows_1252", "broken_byte"


def recoded(stream: Peeked) -> tuple[Stream, str | None]:
    """The stream as UTF-8 without a mark, and the encoding that it had, if another."""
    head = stream.peek(4)
    for mark, name in MARKS:
        if head.startswith(mark):
            stream.read(len(mark))
            return (Recoded(stream, name), name) if name else (stream, None)
    name = _unmarked(head)
    return (Recoded(stream, name), name) if name else (stream, None)


def _unmarked(head: bytes) -> str | None:
    """The encoding of JSON without a mark: its first sign is ASCII, so that zeros tell."""
    if len(head) < 4 or b"\0" not in head:
        return None
    if head[:3] == b"\0\0\0" and head[3] in SIGNS:
        return "utf-32-be"
    if head[1:] == b"\0\0\0" and head[0] in SIGNS:
        return "utf-32-le"
    if head[0] == 0 and head[1] in SIGNS and head[2] == 0:
        return "utf-16-be"
    return "utf-16-le" if head[1] == 0 and head[0] in SIGNS and head[3] == 0 else None


class Recoded:
    """A stream in another encoding, as UTF-8; what is broken in it becomes U+FFFD."""

    def __init__(self, stream: Stream, name: str) -> None:
        self._stream, self._decoder, self._rest = stream, codecs.getincrementaldecoder(name)("replace"), b""
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """As `Stream` says."""
        while not self._rest and not self._ended:
            block = self._stream.read(size)
            self._ended = not block
            self._rest = self._decoder.decode(block, final=self._ended).encode("utf-8", "replace")
        block, self._rest = self._rest[:size], self._rest[size:]
        return block


def text_of_bytes(raw: bytes) -> tuple[str, str | None]:
    """The text, and what was odd about the bytes; raises for what is neither UTF-8 nor Windows-1252."""
    try:
        return raw.decode("utf-8"), None
    except UnicodeDecodeError as error:
        place = error.start
    sequences, alone = len(SEQUENCE.findall(raw)), HIGH.findall(SEQUENCE.sub(b"", raw))
    if 3 * len(alone) < sequences or (sequences and max(map(len, alone)) < FOREIGN_RUN and len(alone) <= sequences):
        return raw.decode("utf-8", "replace"), BROKEN
    if max(map(len, HIGH.findall(raw))) >= FOREIGN_RUN:
        raise Unreadable("not_utf8", f"byte {place} of the record; nor Windows-1252")
    try:
        return raw.decode("cp1252"), WINDOWS
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace"), BROKEN
