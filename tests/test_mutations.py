"""Claims about damaged records: keys gone, renamed or of another kind, values that nobody expects, bytes broken.

The records of all formats are damaged at random, the same way for the same seed. No damage is a traceback, and each record of a file is
read or named in the quarantine.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tasks.core import pipeline
from tasks.core.params import load
from tasks.ingest import stage as ingest
from tests.builders.format_examples import EXAMPLES
from tests.conftest import ROOT

RECORDS = [record for path in sorted(EXAMPLES.glob("*.json")) for record in json.loads(path.read_text("utf-8"))["records"]]
KEYS = sorted({key for record in RECORDS for key in record} | {"conversation_id", "rating", "chosen", "extra"})
IDS = {"id", "uuid", "conversation_id", "conversationId", "message_tree_id", "message_id"}
STRANGE: list[Any] = [
    *(None, True, False, 0, -1, 2, 10**30, 0.5, -1e300, float("nan"), float("inf")),
    *("", " ", "0", "nan", "null", "up", "\x00", "\ud800", "2026-13-45", "1e999", "a\u2028b", "x" * 2000),
    *([], {}, [None], [[]], [{}], {"": None}, {"id": {}}, [1, "a", None], {"role": "user"}, {"content": [{"type": "text"}]}),
]  # fmt: skip


def places(record: Any) -> list[tuple[Any, Any]]:
    """All containers of a record with the keys or numbers that they hold."""
    found: list[tuple[Any, Any]] = []
    waiting = [record]
    while waiting:
        inside = waiting.pop()
        names: Any = list(inside) if isinstance(inside, dict) else range(len(inside))
        found += [(inside, name) for name in names]
        waiting += [inside[name] for name in names if isinstance(inside[name], dict | list)]
    return found


def damaged(record: object, draw: random.Random) -> Any:
    """The record after one to three accidents."""
    whole = json.loads(json.dumps(record))
    for _ in range(draw.randint(1, 3)):
        spots = places(whole)
        if not spots:
            return whole
        inside, name = draw.choice(spots)
        kind = draw.randrange(6)
        if kind == 0:
            del inside[name]
        elif kind == 1 and isinstance(inside, dict):
            inside[draw.choice(KEYS)] = inside.pop(name)
        elif kind == 2:
            inside[name] = [inside[name]]
        elif kind == 3:
            inside[name] = str(inside[name])
        else:
            inside[name] = json.loads(json.dumps(draw.choice(STRANGE)))
    return whole


def lines(count: int, seed: int) -> Iterator[str]:
    """Damaged records as JSON; most tell chats of their own, a few the same again."""
    draw = random.Random(seed)
    for at in range(count):
        record = damaged(draw.choice(RECORDS), draw)
        if isinstance(record, dict) and draw.random() < 0.95:
            own: dict[str, Any] = {key: f"{record[key]}-{seed}-{at}" for key in IDS & record.keys() if isinstance(record[key], str)}
            record |= own or {"serial": at}
        yield json.dumps(record, ensure_ascii=draw.random() < 0.5)


def read(root: Path) -> Path:
    """The output of `ingest` over root/raw, however much of it is unread."""
    params = load(ROOT / "params.yaml", "ingest", ingest.Params)
    all_of_it = params.max_unread.model_copy(update={"records": 1.0, "file": 1.0, "files": 1.0})
    (root / "out").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        reading = dataclasses.replace(pipeline.stage("ingest", ROOT), data=(root / "raw", root / "erased"))
        ingest.work(reading, params.model_copy(update={"max_unread": all_of_it}), root / "out")
    return root / "out"


def origins(column: pa.ChunkedArray[Any]) -> pa.Table:
    """Where each row comes from, as a table."""
    parts = cast("pa.StructArray", column.combine_chunks()).flatten()
    return pa.table(dict(zip(("file", "record", "at"), parts, strict=True)))


def told(out: Path) -> dict[str, set[int]]:
    """By file the records of which something was kept, dropped or put into the quarantine."""
    found: dict[str, set[int]] = {}
    for table in ("turns", "feedback", "dropped/turns", "dropped/feedback", "quarantine"):
        for path in (out / table).glob("*.parquet"):
            rows = pq.read_table(path, columns=["file", "record"] if table == "quarantine" else ["origin"])
            flat = rows if table == "quarantine" else origins(rows["origin"])
            for name in cast("list[str]", pc.unique(flat["file"]).to_pylist()):
                numbers = flat.filter(pc.equal(flat["file"], pa.scalar(name)))["record"].to_numpy()
                found.setdefault(name, set()).update(np.unique(numbers).tolist())
    return found


@pytest.mark.parametrize(("files", "count"), [(2, 5_000), pytest.param(10, 100_000, marks=pytest.mark.slow)])
def test_no_damaged_record_of_any_format_is_a_traceback_or_lost(tmp_path: Path, files: int, count: int) -> None:
    (tmp_path / "raw").mkdir()
    names = []
    for number in range(files):
        data = "".join(line + "\n" for line in lines(count, number)).encode("utf-8", "surrogatepass")
        (tmp_path / "raw" / f"{number}.jsonl").write_bytes(data)
        names.append(hashlib.sha256(data).hexdigest()[:16])
    found = told(read(tmp_path))
    assert sorted(found) == sorted(names)
    assert [(name, sorted(lost)[:5]) for name, records in found.items() if (lost := set(range(count)) - records)] == []


@pytest.mark.parametrize("seed", range(3))
def test_broken_bytes_cost_no_whole_line_beside_them(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    (tmp_path / "raw").mkdir()
    data, whole = bytearray(), set[str]()
    for at in range(1_000):
        chat = {
            "id": f"whole-{at}",
            "messages": [{"role": "user", "content": f"Question {at}?"}, {"role": "assistant", "content": f"Answer {at}."}],
        }
        line = bytearray(json.dumps(chat).encode())
        if at % 5 == 2:
            for _ in range(draw.randint(1, 3)):
                line[draw.randrange(len(line))] = draw.choice([byte for byte in range(256) if byte not in b"\r\n"])
            line = line[: draw.choice([len(line), draw.randrange(len(line))])]
        else:
            whole.add(f"jsonl:whole-{at}")
        data += line + b"\n"
    (tmp_path / "raw" / "log.jsonl").write_bytes(data)
    kept = {name for path in (read(tmp_path) / "turns").glob("*.parquet") for name in pq.read_table(path)["conversation_id"].to_pylist()}
    assert sorted(whole - kept) == []
