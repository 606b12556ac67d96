"""Bytes as they come: other encodings, archives in archives, JSON that is nearly JSON, what is no file. Only the broken record is lost."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import itertools
import json
import lzma
import os
import re
import resource
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.common.raw_files import archives, records
from tasks.common.raw_files import files as raw
from tasks.common.raw_files.archives import Unpack
from tasks.common.raw_files.files import Fault
from tasks.core.params import load
from tasks.ingest import stage as ingest
from tests.builders.raw_logs import GOOD, Result, chat, lines, read
from tests.conftest import ROOT

MANY = [chat(f"c{n}", f"Question {n} é?", f"Answer {n * 7919}.") for n in range(200)]
TEXTS = [f"Question {n} é?" for n in range(200)]


def questions(result: Result) -> list[str]:
    return [row["content"] for row in sorted(result.table("turns"), key=lambda row: row["origin"]["record"]) if row["role"] == "user"]


def as_lines(chats: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in chats).encode()


def details(result: Result) -> dict[str, str]:
    return {row["reason"]: row["detail"] for row in result.table("quarantine")}


@pytest.mark.parametrize(
    "layout", [as_lines, lambda chats: json.dumps(chats, ensure_ascii=False, indent=1).encode()], ids=["lines", "array"]
)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_other_widths_with_a_mark_or_without_are_read_and_named(tmp_path: Path, encoding: str, layout: Callable[[Any], bytes]) -> None:
    result = read(tmp_path, {"a": layout(MANY).decode().encode(encoding)})
    assert questions(result) == TEXTS
    assert encoding[:6].upper() in details(result)["encoding"]


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\0\0\xfe\xff"])
def test_a_mark_is_taken_away(tmp_path: Path, mark: bytes) -> None:
    name = {2: "utf-16", 4: "utf-32"}[len(mark)] + ("-le" if mark[0] == 0xFF else "-be")
    assert questions(read(tmp_path, {"a": mark + as_lines(MANY).decode().encode(name)})) == TEXTS


def test_windows_1252_is_read_and_reported_with_its_first_line(tmp_path: Path) -> None:
    text = "Où est le café de l’été ? – “À gauche” …"
    data = as_lines([GOOD]) + as_lines([chat("d", text, "ok"), chat("e", text + "!", "ok")]).decode().encode("cp1252")
    with pytest.warns(UserWarning, match=r"a: not UTF-8, read as Windows-1252 \(2 times\)"):
        result = read(tmp_path, {"a": data})
    assert questions(result) == ["Hi", text, text + "!"]
    assert result.faults() == [(1, 2, "windows_1252")]


@pytest.mark.parametrize("at", [0, 1])
def test_a_broken_byte_in_utf_8_costs_a_sign_and_is_reported(tmp_path: Path, at: int) -> None:
    data = as_lines([chat("d", "Zażółć gęślą jaźń", "你好")]).replace("ź".encode(), [b"\xc5", b"\xff"][at])
    result = read(tmp_path, {"a": as_lines([GOOD]) + data})
    assert questions(result)[1].replace("\ufffd", "") == "Zażółć gęślą jań"
    assert result.faults() == [(1, 2, "broken_byte")]


BROKEN = '{"id": "x", "messages": [{"role": "user", "content": "Oh "no""}]}'
SHORT = MANY[:4]
LAYOUTS: dict[str, str] = {
    "pretty, one after another": "\n".join(json.dumps(record, indent=2) for record in SHORT),
    "pretty, with commas between": ",\n".join(json.dumps(record, indent=2) for record in SHORT),
    "on one line": "".join(map(json.dumps, SHORT)),
    "two on a line": "\n".join(json.dumps(SHORT[n]) + " " + json.dumps(SHORT[n + 1]) for n in (0, 2)),
    "lines with commas": ",\n".join(map(json.dumps, SHORT)),
    "an array, a record a line": "[\n" + ",\n".join(map(json.dumps, SHORT)) + "\n]\n",
    "a trailing comma": "[" + ",".join(map(json.dumps, SHORT)) + ",]",
    "trailing commas inside": "[" + ",".join(json.dumps(record)[:-2] + ",],}" for record in SHORT) + "]",
    "no closing bracket": "[" + ",\n".join(map(json.dumps, SHORT)),
    "pretty, no closing bracket": json.dumps(SHORT, indent=2).rstrip("]\n "),
    "no closing bracket, with a comma": "[\n" + ",\n".join(map(json.dumps, SHORT)) + ",\n",
    "a JSON text sequence": "".join("\x1e" + json.dumps(record) + "\n" for record in SHORT),
    "pretty text sequence": "".join("\x1e" + json.dumps(record, indent=1) + "\n" for record in SHORT),
    "carriage returns": "\r\n\r\n".join(map(json.dumps, SHORT)),
    "a prefix": "".join(f"2026-01-01T00:00:00Z INFO {json.dumps(record)}\n" for record in SHORT),
    "a prefix in brackets": "".join(f"[2026-01-01 00:00:00] app.chat {json.dumps(record)}\n" for record in SHORT),
    "events": "".join(f"data: {json.dumps(record)}\n\n" for record in SHORT) + "data: [DONE]\n",
    "among other lines": "Starting\n" + "".join(f"ready\n{json.dumps(record)}\n" for record in SHORT) + "bye\n",
    "in Docker's": "".join(
        json.dumps({"log": json.dumps(r) + "\n", "stream": "stdout", "time": "2026-01-01T00:00:00Z"}) + "\n" for r in SHORT
    ),
    "in journald's": "".join(json.dumps({"MESSAGE": json.dumps(record), "_PID": "1"}) + "\n" for record in SHORT),
    "in a search engine's": "".join(json.dumps({"_index": "i", "_source": record}) + "\n" for record in SHORT),
    "in two": "".join(json.dumps({"data": {"body": json.dumps(record)}}) + "\n" for record in SHORT),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_json_that_is_nearly_json_lines_is_read(tmp_path: Path, layout: str) -> None:
    result = read(tmp_path, {"a": LAYOUTS[layout].encode()})
    assert questions(result) == TEXTS[:4]
    assert result.ledger["records"]["dropped"] == 0


AROUND_BROKEN: dict[str, str] = {
    "lines": "\n".join([*map(json.dumps, SHORT[:2]), BROKEN, *map(json.dumps, SHORT[2:])]),
    "first line": "\n".join([BROKEN, *map(json.dumps, SHORT)]),
    "cut line": "\n".join([json.dumps(SHORT[0]), '{"id": "x", "messages": [{"role": "user", "con', *map(json.dumps, SHORT[1:])]),
    "array": "[" + ", ".join([*map(json.dumps, SHORT[:2]), BROKEN, *map(json.dumps, SHORT[2:])]) + "]",
    "array, a record a line": "[\n" + ",\n".join([*map(json.dumps, SHORT[:2]), BROKEN, *map(json.dumps, SHORT[2:])]) + "\n]",
    "pretty array": json.dumps([*SHORT, GOOD], indent=2).replace('"Hi"', '"Oh "no""'),
    "pretty array, first": json.dumps([GOOD, *SHORT], indent=4).replace('"Hi"', '"Oh "no"'),
    "pretty, one after another": "\n".join(json.dumps(r, indent=2) for r in (*SHORT[:1], GOOD, *SHORT[1:])).replace('"Hi"', '"Oh'),
    "array cut in the middle": json.dumps([*SHORT, GOOD])[:-30],
    "pretty array cut in the middle": json.dumps([*SHORT, GOOD], indent=2)[:-60],
    "a bracket missing inside": "[" + ",\n".join([json.dumps(SHORT[0]), json.dumps(GOOD)[:-1], *map(json.dumps, SHORT[1:])]) + "]",
}


@pytest.mark.parametrize("layout", AROUND_BROKEN)
def test_a_broken_record_costs_itself_only(tmp_path: Path, layout: str) -> None:
    result = read(tmp_path, {"a": AROUND_BROKEN[layout].encode()})
    assert questions(result) == TEXTS[:4]
    assert [reason for _, _, reason in result.faults()] == ["not_json"]


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, mtime=0),
    "bz2": lambda data: bz2.compress(data, 1),
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor().compress,
}


def tar_of(files: dict[str, bytes], mode: str = "w") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


@pytest.mark.parametrize("pack", PACKINGS)
def test_of_packed_data_that_ends_early_all_is_read_that_is_there(tmp_path: Path, pack: str) -> None:
    chats = [chat(f"c{n}", f"{n} {os.urandom(20).hex()}", "ok") for n in range(3000)]
    data = lines(*chats)
    packed = PACKINGS[pack](data)
    cut = packed[: len(packed) * 3 // 4]
    with pytest.warns(UserWarning, match="broken_archive: .* data that ends or breaks early"):
        result = read(tmp_path, {"a": cut})
    assert questions(result) == [record["messages"][0]["content"] for record in chats[: len(questions(result))]]
    assert len(questions(result)) >= 1000


@pytest.mark.parametrize("pack", PACKINGS)
def test_several_packed_streams_in_a_row_are_one_file(tmp_path: Path, pack: str) -> None:
    assert questions(read(tmp_path, {"a": b"".join(PACKINGS[pack](lines(record)) for record in MANY)})) == TEXTS


NESTED: dict[str, Callable[[], tuple[bytes, list[str]]]] = {
    "tar": lambda: (tar_of({"./logs/a.jsonl": lines(*MANY)}), ["x/logs/a.jsonl"]),
    "tar.gz": lambda: (gzip.compress(tar_of({"a": lines(*MANY[:9]), "b": lines(*MANY[9:])})), ["x/a", "x/b"]),
    "old tar.xz": lambda: (lzma.compress(tar_of({"a": lines(*MANY)})), ["x/a"]),
    "gz in zip": lambda: (zip_of({"a.gz": gzip.compress(lines(*MANY))}), ["x/a.gz"]),
    "zip in zip": lambda: (zip_of({"in.zip": zip_of({"a": lines(*MANY[:9])}), "z": lines(*MANY[9:])}), ["x/in.zip/a", "x/z"]),
    "zip in tar.gz": lambda: (gzip.compress(tar_of({"in.zip": zip_of({"a": lines(*MANY)})})), ["x/in.zip/a"]),
    "tar.zst in zip": lambda: (zip_of({"t": PACKINGS["zst"](tar_of({"a": lines(*MANY)}))}), ["x/t/a"]),
    "with Mac's shadows": lambda: (zip_of({"__MACOSX/._a": b"\0\5\x16", ".DS_Store": b"x", "a": lines(*MANY)}), ["x/a"]),
}


@pytest.mark.parametrize("kind", NESTED)
def test_archives_in_archives_are_read_member_by_member(tmp_path: Path, kind: str) -> None:
    data, names = NESTED[kind]()
    result = read(tmp_path, {"x": data})
    assert questions(result) == TEXTS
    assert [row["name"] for row in result.table("files")] == names


def test_a_member_that_is_broken_or_closed_costs_itself_only_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py7zr", None)  # as where it is not installed
    files = {"a.gz": gzip.compress(lines(*MANY))[:-300], "b.7z": b"7z\xbc\xaf\x27\x1c...", "c.jsonl": lines(GOOD), "d.pq": b"PAR1...."}
    result = read(tmp_path, {"x.zip": zip_of(files)})
    assert "Hi" in questions(result)
    assert sorted(row["name"] for row in result.table("files")) == [f"x.zip/{name}" for name in files]
    findings = {row["reason"]: row["detail"] for row in result.table("quarantine")}
    assert "gzip" in findings["broken_archive"]
    assert "pip install py7zr" in findings["unread_archive"]
    assert "Parquet" in findings["not_a_log"]


def seven(files: dict[str, bytes], **options: object) -> bytes:
    """A 7z archive of these files."""
    library = pytest.importorskip("py7zr", reason="py7zr, which reads 7z archives, is not installed")
    packed = io.BytesIO()
    with library.SevenZipFile(packed, "w", **options) as archive:
        for name, data in files.items():
            archive.writef(io.BytesIO(data), name)
    return packed.getvalue()


def test_members_of_a_7z_are_read_also_inside_others_and_their_bounds_hold(tmp_path: Path) -> None:
    inner = seven({"b/chats.jsonl.gz": gzip.compress(lines(GOOD)), "a.jsonl": lines(*MANY), ".hidden": b"x"})
    result = read(tmp_path / "1", {"x.7z": inner, "y.zip": zip_of({"in.7z": seven({"c.jsonl": lines(GOOD)})})})
    assert sorted(row["name"] for row in result.table("files")) == ["x.7z/a.jsonl", "x.7z/b/chats.jsonl.gz", "y.zip/in.7z/c.jsonl"]
    for data, reason in (
        (seven({"a.jsonl": lines(GOOD), "z.jsonl": b"\n" * 3_000_000}), "bomb"),
        (inner[: len(inner) // 2], "broken_archive"),
        (seven({"a.jsonl": lines(GOOD)}, password="secret"), "encrypted"),
    ):
        file = tmp_path / f"{reason}.7z"
        file.write_bytes(data)
        actual = [
            fault for _, fault in archives.members(file, bounds=bound(free_bytes=1_000_000, max_ratio=10)) if isinstance(fault, Fault)
        ]
        assert [fault.reason for fault in actual] == [reason]


def bound(**changed: int) -> Unpack:
    return load(ROOT / "params.yaml", "ingest", ingest.Params).unpack.model_copy(update=changed)


def bomb(size: int = 300_000_000) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="w", mtime=0) as archive:
        archive.write(lines(GOOD) + b'{"id": "')
        for _ in range(size // 1_000_000):
            archive.write(b"a" * 1_000_000)
    return packed.getvalue()


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: zip_of({"b": data}), lambda data: tar_of({"b": data})])
def test_a_bomb_is_left_there_and_reported(tmp_path: Path, wrap: Callable[[bytes], bytes]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = read(tmp_path, {"x": wrap(bomb()), "y": lines(chat("d", "Bye"))}, unpack=bound(free_bytes=10_000_000, max_ratio=50))
    assert "bomb" in details(result)
    assert "Bye" in questions(result)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 250_000  # KiB


def test_archives_are_bounded_in_members_and_in_depth(tmp_path: Path) -> None:
    many = zip_of({f"{n}": lines(chat(f"c{n}", "x")) for n in range(50)})
    result = read(tmp_path / "many", {"x": many}, unpack=bound(max_members=10))
    assert (len(questions(result)), "too_many_members" in details(result)) == (10, True)
    deep = lines(GOOD)
    for _ in range(6):
        deep = zip_of({"a": deep})
    result = read(tmp_path / "deep", {"x": deep, "y": lines(GOOD)})
    assert "more than 4 deep" in details(result)["too_deep"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"PAR1\x15\x04", "Parquet"),
        (b"SQLite format 3\0", "SQLite"),
        (b"%PDF-1.7", "PDF"),
        (b"<!DOCTYPE html><p>", "web page"),
        (b"id,rating,comment\n1,2,x\n2,3,y\n", "CSV"),
        (b"id\trating\tcomment\n1\t2\tx\n", "TSV"),
    ],
)
def test_what_is_no_log_is_reported_by_what_it_is_whatever_it_is_called(tmp_path: Path, data: bytes, says: str) -> None:
    assert says in details(read(tmp_path, {"a.jsonl": lines(GOOD), "b.jsonl": data}))["not_a_log"]


class Slow:
    """A stream that gives few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data, self._step = io.BytesIO(data), step

    def read(self, size: int, /) -> bytes:
        return self._data.read(min(size, self._step))


