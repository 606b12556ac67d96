"""Results of the check: what each found, as a table and as an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

PASSED, FAILED, NOTHING_TRIED = 0, 1, 2  # exit codes
HEAD = ("check", "model", "how", "result", "ms a step", "beside bare", "peak MiB", "beside bare", "what was seen")
WORDS = {True: "passed", False: "FAILED", None: "not tried"}


@dataclass(frozen=True)
class Cost:
    """What a training costs: seconds of every step that is counted, and bytes of the GPU at the peak (0 on a processor)."""

    steps: tuple[float, ...]
    peak: int

    @property
    def seconds(self) -> float:
        """Of the middle step."""
        return median(self.steps)


@dataclass(frozen=True)
class Result:
    """What one check found; `passed` is None where it could not be tried here."""

    check: str
    model: str
    how: str
    passed: bool | None
    note: str
    cost: Cost | None = None
    bare: Cost | None = None

    def cells(self) -> tuple[str, ...]:
        """One line of the table."""
        return (self.check, self.model, self.how, WORDS[self.passed], *self._costs(), self.note)

    def _costs(self) -> tuple[str, str, str, str]:
        if self.cost is None:
            return ("", "", "", "")
        peak = f"{self.cost.peak / 2**20:,.0f}" if self.cost.peak else ""
        times, memory = beside(self.cost, self.bare)
        return (f"{1000 * self.cost.seconds:.1f}", _times(times), peak, _times(memory))

    def document(self) -> dict[str, object]:
        """The same for JSON."""
        return asdict(self)


def beside(cost: Cost, bare: Cost | None) -> tuple[float | None, float | None]:
    """How many times the bare loop's step time and peak memory; None where there is nothing to compare with.

    Both learn from the same rows in the same order, so steps are compared one by one, and the middle ratio counts: batches differ in
    length, and now and then a step waits for something else.
    """
    if bare is None:
        return None, None
    return median([one / other for one, other in zip(cost.steps, bare.steps, strict=True)]), cost.peak / bare.peak if bare.peak else None


def _times(value: float | None) -> str:
    return "" if value is None else f"x{value:.2f}"


def table(results: Sequence[Result]) -> str:
    """All results as a table in Markdown, its columns aligned."""
    lines = [HEAD, *(one.cells() for one in results)]
    lines = [tuple(cell.replace("|", "/").replace("\n", " ") for cell in line) for line in lines]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEAD))]
    written = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines]
    return "\n".join([written[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *written[1:]])


def summary(results: Sequence[Result]) -> str:
    """The last line: how many of which."""
    counts = {word: sum(one.passed is verdict for one in results) for verdict, word in WORDS.items()}
    return "gpu-check: " + ", ".join(f"{count} {word.lower()}" for word, count in counts.items())


def exit_code(results: Sequence[Result]) -> int:
    """1 where a check failed, 2 where none could be tried, else 0."""
    if any(one.passed is False for one in results):
        return FAILED
    return PASSED if any(one.passed for one in results) else NOTHING_TRIED
