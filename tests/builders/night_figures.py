"""Figures of simulated nights: conversations drawn anew from those of a log, with all that belongs to each, and faults planted in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from flows.figures import Figures, Share, Shares

LATER: dict[str, tuple[str, float, float]] = {  # figures that later stages make: gate, rows a conversation, share
    "dedupe turns exact_copy": ("drops", 3.5, 0.033),
    "dedupe turns near_copy": ("drops", 3.5, 0.014),
    "augment candidates unchanged": ("drops", 1.9, 0.038),
    "rebalance candidates not_needed": ("drops", 1.8, 0.258),
    "pair pairs low_confidence": ("drops", 1.0, 0.070),
    "pair pairs tie": ("drops", 1.0, 0.031),
    "pair unpaired middle": ("drops", 0.8, 0.140),
    "chosen is longer": ("labels", 0.93, 0.552),
    "shown first won: person": ("labels", 0.045, 0.497),
    "chosen has more: lists": ("bias", 0.1, 0.366),
    "accuracy": ("probe", 0.79, 0.964),
    "thumb by person": ("agreement", 0.0083, 0.8),
}
SPLITS = {"pairs_train": 0.80, "pairs_validation": 0.057, "pairs_test": 0.072}  # rows a conversation
TOGETHER = 2  # rows of a later stage that come from one judged answer
FORMATS = {"jsonl": 7496, "openwebui": 600, "arena": 199}


@dataclass(frozen=True)
class Chat:
    """One conversation of a log."""

    language: str
    turns: int
    format: str
    votes: tuple[tuple[str, bool], ...]  # kind, and whether above the middle
    voter: int
    copies: int = 1  # times that it was delivered


Log = Sequence[Chat]


def invented(size: int, seed: int = 0) -> list[Chat]:
    """A log with the sample's shares of everything."""
    rng = np.random.default_rng(seed)
    languages = rng.choice(["en", "es", "de", "fr"], size, p=[0.73, 0.127, 0.093, 0.05])
    formats = rng.choice(list(FORMATS), size, p=np.array(list(FORMATS.values())) / sum(FORMATS.values()))
    return [
        Chat(str(languages[at]), 2 + 2 * int(rng.poisson(0.75)), str(formats[at]), _votes(rng), int(rng.integers(size)))
        for at in range(size)
    ]


def _votes(rng: np.random.Generator) -> tuple[tuple[str, bool], ...]:
    drawn = rng.choice(["thumb", "rating", "ranking", ""], int(rng.poisson(1.35)), p=[0.3, 0.28, 0.17, 0.25])
    above = {"thumb": 0.517, "rating": 0.404, "ranking": 0.333}
    return tuple((str(kind) or "choice", bool(rng.random() < above.get(str(kind), 0))) for kind in drawn)


def drawn(log: Log, size: int, rng: np.random.Generator) -> list[Chat]:
    """A night of so many conversations, drawn from a log."""
    return [log[at] for at in rng.integers(len(log), size=size)]


def figures(log: Log, rng: np.random.Generator) -> Figures:
    """What a build of this log would be judged by."""
    votes = [(kind, above, chat.voter) for chat in log for kind, above in chat.votes]
    kinds = Counter(kind for kind, *_ in votes)
    size = len(log)
    turns = sum(chat.turns for chat in log)
    again = sum(chat.turns * (chat.copies - 1) for chat in log)
    counts = {"conversations": size, "turns": turns, "feedback": len(votes), **{f"feedback {kind}": n for kind, n in kinds.items()}}
    counts |= {f"records {name}": n for name, n in Counter(chat.format for chat in log).items()}
    judged = sum(bool(chat.votes) for chat in log) / 0.74
    counts |= {name: TOGETHER * int(rng.poisson(judged * rate / TOGETHER)) for name, rate in SPLITS.items()}
    found: Figures = {
        "volume": {name: (count, 0) for name, count in counts.items()},
        "unread": {"records": (int(rng.binomial(size, 0.0004)), size)},
        "languages": _parts(Counter(chat.language for chat in log)),
        "drops": {"ingest turns repeated": (again, turns + again)},
        "labels": {f"{kind} above the middle": _above(votes, kind) for kind in kinds if kind != "choice"},
        "voters": _most(Counter(voter for *_, voter in votes)),
    }
    for item, (gate, rate, share) in LATER.items():
        found.setdefault(gate, {})[item] = _later(judged * rate, share, rng)
    return found


def _parts(counted: Counter[str]) -> Shares:
    return {name: (count, counted.total()) for name, count in counted.items()}


def _above(votes: Sequence[tuple[str, bool, int]], kind: str) -> Share:
    of_kind = [above for name, above, _ in votes if name == kind]
    return sum(of_kind), len(of_kind)


def _most(counted: Counter[int]) -> Shares:
    return {"the most active": (max(counted.values()), counted.total())} if counted else {}


def _later(rows: float, share: float, rng: np.random.Generator) -> Share:
    groups = round(rows / TOGETHER)
    return TOGETHER * int(rng.binomial(groups, share)), TOGETHER * groups


def _feedback_gone(log: Log) -> list[Chat]:
    return [replace(chat, votes=()) for chat in log]


def _one_kind_gone(log: Log) -> list[Chat]:
    return [replace(chat, votes=tuple(vote for vote in chat.votes if vote[0] != "thumb")) for chat in log]


def _half(log: Log) -> list[Chat]:
    return list(log[: len(log) // 2])


def _one_language(log: Log) -> list[Chat]:
    return [replace(chat, language="fr" if chat.language == "en" else chat.language) for chat in log]


def _all_up(log: Log) -> list[Chat]:
    return [replace(chat, votes=tuple((kind, above or kind == "thumb") for kind, above in chat.votes)) for chat in log]


def _bot(log: Log) -> list[Chat]:
    return [replace(chat, votes=(*chat.votes, ("thumb", True)), voter=-1) if at % 3 == 0 else chat for at, chat in enumerate(log)]


def _twice(log: Log) -> list[Chat]:
    return [replace(chat, copies=2) for chat in log]


FAULTS: dict[str, Callable[[Log], list[Chat]]] = {
    "feedback vanishes": _feedback_gone,
    "one kind of feedback vanishes": _one_kind_gone,
    "half of the log is missing": _half,
    "the language switches": _one_language,
    "every thumb is up": _all_up,
    "a bot votes": _bot,
    "the log is delivered twice": _twice,
}
