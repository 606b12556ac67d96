"""Small candidates tables for the tests of stages that read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import daft
import pyarrow as pa

from tasks.core.ids import stable_id
from tasks.core.tables import VOTE, Candidates
from tests.builders.chatlog import UNTOLD


def candidate(text: str, **given: Any) -> dict[str, Any]:
    """One candidate with two answers and a vote for the first; `given` overrules any column."""
    prompt_id = given.get("prompt_id") or stable_id("test", text)
    answers = given.pop("answers", ["You can do that on the settings page of your account.", "No idea, ask somebody else about this."])
    responses = [
        {"response_id": stable_id(prompt_id, answer), "content": answer, "model": "m", "turns": ["c/t"], "written_by": "model"}
        | {"ups": 0, "downs": 0, "ratings": 0, "score": None}
        for answer in answers
    ]
    vote: dict[str, Any] = dict.fromkeys(VOTE.names) | {
        "feedback_id": f"f-{prompt_id}",
        "kind": "choice",
        "response_id": None,
        "value": 1.0,
        "annotator": "a",
        "annotator_kind": "person",
    }
    vote |= {"better": responses[0]["response_id"], "worse": responses[-1]["response_id"], "group": "g", "origin": "file:0:0"}
    row = {
        "prompt_id": prompt_id,
        "prompt": [{"role": "user", "content": text, **UNTOLD}],
        "responses": sorted(responses, key=lambda response: str(response["response_id"])),
        "votes": [vote],
        "conversations": ["c"],
        "users": ["u"],
        "parts": [{"conversation": "c", "user": "u", "origin": "file:0:0"}],
        "language": "en",
        "topic": "",
        "source": "test",
        "evidence": "choice",
        "cluster_id": prompt_id,
        "split": "train",
        "weight": 1.0,
        "augmented_from": None,
        "augmenter": None,
        "origins": ["file:0:0"],
    }
    return row | given


def frame(rows: Iterable[dict[str, Any]]) -> daft.DataFrame:
    """The rows as a stage is given them."""
    return daft.from_arrow(pa.Table.from_pylist(list(rows), schema=Candidates.schema()))
