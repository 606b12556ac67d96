"""Laws that hold for whatever log people write: over `aggregate`, `split` and `pair` together."""

from __future__ import annotations

import gzip
import json
import re
import warnings
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.aggregate import stage as aggregate
from tasks.common.vocabulary.kinds import VOTED
from tasks.core.ids import stable_id
from tasks.core.ledger import Account
from tasks.pair import stage as pair
from tasks.split import stage as split
from tests.builders import oracle, pair_runs, split_runs
from tests.builders.chatlog import AGGREGATE, ChatLog, accounts, frame, kept

# Few texts, so that prompts and answers meet; some differ in case and spacing only.
TEXTS = ("hi", "Hi ", "how do I boil rice", "pasta", "x\ty", "X Y", "ok")
KIND = (*VOTED, "report", "applause")
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


# Questions that are near-equal, and one that is not; the few answers to them are the same.
ASKED = ("how do I boil a cup of brown rice at home", "how do I boil a cup of brown rice at home please", "pasta")
VERDICT: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["choice", "choice", "regenerate", "edit", "correction", "thumb", "rating"]),
        "two": st.permutations(range(4)),
        "value": st.sampled_from([1.0, 1.0, 0.0, -1.0]),
        "rating": st.sampled_from([1.0, 2.0, 5.0]),
        "annotator": st.sampled_from([None, "p1", "p2", "p3"]),
        "annotator_kind": st.sampled_from(["person", "person", "person", "model"]),
    }
)
RANKING = st.lists(st.integers(0, 3), min_size=2, max_size=4)


@st.composite
def panels(draw: st.DrawFn) -> ChatLog:
    """Near-equal questions with the same four answers, and people and models who choose, rank, rate, edit and contradict each other."""
    log = ChatLog()
    for number in range(draw(st.integers(1, 3))):
        name = f"c{number}"
        before = draw(st.sampled_from([None, "Sugar.", "Salt."]))
        top = None if before is None else log.say(f"{name}/u0", "what is in it?")
        top = top and log.say(f"{name}/a0", str(before), after=top)
        log.say(f"{name}/u1", draw(st.sampled_from(ASKED)), after=top)
        answers = [log.say(f"{name}/a{place}", f"answer {letter}", after="u1") for place, letter in enumerate("ABCD", 1)]
        for act in draw(st.lists(VERDICT, max_size=9)):
            one, other = (answers[place] for place in act["two"][:2])
            who = {key: act[key] for key in ("annotator", "annotator_kind")}
            if act["kind"] in ("choice", "regenerate"):
                log.act(act["kind"], name, act["value"] if act["kind"] == "choice" else None, better=one, worse=other, **who)
            elif act["kind"] in ("edit", "correction"):
                log.act(act["kind"], f"{name}/{one}", text=f"answer {'ABCDE'[act['two'][2]]}", **who)
            else:
                value = act["rating"] if act["kind"] == "rating" else act["value"] or 1.0
                log.act(act["kind"], f"{name}/{one}", value, **who)
        for place, ranks in enumerate(draw(st.lists(RANKING, max_size=2))):
            for answer, rank in zip(answers, ranks, strict=False):
                log.act("ranking", f"{name}/{answer}", rank, group=f"{name}{place}")
    return log


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(panels(), st.integers(0, 2**16), st.booleans())
def test_laws_of_pairs(log: ChatLog, shuffle: int, judges: bool) -> None:
    made = []
    for order in (None, shuffle):
        tables = log.tables(order)
        found = accounts("aggregate", aggregate.run(tables, aggregate.Params.model_validate(AGGREGATE)), tables)
        rows = found["candidates"].kept.to_pylist()
        for row in rows:
            row["cluster_id"] = "rice" if "rice" in row["prompt"][-1]["content"] else row["prompt_id"]
        clustered = replace(found["candidates"], kept=frame(rows, "candidates").to_arrow())
        made.append(pair_runs.settled(kept(clustered), judges={"use": judges}) | {"candidates": clustered})
    no_tie_and_no_inversion(made[0])
    for name in pair.WRITES:
        assert made[0][name].kept.equals(made[1][name].kept), f"the order of the input changed {name}"
        assert made[0][name].reasons == made[1][name].reasons


def build(log: ChatLog, shuffle: int | None = None, **splitting: object) -> dict[str, Account]:
    """All tables of the three stages."""
    tables = log.tables(shuffle)
    found = accounts("aggregate", aggregate.run(tables, aggregate.Params.model_validate(AGGREGATE)), tables)
    tables = {"candidates": kept(found["candidates"])}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        placed = accounts("split", split.run(tables, split.Params.model_validate(split_runs.DEFAULTS | splitting)), tables)
    tables = {"candidates": kept(placed["candidates"])}
    made = accounts("pair", pair.run(tables, pair.Params.model_validate(pair_runs.DEFAULTS)), tables)
    return found | {"candidates": placed["candidates"]} | {name: made[name] for name in pair.WRITES}


def flat(messages: list[dict[str, str]]) -> str:
    """Messages as the release is checked: lower case, white space folded."""
    return re.sub(r"\s+", " ", "\n".join(f"{message['role']}:{message['content']}" for message in messages)).strip().lower()


@pytest.mark.slow
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
    """Counted anew, the evidence of every pair speaks for the chosen answer, no preferences contradict, and every vote's fate is told."""
    known = oracle.Candidates(tables["candidates"].kept.to_pylist(), pair_runs.DEFAULTS)
    pairs = tables["pairs"].kept.to_pylist()
    for row in pairs:
        oracle.check_pair(row, known)
    oracle.check_no_circle(pairs, known)
    oracle.check_fates(tables, known)
    seen: set[tuple[str, str, str]] = set()
    for row in pairs:
        prompt, chosen, rejected = (flat(row[name]) for name in ("prompt", "chosen", "rejected"))
        assert chosen != rejected
        assert not {(prompt, rejected, chosen), (prompt, chosen, rejected)} & seen, "as the release sees it"
        seen.add((prompt, chosen, rejected))
    for row in tables["unpaired"].kept.to_pylist():
        assert row["completion"][0]["role"] == "assistant"


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
    assert len(tables["pairs"].kept) >= 1600, "but those that the words of all others speak against"
    every_act_is_used_or_dropped(log, tables)
    no_tie_and_no_inversion(tables)
    no_prompt_in_two_splits(tables)
    sides: dict[str, set[str]] = defaultdict(set)
    for row in tables["pairs"].kept.to_pylist():
        sides[flat(row["prompt"][:1])].add(row["split"])
    assert all(len(splits) == 1 for splits in sides.values())
    assert len(sides) < len(tables["pairs"].kept), "there are first turns to share"
