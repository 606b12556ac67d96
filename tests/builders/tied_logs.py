"""Candidates in which nearly everything is tied with everything, and where their values lie afterwards."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import strategies as some

from tasks.core.ids import stable_id
from tests.builders.chatlog import Row
from tests.builders.split_runs import answer, parts, prompt, text


def vote(feedback: str, conversation: str, annotator: str | None, about: Row, **more: object) -> Row:
    """A thumb for an answer, given in this conversation."""
    given = {"feedback_id": feedback, "kind": "thumb", "response_id": about["response_id"], "value": 1.0, "annotator": annotator}
    return given | {"annotator_kind": "person", "conversation": conversation, "origin": f"file:{feedback}:2"} | more


@some.composite
def logs(draw: some.DrawFn) -> list[Row]:
    """Prompts with few people, conversations, openings and answers, so that nearly everything is tied with everything."""
    rows = []
    for number in range(draw(some.integers(1, 40))):
        talks = sorted(draw(some.sets(some.integers(0, 12), min_size=1, max_size=4)))
        said = [part for talk in talks for part in parts(f"c{talk}", f"p{talk // 2}")]
        contents = draw(some.lists(some.integers(0, 9), min_size=1, max_size=3, unique=True))
        responses = []
        for place, content in enumerate(contents):
            here = [f"c{talk}" for talk in talks[place % len(talks) :]]
            responses.append(answer(f"answer number {content} " * 4, *here) | {"response_id": stable_id(str(number), str(content))})
        votes = [
            vote(
                f"f{number}.{place}",
                f"c{draw(some.sampled_from(talks))}",
                f"p{draw(some.integers(0, 9))}",
                draw(some.sampled_from(responses)),
            )
            for place in range(draw(some.integers(0, 4)))
        ]
        ups = Counter(one["response_id"] for one in votes)
        responses = [one | {"ups": ups[one["response_id"]]} for one in responses]
        users = sorted({part["user"] for part in said if part["user"]} | {one["annotator"] for one in votes})
        opening = draw(some.sampled_from([(), ("hi", "ok"), ("another opening", "ok"), ("a third opening", "ok")]))
        lists = {"conversations": [f"c{talk}" for talk in talks], "users": users, "parts": said, "responses": responses, "votes": votes}
        rows.append(prompt(number, *opening, text(draw(some.integers(0, 30))), **lists))
    return rows


def places(kept: list[Row]) -> dict[tuple[str, str], set[str]]:
    """The splits in which each user, conversation, cluster, first user turn and answer lies."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in kept:
        values = [("cluster", row["cluster_id"]), ("opening", row["prompt"][0]["content"])]
        values += [("user", one) for one in [*row["users"], *(vote["annotator"] for vote in row["votes"])]]
        values += [("user", part["user"]) for part in row["parts"] if part["user"]]
        values += [("talk", one) for one in [*row["conversations"], *(vote["conversation"] for vote in row["votes"])]]
        values += [("talk", turn.split("/")[0]) for one in row["responses"] for turn in one["turns"]]
        values += [("answer", one["content"]) for one in row["responses"]]
        for value in values:
            found[value].add(row["split"])
    return found


def too_common(rows: list[Row], popular: int) -> set[tuple[str, str]]:
    """First user turns of more than so many conversations, and answers under more than so many prompts."""
    met: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        met["opening", row["prompt"][0]["content"]] |= set(row["conversations"])
        for one in row["responses"]:
            met["answer", one["content"]].add(row["prompt_id"])
    return {value for value, seen in met.items() if len(seen) > popular}
