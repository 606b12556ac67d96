"""Why a pair changed between two versions.

First what happened to its own votes, then to other votes on its prompt, then to parameters and code of the stages that decide about it.
Several may hold; the first one is *the* reason. Votes elsewhere move the estimates that all pairs share: what they alone moved is `other`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.changes.evidence import Evidence, Settings
from flows.changes.matching import Sides, sides
from flows.versions.stored import TOMBSTONES
from tasks.common.arrays import Mask, Rows, filled, flat, mask, numbers, owners
from tasks.core.tables import TEXT

ERASED, LOG_GONE, NEW_LOG, CHANGED, NEW, WITHDRAWN = "erased", "log gone", "new log", "vote changed", "new vote", "vote withdrawn"
PARAMETER, CODE, OTHER = "parameter", "code", "other"
ORDER = (ERASED, LOG_GONE, NEW_LOG, CHANGED, NEW, WITHDRAWN, PARAMETER, CODE, OTHER)  # the first that holds is the reason
OF_VOTES = ORDER[: ORDER.index(PARAMETER)]
SAYS = ("kind", "response_id", "value", "raw", "better", "worse")  # of a vote: what it says
MAKER, SPLITTER = "pair", "split"  # stages that decide about a pair, and about its split


@dataclass(frozen=True)
class Between:
    """What differs between two versions but the pairs."""

    new_logs: list[str]
    gone_logs: list[str]
    changed_logs: list[str]
    parameters: list[tuple[str, Any, Any]]  # name, before, after
    code: list[str]  # stages whose code differs
    inputs: list[str]  # other inputs that differ


@dataclass(frozen=True)
class Cause:
    """Why each changed row changed: `holds[reason]` of all reasons, and what a stage dropped it for."""

    holds: dict[str, Mask]
    details: list[str]

    def reasons(self) -> list[list[str]]:
        """The reasons of each row, the first of them the one that counts."""
        table = np.stack([self.holds[reason] for reason in ORDER])
        return [[ORDER[at] for at in np.flatnonzero(row)] for row in table.T]


def between(before: Evidence, after: Evidence) -> Between:
    """What differs in logs, settings and inputs."""
    first, second = set(before.files.values()), set(after.files.values())
    kept = (first & second, set(before.files.items()) ^ set(after.files.items()))
    one, two = before.settings, after.settings
    return Between(
        sorted(second - first),
        sorted(first - second),
        sorted({name for _, name in kept[1]} & kept[0]),
        [change for stage in two.parameters for change in _parameters(stage, one, two)],
        [stage for stage in two.code if one.code.get(stage, {}) != two.code[stage]],
        sorted(path for path in {*one.inputs, *two.inputs} if one.inputs.get(path) != two.inputs.get(path)),
    )


def _parameters(stage: str, before: Settings, after: Settings) -> list[tuple[str, Any, Any]]:
    first, second = before.parameters.get(stage, {}), after.parameters[stage]
    names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    return [(f"{stage}.{name}", first.get(name), second.get(name)) for name in names]


def find(before: Evidence, after: Evidence, a: Rows, b: Rows, decided: Mask) -> Cause:
    """The causes of changed rows: places `a` before and `b` after (-1: none there); `decided`: only its split changed."""
    differs = between(before, after)
    behind = _behind(before, after, a, b)
    holds = _of_votes(before, after, differs, behind, len(a), _all_gone(before, after, a))
    told = np.logical_or.reduce([holds[reason] for reason in OF_VOTES])
    nearby = _of_votes(before, after, differs, _on_prompt(before, after, a, b), len(a), np.zeros(len(a), bool))
    for reason in OF_VOTES:
        holds[reason] |= nearby[reason] & ~told
    fate, details = _fates(before, after, a, b, decided)
    last = list(after.settings.code)
    told = np.logical_or.reduce([holds[reason] for reason in OF_VOTES])
    changed = {PARAMETER: {name.partition(".")[0] for name, _, _ in differs.parameters}, CODE: set(differs.code)}
    for reason, stages in changed.items():
        first = min((last.index(stage) for stage in stages), default=len(last))
        holds[reason] = (fate >= first) & ~told
    holds[CODE] &= ~holds[PARAMETER]
    holds[OTHER] = ~np.logical_or.reduce([holds[reason] for reason in ORDER[:-1]])
    names = _named(differs, last, fate, holds)
    return Cause(holds, [", ".join(filter(None, parts)) for parts in zip(details, names, strict=True)])


def _named(differs: Between, stages: list[str], fate: Rows, holds: dict[str, Mask]) -> list[str]:
    """The parameters, or the stages of the code, that may have done it."""
    places = range(len(stages))
    texts = {
        PARAMETER: [_until(((name.split(".")[0], name) for name, _, _ in differs.parameters), stages[: at + 1]) for at in places],
        CODE: [_until(((stage, stage) for stage in differs.code), stages[: at + 1]) for at in places],
    }
    found = np.full(len(fate), "", object)
    for reason, by_stage in texts.items():
        at = np.flatnonzero(holds[reason])
        found[at] = np.array([*by_stage, ""], object)[fate[at]]
    return list(found)


def _until(names: Iterable[tuple[str, str]], stages: list[str]) -> str:
    """The names that belong to these stages."""
    return "; ".join(name for stage, name in names if stage in stages)


@dataclass(frozen=True)
class Behind:
    """Votes of changed rows: row, and the vote's id."""

    row: Rows
    vote: pa.Array[Any]


