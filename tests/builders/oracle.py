"""What pairs and the fates of votes must be, counted anew from the candidates in plain Python, one pair at a time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from tasks.common.similarity.ngrams import fold
from tasks.common.text_identity import same_answer
from tasks.core.ledger import Account
from tasks.pair.recipes import RECIPES
from tests.builders.chatlog import Row

Look = tuple[str, ...]


class Candidates:
    """Candidates by prompt, what they look like, and the votes on each prompt with the texts that they are about."""

    def __init__(self, rows: list[Row], settings: Row) -> None:
        self.rows = {row["prompt_id"]: row for row in rows}
        self.settings = settings
        self.votes: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            texts = {response["response_id"]: same_answer(response["content"]) for response in row["responses"]}
            for vote in row["votes"]:
                named = {side: texts.get(vote[side]) for side in ("response_id", "better", "worse")}
                self.votes[row["prompt_id"]].append(vote | {"prompt_id": row["prompt_id"]} | named)

    def look(self, row: Row) -> Look:
        """Equal for prompts that read the same."""
        return tuple(f"{message['role']}:{fold(message['content'])}" for message in row["prompt"])

    def weight(self, vote: Row, recipe: str) -> float:
        """What the vote adds to the log odds."""
        right = vote["reliability"] or self.settings[recipe]["reliability"]
        return max(0.0, math.log(right / (1 - right)))


def check_pair(pair: Row, candidates: Candidates) -> None:
    """The pair's answers are its prompt's, its votes are of its recipe's kind and kind of annotator, and they prefer the chosen one."""
    row = candidates.rows[pair["prompt_id"]]
    own = [response["content"] for response in row["responses"]]
    (chosen,), (rejected,) = ([message["content"] for message in pair[side]] for side in ("chosen", "rejected"))
    assert pair["prompt"] == row["prompt"]
    assert {chosen, rejected} <= set(own), "both answer this very prompt"
    kind = RECIPES[pair["recipe"]].kind
    by = "model" if pair["annotators"] == "models" else "person"
    cast = [vote for vote in candidates.votes[row["prompt_id"]] if (vote["kind"], vote["annotator_kind"]) == (kind, by)]
    good, bad = same_answer(chosen), same_answer(rejected)
    behind = [vote for vote in cast if vote["feedback_id"] in set(pair["votes"])]
    assert sorted(vote["feedback_id"] for vote in behind) == pair["votes"], "votes of its kind on its very prompt, each once"
    assert {vote["origin"] for vote in behind} <= set(pair["origins"])
    assert pair["evidence"] == pair["votes_for"] + pair["votes_against"] + pair["votes_tied"] > 0
    assert 0.5 < pair["confidence"] <= 1
    assert pair["margin"] > 0
    odds = COUNT.get(pair["recipe"], compared)(pair, cast, good, bad, candidates)
    assert odds > 0, "neither a tie nor the wrong way round"
    summed = 1 / (1 + math.exp(-odds))
    if pair["recipe"] == "thumb_contrast" and pair["confidence_basis"] == "assumed":
        assert pair["confidence"] > summed - 1e-4, "one person's two thumbs are surer than two strangers'"
    elif pair["recipe"] != "rating_margin" and pair["confidence_basis"] == "assumed":
        assert pair["confidence"] == pytest.approx(summed, abs=1e-6)


def compared(pair: Row, cast: list[Row], good: str, bad: str, candidates: Candidates) -> float:
    """Log odds by comparisons of the two answers: above 0 and above the ties."""
    about = [vote for vote in cast if {vote["better"], vote["worse"]} == {good, bad}]
    assert sorted(vote["feedback_id"] for vote in about) == pair["votes"]
    sums: dict[str, list[float]] = {"for": [], "against": [], "tied": []}
    for vote in about:
        decided = vote["value"] is None or vote["value"] > 0
        side = ("for" if vote["better"] == good else "against") if decided else "tied"
        sums[side].append(candidates.weight(vote, pair["recipe"]))
    return weighed(pair, sums)


