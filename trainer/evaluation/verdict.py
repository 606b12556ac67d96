"""Whether the policy is better than its reference: it must prefer better on test, and write nothing clearly worse.

In: the figures of the test split and of the generations. Out: the verdict, for programs and in words. Which answers the reward model
likes has no say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Report = Mapping[str, Any]
NAME = "verdict.json"  # in the output of `evaluate`
ADVICE = "it is not recommended"


def read(evaluation: Path) -> Report:
    """The verdict that the stage `evaluate` wrote; empty where it wrote none."""
    path = evaluation / NAME
    found: Report = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def decide(test: Report, generations: Report) -> dict[str, Any]:
    """The verdict: `better`, its two parts, the faults of what is written, and the same as a phrase and as a sentence."""
    looked, faults = bool(generations["prompts"]), list(generations.get("faults", ()))
    verdict = {"prefers_better": test["better"], "written": looked, "faults": faults, "better": test["better"] and looked and not faults}
    tested = f"(p {test['p_implicit']:.2g} implicit, {test['p_likelihood']:.2g} likelihood)"
    return verdict | {"phrase": _phrase(verdict), "sentence": f"on test the policy {_sentence(verdict, tested)}"}


def _phrase(verdict: Report) -> str:
    """In few words, for one line among others."""
    if verdict["faults"]:
        first = "prefers better" if verdict["prefers_better"] else "prefers no better"
        return f"{first}, writes worse: {'; '.join(verdict['faults'])}; {ADVICE}"
    if not verdict["prefers_better"]:
        return "not significantly better"
    return "significantly better, writes no worse" if verdict["written"] else "prefers significantly better, writing not looked at"


def _sentence(verdict: Report, tested: str) -> str:
    """What follows after "on test the policy"."""
    if verdict["faults"]:
        first, joined = ("better", "but") if verdict["prefers_better"] else ("no better", "and")
        return f"prefers {first} than the reference {tested}, {joined} writes worse: {'; '.join(verdict['faults'])}; {ADVICE}"
    if not verdict["prefers_better"]:
        return f"is not significantly better than the reference {tested}"
    if not verdict["written"]:
        return f"prefers significantly better than the reference {tested}; what it writes was not looked at, so it is not called better"
    return f"is significantly better than the reference {tested}, and writes no worse"
