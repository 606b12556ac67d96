"""Benchmark files, and the texts of their items.

In: a folder. Out: a table of items, one row per text to search for: `benchmark` (the file's path below the folder, without its
extensions), `item` (the record's own id, else its number from 1), `part` (prompt or solution), `text`. An item with several turns has one
row per turn.

JSON, JSON lines and text (one item per line), compressed or not, and Parquet are read. A record is recognised by its keys, see `texts`:
MT-Bench and Vicuna (`turns`), Arena-Hard (`prompt`, or `turns` of objects), GSM8K (`question`), HumanEval (`prompt`),
Self-Instruct (`instruction` and each instance's `input`), and any other record with one of TEXT_KEYS. Reference solutions are under one
of SOLUTION_KEYS, in the record or its instances.
A file that looks like a benchmark by its name but cannot be read stops the stage, so that nothing goes unchecked unnoticed.
"""

from __future__ import annotations

import codecs
import warnings
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.common.arrays import strings
from tasks.common.raw_files import archives, files, records
from tasks.core.errors import UserError
from tasks.core.tables import TEXT

ITEMS = pa.schema([("benchmark", TEXT), ("item", TEXT), ("part", TEXT), ("text", TEXT)])
PROMPT, SOLUTION = "prompt", "solution"  # the parts
PACKINGS = (".gz", ".bz2", ".xz", ".zip")
KINDS = (".json", ".jsonl", ".ndjson", ".parquet", ".txt")
ID_KEYS = ("question_id", "task_id", "uid", "id")
TEXT_KEYS = ("turns", "prompt", "question", "instruction", "problem", "query", "text")
SOLUTION_KEYS = ("canonical_solution", "solution", "reference", "answer", "output")
CONTEXT_KEYS = ("input", "context")  # keys of an instruction's input
INSTANCES = "instances"  # Self-Instruct's list of inputs


def read_items(folder: Path) -> pa.Table:
    """All items below the folder, sorted; file names only determine the names of the benchmarks."""
    rows: set[tuple[str, str, str, str]] = set()
    ignored = []
    for file in files.raw_files(folder):
        kind = _kind(file.name)
        if kind is None:
            ignored.append(file.name)
            continue
        name = _benchmark(file.name)
        rows.update((name, *row) for row in _file_items(file, kind))
    ignored = sorted(name for name in ignored if not Path(name).name.startswith("README"))
    if ignored:
        warnings.warn(f"ignored files (not benchmarks by their names): {', '.join(ignored)}", stacklevel=2)
    columns = list(zip(*sorted(rows), strict=True)) or [()] * len(ITEMS)
    return pa.table([pa.array(column, TEXT) for column in columns], schema=ITEMS)


def _endings(name: str) -> list[str]:
    """The file's extensions: its kind, and its compression if any."""
    suffixes = Path(name.lower()).suffixes
    packing = suffixes[-1:] if suffixes and suffixes[-1] in PACKINGS else []
    kind = suffixes[-2:-1] if packing else suffixes[-1:]
    return [*kind, *packing] if kind and kind[0] in KINDS else []


def _kind(name: str) -> str | None:
    endings = _endings(name)
    return endings[0] if endings else None


def _benchmark(name: str) -> str:
    return name[: len(name) - sum(map(len, _endings(name)))]


