"""Claims about real judged sets: what people said there is what the pairs say, and nothing else becomes one.

Each set takes the whole path from raw logs to pairs, in this process, in a few seconds.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from tasks.common.similarity.ngrams import fold
from tasks.common.text_identity import same_answer, same_question
from tasks.core.ledger import Account
from tests.builders import real_sets
from tests.builders.chatlog import Row
from tests.builders.real_sets import Line

Path_ = dict[str, dict[str, Account]]
EXPORTS = {
    "frontend_exports": ("librechat", "openwebui"),
    "oasst": ("en_100_tree.first60.jsonl",),
}  # beside them stands what has no reader or no votes
GIVEN = ("thumb", "rating", "choice", "ranking")  # what people did, not what is read out of their next message


@pytest.fixture(scope="module")
def walk(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path_]:
    """Takes a set by its name, or a folder that has a reader, along the path; once for all tests of it."""
    done: dict[str, Path_] = {}

    def take(name: str) -> Path_:
        if name not in done:
            root = tmp_path_factory.mktemp(name)
            raw = root / "raw"
            raw.mkdir()
            if name in real_sets.SETS:
                real_sets.write(real_sets.SETS[name](shared_data), raw / "lines.jsonl")
            else:
                for part in EXPORTS.get(name, ("",)):
                    (raw / f"{name}{part}").symlink_to(shared_data / name / part)
            done[name] = real_sets.run_path(raw, root / "out")
        return done[name]

    return take


def pairs_of(path: Path_, recipe: str | None = None) -> list[Row]:
    rows: list[Row] = path["pair"]["pairs"].kept.to_pylist()
    return [row for row in rows if recipe in (None, row["recipe"])]


def said(messages: list[Any]) -> str:
    """A conversation's text, as answers and prompts are told apart."""
    return "\n".join(f"{message['role']}: {same_question(message['content'])}" for message in messages)


def sides(pair: Row) -> tuple[str, str]:
    """The folded texts of chosen and rejected."""
    return fold(pair["chosen"][-1]["content"]), fold(pair["rejected"][-1]["content"])


UNREAD = ("empty_answer", "prompts_differ", "same_answer")  # reasons for which a record with one choice is none


def fates(path: Path_) -> Counter[str]:
    """What became of the acts that people did: by where and why they were left, and `vote` where they are behind a pair or an example."""
    found: Counter[str] = Counter()
    for row in path["ingest"]["quarantine"].kept.to_pylist():
        acts = re.match(r"(\d+) emojis and ranks on messages of users", row["detail"] or "")
        found[f"ingest {row['reason']}"] += int(acts[1]) if acts else row["reason"] in UNREAD
    for stage in ("ingest", "clean", "dedupe", "validate", "aggregate"):
        found.update(f"{stage} {row['dropped']}" for row in path[stage]["feedback"].dropped.to_pylist() if row["kind"] in GIVEN)
    crossed = path["split"]["votes"].dropped.to_pylist()
    left = [*crossed, *path["pair"]["votes"].dropped.to_pylist()]
    found.update(f"pair {row['dropped']}" for row in left if row["kind"] in GIVEN)
    found["vote"] = sum(kind in GIVEN for kind in path["pair"]["votes"].kept["kind"].to_pylist())
    return +found


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "arena_hard")) for name in real_sets.RAW_ACTS])
def test_every_act_in_the_files_of_a_real_set_is_a_vote_or_left_with_a_reason(
    walk: Callable[[str], Path_], shared_data: Path, name: str
) -> None:
    path = walk(name)
    told = fates(path)
    assert sum(told.values()) == real_sets.RAW_ACTS[name](shared_data), told
    assert told["vote"] + told["pair judge"] > 0, "judging models make no pairs unless asked"
    answers = [tuple(same_answer(row[side][-1]["content"]) for side in ("chosen", "rejected")) for row in pairs_of(path)]
    assert all(chosen != rejected for chosen, rejected in answers)


