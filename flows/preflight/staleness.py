"""What a run would do: the stages that are stale, with DVC's reasons."""

from __future__ import annotations

from collections.abc import Iterator

from flows import dvc
from flows.preflight.finding import Finding, counted, error, ok
from tasks.core import pipeline
from tasks.core.errors import UserError

TOPIC = "stages"
REASONS = 2  # told of each stage


def findings() -> Iterator[Finding]:
    """One line for all that is up to date, one for each stage that is stale by itself."""
    try:
        changed = dvc.stale(looking=True)
    except UserError as fault:
        yield error(TOPIC, fault)
        return
    late = dvc.waiting(changed)
    never = [name for name, reasons in changed.items() if reasons == [dvc.NEVER]]
    stale = {name: reasons for name, reasons in changed.items() if name not in never}
    known = len(pipeline.stages())
    idle = known - len(changed) - len(late)
    parts = [f"{idle} of {counted(known, 'stage')} up to date"]
    parts += [f"{len(never)} never run here"] if never else []
    parts += [f"{len(stale)} stale"] if stale else []
    parts += [f"{len(late)} waiting for those"] if late else []
    yield ok(TOPIC, ", ".join(parts))
    for name, reasons in stale.items():
        more = f" and {len(reasons) - REASONS} more" if len(reasons) > REASONS else ""
        yield ok(TOPIC, f"{name} is stale: {', '.join(reasons[:REASONS])}{more}")