def _file_items(file: files.RawFile, kind: str) -> Iterator[tuple[str, str, str]]:
    """Item, part and text of each of a file's records."""
    any_record = False
    try:
        for number, record in _records(file.path, kind):
            any_record = True
            spoken = texts(record)
            if not spoken:
                shape = f"the keys {', '.join(sorted(record))}" if isinstance(record, dict) else f"the type {type(record).__name__}"
                raise _unreadable(file, f"no text of an item in record {number}, which has {shape}")
            yield from ((_item(record, number), PROMPT, text) for text in spoken)
            yield from ((_item(record, number), SOLUTION, text) for text in solutions(record))
    except files.Unreadable as error:
        raise _unreadable(file, error.fault.detail) from error
    except (*archives.BROKEN_PACKING, pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise _unreadable(file, f"a broken file ({type(error).__name__})") from error
    if not any_record:
        raise _unreadable(file, "no record")


def _unreadable(file: files.RawFile, found: str) -> UserError:
    expected = f"a benchmark whose records have one of {', '.join(TEXT_KEYS)}"
    return UserError(str(file.path), found, expected, "correct or remove the file")


def _records(path: Path, kind: str) -> Iterator[tuple[int, object]]:
    """The records of a file with their numbers from 1."""
    if kind == ".parquet":
        yield from enumerate((record for batch in pq.ParquetFile(path).iter_batches() for record in batch.to_pylist()), 1)
        return
    for _, stream in archives.members(path):
        if isinstance(stream, files.Fault):
            raise files.Unreadable(*stream)
        yield from _lines(stream) if kind == ".txt" else _documents(stream)


def _lines(stream: files.Stream) -> Iterator[tuple[int, str]]:
    """Non-blank lines; only a newline ends a line."""
    data = b"".join(iter(lambda: stream.read(files.BLOCK), b"")).removeprefix(codecs.BOM_UTF8)
    yield from ((number, line) for number, line in enumerate(data.decode("utf-8").split("\n"), 1) if line.strip())


def _refuse(reason: str, what: str, number: int, line: int | None) -> None:
    """Refuse a benchmark with repaired records."""
    if reason in ("text_line", "broken_byte"):
        raise files.Unreadable(reason, f"record {number + 1}: not JSON in UTF-8")


def _documents(stream: files.Stream) -> Iterator[tuple[int, object]]:
    """JSON records; for a document that is one object around a list of objects, the elements of that list."""
    for batch in records.batches(stream, tell=_refuse):
        for record in batch:
            if record.fault:
                raise files.Unreadable(record.fault.reason, f"record {record.number + 1}: {record.fault.detail}")
            inner = _inner(record.value)
            yield from [(record.number + 1, record.value)] if inner is None else enumerate(inner, 1)


def _inner(value: object) -> list[dict[str, object]] | None:
    """The only list of objects in an object that is not an item itself."""
    if not isinstance(value, dict) or texts(value):
        return None
    lists = [part for part in value.values() if isinstance(part, list) and part and all(isinstance(one, dict) for one in part)]
    return lists[0] if len(lists) == 1 else None


def _item(record: object, number: int) -> str:
    """The record's own id, else its number."""
    own = next((record[key] for key in ID_KEYS if record.get(key) is not None), number) if isinstance(record, dict) else number
    return str(own)


def texts(record: object) -> list[str]:
    """The texts of a benchmark's record: one, or one per turn; empty without a known key."""
    if isinstance(record, str):
        return [record]
    if not isinstance(record, dict):
        return []
    for key in TEXT_KEYS:
        spoken = _spoken(record.get(key))
        if spoken and key == "instruction":
            return [f"{spoken[0]}\n{more}" if more else spoken[0] for more in _inputs(record)]
        if spoken:
            return spoken
    return []


def _spoken(value: object) -> list[str]:
    """A text, a list of texts, or the user turns in a list of messages."""
    if isinstance(value, str):
        return [value] if value.strip() else []
    if not isinstance(value, list):
        return []
    contents = [one.get("content") if isinstance(one, dict) and one.get("role", "user") == "user" else one for one in value]
    return [text for text in contents if isinstance(text, str) and text.strip()]


def solutions(record: object) -> list[str]:
    """The reference solutions of a benchmark's record: the texts under the first known key."""
    if not isinstance(record, dict):
        return []
    for key in SOLUTION_KEYS:
        texts = [text for holder in _holders(record) for text in _spoken(holder.get(key))]
        if texts:
            return texts
    return []


def _inputs(record: dict[str, object]) -> list[str]:
    """The distinct inputs of an instruction; "" where there is none."""
    inputs = {next((value for key in CONTEXT_KEYS if isinstance(value := one.get(key), str)), "") for one in _holders(record)}
    return sorted(inputs) or [""]


def _holders(record: dict[str, object]) -> list[dict[str, object]]:
    """The record's instances; the record itself where it has none."""
    instances = record.get(INSTANCES)
    return [one for one in instances if isinstance(one, dict)] if isinstance(instances, list) and instances else [record]


def of_benchmarks(items: pa.Table) -> dict[str, int]:
    """Number of items of each benchmark, by name."""
    distinct = items.group_by(["benchmark", "item"], use_threads=False).aggregate([])
    counts = pc.value_counts(distinct["benchmark"])
    return dict(sorted(zip(strings(counts.field("values")), counts.field("counts").to_numpy().tolist(), strict=True)))