def test_three_annotators_choices_become_the_preference_of_their_majority(walk: Callable[[str], Path_], shared_data: Path) -> None:
    labels: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    cleaned = walk("pandalm")["clean"]["turns"]
    texts = {
        (row["conversation_id"], row["turn_id"]): fold(row["content"])
        for rows in (cleaned.kept, cleaned.dropped)
        for row in rows.to_pylist()
    }
    votes = [line for line in real_sets.pandalm(shared_data) if "kind" in line]
    for vote in votes:
        question, better, worse = (texts[f"jsonl:{vote['conversation_id']}", turn] for turn in ("q", vote["better"], vote["worse"]))
        left, right = sorted((better, worse))
        labels[question, left, right].append("tie" if vote["value"] == 0 else better)
    assert len(votes) == 2997
    made = pairs_of(walk("pandalm"), "choice")
    assert len(made) > 400, "a cap a prompt bounds them: 170 prompts"
    assert {pair["split"] for pair in made} == {"train", "validation", "test"}, "three people who judge everything tie nothing"
    for pair in made:
        chosen, rejected = sides(pair)
        left, right = sorted((chosen, rejected))
        counts = Counter(labels[fold(pair["prompt"][0]["content"]), left, right])
        assert counts[chosen] > counts[rejected], "what most of the three preferred"
        assert counts[chosen] > counts["tie"], "no tie became a pair"


def test_task_dialogues_give_pairs_where_one_try_was_right_and_another_wrong(walk: Callable[[str], Path_], shared_data: Path) -> None:
    lines = real_sets.taskmaster(shared_data)
    judged: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    talks = {line["id"]: line["messages"] for line in lines if "messages" in line}
    for vote in (line for line in lines if "kind" in line):
        messages = talks[vote["conversation_id"]]
        context = said([message for message in messages if not message["id"].startswith("try-")])
        tried = next(message["content"] for message in messages if message["id"] == vote["message_id"])
        judged[context][same_answer(tried)].add(vote["value"])
    made = pairs_of(walk("taskmaster"), "thumb_contrast")
    contexts = {said(pair["prompt"]) for pair in made}
    assert len(made) >= 200
    assert len(contexts) >= 200
    for pair in made:
        chosen, rejected = (same_answer(pair[side][-1]["content"]) for side in ("chosen", "rejected"))
        tries = judged[said(pair["prompt"])]
        assert (tries[chosen], tries[rejected]) == ({"up"}, {"down"}), "both were tried in this very context"


def test_ratings_in_words_keep_their_words_and_count_by_their_place(walk: Callable[[str], Path_], shared_data: Path) -> None:
    path = walk("topical_chat")
    given = Counter(line["value"] for line in real_sets.topical_chat(shared_data) if "kind" in line)
    acts = path["ingest"]["feedback"].kept
    words = Counter(acts["label"].to_pylist())
    assert {word: words[word] for word in real_sets.TOPICAL_WORDS} == {word: given[word] for word in real_sets.TOPICAL_WORDS}
    assert words[None] == given[""] > 0
    reasons = path["validate"]["feedback"].reasons
    assert reasons["no_value"] == given[""]
    assert reasons["not_an_answer"] > 10_000, "what the first speaker wrote stands in the place of a user's turns"
    lists = cast("list[list[dict[str, Any]]]", path["aggregate"]["candidates"].kept["votes"].to_pylist())
    votes = [vote for row in lists for vote in row if vote["kind"] == "rating"]
    grades = {(vote["raw"], vote["value"]) for vote in votes}
    assert grades == {(word, place / 4) for place, word in enumerate(real_sets.TOPICAL_WORDS)}


def test_ratings_in_words_become_liked_and_disliked_answers(walk: Callable[[str], Path_]) -> None:
    path = walk("topical_chat")
    scores = {
        (row["prompt_id"], fold(response["content"])): response["score"]
        for row in path["aggregate"]["candidates"].kept.to_pylist()
        for response in row["responses"]
    }
    labels: dict[bool, list[float]] = {True: [], False: []}
    for row in path["pair"]["unpaired"].kept.to_pylist():
        labels[row["label"]].append(scores[row["prompt_id"], fold(row["completion"][-1]["content"])])
    assert len(labels[True]) > 9_000
    assert len(labels[False]) > 50
    assert min(labels[True]) > 0.5 > max(labels[False])


