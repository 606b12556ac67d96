"""Laws that hold for whatever log people write: over `aggregate`, `split` and `pair` together."""

from __future__ import annotations

import gzip
import json
import re
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import aggregate, pair, split
from tasks.core.ids import stable_id
from tasks.core.ledger import Account
from tasks.evidence.acts import KINDS
from tests import test_pair, test_split
from tests.chatlog import AGGREGATE, ChatLog, accounts, kept

# Few texts, so that prompts and answers meet; some differ in case and spacing only.
TEXTS = ("hi", "Hi ", "how do I boil rice", "pasta", "x\ty", "X Y", "ok")
KIND = (*KINDS, "report", "applause")
TURN = st.tuples(st.sampled_from("uaaaast"), st.integers(0, 6), st.sampled_from(TEXTS), st.sampled_from([None, "p1", "p2"]))
ACT: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KIND),
        "value": st.sampled_from([-1.0, 0.0, 1.0, 1.0, 2.0, 5.0, 9.0, None]),
        "turns": st.tuples(*[st.integers(0, 7)] * 3),
        "text": st.sampled_from([None, *TEXTS]),
        "annotator": st.sampled_from([None, "p1", "p3"]),
        "group": st.sampled_from([None, "g"]),
        "minute": st.sampled_from([None, 1, 2]),
    }
)


@st.composite
def logs(draw: st.DrawFn) -> ChatLog:
    """A few conversations, trees of any shape, and acts about anything in them."""
    log = ChatLog()
    for number in range(draw(st.integers(1, 4))):
        name = f"c{number}"
        log.say(f"{name}/u0", draw(st.sampled_from(TEXTS)), user_id=draw(st.sampled_from([None, "p1", "p2"])))
        names = ["u0"]
        for place, (letter, above, text, user) in enumerate(draw(st.lists(TURN, max_size=7)), 1):
            names.append(log.say(f"{name}/{letter}{place}", text, after=names[above % len(names)], user_id=user))
        for act in draw(st.lists(ACT, max_size=6)):
            one, better, worse = (names[index] if index < len(names) else None for index in act["turns"])
            compares = act["kind"] in ("choice", "regenerate")
            said: dict[str, Any] = {key: act[key] for key in ("value", "text", "annotator", "group", "minute")}
            if compares:
                log.act(act["kind"], name, better=better, worse=worse, **said)
            else:
                log.act(act["kind"], f"{name}/{one or ''}", **said)
    return log


def build(log: ChatLog, shuffle: int | None = None, **splitting: Any) -> dict[str, Account]:
    """All tables of the three stages."""
    tables = log.tables(shuffle)
    found = accounts("aggregate", aggregate.run(tables, aggregate.Params.model_validate(AGGREGATE)), tables)
    tables = {"candidates": kept(found["candidates"])}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        placed = accounts("split", split.run(tables, split.Params.model_validate(test_split.DEFAULTS | splitting)), tables)
    tables = {"candidates": kept(placed["candidates"])}
    made = accounts("pair", pair.run(tables, pair.Params.model_validate(test_pair.DEFAULTS)), tables)
    return found | {"candidates": placed["candidates"]} | {name: made[name] for name in pair.WRITES}


def flat(messages: list[dict[str, str]]) -> str:
    """Messages as the release is checked: lower case, white space folded."""
    return re.sub(r"\s+", " ", "\n".join(f"{message['role']}:{message['content']}" for message in messages)).strip().lower()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(logs(), st.integers(0, 2**16))
def test_laws(log: ChatLog, shuffle: int) -> None:
    tables = build(log)
    every_act_is_used_or_dropped(log, tables)
    candidates_are_well_formed(tables)
    no_tie_and_no_inversion(tables)
    no_prompt_in_two_splits(tables)
    again = build(log, shuffle)
    for name, account in tables.items():
        assert account.kept.equals(again[name].kept), f"the order of the input changed {name}"
        assert account.reasons == again[name].reasons


def every_act_is_used_or_dropped(log: ChatLog, tables: dict[str, Account]) -> None:
    """Each act is exactly one vote, or dropped with a reason."""
    voted = [vote["feedback_id"] for row in tables["candidates"].kept.to_pylist() for vote in row["votes"]]
    gone = tables["feedback"].dropped["feedback_id"].to_pylist()
    assert sorted(voted + gone) == sorted(row["feedback_id"] for row in log.feedback)
    assert all(tables["feedback"].reasons)


def candidates_are_well_formed(tables: dict[str, Account]) -> None:
    """Prompts end with a user or a tool, and votes name answers of their own row."""
    for row in tables["candidates"].kept.to_pylist():
        roles = [message["role"] for message in row["prompt"]]
        assert roles[-1] in ("user", "tool")
        assert "system" not in roles[roles.count("system") :], "system turns at the beginning only"
        ids = [response["response_id"] for response in row["responses"]]
        assert ids == sorted(set(ids))
        for vote in row["votes"]:
            assert {vote[name] for name in ("response_id", "better", "worse")} - {None} <= set(ids)
        assert sum(response["ups"] + response["downs"] for response in row["responses"]) == sum(
            vote["kind"] == "thumb" for vote in row["votes"]
        )


