"""Small chat logs for tests: write turns and feedback in few words, read results as plain rows."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from typing import Any, cast

import daft
import pyarrow as pa
import yaml

from tasks.core import engine
from tasks.core.ids import stable_id
from tasks.core.ledger import Account, ids_of, reconcile
from tasks.core.tables import PROMPT, TABLES, Feedback, Turns
from tests.conftest import ROOT

Row = dict[str, Any]
CONSENSUS: Row = {"accuracy": 0.75, "strength": 10.0, "min_ballots": 50, "rounds": 60, "spammer_votes": 20, "spammer_below": 0.65}
# no phrases but those that are shipped; tests about signals switch them on
SIGNALS: Row = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["aggregate"]["signals"]
UNTOLD: Row = dict.fromkeys([field.name for field in PROMPT.value_type][2:])  # what a plain message of a prompt does not have
AGGREGATE: Row = {  # parameters of `aggregate`
    "unjudged": "opening",
    "media": "drop",
    "consensus": CONSENSUS,
    "direction": {"min_shared": 20, "against": -0.5},
    "signals": SIGNALS | {"use": []},
    "selection": {"activity": [2, 6, 21]},
}


@dataclass
class ChatLog:
    """A log that grows by `say` and `act`."""

    turns: list[Row] = field(default_factory=list)
    feedback: list[Row] = field(default_factory=list)
    depth: dict[tuple[str, str | None], int] = field(default_factory=dict)

    def say(self, place: str, content: str, role: str = "", after: str | None = None, **more: object) -> str:
        """Add the turn `conversation/turn` after another turn of the conversation; u… is a user's, a… an answer, s… system, t… tool."""
        conversation, turn = place.split("/")
        roles = {"u": "user", "a": "assistant", "s": "system", "t": "tool"}
        row: Row = dict.fromkeys(Turns.names()) | {
            "conversation_id": conversation,
            "turn_id": turn,
            "parent_id": after,
            "position": self.depth.get((conversation, after), -1) + 1,
            "role": role or roles[turn[0]],
            "content": content,
            "status": "",
            "language": "en",
            "topic": "",
            "source": "jsonl",
            "origin": {"file": "0" * 16, "record": int(stable_id(conversation)[:4], 16), "position": len(self.turns)},
        }
        self.turns.append(row | more)
        self.depth[conversation, turn] = row["position"]
        return turn

    def chat(self, conversation: str, *contents: str, **more: Any) -> None:
        """A conversation without branches, user first: turns u0, a1, u2, ..."""
        after = None
        for number, content in enumerate(contents):
            after = self.say(f"{conversation}/{'ua'[number % 2]}{number}", content, after=after, **more)

    def act(self, kind: str, place: str, value: float | None = None, **more: Any) -> str:
        """Add an act about `conversation/turn`, or about `conversation` when it names turns in `more`; its id."""
        conversation, _, turn = place.partition("/")
        scale = {"thumb": (-1.0, 1.0), "rating": (1.0, 5.0)}.get(kind, (None, None))
        name = str(more.pop("feedback_id", f"f{len(self.feedback):03d}"))
        when = more.pop("minute", None)
        row = dict.fromkeys(Feedback.names()) | {
            "feedback_id": name,
            "conversation_id": conversation,
            "turn_id": turn or None,
            "kind": kind,
            "value": value,
            "scale_min": scale[0],
            "scale_max": scale[1],
            "annotator_kind": "person",
            "created_at": None if when is None else dt.datetime(2026, 1, 1, 0, when, tzinfo=dt.UTC),
            "source": "jsonl",
            "origin": {"file": "1" * 16, "record": len(self.feedback), "position": -1},
        }
        self.feedback.append(row | more)
        return name

    def tables(self, shuffle: int | None = None) -> engine.Tables:
        """The log as tables, in an order of your choice."""
        turns, feedback = list(self.turns), list(self.feedback)
        if shuffle is not None:
            random.Random(shuffle).shuffle(turns)
            random.Random(shuffle).shuffle(feedback)
        return {"turns": frame(turns, "turns"), "feedback": frame(feedback, "feedback")}


def frame(rows: list[Row], table: str) -> daft.DataFrame:
    """Plain rows as a table."""
    return daft.from_arrow(pa.Table.from_pylist(rows, schema=TABLES[table].schema()))


def accounts(stage: str, result: engine.Tables, given: engine.Tables) -> dict[str, Account]:
    """The result as the shell settles it, sorted by key."""
    found: dict[str, Account] = {}
    for name, rows in result.items():
        account = reconcile(stage, name, rows.to_arrow(), ids_of(name, given[name].to_arrow()) if name in given else None)
        tidy, gone = (engine.sort(part, TABLES[name].KEY) for part in (account.kept, account.dropped))
        found[name] = Account(name, tidy, gone, account.rows_in, account.made, account.kept_rows)
    return found


def kept(account: Account) -> daft.DataFrame:
    """The kept rows, as the next stage gets them."""
    return daft.from_arrow(account.kept)


def dropped(account: Account) -> dict[str, str]:
    """Reason by the first column of the key."""
    keys, reasons = (cast("list[str]", account.dropped[name].to_pylist()) for name in (TABLES[account.table].KEY[0], "dropped"))
    return dict(zip(keys, reasons, strict=True))
