"""The last published version, and what lies outside the project and was otherwise when it was made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flows.preflight.finding import Finding, ok, warning
from flows.versions import environment, record
from tasks.core import params

TOPIC = "environment"


def last() -> record.Record | None:
    """The record of the newest version; none before the first, and in a project that publishes none."""
    document = params.parse(Path("dvc.yaml").read_text(encoding="utf-8"))
    return record.newest() if record.DATASET in (document.get("artifacts") or {}) else None


def findings() -> Iterator[Finding]:
    """Programs, packages and models that are other ones now, so that the same logs may give other bytes."""
    before = last()
    if before is None:
        yield ok(TOPIC, "no version is published yet to compare with")
        return
    now = environment.current()
    was = before["environment"]
    differ = [f"{name} {now.get(name) or 'missing'} (was {was[name] or 'missing'})" for name in was if now.get(name) != was[name]]
    if differ:
        yield warning(TOPIC, f"not as for {before['tag']}, so other bytes may come out: {', '.join(differ)}")
    else:
        yield ok(TOPIC, f"as for {before['tag']}")