def _behind(before: Evidence, after: Evidence, a: Rows, b: Rows) -> Behind:
    """The votes behind each row in either version, those of a dropped proposal of the same two answers too."""
    was, is_there = a >= 0, b >= 0
    known = sides(before.pairs.take(a[was]), after.pairs.take(b[is_there]), before.proposed, after.proposed)
    keys = np.full(len(a), -1)
    keys[was] = known.unordered[0]
    keys[is_there] = known.unordered[1]
    parts = [_votes(before.pairs, a, np.arange(len(a))), _votes(after.pairs, b, np.arange(len(a)))]
    parts += [_votes(table, *_proposals(known, place, keys)) for place, table in ((2, before.proposed), (3, after.proposed))]
    return Behind(np.concatenate([part.row for part in parts]), pa.concat_arrays([part.vote for part in parts]))


def _proposals(known: Sides, place: int, keys: Rows) -> tuple[Rows, Rows]:
    """Rows of a table of proposals about the same answers as the changed rows, and those rows."""
    order = np.argsort(known.unordered[place], kind="stable")
    there = known.unordered[place][order]
    start, end = np.searchsorted(there, keys, "left"), np.searchsorted(there, keys, "right")
    rows = np.repeat(np.arange(len(keys)), end - start)
    offset = np.arange(len(rows)) - np.repeat(np.cumsum(end - start) - (end - start), end - start)
    return order[start[rows] + offset], rows


def _votes(table: pa.Table, places: Rows, rows: Rows) -> Behind:
    """The votes of these rows of a table."""
    there = places >= 0
    lists = flat(table["votes"]).take(places[there])
    return Behind(rows[there][owners(lists)], pc.list_flatten(lists).cast(TEXT))


def _on_prompt(before: Evidence, after: Evidence, a: Rows, b: Rows) -> Behind:
    """All votes on each row's prompt, or on the one that it is a variant of."""
    prompts = _prompt(before, after, a, b)
    parts = []
    for version in (before, after):
        votes = version.votes
        order = pc.sort_indices(flat(votes["prompt_id"]))
        ordered = flat(votes["prompt_id"]).take(order)
        names, at = np.unique(np.asarray(ordered.to_numpy(zero_copy_only=False), object), return_index=True)
        counts = np.append(np.diff(at), len(ordered) - at[-1:]) if len(at) else at
        found = numbers(pc.index_in(prompts, value_set=pa.array(names, TEXT)))
        there = np.flatnonzero(found >= 0)
        width = counts[found[there]]
        row = np.repeat(there, width)
        offset = np.arange(len(row)) - np.repeat(np.cumsum(width) - width, width)
        place = order.take(np.repeat(at[found[there]], width) + offset)
        parts.append(Behind(row, flat(votes["feedback_id"]).take(place)))
    return Behind(np.concatenate([part.row for part in parts]), pa.concat_arrays([part.vote for part in parts]))