def oasst_ranks(shared_data: Path) -> dict[str, int]:
    """Ranks that answers got, by the id of the message."""
    ranks: dict[str, int] = {}
    for line in (shared_data / "oasst" / "en_100_tree.first60.jsonl").read_text(encoding="utf-8").split("\n"):
        waiting = [json.loads(line)["prompt"]] if line else []
        for node in waiting:  # grows as it goes
            if node.get("rank") is not None and node["role"] == "assistant":
                ranks[node["message_id"]] = node["rank"]
            waiting.extend(node.get("replies") or [])
    return ranks


def test_ranks_of_trees_become_pairs_and_ties_do_not(walk: Callable[[str], Path_], shared_data: Path) -> None:
    ranks = oasst_ranks(shared_data)
    turns = {
        (row["prompt_id"], fold(response["content"])): [turn.rpartition("/")[2] for turn in response["turns"]]
        for row in walk("oasst")["aggregate"]["candidates"].kept.to_pylist()
        for response in row["responses"]
    }
    made = pairs_of(walk("oasst"), "ranking")
    assert len(made) > 200
    for pair in made:
        chosen, rejected = ([ranks[turn] for turn in turns[pair["prompt_id"], text]] for text in sides(pair))
        assert max(chosen) < min(rejected), "0 is best"


def first_turn(line: Row) -> str:
    """What the first user said."""
    return fold(next(message["content"] for message in line["prompt"] if message["role"] == "user"))


def test_no_first_user_turn_of_hh_crosses_the_split_where_rows_at_random_leak(walk: Callable[[str], Path_]) -> None:
    made = pairs_of(walk("hh_rlhf"), "choice")
    assert len(made) >= 1_600, "some, which all else speaks against, are low_confidence"
    splits: dict[str, set[str]] = defaultdict(set)
    for pair in made:
        splits[first_turn(pair)].add(pair["split"])
    assert {split for found in splits.values() for split in found} == {"train", "validation", "test"}
    assert sum(len(found) > 1 for found in splits.values()) == 0

    firsts, leaks = [first_turn(pair) for pair in made], []
    for seed in range(200):
        test = set(random.Random(seed).sample(range(len(firsts)), round(len(firsts) * 0.05)))
        rest = {text for number, text in enumerate(firsts) if number not in test}
        leaks.append(sum(firsts[number] in rest for number in test) / len(test))
    assert 0.08 < sum(leaks) / len(leaks) < 0.18, "about 13 %"


def test_a_real_front_ends_votes_are_about_the_text_of_their_snapshot(walk: Callable[[str], Path_], shared_data: Path) -> None:
    row = json.loads((shared_data / "frontend_exports" / "openwebui" / "feedback_api_response_example.json").read_text(encoding="utf-8"))
    row = row[0] if isinstance(row, list) else row
    voted = row["snapshot"]["chat"]["chat"]["history"]["messages"][row["meta"]["message_id"]]["content"]
    (found,) = [
        line
        for line in walk("frontend_exports")["aggregate"]["candidates"].kept.to_pylist()
        if {vote["kind"] for vote in line["votes"]} & {"thumb"}
    ]
    thumbs = [vote for vote in found["votes"] if vote["kind"] == "thumb"]
    texts = {response["response_id"]: fold(response["content"]) for response in found["responses"]}
    assert [texts[vote["response_id"]] for vote in thumbs] == [fold(voted)], "the chat tells of the same thumb: it counts once"
    assert walk("frontend_exports")["aggregate"]["feedback"].reasons == {"superseded": 1}


def unread(line: Line) -> bool:
    """Whether a line has neither messages nor a kind."""
    return "messages" not in line and "kind" not in line


@pytest.mark.parametrize("name", real_sets.SETS)
def test_a_converter_writes_lines_of_our_own_format_only(name: str, shared_data: Path) -> None:
    lines = real_sets.SETS[name](shared_data)
    assert lines
    assert not any(map(unread, lines))
    assert len({line["id"] for line in lines}) == len(lines)