@settings(max_examples=40, deadline=None)
@given(step=st.integers(1, 200), layout=st.sampled_from(sorted({**LAYOUTS, **AROUND_BROKEN})), kind=st.sampled_from(["utf-8", "utf-16"]))
def test_it_is_the_same_however_the_bytes_arrive(step: int, layout: str, kind: str) -> None:
    data = {**LAYOUTS, **AROUND_BROKEN}[layout].encode(kind)
    whole, slow = (list(records.batches(stream)) for stream in (io.BytesIO(data), Slow(data, step)))
    assert list(itertools.chain(*whole)) == list(itertools.chain(*slow))


MADE = [text.encode() for text in (*LAYOUTS.values(), *AROUND_BROKEN.values())] + [NESTED[kind]()[0] for kind in NESTED]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_to_bytes_is_a_crash(data: st.DataObject) -> None:
    mutable = bytearray(data.draw(st.sampled_from(MADE)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutable) - 1))
        mutable[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with tempfile.NamedTemporaryFile() as file:
        file.write(mutable)
        file.flush()
        for _, stream in archives.members(Path(file.name), None, bound()):
            if isinstance(stream, raw.Fault):
                continue
            with contextlib.suppress(raw.Unreadable):  # told by whoever reads
                for batch in records.batches(stream):
                    assert all((record.value is None) or record.fault is None for record in batch)


def counted(stream: raw.Stream) -> Iterator[int]:
    yield from (len(batch) for batch in records.batches(stream))


def test_one_long_line_is_joined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "BLOCK", 1000)
    copied = 0

    class Counting(bytes):
        """Bytes that count what is copied when they are added to."""

        def __add__(self, other: bytes) -> Counting:  # type: ignore[override]
            nonlocal copied
            copied += len(self) + len(other)
            return Counting(bytes(self) + other)

        def __radd__(self, other: bytes) -> Counting:
            nonlocal copied
            copied += len(self) + len(other)
            return Counting(other + bytes(self))

    class Stream:
        def __init__(self, data: bytes) -> None:
            self._data = io.BytesIO(data)

        def read(self, size: int, /) -> bytes:
            return Counting(self._data.read(size))

    long = lines(chat("long", "x" * 1_000_000))
    assert sum(counted(Stream(long + lines(GOOD)))) == 2
    assert sum(counted(Stream(lines(GOOD) + long))) == 2
    assert copied < 10 * len(long)