def ranked(pair: Row, cast: list[Row], good: str, bad: str, candidates: Candidates) -> float:
    """Log odds by the rankings that hold both answers; each is one act."""
    rankings: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for vote in cast:
        rankings[vote["prompt_id"], vote["group"]][vote["response_id"]] = vote
    sums: dict[str, list[float]] = {"for": [], "against": [], "tied": []}
    for ranks in rankings.values():
        if good in ranks and bad in ranks:
            gap = ranks[bad]["value"] - ranks[good]["value"]
            side = "for" if gap > 0 else "against" if gap else "tied"
            sums[side].append(min(candidates.weight(ranks[text], pair["recipe"]) for text in (good, bad)))
    return weighed(pair, sums)


def weighed(pair: Row, sums: dict[str, list[float]]) -> float:
    """What the sums leave; checks the pair's counts."""
    assert (pair["votes_for"], pair["votes_against"], pair["votes_tied"]) == tuple(len(weights) for weights in sums.values())
    total = {side: math.fsum(weights) for side, weights in sums.items()}
    assert total["for"] > total["tied"]
    return total["for"] - total["against"]


def rated(pair: Row, cast: list[Row], good: str, bad: str, candidates: Candidates) -> float:
    """Difference of the mean ratings."""
    means = []
    for text in (good, bad):
        values = [vote["value"] for vote in cast if vote["response_id"] == text]
        means.append(math.fsum(values) / len(values))
    return float(round(means[0] - means[1], 9))


def thumbed(pair: Row, cast: list[Row], good: str, bad: str, candidates: Candidates) -> float:
    """Log odds by thumbs: the chosen answer is liked and the other is not; n and m thumbs are 2nm / (n + m) comparisons."""
    leads, counts = [], []
    for text in (good, bad):
        about = [vote for vote in cast if vote["response_id"] == text]
        leads.append(math.fsum(vote["value"] * candidates.weight(vote, pair["recipe"]) for vote in about))
        counts.append(len(about))
    assert leads[0] > 0 > leads[1]
    return (leads[0] * counts[1] - leads[1] * counts[0]) / sum(counts)


COUNT = {"ranking": ranked, "rating_margin": rated, "thumb_contrast": thumbed}


def check_no_circle(pairs: list[Row], candidates: Candidates) -> None:
    """Under prompts that read the same no pair is there twice, and no way leads from a worse answer to a better one."""
    worse: dict[tuple[Look, str], list[str]] = defaultdict(list)
    for pair in pairs:
        pool = candidates.look(candidates.rows[pair["prompt_id"]])
        good, bad = (same_answer(pair[side][0]["content"]) for side in ("chosen", "rejected"))
        assert good != bad
        assert bad not in worse[pool, good], "the same pair twice"
        worse[pool, good].append(bad)
    for pool, good in list(worse):
        assert good not in below(worse, pool, good), "a circle"


def below(worse: dict[tuple[Look, str], list[str]], pool: Look, start: str) -> set[str]:
    """All answers that some way of preferences leads down to."""
    found: set[str] = set()
    queue = [start]
    while queue:
        fresh = set(worse.get((pool, queue.pop()), [])) - found
        found |= fresh
        queue += fresh
    return found


def check_fates(tables: dict[str, Account], candidates: Candidates) -> None:
    """Every vote of people's prompts is in pairs or unpaired, which say so too, or dropped with a reason."""
    given = {(vote["feedback_id"], vote["prompt_id"]) for votes in candidates.votes.values() for vote in votes}
    kept, gone = (list(keyed(part)) for part in (tables["votes"].kept.to_pylist(), tables["votes"].dropped.to_pylist()))
    assert sorted(kept + gone) == sorted(given), "each once"
    assert all(tables["votes"].reasons)
    examples = set(tables["unpaired"].kept["example_id"].to_pylist())
    stands: dict[str, set[str]] = defaultdict(set)
    for row in tables["votes"].kept.to_pylist():
        assert row["pairs"] or row["example_id"] in examples
        for pair_id in row["pairs"]:
            stands[pair_id].add(row["feedback_id"])
    assert stands == {row["pair_id"]: set(row["votes"]) for row in tables["pairs"].kept.to_pylist()}
    assert not set().union(*stands.values()) & {row["feedback_id"] for row in tables["votes"].dropped.to_pylist()}


def keyed(rows: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Keys of rows of votes."""
    return ((row["feedback_id"], row["prompt_id"]) for row in rows)
