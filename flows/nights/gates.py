"""Gates: the figures of a build against those of the newest published version.

A change has a verdict of its own only where it is larger than a level and beyond what chance gives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from flows import figures
from flows.figures import Figures, Share, Shares
from flows.nights import chance, levels
from flows.nights.levels import Levels, Params
from flows.versions import record
from flows.versions.record import Record

PASS, WARN, STOP, ACCEPTED = "pass", "warn", "stop", "accepted"
HEAD = ("gate", "item", "was", "is", "level", "verdict")
DISTANCE = "distance"  # total variation between two distributions
DISTRIBUTIONS = ("languages",)


@dataclass(frozen=True)
class Finding:
    """One figure beside that of the last version."""

    gate: str
    item: str
    was: str
    now: str
    change: float  # as the levels measure it
    level: float | None  # that the change crossed; else the first that it may not cross
    verdict: str

    @property
    def row(self) -> tuple[str, ...]:
        """The cells of its line in a table."""
        return (self.gate, self.item, self.was, self.now, "" if self.level is None else f"{self.level:g}", self.verdict)

    @property
    def line(self) -> str:
        """The finding in words."""
        level = "none" if self.level is None else f"{self.level:g}"
        return f"{self.gate}: {self.item} was {self.was}, is {self.now} (changed by {self.change:.2g}, level {level})"


@dataclass(frozen=True)
class Verdict:
    """What the gates say of a build."""

    against: str | None  # tag of the version that it was compared with
    findings: tuple[Finding, ...]

    @property
    def state(self) -> str:
        """The worst of all."""
        return worst(finding.verdict for finding in self.findings)

    def having(self, verdict: str) -> list[Finding]:
        """The findings of that verdict, largest change first."""
        return sorted((one for one in self.findings if one.verdict == verdict), key=lambda one: -one.change)

    def rows(self) -> list[Finding]:
        """All findings that do not pass, and of a gate that does the one that changed most."""
        return [one for name in levels.NAMES for one in _told([found for found in self.findings if found.gate == name])]

    def of_gates(self) -> dict[str, str]:
        """The state of each gate that could be judged."""
        gates: dict[str, list[str]] = {}
        for finding in self.findings:
            gates.setdefault(finding.gate, []).append(finding.verdict)
        return {name: worst(found) for name, found in gates.items()}


def worst(verdicts: Iterable[str]) -> str:
    """The worst of some verdicts."""
    return max(verdicts, key=(PASS, ACCEPTED, WARN, STOP).index, default=PASS)


def _told(found: list[Finding]) -> list[Finding]:
    bad = sorted((one for one in found if one.verdict != PASS), key=lambda one: -one.change)
    return bad or sorted(found, key=lambda one: -one.change)[:1]


def judge(accept: Collection[str] = ()) -> Verdict:
    """The verdict on the build that lies here; what a person accepted does not stop it."""
    before = record.newest()
    if before is None:
        return Verdict(None, ())
    now = figures.here(record.artifact(record.DATASET))
    found = compare(known(before), now, levels.load())
    return Verdict(before["tag"], tuple(_accepted(one) if one.gate in accept else one for one in found))


def _accepted(finding: Finding) -> Finding:
    return finding if finding.verdict == PASS else replace(finding, verdict=ACCEPTED)


def known(version: Record) -> Figures:
    """The figures of a version, from its record."""
    return figures.from_record(version["metrics"], version["ledgers"]) | version.get("figures", {})


def compare(was: Figures, now: Figures, settings: Params) -> list[Finding]:
    """Every figure that both builds have, side by side."""
    found = list(_volume(was.get("volume", {}), now.get("volume", {}), settings))
    for gate in levels.NAMES:
        if gate != "volume" and was.get(gate) and now.get(gate):
            found += _shares(gate, _pairs(was[gate], now[gate]), settings)
    return found


def _volume(was: Shares, now: Shares, settings: Params) -> Iterator[Finding]:
    for item, (before, _) in was.items():
        after = now.get(item, (0, 0))[0]
        if before:
            change = after / before - 1
            bounds = settings.volume.fall if change < 0 else settings.volume.rise
            probable = chance.of_counts(before, after, settings.clumping) if _matters(abs(change), bounds) else 1.0
            yield _finding("volume", item, (f"{before:,}", f"{after:,}"), abs(change), bounds, beyond=probable < settings.chance)


Couples = dict[str, tuple[Share, Share]]


def _pairs(was: Shares, now: Shares) -> Couples:
    """The items of either side with their share on both; one that is missing on a side is 0 of that side's whole, where it is known."""
    couples = {item: (_side(was, item), _side(now, item)) for item in sorted({*was, *now})}
    return {item: (one, other) for item, (one, other) in couples.items() if one and other and one[1] and other[1]}


def _side(shares: Shares, item: str) -> Share | None:
    if item in shares:
        return shares[item]
    table = shares.get(item.rpartition(" ")[0])
    wholes = {whole for _, whole in shares.values()}
    return (0, table[1]) if table else (0, wholes.pop()) if len(wholes) == 1 else None


def _shares(gate: str, couples: Couples, settings: Params) -> Iterator[Finding]:
    bounds: Levels = getattr(settings, gate)
    for item, (one, other) in couples.items():
        change = other[0] / other[1] - one[0] / one[1]
        size = max(change, 0) if gate in levels.ONE_WAY else abs(change)
        probable = chance.of_shares(one, other, settings.clumping) if _matters(size, bounds) else 1.0
        yield _finding(gate, item, (_shown(one), _shown(other)), size, bounds, beyond=probable < settings.chance)
    if gate in DISTRIBUTIONS:
        yield _distance(gate, couples, settings)


def _distance(gate: str, couples: Couples, settings: Params) -> Finding:
    bounds: Levels = getattr(settings, gate)
    far = sum(abs(other[0] / other[1] - one[0] / one[1]) for one, other in couples.values()) / 2
    sides = ([one[0] for one, _ in couples.values()], [other[0] for _, other in couples.values()])
    beyond = _matters(far, bounds) and chance.of_distance(*sides, settings.clumping) < settings.chance
    return _finding(gate, DISTANCE, ("0", f"{far:.3f}"), far, bounds, beyond=beyond)


def _shown(share: Share) -> str:
    return f"{share[0] / share[1]:.1%} of {share[1]:,}"


def _matters(size: float, bounds: Levels) -> bool:
    """Whether a change crosses a level, so that chance need be asked."""
    return any(level is not None and size > level for level in (bounds.warn, bounds.stop))


def _finding(gate: str, item: str, shown: tuple[str, str], size: float, bounds: Levels, *, beyond: bool) -> Finding:
    crossed = beyond and _matters(size, bounds)
    stops = crossed and bounds.stop is not None and size > bounds.stop
    first = bounds.stop if bounds.warn is None or stops else bounds.warn
    return Finding(gate, item, *shown, size, first, STOP if stops else WARN if crossed else PASS)
