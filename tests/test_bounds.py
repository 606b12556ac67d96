"""Claims about values that lie exactly at a bound in `split`, `dedupe` and `decontaminate`: which is the last one in."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.common import links
from tasks.common.arrays import Rows
from tasks.common.links import Edges
from tasks.common.similarity import minhash
from tasks.common.wording import OneLetter
from tasks.decontaminate.ngrams import Index
from tasks.decontaminate.verbatim import Ngrams, Verbatim
from tasks.decontaminate.words import known, vocabulary
from tasks.dedupe import same_chat
from tasks.dedupe import stage as dedupe
from tasks.dedupe.same_chat import SameChat, asks_another_thing
from tasks.split import assignment, earlier_releases
from tasks.split import stage as split
from tasks.split.assignment_table import UNKNOWN
from tests.builders import dedupe_runs
from tests.builders.chatlog import ChatLog, accounts
from tests.builders.split_runs import DEFAULTS, answer, prompt, settled, text

SAME_CHAT = SameChat(min_words=0.5, min_message_words=0.5, min_answer_words=4, common=2, misspelt_question_chars=5, misspelt_answer_chars=9)
SHARES = (0.8, 0.1, 0.1)
LIMITS = links.Limits(popular=3, largest_user=1.0, largest_component=1.0)


def params(**changes: object) -> split.Params:
    return split.Params.model_validate(DEFAULTS | changes)


def chained(*groups: range, shared_by: int = 2) -> Edges:
    """Ties that hold each of the groups together."""
    left = np.concatenate([np.arange(group.start, group.stop - 1) for group in groups])
    return Edges(left, left + 1, np.full(len(left), shared_by))


def test_a_draw_exactly_at_a_threshold_is_beyond_it() -> None:
    """So of thousand even draws exactly the shares are held out."""
    draws = np.arange(1000) / 1000
    placed = assignment.assign_splits(draws, np.arange(1000), SHARES, 1.0)
    assert np.bincount(placed).tolist() == [800, 100, 100]
    assert placed[[99, 100, 199, 200]].tolist() == [2, 1, 1, 0]


@pytest.mark.parametrize("held", [1, 2])
@pytest.mark.parametrize(("size", "is_held"), [(5, True), (6, False)])
def test_a_component_exactly_as_large_as_a_held_out_split_may_take_is_held_out(held: int, size: int, is_held: bool) -> None:
    """Of 100 rows a split of a tenth has ten, and one component at most half of them."""
    labels = np.concatenate([np.zeros(size, np.int64), np.arange(1, 101 - size)])
    draws = np.where(labels == 0, 1e-9, 0.999)  # lower than any threshold
    shares = (0.9, 0.1, 0.0) if held == 1 else (0.9, 0.0, 0.1)
    assert (assignment.assign_splits(draws, labels, shares, 0.5)[0] == held) == is_held


def test_as_many_components_as_splits_leave_none_empty() -> None:
    chosen = assignment.assign_one_split(np.zeros(3, np.int64), np.ones(3, np.int64), np.arange(3.0), SHARES, np.zeros(3, bool))
    assert sorted(chosen.tolist()) == [0, 1, 2]
    chosen = assignment.assign_one_split(np.zeros(2, np.int64), np.ones(2, np.int64), np.arange(2.0), SHARES, np.zeros(3, bool))
    assert chosen.tolist() == [0, 0], "two cannot fill three"


@pytest.mark.parametrize(("size", "parted"), [(30, False), (31, True)])
def test_a_component_exactly_at_the_largest_stays_whole(size: int, parted: bool) -> None:
    edges = {key: chained(range(size), shared_by=size) if key == "user" else chained(range(1)) for key in links.KEYS}
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        left = split.break_giants(edges, 60, params())
    assert (len(left["user"].left) < size - 1, bool(heard)) == (parted, parted)


@pytest.mark.parametrize(("size", "kept"), [(30, False), (31, True)])
def test_a_firm_component_exactly_at_the_largest_is_no_giant(size: int, kept: bool) -> None:
    """Prompts that say nearly the same cannot be parted without loss: a giant of them is kept, and told of."""
    edges = {key: chained(range(size if key == "near" else 1)) for key in links.KEYS}
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        split.break_giants(edges, 60, params())
    assert [str(one.message).endswith("(split.near says what is near)") for one in heard] == [True] * kept


@pytest.mark.parametrize("held", [1, 2])
def test_components_exactly_as_large_as_may_be_held_out_count_for_the_threshold(held: int) -> None:
    """Of twenty components of five rows, all with one draw, two or so are due: were they not counted, all would be held out."""
    labels, draws = np.repeat(np.arange(20), 5), np.full(100, 0.3)
    shares = (0.9, 0.1, 0.0) if held == 1 else (0.9, 0.0, 0.1)
    assert (assignment.assign_splits(draws, labels, shares, 0.5) == held).sum() == 5, "one, so that the split is not empty"


@pytest.mark.parametrize(("size", "kept"), [(30, False), (31, True)])
def test_what_alone_holds_more_than_the_largest_together_is_firm(size: int, kept: bool) -> None:
    """A first user turn of exactly so many rows may be given up; one of more would cost them all."""
    assert split.loses_all(chained(range(size), shared_by=size), "opening", 30.0) is kept


def test_values_half_as_common_as_the_commonest_are_not_given_up_with_it() -> None:
    groups = {10: range(10), 5: range(9, 14), 6: range(13, 19)}
    parts = [chained(group, shared_by=many) for many, group in groups.items()]
    edges = {"user": Edges(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("left", "right", "shared_by")))}
    left, given_up = links.drop_links(edges, "user", 19, 18)
    assert (set(left["user"].shared_by.tolist()), given_up) == ({5}, 14)


def test_a_component_that_giving_up_brings_exactly_to_the_limit_loses_no_more() -> None:
    edges = {"user": chained(range(10), shared_by=10), "conversation": chained(range(6))}
    left, given_up = links.drop_links(edges, "user", 12, 10)
    assert (len(left["user"].left), given_up) == (9, 0)


@pytest.mark.parametrize(("count", "tied"), [(3, True), (4, False)])
@pytest.mark.parametrize("what", ["opening", "answer"])
def test_what_is_met_exactly_as_often_as_is_popular_still_ties(what: str, count: int, tied: bool) -> None:
    long = "An answer that is long enough to be told from what any model says to anybody."
    more = {"responses": [answer(long)]} if what == "answer" else {}
    said = ("hi there", "hello") if what == "opening" else ()
    rows = [prompt(number, *said, text(number), **more) for number in range(count)]
    assert (settled(rows, popular=3)[0]["common"].kept.num_rows == 0) == tied


@pytest.mark.parametrize(("count", "plain"), [(3, True), (4, False)])
def test_a_prompt_met_in_exactly_so_many_conversations_as_is_popular_still_ties(count: int, plain: bool) -> None:
    rows = [prompt(1, conversations=[f"c{number}" for number in range(count)]), *(prompt(number) for number in range(20, 30))]
    _, said = settled(rows, popular=3)
    assert any("1 prompts are met in more than 3 conversations" in line for line in said) != plain


def test_turns_beyond_those_compared_are_left_out_and_no_others() -> None:
    prompts = pa.array([[{"role": "user", "content": letter} for letter in letters] for letters in ("abc", "ab", "a")])
    for most, said in ((2, [["a", "b"], ["a", "b"], ["a"]]), (3, [["a", "b", "c"], ["a", "b"], ["a"]])):
        turns: pa.Array[Any] = links.first_user_turns(prompts, most)[0]
        assert turns.to_pylist() == said


@pytest.mark.parametrize(("count", "warned"), [(split.FEW - 1, False), (split.FEW, True)])
def test_shares_are_told_of_from_so_many_rows_on(count: int, warned: bool) -> None:
    assert bool(told(np.zeros(count, np.int64), far_from_asked=0.1)) == warned


def test_shares_exactly_as_far_from_those_asked_as_they_may_be_are_not_told_of() -> None:
    placed, asked = np.repeat([0, 1, 2], [32, 16, 16]), {"train": 0.625, "validation": 0.125, "test": 0.25}  # an eighth each
    assert not told(placed, far_from_asked=0.125, **asked)
    assert told(placed, far_from_asked=0.1249, **asked)


def told(placed: Rows, **changes: object) -> list[str]:
    """What is said of the shares of these rows."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        split.report_shares(placed, params(**changes))
    return [str(warning.message) for warning in heard]