def test_what_is_no_file_is_one_line_and_never_a_hang(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    (folder / "inner").mkdir(parents=True)
    os.mkfifo(folder / "pipe")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "round").symlink_to("round")
    (folder / "inner" / "back").symlink_to(folder)
    (folder / "null").symlink_to("/dev/zero")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "far.jsonl").write_bytes(lines(chat("far", "Far")))
    (folder / "out").symlink_to(tmp_path / "elsewhere")
    (folder / "out.jsonl").symlink_to(tmp_path / "elsewhere" / "far.jsonl")
    odd_name = os.fsencode(folder) + b"/caf\xe9.jsonl"
    Path(os.fsdecode(odd_name)).write_bytes(lines(chat("odd", "Odd")))
    result = read(tmp_path, {"a.jsonl": lines(GOOD)})
    names = {row["file"]: row["name"] for row in result.table("files")}
    findings = sorted((names[row["file"]], row["reason"]) for row in result.table("quarantine") if row["reason"] != "same_file")
    assert findings == [
        ("caf\\xe9.jsonl", "odd_name"),
        ("dangling", "dangling_link"),
        ("null", "not_a_file"),
        ("out", "outward_link"),
        ("out.jsonl", "outward_link"),
        ("pipe", "not_a_file"),
        ("round", "dangling_link"),
    ]
    assert sorted(questions(result)) == ["Far", "Hi", "Odd"]