def no_tie_and_no_inversion(tables: dict[str, Account]) -> None:
    """Chosen and rejected differ, no pair stands beside its reverse or its copy, and the evidence speaks for the chosen one."""
    seen: set[tuple[str, str, str]] = set()
    rows = {row["prompt_id"]: row for row in tables["candidates"].kept.to_pylist()}
    for row in tables["pairs"].kept.to_pylist():
        prompt, chosen, rejected = (flat(row[name]) for name in ("prompt", "chosen", "rejected"))
        assert chosen != rejected
        assert (prompt, rejected, chosen) not in seen
        assert (prompt, chosen, rejected) not in seen
        seen.add((prompt, chosen, rejected))
        assert 0.5 < row["confidence"] <= 1
        assert 0 < row["margin"] <= 1
        assert speaks_for(row, rows[row["prompt_id"]])
    for row in tables["unpaired"].kept.to_pylist():
        assert row["completion"][0]["role"] == "assistant"


def speaks_for(row: dict[str, Any], candidate: dict[str, Any]) -> bool:
    """Whether the evidence of the pair's recipe, counted anew, prefers the chosen answer."""
    by_text = {response["content"]: response for response in candidate["responses"]}
    chosen, rejected = by_text[row["chosen"][0]["content"]], by_text[row["rejected"][0]["content"]]
    if row["recipe"] == "rating_margin":
        return bool(chosen["score"] > rejected["score"])
    if row["recipe"] == "thumb_contrast":
        return bool(chosen["ups"] > chosen["downs"] and rejected["ups"] < rejected["downs"])
    good, bad = chosen["response_id"], rejected["response_id"]
    votes = [vote for vote in candidate["votes"] if vote["kind"] == row["recipe"].replace("regeneration", "regenerate")]
    if row["recipe"] == "ranking":
        ranks: dict[str, dict[str, float]] = defaultdict(dict)
        for vote in votes:
            ranks[vote["group"]][vote["response_id"]] = vote["value"]
        gaps = [given[bad] - given[good] for given in ranks.values() if good in given and bad in given]
        return sum(gap > 0 for gap in gaps) > sum(gap < 0 for gap in gaps)
    decided = [(vote["better"], vote["worse"]) for vote in votes if vote["value"] in (None, 1.0)]
    return decided.count((good, bad)) > decided.count((bad, good))


def no_prompt_in_two_splits(tables: dict[str, Account]) -> None:
    """Over all three tables, a prompt lies in one split, and so does a cluster."""
    splits: dict[str, set[str]] = defaultdict(set)
    for name in ("pairs", "unpaired", "prompts"):
        for row in tables[name].kept.to_pylist():
            splits[flat(row["prompt"])].add(row["split"])
    for row in tables["candidates"].kept.to_pylist():
        splits[row["cluster_id"]].add(row["split"])
    assert all(len(sides) == 1 for sides in splits.values())


TRANSCRIPT_TURN = re.compile(r"\n\n(Human|Assistant):(.*?)(?=\n\nHuman:|\n\nAssistant:|\Z)", re.DOTALL)


def hh_log(path: Path) -> ChatLog:
    """Rows of two transcripts each, as conversations whose last answers are siblings, with a choice between them."""
    log = ChatLog()
    for number, line in enumerate(gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")[:-1]):
        record, ends = json.loads(line), {}
        for side in ("chosen", "rejected"):
            after, prefix = None, ""
            for who, text in TRANSCRIPT_TURN.findall(record[side]):
                prefix += f"{who}:{text}\n"
                turn = ("u" if who == "Human" else "a") + stable_id(prefix)
                if (f"hh{number}", turn) not in log.depth:
                    log.say(f"hh{number}/{turn}", text.strip(), after=after)
                after = turn
            ends[side] = after
        log.act("choice", f"hh{number}", 1, better=ends["chosen"], worse=ends["rejected"])
    return log


def test_real_choices_become_pairs_and_share_no_first_turn_across_splits(shared_data: Path) -> None:
    log = hh_log(shared_data / "hh_rlhf" / "harmless-base" / "test.jsonl.gz")
    tables = build(log, popular=20)
    assert len(log.feedback) == 1752
    assert len(tables["pairs"].kept) >= 1700
    every_act_is_used_or_dropped(log, tables)
    no_tie_and_no_inversion(tables)
    no_prompt_in_two_splits(tables)
    sides: dict[str, set[str]] = defaultdict(set)
    for row in tables["pairs"].kept.to_pylist():
        sides[flat(row["prompt"][:1])].add(row["split"])
    assert all(len(splits) == 1 for splits in sides.values())
    assert len(sides) < len(tables["pairs"].kept), "there are first turns to share"
