"""Two pairs: one whose prompt called tools and was told what they found, and one whose prompt called none."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from tests.builders.chatlog import ChatLog
from tests.builders.pair_runs import pairs, run


def rows_of(calls: list[dict[str, Any]], found: str, *, offered: str | None = None, **about: str) -> pa.Table:
    """The pairs' rows; `offered` are the tools of the first prompt, `about` says more of the message that brings what was `found`."""
    log = ChatLog()
    log.say("c/u0", "Will it rain?", tools=offered)
    log.say("c/a1", "", after="u0", tool_calls=json.dumps(calls))
    log.say("c/t2", found, after="a1", **about)
    log.say("d/u0", "Is it windy?")
    for name, parent in (("c", "t2"), ("d", "u0")):
        for number, text in enumerate(("Yes, in the evening.", "No idea."), 3):
            log.say(f"{name}/a{number}", text, after=parent)
        log.act("choice", name, 1, better="a3", worse="a4")
    made = run(log)
    assert len(pairs(made)) == 2
    return made["pairs"].kept


def call(name: str, **arguments: str) -> dict[str, Any]:
    """A call of a tool."""
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
