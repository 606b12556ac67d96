"""Claims about ordinary product logs: one system prompt, pasted context, templates, links, pictures, few raters, one vote an answer.

All made here, of words that mean nothing, in the shapes that such logs have; each takes the whole path from raw lines to pairs.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.core.ledger import Account
from tests.builders.chatlog import Row
from tests.builders.product_logs import asked, choice, prose, thumb
from tests.builders.real_sets import Line, run_path, write
from tests.conftest import ROOT

Walked = dict[str, dict[str, Account]]


def walk(root: Path, lines: list[Line]) -> Walked:
    write(lines, root / "raw" / "log.jsonl")
    return run_path(root / "raw", root / "out")


def pairs(walked: Walked, *parts: str) -> list[tuple[str, str, str]]:
    """Prompt, chosen and rejected of the pairs whose prompt holds one of the parts."""
    rows: list[Row] = walked["pair"]["pairs"].kept.to_pylist()
    told = [(row["prompt"][-1]["content"], row["chosen"][-1]["content"], row["rejected"][-1]["content"]) for row in rows]
    return [one for one in told if any(part in one[0] for part in parts)]


def merged(walked: Walked, prefix: str) -> list[str]:
    """The conversations of this prefix that dedupe took for copies."""
    gone = walked["dedupe"]["turns"].dropped.to_pylist()
    return sorted({row["conversation_id"] for row in gone if row["conversation_id"].startswith(f"jsonl:{prefix}")})


RAG = [
    (f"rag-{page}-{at}", f"Use this page to answer.\n\n{prose(f'page {page}', 300)}\n\nQuestion: {prose(f'{page} {at}', 6)}")
    for page in range(12)
    for at in range(6)
]
LINKS = [f"Please summarise this page for me: https://www.site{at}.example/articles/{at * 7}" for at in range(30)]
LONG = prose("long", 150)
WORDS = [("enable", "disable"), ("increase", "decrease"), ("encrypt", "decrypt"), ("before", "after")]
FOLDED = [  # what is asked, an answer, and another that a careless comparison takes for the same
    ("area", "The area is π r² for the radius r.", "The area is π r2 for the radius r."),
    ("indent", "for x in xs:\n    if x:\n        y()\n    z()", "for x in xs:\n    if x:\n        y()\n        z()"),
    ("case", "a GiAnT sPiDeR came by the river", "A Giant Spider came by the river"),
    ("haiku", "An old silent pond\nA frog jumps in\nSplash! Silence again", "An old silent pond A frog jumps in Splash! Silence again"),
    ("price", f"{prose('price', 90)} It costs 19 euros.", f"{prose('price', 90)} It costs 91 euros."),
    ("must", f"{prose('must', 90)} You must not open it.", f"{prose('must', 90)} You must now open it."),
]  # fmt: skip


def judged(name: str, question: str, seed: int) -> list[Line]:
    """A question with one answer of its own, liked or not."""
    return [asked(name, question, prose(f"answer {name}", 12)), thumb(name, 1 if seed % 2 else -1)]


def pictures() -> list[Line]:
    lines: list[Line] = []
    for at in range(10):
        line, vote = judged(f"picture-{at}", "", at)
        picture = {"type": "image_url", "image_url": {"url": f"https://files.example/{at}.png"}}
        line["messages"][0]["content"] = [{"type": "text", "text": "What is shown in this picture?"}, picture]
        lines += [line, vote]
    return lines


def orders() -> list[Line]:
    """Two orders about one long text; three people want bullets where they asked for bullets, a sentence where for one."""
    lines: list[Line] = []
    for best, order in enumerate(("Summarise in three bullet points", "Summarise in one sentence only")):
        for voter in range(3):
            name = f"order-{best}-{voter}"
            lines.append(asked(name, f"{order}: {LONG}", f"- {prose('a', 20)}\n- {prose('b', 20)}\n- {prose('c', 20)}", prose("d", 25)))
            lines.append(choice(name, f"a{best}", f"a{1 - best}"))
    return lines


def words() -> list[Line]:
    """Questions that differ in one word, with opposite votes about the same two answers."""
    lines: list[Line] = []
    for at, word in ((at, word) for pair in WORDS for at, word in enumerate(pair)):
        question = f"How do I {word} the nightly copy of the archive on the old server"
        lines.append(asked(f"word-{word}", question, prose("yes", 30), prose("no", 30)))
        lines.append(choice(f"word-{word}", f"a{at}", f"a{1 - at}"))
    return lines


def content_log() -> list[Line]:
    """Conversations that look like one another."""
    lines = [line for at, (name, question) in enumerate(RAG) for line in judged(name, question, at)]
    lines += [line for at, question in enumerate(LINKS) for line in judged(f"link-{at}", question, at)]
    lines += [
        line
        for at, tongue in enumerate(("French", "German"))
        for line in judged(f"into-{tongue}", f"Translate into {tongue} please: {LONG}", at)
    ]
    for name, better, worse in FOLDED:
        lines += [
            asked(f"fold-{name}", f"Tell me once more of the {name} {prose(name, 8)}", better, worse),
            choice(f"fold-{name}", "a0", "a1"),
        ]
    return [*lines, *pictures(), *orders(), *words()]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    return walk(tmp_path_factory.mktemp("content"), content_log())


def test_questions_about_one_page_are_no_copies_and_give_no_pair(walked: Walked) -> None:
    assert merged(walked, "rag-") == []
    assert pairs(walked, "Use this page") == []


def test_questions_about_links_are_no_copies_and_give_no_pair(walked: Walked) -> None:
    assert merged(walked, "link-") == []
    assert pairs(walked, "summarise this page") == []


def test_one_question_about_ten_pictures_gives_no_pair(walked: Walked) -> None:
    assert merged(walked, "picture-") == []
    assert pairs(walked, "in this picture") == []


def test_a_text_to_be_put_into_two_languages_is_two_questions(walked: Walked) -> None:
    assert merged(walked, "into-") == []
    assert pairs(walked, "Translate into") == []


def test_two_orders_about_one_long_text_give_each_its_own_pair(walked: Walked) -> None:
    bullets, sentence = pairs(walked, "three bullet points"), pairs(walked, "one sentence only")
    assert [chosen.startswith("- ") for _, chosen, _ in bullets] == [True]
    assert [chosen.startswith("- ") for _, chosen, _ in sentence] == [False]


def test_questions_that_differ_in_the_word_that_matters_give_each_its_own_pair(walked: Walked) -> None:
    found = {prompt.split()[3]: chosen for prompt, chosen, _ in pairs(walked, "nightly copy")}
    assert found == {word: prose(("yes", "no")[at], 30) for pair in WORDS for at, word in enumerate(pair)}


@pytest.mark.parametrize(("name", "better", "worse"), FOLDED, ids=[one[0] for one in FOLDED])
def test_answers_that_differ_in_what_matters_are_a_pair(walked: Walked, name: str, better: str, worse: str) -> None:
    assert [(chosen, rejected) for _, chosen, rejected in pairs(walked, f"of the {name} ")] == [(better, worse)]


@pytest.mark.parametrize("words", [468, 1000])
def test_a_system_prompt_before_every_chat_of_the_sample_makes_no_copies(tmp_path: Path, words: int) -> None:
    log = (ROOT / "data" / "raw" / "sample" / "desk.jsonl").read_bytes().splitlines()[:600]  # broken lines come later
    chats = [line for line in map(json.loads, log) if "messages" in line][:200]
    system = {"id": "system", "parent_id": None, "role": "system", "content": prose("system", words)}
    before = [
        chat | {"messages": [system, *(said | {"parent_id": said["parent_id"] or "system"} for said in chat["messages"])]} for chat in chats
    ]
    (tmp_path / "bare").mkdir()
    (tmp_path / "with").mkdir()
    bare, prefixed = (merged(walk(tmp_path / name, lines), "") for name, lines in (("bare", chats), ("with", before)))
    assert prefixed == bare


ROUNDS = {  # questions, raters of each, who asks
    "16 raters, one or two a question": (120, [[f"r{at % 16}", f"r{(at * 7 + 3) % 16}"][: 1 + at % 2] for at in range(120)], "customer-{}"),
    "two raters of everything": (120, [["r0", "r1"]] * 120, "customer-{}"),
    "one person's own chats": (120, [["me"]] * 120, "me"),
    "one id for everyone": (120, [["anonymous"]] * 120, "anonymous"),
}


@pytest.mark.parametrize("people", ROUNDS)
def test_few_people_lose_no_vote_and_leave_no_split_empty(tmp_path: Path, people: str) -> None:
    count, raters, asker = ROUNDS[people]
    lines: list[Line] = []
    for at in range(count):
        name, user = f"item-{at}", asker.format(at)
        lines.append(asked(name, prose(f"question {at}", 12), prose(f"good {at}", 20), prose(f"bad {at}", 20), user=user))
        lines += [choice(name, "a0", "a1", user=rater) for rater in raters[at]]
    walked = walk(tmp_path, lines)
    votes = walked["pair"]["votes"]
    assert (votes.kept.num_rows, votes.dropped.num_rows) == (sum(map(len, raters)), 0)
    made = walked["pair"]["pairs"].kept.to_pylist()
    assert len(made) == count
    assert {row["split"] for row in made} == {"train", "validation", "test"}


def test_a_question_with_and_without_signs_and_courtesies_never_crosses_the_split(tmp_path: Path) -> None:
    lines: list[Line] = []
    for at in range(100):
        question = prose(f"short {at}", 3 + at % 6)
        for form, text in enumerate((question, f"{question}?", f"{question} please", f"Hi, {question}!")):
            name = f"say-{at}-{form}"
            lines += [asked(name, text, prose(f"{name} good", 15), prose(f"{name} bad", 15)), choice(name, "a0", "a1")]
    where: dict[str, set[str]] = {}
    for row in walk(tmp_path, lines)["pair"]["pairs"].kept.to_pylist():
        for name in row["conversations"]:
            where.setdefault(name.split("-")[1], set()).add(row["split"])
    assert len(where) == 100
    assert [at for at, splits in where.items() if len(splits) > 1] == []


def test_what_a_person_says_last_counts_and_what_is_taken_back_does_not(tmp_path: Path) -> None:
    def when(hour: int) -> str:
        return f"2026-01-05T{hour:02}:00:00Z"

    lines: list[Line] = []
    for name in ("switched", "taken-back", "kept"):
        lines.append(asked(name, prose(name, 10), prose(f"{name} 0", 20), prose(f"{name} 1", 20)))
        lines += [thumb(name, 1, "a0", created_at=when(1)), thumb(name, -1, "a1", created_at=when(1))]
    lines += [thumb("switched", -1, "a0", created_at=when(2)), thumb("switched", 1, "a1", created_at=when(2))]
    lines += [thumb("taken-back", None, "a0", created_at=when(2)), thumb("taken-back", 0, "a1", created_at=when(2))]
    walked = walk(tmp_path, lines)
    assert sorted(row["created_at"].hour for row in walked["pair"]["votes"].kept.to_pylist()) == [1, 1, 2, 2], "a vote knows its time"
    found = {prompt: chosen for prompt, chosen, _ in pairs(walked, "")}
    assert found == {prose("switched", 10): prose("switched 1", 20), prose("kept", 10): prose("kept 0", 20)}


def test_whole_numbers_as_ids_are_ids_and_no_places(tmp_path: Path) -> None:
    messages = [{"id": 1, "role": "user", "content": prose("q", 9)}]
    messages += [{"id": at, "parent_id": 1, "role": "assistant", "content": prose(f"answer {at}", 12)} for at in (2, 3, 4)]
    lines = [{"id": "c", "user_id": "u", "messages": messages}, choice("c", 2, 3, user="u")]  # type: ignore[arg-type]
    assert [(chosen, rejected) for _, chosen, rejected in pairs(walk(tmp_path, lines), "")] == [
        (prose("answer 2", 12), prose("answer 3", 12))
    ]


def test_two_exports_whose_chats_have_the_same_ids_stay_two_peoples_chats(tmp_path: Path) -> None:
    for export in ("one", "two"):
        lines: list[Line] = []
        for at in range(5):
            name, user = f"c{at}", f"{export} {at}"
            lines += [asked(name, prose(user, 10), prose(f"{user} 0", 20), prose(f"{user} 1", 20), user=user)]
            lines += [choice(name, "a0", "a1", user=user)]
        write(lines, tmp_path / "raw" / f"{export}.jsonl")
    found = pairs(run_path(tmp_path / "raw", tmp_path / "out"), "")
    told = [f"{export} {at}" for export in ("one", "two") for at in range(5)]
    assert sorted(found) == sorted((prose(one, 10), prose(f"{one} 0", 20), prose(f"{one} 1", 20)) for one in told)
