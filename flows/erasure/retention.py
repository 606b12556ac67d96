"""How long conversations and versions are kept: the section `retention`, and the flow of that name, which nobody starts by default."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from pydantic import Field

from flows.erasure import known, locks, subject, versions
from flows.versions import record
from tasks.core import params
from tasks.core.params import StageParams
from tasks.core.shell import PARAMS

SECTION = "retention"


class Params(StageParams):
    """The section `retention`."""

    raw_days: int = Field(ge=0)
    versions_keep: int = Field(ge=0)


def load() -> Params:
    """What `params.yaml` says."""
    return params.load(PARAMS, SECTION, Params)


def cut_off(days: int, today: dt.date | None = None) -> dt.date:
    """The day before which a conversation is too old, as of today by UTC."""
    return (today or dt.datetime.now(dt.UTC).date()) - dt.timedelta(days=days)


def apply(settings: Params) -> Iterator[str]:
    """Write the tombstone of what is too old, and delete the bytes of versions that are too many; a line for each thing done."""
    if settings.raw_days:
        before = cut_off(settings.raw_days)
        yield f"{subject.bury(subject.of_age(before))}: conversations whose last message is from before {before} are left out from now on"
    if settings.versions_keep:
        yield from thin(settings.versions_keep)


def thin(keep: int) -> Iterator[str]:
    """Delete the bytes that only versions older than the newest `keep` need; their tags and records stay."""
    found = record.records() if versions.has_records() else []
    old = [one for one in found[:-keep] if not one.get("erased")]
    if not old:
        yield f"versions: {len(found)}, none older than the newest {keep}"
        return
    history = locks.read()
    gone = {out for one in old for out in locks.outs_at(one["tag"])}
    needed = {out for one in found[-keep:] for out in locks.outs_at(one["tag"])} | {out for entry in history.current for out in entry.outs}
    with known.opened() as (stores, _):
        looked = versions.Look(history, stores, subject.nobody())
        versions.plan(looked.objects(gone - needed), [one["tag"] for one in old if locks.outs_at(one["tag"]) - needed])
        yield from versions.finish(stores)
        yield from stores.away