@pytest.mark.parametrize(("crowd", "along"), [(5, 5), (6, 0)])
def test_a_crowd_exactly_as_large_as_a_held_out_split_may_take_comes_along_whole(crowd: int, along: int) -> None:
    """Tied to one row of test over what many share, which takes part of a crowd or, as weak a tie as this, nothing."""
    rows = crowd + 1
    side = np.array([2] + [UNKNOWN] * crowd)
    placed = earlier_releases.spread(side, np.ones(rows, bool), {"user": chained(range(rows))}, np.array([99.0, 5.0, 5.0]))
    assert (placed[1:] == 2).sum() == along


@pytest.mark.parametrize(("joining", "along"), [(3, True), (4, False)])
def test_the_last_part_that_a_held_out_split_has_room_for_comes_along(joining: int, along: bool) -> None:
    """A part of two rows has joined; a second one fills the five, or is one too many. What is tied to train too makes it go tie by tie."""
    side = np.array([2, -1, -1, *[-1] * joining, 0])
    inner = {
        "opening": chained(range(1, 3), range(3, 3 + joining)),
        "conversation": Edges(np.array([0, 0]), np.array([1, 3]), np.array([2, 3])),
        "user": Edges(np.array([0]), np.array([3 + joining]), np.array([2])),
    }
    placed = earlier_releases.spread(side, np.ones(len(side), bool), inner, np.array([99.0, 5.0, 5.0]))
    assert (placed[3 : 3 + joining] == (2 if along else 0)).all()
    assert (placed[1:3] == 2).all()


