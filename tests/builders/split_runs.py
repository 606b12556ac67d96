"""Candidates of few words, and what the stage `split` makes of them."""

from __future__ import annotations

import warnings

import daft
import pyarrow as pa

from tasks.core.ids import stable_id
from tasks.core.ledger import Account
from tasks.core.tables import Candidates
from tasks.split import stage as split
from tests.builders.chatlog import UNTOLD, Row, accounts

DEFAULTS: Row = {
    "train": 0.6,
    "validation": 0.2,
    "test": 0.2,
    "popular": 3,
    "min_answer_chars": 40,
    "largest_user": 1.0,
    "largest_held_out": 1.0,
    "far_from_asked": 1.0,
    "largest_component": 0.5,
    "compared_turns": 32,
    "on_giant": "drop_weakest_links",
    "fillers": ["please", "hi"],
    "near": {"shingle_words": 3, "threshold": 0.7, "bands": 24, "rows": 4, "largest_bucket": 64, "seed": 1},
}
WORDS = list("abcdefghijklmnopqrst")


def text(number: int) -> str:
    """A sentence that is near no other."""
    return " ".join(WORDS[int(digit, 16)] for digit in stable_id(str(number)))


def prompt(number: int, *said: str, **more: object) -> Row:
    """A candidate that asks `said`, in a conversation of its own unless told otherwise."""
    turns = [
        {"role": "ua"[place % 2].replace("u", "user").replace("a", "assistant"), "content": content, **UNTOLD}
        for place, content in enumerate(said or (text(number),))
    ]
    row: Row = dict.fromkeys(Candidates.names()) | {"prompt_id": stable_id("p", str(number)), "prompt": turns, "weight": 1.0}
    row |= {"responses": [], "votes": [], "users": [], "origins": [], "conversations": [f"c{number}"]} | more
    if not row["responses"]:
        row["responses"] = [answer(f"answer {number}", *row["conversations"])]
    row["parts"] = row["parts"] or [part for talk in row["conversations"] for part in parts(talk, *row["users"])]
    return row


def answer(content: str, *conversations: str, **more: object) -> Row:
    """An answer given in these conversations."""
    given = {"response_id": stable_id("r", content), "content": content, "turns": [f"{talk}/a" for talk in conversations]}
    return given | {"model": "m", "written_by": "model", "ups": 0, "downs": 0, "ratings": 0, "score": None} | more


def parts(conversation: str, *users: str) -> list[Row]:
    """What one conversation adds to a prompt: the people who chat in it, and one record."""
    people: list[Row] = [{"conversation": conversation, "user": user, "origin": None} for user in users]
    return [*people, {"conversation": conversation, "user": None, "origin": f"file:{conversation}:1"}]


def settled(rows: list[Row], **changes: object) -> tuple[dict[str, Account], list[str]]:
    """The accounts of the stage, and what it said."""
    tables = {"candidates": daft.from_arrow(pa.Table.from_pylist(rows, schema=Candidates.schema()))}
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", UserWarning)
        result = accounts("split", split.run(tables, split.Params.model_validate(DEFAULTS | changes)), tables)
    return result, [str(warning.message) for warning in heard]


MANY = [prompt(number) for number in range(100, 160)]
