"""Turns as the stage `clean` is given them, and its parameters."""

from __future__ import annotations

from typing import Any

from tasks.clean import stage as clean
from tasks.core.params import load
from tasks.core.tables import Turns
from tests.conftest import ROOT

Row = dict[str, Any]
PARAMS = load(ROOT / "params.yaml", "clean", clean.Params)


def turn(turn_id: str, parent: str | None, position: int, role: str, content: str, **more: object) -> Row:
    return (
        dict.fromkeys(Turns.names())
        | {
            "conversation_id": "c",
            "turn_id": turn_id,
            "parent_id": parent,
            "position": position,
            "role": role,
            "content": content,
            "status": "",
            "topic": "",
            "source": "jsonl",
            "origin": {"file": "f", "record": 0, "position": position},
        }
        | more
    )