def compared(**changes: object) -> same_chat._Comparison:
    """One side of two chats of eight words, half of which are the same."""
    said: dict[str, Any] = {"equal": False, "total": 8, "shared": 4, "telling": 4, "couples": ((8, 4),)}
    return same_chat._Comparison(**(said | changes))


@pytest.mark.parametrize(
    ("changes", "alike"),
    [
        ({}, True),
        ({"shared": 3}, False),
        ({"couples": ((8, 3),)}, False),
        ({"couples": ((same_chat.SHORT, 0),)}, False),
        ({"couples": ((same_chat.SHORT - 1, 0),)}, True),
    ],
)
def test_chats_that_share_exactly_as_many_words_as_they_must_are_alike(changes: dict[str, Any], alike: bool) -> None:
    assert compared(**changes).alike(SAME_CHAT) == alike


@pytest.mark.parametrize(("telling", "one"), [(4, True), (3, False)])
def test_answers_of_exactly_as_many_words_as_they_need_prove_that_two_chats_are_one(telling: int, one: bool) -> None:
    assert same_chat.one_chat(compared(), compared(telling=telling), True, SAME_CHAT) == one


@pytest.mark.parametrize(
    ("one", "other", "another"),
    [
        ("which way goes home", "which way went there", True),  # half of the words are others
        ("which way goes right home", "which way went right home", False),
        ("which way goes home", "which way goes home thanks", False),
        ("One sentence. And", "One sentence.", False),  # a single word more
        ("One sentence. And then", "One sentence.", True),
    ],
)
def test_long_questions_of_which_half_the_words_differ_ask_another_thing(one: str, other: str, another: bool) -> None:
    assert asks_another_thing(one, other) == another


@pytest.mark.parametrize(("words", "same"), [(same_chat.LONG - 1, True), (same_chat.LONG, False)])
def test_questions_are_held_together_by_sentence_from_so_many_words_on(words: int, same: bool) -> None:
    """The last sentence of two questions on one page asks for two things."""
    page = " ".join(f"word{letter}" for letter in "abcdefghij" * 5)[: 6 * (words - 3) - 1] + ". "
    log = ChatLog()
    for name, question in (("one", "when it opens"), ("two", "who pays there")):
        log.chat(name, page + question, "the same long answer is given to both")
    limits = dedupe_runs.SAME_CHAT.model_copy(update={"misspelt_question_chars": 10_000})
    tables = log.tables()
    found = accounts("dedupe", dedupe.run(tables, dedupe_runs.PARAMS.model_copy(update={"same_chat": limits})), tables)["turns"]
    assert bool(len(found.dropped)) == same