def _prompt(before: Evidence, after: Evidence, a: Rows, b: Rows) -> pa.Array[Any]:
    """The original prompt of each row."""
    columns = [_taken(version.pairs, rows) for version, rows in ((before, a), (after, b))]
    return pc.coalesce(*columns)


def _taken(pairs: pa.Table, rows: Rows) -> pa.Array[Any]:
    original = pc.coalesce(flat(pairs["augmented_from"]), flat(pairs["prompt_id"]))
    return original.take(pa.array(rows, pa.int64(), mask=rows < 0))


def _of_votes(before: Evidence, after: Evidence, differs: Between, behind: Behind, count: int, all_gone: Mask) -> dict[str, Mask]:
    """Which rows changed with their votes, by reason."""
    old, new = _Votes(before), _Votes(after)
    was, here = old.has(behind.vote), new.has(behind.vote)
    fresh, lost = here & ~was, was & ~here
    log_fresh, log_lost = new.in_logs(behind.vote, before) & fresh, old.in_logs(behind.vote, after) & lost
    erased = np.zeros(len(lost), bool)
    if any(Path(path).name == TOMBSTONES for path in differs.inputs):
        erased = lost & ~log_lost & (old.in_files(behind.vote, set(after.files)) | all_gone[behind.row])
    withdrawn = lost & ~log_lost & ~erased
    changed = was & here & (old.says(behind.vote) != new.says(behind.vote))
    changed |= _replaced(behind, fresh & ~log_fresh, withdrawn, new, old)
    found = {ERASED: erased, LOG_GONE: log_lost, NEW_LOG: log_fresh, CHANGED: changed}
    found |= {NEW: fresh & ~log_fresh & ~changed, WITHDRAWN: withdrawn & ~changed}
    return {reason: np.bincount(behind.row[holds], minlength=count) > 0 for reason, holds in found.items()}


def _replaced(behind: Behind, fresh: Mask, lost: Mask, new: _Votes, old: _Votes) -> Mask:
    """Votes that came where another of the same person went, and those that went."""
    if not fresh.any() or not lost.any():
        return np.zeros(len(fresh), bool)
    people = pa.concat_arrays([new.people(behind.vote.filter(pa.array(fresh))), old.people(behind.vote.filter(pa.array(lost)))])
    who = numbers(people.dictionary_encode().indices)
    rows = np.concatenate([behind.row[fresh], behind.row[lost]])
    keys = np.where(who < 0, -1, rows * (who.max(initial=0) + 1) + who)
    came, went = keys[: fresh.sum()], keys[fresh.sum() :]
    found = np.zeros(len(fresh), bool)
    found[fresh], found[lost] = np.isin(came, went[went >= 0]), np.isin(went, came[came >= 0])
    return found


