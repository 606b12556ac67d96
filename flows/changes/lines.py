"""A difference as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from flows.changes.causes import Between
from flows.changes.difference import KINDS, Difference
from tasks.common.vocabulary.splits import SPLITS

LONGEST = 60  # characters of a parameter's value
Texts = dict[str, tuple[str, str, str]]  # prompt, chosen and rejected answer of a pair


def told(made: Difference, shown: int, texts: Texts) -> Iterator[str]:
    """The lines: counts, what changed between the versions, reasons, and the first `shown` of the pairs."""
    yield from _table([("pairs", *SPLITS, "all"), *_counts(made)])
    yield ""
    yield from between(made.between) or ["nothing else differs between the two"]
    if not made.rows:
        yield "no pair differs"
        return
    yield ""
    yield from _table([("change", "reason", "pairs"), *reasons(made)])
    yield ""
    yield from _table([("pair", "change", "reason", "what"), *(_row(row) for row in made.rows[:shown])])
    if len(made.rows) > shown:
        yield f"... and {len(made.rows) - shown:,} more: see --rows, --json, --html"
    for name, (prompt, chosen, rejected) in texts.items():
        yield from ("", name, *_said("prompt", prompt), *_said("chosen", chosen), *_said("rejected", rejected))


def _said(side: str, words: str) -> Iterator[str]:
    """A text under the name of its side; no line of it can be taken for one of ours."""
    first, *others = words.split("\n")
    yield f"  {side + ':':<9} {first}"
    yield from (f"{'':<11} {other}" for other in others)


def _counts(made: Difference) -> Iterator[tuple[str, ...]]:
    for name, label in (("before", made.before), ("gone", "gone"), ("added", "added"), ("after", made.after)):
        sign = {"gone": "-", "added": "+"}.get(name, "")
        yield (label, *(f"{sign if count else ''}{count:,}" for count in made.pairs[name].values()))


def reasons(made: Difference) -> Iterator[tuple[str, str, str]]:
    """Kind, reason and number of pairs."""
    for kind in KINDS:
        for reason, count in made.kinds[kind].items():
            yield kind, reason, f"{count:,}"


def between(differs: Between) -> list[str]:
    """What differs but the pairs, a line each."""
    logs = {"new logs": differs.new_logs, "logs gone": differs.gone_logs, "logs changed": differs.changed_logs}
    lines = [f"{name}: {', '.join(found)}" for name, found in logs.items() if found]
    lines += [f"parameter {name}: {value(old)} -> {value(new)}" for name, old, new in differs.parameters]
    lines += [f"code of {', '.join(differs.code)}"] if differs.code else []
    return lines + ([f"other inputs: {', '.join(differs.inputs)}"] if differs.inputs else [])


def value(given: Any) -> str:  # noqa: ANN401 (a parameter may be anything)
    """A parameter's value, shortened."""
    text = "none" if given is None else str(given)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _row(row: dict[str, Any]) -> tuple[str, str, str, str]:
    return name(row), ", ".join(row["kinds"]), row["reason"], "; ".join(filter(None, (moves(row), row["detail"])))


def name(row: dict[str, Any]) -> str:
    """The id of a changed pair: as it is after, or was."""
    return str((row["after"] or row["before"])["pair_id"])


def moves(row: dict[str, Any]) -> str:
    """From where to where a pair that stayed went."""
    before, after = row["before"], row["after"]
    if not before or not after:
        return f"{(after or before)['recipe']}, {(after or before)['split']}"
    parts = [f"was {before['pair_id']}"] if before["pair_id"] != after["pair_id"] else []
    for key in ("recipe", "split", "confidence", "weight"):
        old, new = before[key], after[key]
        if old != new:
            parts.append(f"{key} {_number(old)} -> {_number(new)}")
    return ", ".join(parts)


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows under their heads, columns aligned; what looks like a number stands right."""
    lines = list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for row in lines:
        yield "  ".join(_cell(cell, width, first=not at) for at, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()


def _cell(cell: str, width: int, *, first: bool) -> str:
    return cell.rjust(width) if cell[-1:].isdigit() and not first else cell.ljust(width)