@pytest.mark.parametrize(
    ("one", "other", "answer_chars", "holds"),
    [
        ("whihc", "which", 9, False),
        ("whic", "which", 9, True),
        ("whic", "which", 8, False),
        ("whic", "whih", 9, False),
    ],
)
def test_one_letter_is_overlooked_in_texts_exactly_as_long_as_they_must_be(one: str, other: str, answer_chars: int, holds: bool) -> None:
    """A question of five letters, the longer of the two, and an answer of nine."""
    assert OneLetter(question_chars=5, answer_chars=9).holds(one, other, answer_chars) == holds


@pytest.mark.parametrize(("common", "expected"), [(2, True), (3, False)])
def test_an_answer_in_exactly_so_many_conversations_is_not_common_yet(common: int, expected: bool) -> None:
    texts, talk = np.array([7, 7, 7, 7, 8], np.uint64), np.array([0, 0, 1, 2, 2])
    found = dedupe.is_common(texts, talk, np.ones(5, bool), common)
    assert found.tolist() == [expected] * 4 + [False]


@pytest.mark.parametrize(("largest", "pairs"), [(5, 10), (4, 7)])
def test_of_a_bucket_exactly_at_the_largest_all_pairs_are_compared(largest: int, pairs: int) -> None:
    """Of a wider one each with the first and with the next: four and four, one of them the same."""
    left, right = minhash.candidates(np.full((5, 1), 9, np.uint64), largest)
    assert len(left) == pairs
    assert (left < right).all()


@pytest.mark.parametrize(("share", "found"), [(0.5, 1), (0.50001, 0)])
def test_a_text_that_has_exactly_the_share_of_an_items_ngrams_holds_it(share: float, found: int) -> None:
    """Of four pairs of words it has two."""
    sought = Verbatim(pa.array(["alpha beta gamma delta epsilon"], pa.large_string()), Ngrams(words=2, share=share), 1)
    assert len(sought.find(pa.array(["so alpha beta gamma it is"], pa.large_string()))) == found


@pytest.mark.parametrize(("least", "found"), [(5, 1), (6, 0)])
def test_an_item_of_exactly_the_fewest_words_is_looked_for(least: int, found: int) -> None:
    item = pa.array(["alpha beta gamma delta epsilon"], pa.large_string())
    assert len(Verbatim(item, Ngrams(words=5, share=1.0), least).find(item)) == found


@pytest.mark.parametrize(("common", "ngrams"), [(2, 3), (1, 1)])
def test_an_ngram_in_exactly_so_many_items_as_are_common_still_tells(common: int, ngrams: int) -> None:
    """Two items share two of three pairs of words; the first has one more."""
    items = pa.array(["alpha beta gamma delta", "alpha beta gamma"], pa.large_string())
    index = Index.of(known(items, vocabulary(items)), 2, np.ones(2, bool), common)
    assert index.totals[0] == ngrams


@pytest.mark.parametrize(("least", "goes"), [(5, True), (6, False)])
def test_an_answer_of_exactly_as_many_words_as_it_needs_proves_an_earlier_state(least: int, goes: bool) -> None:
    log = ChatLog()
    for name, more in (("early", []), ("late", ["and then", "walk on along the harbour until the lights", "how far", "a mile or two"])):
        log.chat(name, "which way goes home", "past the old harbour gate", *more, user_id="p")
    limits = dedupe_runs.SAME_CHAT.model_copy(update={"min_answer_words": least})
    tables = log.tables()
    changed = dedupe_runs.PARAMS.model_copy(update={"same_chat": limits, "threshold": 0.95})
    assert accounts("dedupe", dedupe.run(tables, changed), tables)["turns"].reasons == ({"earlier_copy": 2} if goes else {})


@pytest.mark.parametrize(("threshold", "goes"), [(0.8, True), (0.80001, False)])
def test_conversations_exactly_as_alike_as_copies_must_be_are_copies(threshold: float, goes: bool) -> None:
    """Of ten pairs of words in both together, two chats share eight."""
    log = ChatLog()
    for name, last in (("one", "lights"), ("two", "lamps")):
        log.chat(name, "which way goes home", f"past the old harbour gate {last}")
    tables = log.tables()
    found = accounts("dedupe", dedupe.run(tables, dedupe_runs.PARAMS.model_copy(update={"threshold": threshold})), tables)["turns"]
    assert found.reasons == ({"near_copy": 2} if goes else {})