class _Votes:
    """The votes of a version, looked up by id."""

    def __init__(self, version: Evidence) -> None:
        self.table = version.votes
        self.ids = flat(version.votes["feedback_id"])
        self.acts = pa.concat_arrays([version.acts.cast(TEXT), self.ids])
        self.names = version.files

    def has(self, votes: pa.Array[Any]) -> Mask:
        """Which of these were read."""
        return mask(pc.is_in(votes, value_set=self.acts))

    def _column(self, values: pa.Array[Any], votes: pa.Array[Any]) -> pa.Array[Any]:
        return values.take(pc.index_in(votes, value_set=self.ids))

    def people(self, votes: pa.Array[Any]) -> pa.Array[Any]:
        """Who gave each."""
        return self._column(flat(self.table["annotator"]), votes)

    def says(self, votes: pa.Array[Any]) -> Any:  # noqa: ANN401 (an array of objects, compared as a whole)
        """What each says, as one text."""
        columns = [filled(flat(self.table[name]).cast(TEXT), "-") for name in SAYS]
        said = cast("pa.Array[Any]", pc.binary_join_element_wise(*columns, pa.scalar("|", TEXT)))  # type: ignore[call-overload]
        return np.asarray(self._column(said, votes).to_numpy(zero_copy_only=False), object)

    def _files(self, votes: pa.Array[Any]) -> pa.Array[Any]:
        return pc.utf8_slice_codeunits(self._column(flat(self.table["origin"]), votes), 0, 16)

    def in_files(self, votes: pa.Array[Any], files: set[str]) -> Mask:
        """Which were read from one of these files."""
        return mask(pc.is_in(self._files(votes), value_set=pa.array(sorted(files), TEXT)))

    def in_logs(self, votes: pa.Array[Any], other: Evidence) -> Mask:
        """Which were read from a file that the other version has not, under no name and with no content."""
        known = {file for file, name in self.names.items() if file in other.files or name in other.files.values()}
        return self.in_files(votes, set(self.names) - known)


def _all_gone(before: Evidence, after: Evidence, a: Rows) -> Mask:
    """Which rows of the version before come from conversations none of which is there after."""
    lists = flat(before.pairs["conversations"]).take(a[a >= 0])
    there = mask(pc.is_in(pc.list_flatten(lists).cast(TEXT), value_set=after.conversations.cast(TEXT)))
    found = np.zeros(len(a), bool)
    found[a >= 0] = np.bincount(owners(lists)[there], minlength=len(lists)) == 0
    return found


def _fates(before: Evidence, after: Evidence, a: Rows, b: Rows, decided: Mask) -> tuple[Rows, list[str]]:
    """The stage that decided about each row, by its place in the path, and the reason for which it was dropped in the other version."""
    stages = list(after.settings.code)
    fate = np.where(decided, stages.index(SPLITTER), stages.index(MAKER))
    details = np.full(len(a), "", object)
    for version, rows, where in ((after, a, b < 0), (before, b, a < 0)):
        source = before if version is after else after
        at = np.flatnonzero(where)
        stage, reason = _drop(version, source, rows[at])
        fate[at] = np.where(stage >= 0, stage, fate[at])
        word = "dropped" if version is after else "before dropped"
        details[at] = [f"{word} by {stages[number]}: {why}" if number >= 0 else "" for number, why in zip(stage, reason, strict=True)]
    return fate, list(details)


def _drop(version: Evidence, source: Evidence, rows: Rows) -> tuple[Rows, list[str]]:
    """Which stage of a version dropped these pairs of another, or their prompts, and why; -1 and nothing where none did."""
    stages = list(version.settings.code)
    known = sides(source.pairs.take(rows), version.proposed)
    order = np.argsort(known.unordered[1], kind="stable")
    proposals = known.unordered[1][order]
    keys = known.unordered[0]
    at = np.minimum(np.searchsorted(proposals, keys), max(len(proposals) - 1, 0))
    hit = proposals[at] == keys if len(proposals) else np.zeros(len(keys), bool)
    reasons = np.asarray(flat(version.proposed["dropped"]).to_numpy(zero_copy_only=False), object)
    stage, why = np.where(hit, stages.index(MAKER), -1), np.full(len(rows), "", object)
    why[hit] = reasons[order[at[hit]]]
    prompts = flat(source.pairs["prompt_id"]).take(rows)
    place = numbers(pc.index_in(prompts, value_set=flat(version.prompts["prompt_id"])))
    other = (place >= 0) & ~hit
    table = version.prompts.take(place[other])
    stage[other] = [stages.index(str(name)) for name in table["stage"].to_pylist()]
    why[other] = table["reason"].to_pylist()
    return stage, list(why)
