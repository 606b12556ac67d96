"""Figures that one build can be compared with another by: counts, and parts of a whole. No text of logs, no name of a person or file."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.dvc import dataset_stages
from tasks.core import pipeline

if TYPE_CHECKING:
    import pyarrow as pa

Share = tuple[int, int]  # how many, of how many
Shares = dict[str, Share]
Figures = dict[str, Shares]  # subject: item: share; of a bare count the whole is 0

LEDGER, BIAS, PROBE, METRICS = "ledger.json", "bias.json", "probe.json", "metrics.json"
COUNTED = re.compile("pairs_[a-z]+|unpaired|prompts")  # metrics that are counts of rows
INGEST, RECORDS = "ingest", "records"
LENGTH = "length"


def here(release: Path) -> Figures:
    """The figures of the build that lies here."""
    found = from_record(_json(release / METRICS), ledgers()) | {"agreement": _agreement(), "languages": _languages()}
    found["volume"] |= _conversations() | _feedback() | _formats()
    found["unread"] |= _files()
    bias, probe = _json(release / BIAS), _json(release / PROBE).get("accuracy") or {}
    found["labels"] = _labels() | _told(bias.get("positions", {}).items(), "shown first won") | _longer(bias)
    found["bias"] = _told((item for item in bias.get("features", {}).items() if item[0] != LENGTH), "chosen has more")
    found["voters"] = _voters()
    found["probe"] = {"accuracy": (round(probe["share"] * probe["pairs"]), probe["pairs"])} if probe.get("pairs") else {}
    return found


def from_record(metrics: Mapping[str, Any], books: Mapping[str, Mapping[str, Any]]) -> Figures:
    """What metrics and ledgers alone say."""
    counts = {name: (int(value), 0) for name, value in metrics.items() if COUNTED.fullmatch(name)}
    first = next(iter(books.values()), {})
    counts |= {name: (int(first[name]["kept"]), 0) for name in ("turns", "feedback") if name in first}
    records = books.get(INGEST, {}).get(RECORDS)
    unread = {RECORDS: (int(records["dropped"]), int(records["in"] + records["made"]))} if records else {}
    return {"volume": counts, "unread": unread, "drops": dict(_drops(books))}


def _drops(books: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Share]]:
    """The share of dropped rows in a table, and that of each reason; records that are not read are counted as such."""
    for stage, book in books.items():
        for table, account in book.items():
            whole = int(account["in"] + account["made"])
            if whole and (stage, table) != (INGEST, RECORDS):
                yield f"{stage} {table}", (int(account["dropped"]), whole)
                yield from ((f"{stage} {table} {reason}", (int(count), whole)) for reason, count in account["reasons"].items())


def ledgers() -> dict[str, dict[str, Any]]:
    """The ledger of each stage of the dataset; of one that is private and not here, as a later stage passed it on."""
    outputs = [pipeline.stage(name).output for name in dataset_stages()]
    found: dict[str, dict[str, Any]] = {}
    for name in dataset_stages():
        places = [pipeline.stage(name).output / LEDGER, *(output / name / LEDGER for output in outputs)]
        if place := next((place for place in places if place.is_file()), None):
            found[name] = _json(place)
    return found


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def _rows(name: str, *columns: str) -> pa.Table | None:
    """Columns of a table as the first stage that is not private wrote it; none where there is no such table."""
    for stage in map(pipeline.stage, dataset_stages()):
        folder = stage.output / name
        if not stage.private and folder.is_dir():
            from pyarrow.parquet import read_table  # every command would wait for Arrow otherwise

            return read_table(folder, columns=list(columns))
    return None


def _conversations() -> Shares:
    turns = _rows("turns", "conversation_id")
    return {} if turns is None else {"conversations": (len(turns["conversation_id"].unique()), 0)}


def _languages() -> Shares:
    """Of all conversations, those in each language; one in two languages counts for each."""
    turns = _rows("turns", "conversation_id", "language")
    if turns is None:
        return {}
    couples = turns.group_by(["conversation_id", "language"]).aggregate([])
    return _parts(Counter(str(language) for language in couples["language"].to_pylist() if language is not None))


def _parts(counted: Mapping[str, int]) -> Shares:
    whole = sum(counted.values())
    return {name: (count, whole) for name, count in sorted(counted.items())}


def _feedback() -> Shares:
    feedback = _rows("feedback", "kind")
    counted = Counter(feedback["kind"].to_pylist()) if feedback is not None else {}
    return {f"feedback {kind}": (count, 0) for kind, count in sorted(counted.items())}


def _formats() -> Shares:
    files = _rows("files", "format", "records", "quarantined")
    counted: Counter[str] = Counter()
    for row in files.to_pylist() if files is not None else ():
        counted[row["format"] or ""] += row["records"] - row["quarantined"]
    return {f"records {name}": (count, 0) for name, count in sorted(counted.items()) if name}


def _files() -> Shares:
    files = _rows("files", "format")
    return {"files": (files["format"].null_count, len(files))} if files is not None and len(files) else {}


def _labels() -> Shares:
    """Of each kind of feedback with a value, the share in the upper half of its scale."""
    feedback = _rows("feedback", "kind", "value", "scale_min", "scale_max")
    above, whole = Counter[str](), Counter[str]()
    for row in feedback.to_pylist() if feedback is not None else ():
        if row["value"] is not None and row["scale_max"] is not None:
            whole[row["kind"]] += 1
            above[row["kind"]] += row["value"] > (row["scale_min"] + row["scale_max"]) / 2
    return {f"{kind} above the middle": (above[kind], whole[kind]) for kind in sorted(whole)}


def _longer(bias: Mapping[str, Any]) -> Shares:
    known = bias.get("features", {}).get(LENGTH)
    return {"chosen is longer": (known["more"], known["differ"])} if known and known["differ"] else {}


def _told(items: Any, what: str) -> Shares:  # noqa: ANN401 (entries of a JSON file)
    return {f"{what}: {name}": (known["more"], known["differ"]) for name, known in items if known["differ"]}


def _agreement() -> Shares:
    """Of the answers that several people judged, those on which they agree."""
    table = _rows("agreement", "kind", "annotator_kind", "shared_items", "raw")
    rows = table.to_pylist() if table is not None else []
    return {
        f"{row['kind']} by {row['annotator_kind']}": (round(row["raw"] * row["shared_items"]), row["shared_items"])
        for row in rows
        if row["shared_items"] and row["raw"] is not None
    }


def _voters() -> Shares:
    """The votes of whoever votes most, of all."""
    table = _rows("annotators", "annotator", "votes")
    votes: Counter[str] = Counter()
    for row in table.to_pylist() if table is not None else ():
        votes[row["annotator"]] += row["votes"]
    return {"the most active": (max(votes.values()), sum(votes.values()))} if votes else {}
