"""What is known of a subject, counted and placed, without a word of what was said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.erasure import database, locks, raw_logs, rows, stores, texts, versions
from flows.erasure.stores import Stores
from flows.erasure.subject import Subject
from flows.storage import private_store
from flows.versions import record
from tasks.common.raw_files import files as raw


@dataclass(frozen=True)
class Known:
    """Everything that is known of a subject."""

    tables: list[rows.Held]
    raw: list[raw_logs.Found]
    versions: list[str]  # tags
    outputs: list[locks.Out]  # of earlier runs and of this one, tables and models
    unsure: list[locks.Out]
    logs: list[tuple[Path, int]]
    database: list[tuple[str, str, int]]
    away: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.tables or self.raw or self.outputs or self.logs or self.database)

    def document(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "tables": [{"stage": one.stage, "table": one.table, "rows": one.rows} for one in self.tables],
            "raw": [{"file": str(one.file.path), "records": [*one.own], "shared": [*one.shared]} for one in self.raw],
            "versions": self.versions,
            "outputs": [{"path": path, "md5": md5} for path, md5 in self.outputs],
            "unsure": [{"path": path, "md5": md5} for path, md5 in self.unsure],
            "logs": [{"file": str(path), "times": count} for path, count in self.logs],
            "database": [{"table": table, "column": column, "cells": count} for table, column, count in self.database],
            "away": [*self.away],
        }

    def lines(self) -> Iterator[str]:
        """All of it for people."""
        for held in self.tables:
            yield f"table     {held.stage}: {held.table}: {held.rows} rows"
        for one in self.raw:
            both = ((one.own, ""), (one.shared, " (others' words too)"))
            told = ", ".join(f"{raw_logs.listed(numbers)}{more}" for numbers, more in both if numbers)
            yield f"raw       {one.file.path}: records {told}"
        yield from (f"version   {tag}" for tag in self.versions)
        yield from (f"output    {path} ({md5[:8]})" for path, md5 in self.outputs)
        yield from (f"unsure    {path} ({md5[:8]}): what it was made from is in no store that answers" for path, md5 in self.unsure)
        yield from (f"log       {path}: {count} times" for path, count in self.logs)
        yield from (f"database  {table}.{column}: {count} cells" for table, column, count in self.database)
        yield from (f"away      {line}" for line in self.away)


def look(subject: Subject) -> Known:
    """Look everywhere."""
    history = locks.read()
    with opened() as (found, _):
        looked = versions.Look(history, found, subject.search)
        marks = rows.here(subject.search) | looked.marks()
        held = looked.find(marks)
        away = found.away
    files = [file for folder in raw_logs.folders() if folder.is_dir() for file in raw.raw_files(folder)]
    return Known(
        tables=[*rows.counted(marks)],
        raw=raw_logs.search_in(files, subject) if files else [],
        versions=tags(held.held),
        outputs=sorted(held.held),
        unsure=sorted(held.unsure),
        logs=texts.files(subject.sure),
        database=database.find(subject.sure),
        away=away,
    )


def tags(held: set[locks.Out]) -> list[str]:
    """The versions whose release is among these outputs."""
    known = record.records() if versions.has_records() else []
    return [one["tag"] for one in known if one["release"]["md5"] in {md5 for _, md5 in held}]


@contextmanager
def opened() -> Iterator[tuple[Stores, Any]]:
    """The stores of outputs, and DVC's view of the workspace."""
    from flows.dvc import repository

    with repository() as found:
        yield stores.opened(found, private_store.named()), found