def test_what_may_not_be_read_is_one_line() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "raw"
        (folder / "closed").mkdir(parents=True)
        (folder / "closed" / "a.jsonl").write_bytes(lines(GOOD))
        (folder / "b.jsonl").write_bytes(lines(GOOD))
        (folder / "c.jsonl").write_bytes(lines(chat("c", "See")))
        Path(place).chmod(0o755)
        (folder / "closed").chmod(0)
        (folder / "b.jsonl").chmod(0)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            files, odd = raw.look(folder)
        finally:
            if root:
                os.seteuid(0)
            (folder / "closed").chmod(0o755)
    assert [file.name for file in files] == ["c.jsonl"]
    assert [(oddity.name, oddity.fault.reason, oddity.read) for oddity in odd] == [
        ("b.jsonl", "cannot_be_read", False),
        ("closed", "cannot_be_read", False),
    ]


def test_of_a_file_that_grows_what_was_there_at_first_is_read_and_that_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(GOOD))
    (file,) = raw.raw_files(tmp_path)
    reading = ingest.Reading(load(ROOT / "params.yaml", "ingest", ingest.Params), lambda: "pepper")
    with path.open("ab") as stream:
        stream.write(lines(*MANY))
    reading.read_file(file, [])
    tables = {account.table: account.kept.to_pylist() for account in reading.accounts()}
    assert [row["content"] for row in tables["turns"]] == ["Hi", "Hello"]
    assert [(row["reason"], bool(re.search("changed while", row["detail"]))) for row in tables["quarantine"]] == [("changed", True)]
