"""Small logs and what the stage `pair` makes of them."""

from __future__ import annotations

import daft
import pyarrow as pa

from tasks.aggregate import stage as aggregate
from tasks.core.ledger import Account
from tasks.core.tables import Candidates
from tasks.pair import stage as pair
from tasks.pair.trainability import FINDINGS
from tests.builders.chatlog import AGGREGATE, ChatLog, Row, accounts, kept

CALIBRATION: Row = {"use": True, "words": True, "worth": 20.0, "min_shared": 20, "precision": 0.03, "max_items": 6000, "max_judged": 20000}
DEFAULTS: Row = {
    "edit": {"use": True, "reliability": 0.9, "min_distance": 0.0, "max_distance": 1.0},
    "correction": {"use": True, "reliability": 0.9, "min_distance": 0.0, "max_distance": 1.0},
    "choice": {"use": True, "reliability": 0.75},
    "ranking": {"use": True, "reliability": 0.75, "which": "all", "rank": 2},
    "rating_margin": {
        "use": True,
        "reliability": 0.75,
        "min_margin": 0.25,
        "min_ratings": 1,
        "spread": 0.25,
        "spread_worth": 20.0,
        "compared": 64,
    },
    "thumb_contrast": {"use": True, "reliability": 0.75, "min_votes": 1, "compared": 64},
    "regeneration": {"use": True, "reliability": 0.65},
    "retry": {"use": True, "reliability": 0.6},
    "judges": {"use": False},
    "confidence": {"min": 0.5, "margin": "evidence", "weight": False},
    "calibration": CALIBRATION,
    "nearly_equal": 0.98,
    "identity": {"action": "drop", "recipes": ["choice"], "more": {"names": [], "lead_ins": {}, "fillers": {}}},
    "max_pairs_per_prompt": 10,
    "max_pairs_per_user": 100,
    "matching": {"use": False, "feature": "characters", "by": [], "splits": ["train"], "tolerance": 0.0},
    "trainability": {"tokenizer": "", "max_length": 64} | dict.fromkeys(FINDINGS, "drop"),
    "unpaired": {"min_votes": 1, "min_distance": 0.25, "signals": True},
}


def candidates(log: ChatLog) -> daft.DataFrame:
    tables = log.tables()
    return kept(accounts("aggregate", aggregate.run(tables, aggregate.Params.model_validate(AGGREGATE)), tables)["candidates"])


def run(log: ChatLog, *variants: Row, **changes: object) -> dict[str, Account]:
    """Pairs and the rest; `variants` are changes of the first candidate that make augmented ones."""
    rows = candidates(log)
    if variants:
        (first, *_) = rows.to_pylist()
        made = [first | {"augmented_from": first["prompt_id"]} | variant for variant in variants]
        rows = rows.concat(daft.from_arrow(pa.Table.from_pylist(made, schema=Candidates.schema())))
    return settled(rows, **changes)


def settled(rows: daft.DataFrame, **changes: object) -> dict[str, Account]:
    """The stage's accounts for these candidates; `changes` of DEFAULTS are merged into its sections."""
    merged = {key: DEFAULTS[key] | new if isinstance(new, dict) else new for key, new in changes.items()}
    tables = {"candidates": rows}
    return accounts("pair", pair.run(tables, pair.Params.model_validate(DEFAULTS | merged)), tables)


def pairs(result: dict[str, Account]) -> list[tuple[str, str, str]]:
    """Recipe, chosen and rejected of each pair, sorted."""
    return sorted((row["recipe"], row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in result["pairs"].kept.to_pylist())


def lettered(answers: str) -> ChatLog:
    """One question with these letters as its answers (turns a1, a2, ...)."""
    log = ChatLog()
    log.say("c/u0", "Which?")
    for number, letter in enumerate(answers, 1):
        log.say(f"c/a{number}", letter, after="u0", model=f"m{letter}")
    return log
