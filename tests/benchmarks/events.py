"""Measure `aggregate`, `split` and `pair` on a log with a million acts of feedback, against the limit that they keep to.

    python -m tests.benchmarks.events [EVENTS]

The log is made: conversations of two questions, the first answered twice, as tables of `validate`; thumbs, ratings, choices, rankings,
edits and regenerations by people with habits and by a judging model; a few questions that many ask ("hi"), some asked in nearly
equal words, one act in fifty twice by one person. Each stage is a process of its own; figures are those of whole processes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core import engine, pipeline
from tasks.core.tables import ORIGIN, TEXT, TEXTS, TIME, Feedback, Table, Turns
from tests.benchmarks.corpus import scratch_project
from tests.benchmarks.measure import Figures, run_measured, table
from tests.conftest import ROOT

EVENTS = 1_000_000
STAGES = ("aggregate", "split", "pair")
LIMIT_CPU_SECONDS, LIMIT_MB = 120, 3072  # of the three stages together, for EVENTS
EVENTS_PER_CONVERSATION = 4
CONVERSATIONS_PER_USER = 5
CONVERSATIONS_PER_PANEL = 500
RATERS = 4  # people of a panel, who judge the conversations of others
WORDS = 20_000
GREETINGS = ("hi", "hello", "thanks", "who are you?", "tell me a joke")
KINDS = {"thumb": 0.50, "rating": 0.15, "choice": 0.15, "ranking": 0.08, "regenerate": 0.08, "edit": 0.04}
START = 1_767_225_600_000_000  # 2026-01-01 in microseconds
Rows = npt.NDArray[np.int64]
TURNS = ("q0", "a0", "b0", "q1", "a1")
PARENTS = (None, "q0", "q0", "a0", "q1")


class Log:
    """A made log with so many events, always the same one."""

    def __init__(self, events: int) -> None:
        self.events = events
        self.conversations = events // EVENTS_PER_CONVERSATION
        self.random = np.random.default_rng(5)
        self.words = pa.array([f"{chr(97 + number % 26)}{number:x}" for number in range(WORDS)], TEXT)

    def turns(self) -> pa.Table:
        """The table `turns`: five messages a conversation."""
        count, each = self.conversations, len(TURNS)
        conversation = np.repeat(np.arange(count), each)
        place = np.tile(np.arange(each), count)
        columns = {
            "conversation_id": names("jsonl:c", conversation),
            "turn_id": pa.array(TURNS, TEXT).take(place),
            "parent_id": pa.array(PARENTS, TEXT).take(place),
            "position": pa.array(np.array([0, 1, 1, 2, 3])[place], pa.int32()),
            "role": pa.array(["user", "assistant", "assistant", "user", "assistant"], TEXT).take(place),
            "content": self.contents(place),
            "tool_calls": pa.nulls(len(place), TEXT),
            "attachments": pa.nulls(len(place), TEXTS),
            "model": pa.array(["m1", "m2", "m3"], TEXT).take(pa.array((conversation + place) % 3, mask=np.isin(place, (0, 3)))),
            "user_id": names("u", conversation // CONVERSATIONS_PER_USER),
            "created_at": moments(conversation * 60_000_000 + place * 1_000_000),
            "status": repeat("", len(place)),
            "redacted": pa.nulls(len(place), TEXT),
            "language": pa.array(["en", "en", "en", "de", "es"], TEXT).take(conversation % 5),
            "topic": pa.array(["", "code", "travel"], TEXT).take(conversation % 3),
            "source": repeat("jsonl", len(place)),
            "origin": origins("00aa00aa00aa00aa", conversation, place),
        }
        return in_schema(columns, Turns)

    def contents(self, place: Rows) -> pa.Array[Any]:
        """Questions of a dozen words, answers of forty; one opening in fifty a greeting, one in ten near to an earlier one."""
        asks = np.isin(place, (0, 3))
        lengths = np.where(asks, self.random.integers(8, 16, len(place)), self.random.integers(30, 50, len(place)))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        picks = np.minimum(self.random.zipf(1.2, int(offsets[-1])) - 1, WORDS - 1)
        near = np.flatnonzero((place == 0) & (self.random.random(len(place)) < 0.1))
        near = near[near % (CONVERSATIONS_PER_PANEL * len(TURNS)) > 0]  # the first of a panel has no neighbour: panels stay apart
        for row, earlier in zip(near.tolist(), (near - len(TURNS)).tolist(), strict=True):
            size = min(lengths[row], lengths[earlier]) - 1  # all but the last words are those of the conversation before
            picks[offsets[row] : offsets[row] + size] = picks[offsets[earlier] : offsets[earlier] + size]
        texts = pc.binary_join(pa.LargeListArray.from_arrays(pa.array(offsets), self.words.take(picks)), pa.scalar(" ", TEXT))
        greets = (place == 0) & (self.random.random(len(place)) < 0.02)
        greeting = pa.array(GREETINGS, TEXT).take(self.random.integers(0, len(GREETINGS), len(place)))
        return cast("pa.Array[Any]", pc.if_else(pa.array(greets), greeting, texts))

    def feedback(self) -> pa.Table:
        """The table `feedback`."""
        count = self.events
        kind = self.random.choice(len(KINDS), count, p=list(KINDS.values()))
        is_kind = {name: kind == number for number, name in enumerate(KINDS)}
        conversation = self.random.integers(0, self.conversations, count)
        two = is_kind["choice"] | is_kind["regenerate"]
        first = self.random.random(count) < 0.6  # the first answer is the better one, most of the time
        answer = np.where(first, "a0", "b0").astype(object)
        answer[~two & (self.random.random(count) < 0.4)] = "a1"
        value = self.values(is_kind, first)
        low = np.select([is_kind["thumb"], is_kind["rating"]], [-1.0, 1.0], np.nan)
        high = np.select([is_kind["thumb"], is_kind["rating"]], [1.0, 5.0], np.nan)
        judge = self.random.random(count) < 0.05
        rater = conversation // CONVERSATIONS_PER_PANEL * RATERS + self.random.integers(0, RATERS, count)
        rates = self.random.random(count) < 0.3
        person = pc.if_else(pa.array(rates), names("r", rater), names("u", conversation // CONVERSATIONS_PER_USER))
        columns = {
            "feedback_id": names("f", np.arange(count)),
            "conversation_id": names("jsonl:c", conversation),
            "turn_id": only(~two, answer),
            "kind": pa.array(list(KINDS), TEXT).take(kind),
            "value": pa.array(value, from_pandas=True),
            "scale_min": pa.array(low, from_pandas=True),
            "scale_max": pa.array(high, from_pandas=True),
            "label": pa.nulls(count, TEXT),
            "better": only(two, np.where(first, "a0", "b0")),
            "worse": only(two, np.where(first, "b0", "a0")),
            "shown_first": only(is_kind["choice"], np.full(count, "a0")),
            "group": pa.nulls(count, TEXT),
            "text": pc.if_else(pa.array(is_kind["edit"]), names("better said so: ", np.arange(count)), pa.scalar(None, TEXT)),
            "annotator": pc.if_else(pa.array(judge), pa.scalar("judge", TEXT), person),
            "annotator_kind": pc.if_else(pa.array(judge), pa.scalar("model", TEXT), pa.scalar("person", TEXT)),
            "created_at": moments(conversation * 60_000_000 + 30_000_000 + np.arange(count)),
            "source": repeat("jsonl", count),
            "origin": origins("00bb00bb00bb00bb", np.arange(count), np.full(count, -1)),
        }
        return in_schema(columns, Feedback)

    def values(self, is_kind: dict[str, npt.NDArray[np.bool_]], first: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """What people gave, by kind."""
        stars = np.clip(np.where(first, 4, 3) + self.random.integers(-2, 3, len(first)), 1, 5).astype(float)
        thumbs = np.where(self.random.random(len(first)) < np.where(first, 0.75, 0.45), 1.0, -1.0)
        choices = np.where(self.random.random(len(first)) < 0.1, 0.0, 1.0)
        ranks = self.random.integers(0, 2, len(first)).astype(float)
        cases = [is_kind[name] for name in ("thumb", "rating", "choice", "ranking")]
        return np.select(cases, [thumbs, stars, choices, ranks], np.nan)


def names(prefix: str, numbers: Rows) -> pa.Array[Any]:
    """Ids that sort as their numbers do."""
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.large_string()), 8, "0")
    # The stub mixes no scalars with arrays.
    joined: pa.Array[Any] = pc.binary_join_element_wise(pa.scalar(prefix, TEXT), digits, pa.scalar("", TEXT))  # type: ignore[call-overload]
    return joined


def only(mask: npt.NDArray[np.bool_], texts: npt.NDArray[np.object_ | np.str_]) -> pa.Array[Any]:
    """The texts where the mask holds, null elsewhere."""
    return pa.array(texts, TEXT, mask=~mask)


def repeat(text: str, count: int) -> pa.Array[Any]:
    """One text many times."""
    return pa.repeat(pa.scalar(text, TEXT), count)


def moments(after: Rows) -> pa.Array[Any]:
    """Times so many microseconds after the start of the log."""
    return pa.array(START + after, pa.int64()).cast(TIME)


def origins(file: str, record: Rows, position: Rows) -> pa.Array[Any]:
    """The column `origin`."""
    parts = [repeat(file, len(record)), pa.array(record, pa.int64()), pa.array(position, pa.int32())]
    return pa.StructArray.from_arrays(parts, fields=list(ORIGIN))


def in_schema(columns: dict[str, pa.Array[Any]], kind: type[Table]) -> pa.Table:
    """The columns as a table of this kind; those that are not there are null."""
    rows = len(next(iter(columns.values())))
    return pa.table([columns.get(field.name, pa.nulls(rows, field.type)) for field in kind.schema()], schema=kind.schema())


def project(events: int, root: Path) -> None:
    """A scratch project whose first four stages are done: their output is the made log."""
    scratch_project(root)
    log, output = Log(events), root / pipeline.stage("validate", ROOT).output
    engine.write_sorted(log.turns(), Turns.KEY, output / "turns", 250_000)
    engine.write_sorted(log.feedback(), Feedback.KEY, output / "feedback", 250_000)


def link(root: Path, stage: str) -> None:
    """Stand in for the stages before this one that are not measured: its input is the output of the one measured last."""
    for path in pipeline.stage(stage, ROOT).data:
        if not (root / path).exists() and path.name == "candidates":
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).symlink_to(root / pipeline.stage("split", ROOT).output / "candidates")


def main(events: int) -> int:
    """Print a line a stage and their sum; 1 where the sum is over the limit."""
    with tempfile.TemporaryDirectory(prefix="pairwright-bench-") as scratch:
        root = Path(scratch) / "project"
        project(events, root)
        rows: list[Figures] = []
        for stage in STAGES:
            link(root, stage)
            usage = run_measured([sys.executable, "-m", "tasks", stage], cwd=root)
            rows.append(Figures(stage, events, usage.cpu_seconds, usage.peak_mb, usage.wall_seconds))
    cpu, peak = sum(row.cpu_seconds for row in rows), max(row.peak_mb for row in rows)
    kept = cpu < LIMIT_CPU_SECONDS * events / EVENTS and peak < LIMIT_MB
    note = f"{'within' if kept else 'OVER'} {LIMIT_CPU_SECONDS} CPU s and {LIMIT_MB} MB for {EVENTS:,}"
    rows.append(Figures("together", events, cpu, peak, sum(row.wall_seconds or 0 for row in rows), note))
    sys.stdout.write(table(rows))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS))
