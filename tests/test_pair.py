"""Claims about `pair`: what each recipe makes of the evidence, and what never becomes a preference."""

from __future__ import annotations

import math
import warnings
from typing import cast

import pytest

from tasks.aggregate import prompt_ids
from tasks.core.ledger import Account
from tasks.pair.recipes import RECIPES, Rewriting
from tests.builders.chatlog import UNTOLD, ChatLog, Row, dropped, frame
from tests.builders.pair_runs import DEFAULTS, candidates, lettered, pairs, run, settled


@pytest.mark.parametrize(
    ("thumbs", "kept"),
    [
        ([], 1),
        ([("a1", -1, "p")], 0),
        ([("a1", -1, "p"), ("a2", -1, "p")], 1),
        ([("a1", -1, "p"), ("a2", 1, "p")], 0),
        ([("a1", -1, "q")], 1),  # somebody else's word
        ([("a1", -1, None)], 0),  # whom the log does not name is the person of the chat
    ],
)
def test_an_answer_kept_and_disliked_by_the_same_person_is_not_preferred(
    four: ChatLog, thumbs: list[tuple[str, int, str | None]], kept: int
) -> None:
    four.act("regenerate", "c", better="a1", worse="a2", annotator="p", minute=9)
    for turn, value, who in thumbs:
        four.act("thumb", f"c/{turn}", value, annotator=who, minute=1)
    result = run(four, **only("regeneration"))
    assert (len(pairs(result)), result["pairs"].reasons) == (kept, {} if kept else {"disliked": 1})
    assert result["votes"].dropped.num_rows == 0 or "disliked" in result["votes"].reasons or kept


def test_of_many_people_each_ones_own_word_stands_against_what_they_kept(four: ChatLog) -> None:
    kept: dict[str, str] = {}
    for who, better, worse, value in (("o", "a1", "a2", -1), ("p", "a3", "a4", -1), ("q", "a2", "a4", 1)):
        kept[who] = four.act("regenerate", "c", better=better, worse=worse, annotator=who, minute=9)
        four.act("thumb", f"c/{better}", value, annotator=who, minute=1)
    four.act("thumb", "c/a2", -1, annotator="r", minute=1)
    result = run(four, **only("regeneration"))
    assert pairs(result) == [("regeneration", "B", "D")]
    assert result["pairs"].reasons == {"disliked": 2}
    assert [row["votes"] for row in result["pairs"].kept.to_pylist()] == [[kept["q"]]]
    assert {row["votes"][0]: row["dropped"] for row in result["pairs"].dropped.to_pylist()} == {kept[who]: "disliked" for who in "op"}


@pytest.mark.parametrize("rater_first", [True, False])
@pytest.mark.parametrize("disliked", ["a1", "a2", "a3", "a4"])
def test_what_one_person_dislikes_refuses_nothing_that_another_kept(four: ChatLog, disliked: str, rater_first: bool) -> None:
    if rater_first:
        four.act("thumb", f"c/{disliked}", -1, annotator="p", minute=1)
    for better, worse in (("a1", "a2"), ("a2", "a3"), ("a3", "a4"), ("a1", "a4")):
        four.act("regenerate", "c", better=better, worse=worse, annotator="q", minute=9)
    if not rater_first:
        four.act("thumb", f"c/{disliked}", -1, annotator="p", minute=1)
    result = run(four, **only("regeneration"))
    assert (len(pairs(result)), result["pairs"].reasons) == (4, {})


@pytest.mark.parametrize(("minute", "better", "reason"), [(1, "B", "superseded"), (5, "A", "superseded"), (None, "B", "contradicted")])
def test_of_two_things_one_person_says_of_two_answers_the_later_holds(four: ChatLog, minute: int | None, better: str, reason: str) -> None:
    four.act("choice", "c", 1, better="a2", worse="a1", annotator="p", minute=3)
    for turn, value in (("a1", 1), ("a2", -1)):
        four.act("thumb", f"c/{turn}", value, annotator="p", minute=minute)
    result = run(four)
    assert [chosen for _, chosen, _ in pairs(result)] == [better]
    assert result["pairs"].reasons == {reason: 1}


def test_what_another_person_says_later_overtakes_nothing(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a2", worse="a1", annotator="p", minute=3)
    for turn, value in (("a1", 1), ("a2", -1)):
        four.act("thumb", f"c/{turn}", value, annotator="q", minute=5)
    assert [chosen for _, chosen, _ in pairs(run(four))] == ["B"]


def only(recipe: str, **settings: object) -> Row:
    """Parameters with one recipe in use."""
    return {name: DEFAULTS[name] | {"use": name == recipe} | (settings if name == recipe else {}) for name in RECIPES}


@pytest.fixture
def four() -> ChatLog:
    return lettered("ABCD")


EXAMPLES: dict[str, list[Row]] = {
    "correction": [{"kind": "correction", "place": "c/a2", "text": "A"}],
    "edit": [{"kind": "edit", "place": "c/a2", "text": "A"}],
    "choice": [{"kind": "choice", "place": "c", "value": 1, "better": "a1", "worse": "a2"}],
    "ranking": [{"kind": "ranking", "place": f"c/a{number + 1}", "value": number, "group": "g"} for number in range(2)],
    "rating_margin": [{"kind": "rating", "place": "c/a1", "value": 4}, {"kind": "rating", "place": "c/a2", "value": 2}],
    "thumb_contrast": [{"kind": "thumb", "place": "c/a1", "value": 1}, {"kind": "thumb", "place": "c/a2", "value": -1}],
    "regeneration": [{"kind": "regenerate", "place": "c", "better": "a1", "worse": "a2"}],
    "retry": [{"kind": "regenerate", "place": "c", "better": "a1", "worse": "a2"}],  # see `recast`
}
# Of one act the confidence is its reliability; of one person's two thumbs a little more than of two strangers', whose strictness differs.
CONFIDENCE = {"choice": 0.75, "ranking": 0.75, "edit": 0.9, "correction": 0.9, "regeneration": 0.65, "retry": 0.6, "thumb_contrast": 0.7922}
# Means 0.75 and 0.25 of one rating each: the normal distribution at 0.5 / (0.25 * sqrt(2)).
CONFIDENCE["rating_margin"] = 0.921350396
MARGIN = {"rating_margin": 0.5}


def recast(log: ChatLog, recipe: str, **changes: object) -> dict[str, Account]:
    """Run with the recipe's examples; the votes of a kind that no act names become of that kind."""
    for act in EXAMPLES[recipe]:
        log.act(**act)
    rows = candidates(log).to_pylist()
    for row in rows:
        row["votes"] = [vote | {"kind": RECIPES[recipe].kind} for vote in row["votes"]]
    return settled(frame(rows, "candidates"), **changes)


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_recipe_makes_a_pair_of_its_evidence(four: ChatLog, recipe: str) -> None:
    (row,) = recast(four, recipe)["pairs"].kept.to_pylist()
    assert row["prompt"] == [{"role": "user", "content": "Which?", **UNTOLD}]
    assert row["chosen"] == [{"role": "assistant", "content": "A"}]
    assert row["rejected"] == [{"role": "assistant", "content": "B"}]
    assert (row["recipe"], row["chosen_model"], row["rejected_model"]) == (recipe, "mA", "mB")
    acts = 2 if recipe in ("rating_margin", "thumb_contrast") else 1
    assert (row["evidence"], row["votes_for"], row["votes_against"], row["votes_tied"]) == (acts, acts, 0, 0)
    assert row["confidence"] == pytest.approx(CONFIDENCE[recipe])
    assert row["margin"] == pytest.approx(MARGIN.get(recipe, 1))
    assert (row["version"], row["annotators"]) == (RECIPES[recipe].version, "people")
    assert row["distance"] == (1 if recipe in ("edit", "correction") else None)
    assert row["votes"] == [act["feedback_id"] for act in four.feedback]
    assert {f"{'1' * 16}:{number}:-1" for number in range(len(four.feedback))} <= set(row["origins"]), "the votes' own records"
    assert (row["conversations"], row["language"], row["weight"]) == (["c"], "en", 1.0)
    assert row["origins"], "back to the raw records"


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_that_is_off_makes_nothing(four: ChatLog, recipe: str) -> None:
    result = recast(four, recipe, **{recipe: DEFAULTS[recipe] | {"use": False}})
    assert len(result["pairs"].kept) == len(result["pairs"].dropped) == 0
    if recipe not in ("rating_margin", "thumb_contrast"):  # these stand behind unpaired all the same
        assert result["votes"].reasons == {"recipe_off": len(four.feedback)}


@pytest.mark.parametrize(
    "acts",
    [
        [("choice", 0.0, "a1", "a2")],
        [("choice", -1.0, "a1", "a2")],
        [("choice", 1.0, "a1", "a2"), ("choice", 1.0, "a2", "a1")],
        [("regenerate", None, "a1", "a2"), ("regenerate", None, "a2", "a1")],
    ],
)
def test_as_many_for_as_against_is_a_tie(four: ChatLog, acts: list[tuple[str, float | None, str, str]]) -> None:
    for kind, value, better, worse in acts:
        four.act(kind, "c", value, better=better, worse=worse)
    result = run(four)
    assert pairs(result) == []
    assert result["pairs"].reasons == {"tie": 1}


def weighed(log: ChatLog, *reliability: float | None, **changes: object) -> dict[str, Account]:
    """Run with these reliabilities of the votes, in the order of their ids."""
    (row,) = candidates(log).to_pylist()
    row["votes"] = [vote | {"reliability": given} for vote, given in zip(row["votes"], reliability, strict=True)]
    return settled(frame([row], "candidates"), **changes)


@pytest.fixture
def four_choices(four: ChatLog) -> ChatLog:
    """Two votes for A over B, one for B over A, and one for neither."""
    for better, worse in (("a1", "a2"), ("a1", "a2"), ("a2", "a1")):
        four.act("choice", "c", 1, better=better, worse=worse)
    four.act("choice", "c", 0, better="a1", worse="a2")
    return four


def test_majority_wins_and_confidence_says_how_clearly(four_choices: ChatLog) -> None:
    (row,) = weighed(four_choices, None, None, None, None)["pairs"].kept.to_pylist()
    assert row["chosen"][0]["content"] == "A"
    assert (row["evidence"], row["votes_for"], row["votes_against"], row["votes_tied"]) == (4, 2, 1, 1)
    assert row["margin"] == pytest.approx(1 / 4)
    assert row["confidence"] == pytest.approx(0.75), "two for, one against: the odds of one"


@pytest.mark.parametrize(("good", "bad"), [("a1", "a2"), ("a2", "a1")])
def test_majority_wins_whoever_spoke_first_and_however_answers_sort(four: ChatLog, good: str, bad: str) -> None:
    for better, worse in ((bad, good), (good, bad), (good, bad)):
        four.act("choice", "c", 1, better=better, worse=worse)
    assert pairs(run(four)) == [("choice", "AB"[good == "a2"], "AB"[bad == "a2"])]


def test_one_reliable_vote_weighs_more_than_two_poor_ones(four_choices: ChatLog) -> None:
    (row,) = weighed(four_choices, 0.6, 0.6, 0.9, 0.6)["pairs"].kept.to_pylist()
    assert row["chosen"][0]["content"] == "B"
    assert (row["votes_for"], row["votes_against"], row["votes_tied"]) == (1, 2, 1)
    assert row["confidence"] == pytest.approx(9 / (9 + 1.5 * 1.5))
    assert 0 < row["margin"] < 1


@pytest.mark.parametrize(
    ("reliability", "reason"),
    [
        ((0.9, 0.6, None, 0.99), "tie"),  # who sees no difference is more to be believed than either side
        ((0.5, 0.4, 0.2, 0.5), "unreliable"),  # nobody who is right more often than wrong
    ],
)
def test_what_reliability_leaves_undecided(four_choices: ChatLog, reliability: tuple[float | None, ...], reason: str) -> None:
    result = weighed(four_choices, *reliability)
    assert pairs(result) == []
    assert result["pairs"].reasons == {reason: 1}
    assert result["votes"].reasons == {reason: 4}


def test_thumbs_weigh_what_their_givers_are_worth(four: ChatLog) -> None:
    for value, number in ((1, 1), (1, 1), (-1, 1), (-1, 2)):
        four.act("thumb", f"c/a{number}", value)
    (row,) = weighed(four, 0.6, 0.6, 0.55, 0.8)["pairs"].kept.to_pylist()
    liked, disliked = math.log(1.5 * 1.5 * 0.45 / 0.55) / 3, math.log(4)
    assert row["confidence"] == pytest.approx(1 / (1 + math.exp(-(liked + disliked) * 3 / 4))), "3 thumbs and 1: 2 * 3 / 4 opinions"
    assert (row["votes_for"], row["votes_against"]) == (3, 1)
    assert pairs(weighed(four, 0.6, 0.6, 0.9, 0.8)) == [], "the one thumb down outweighs two thumbs up"


def test_confidence_of_ratings_grows_with_their_number_and_agreement(four: ChatLog) -> None:
    four.act("rating", "c/a1", 5)
    four.act("rating", "c/a2", 3)
    (one,) = cast("list[float]", run(four)["pairs"].kept["confidence"].to_pylist())
    for value, number in ((5, 1), (3, 2), (5, 1), (3, 2)):
        four.act("rating", f"c/a{number}", value)
    (three,) = cast("list[float]", run(four)["pairs"].kept["confidence"].to_pylist())
    for value, number in ((4, 1), (2, 2), (5, 1), (4, 2)):
        four.act("rating", f"c/a{number}", value)
    (row,) = run(four)["pairs"].kept.to_pylist()
    assert 0.5 < one < three < 1
    assert (row["votes_for"], row["votes_against"], row["votes_tied"]) == (9, 1, 0), "ratings above and below the middle, 3.9"


def test_little_confidence_is_no_pair_when_a_lower_bound_is_set(four: ChatLog) -> None:
    four.act("regenerate", "c", better="a1", worse="a2")
    four.act("choice", "c", 1, better="a3", worse="a4")
    result = run(four, confidence={"min": 0.7})
    assert pairs(result) == [("choice", "C", "D")]
    assert result["pairs"].reasons == result["votes"].reasons == {"low_confidence": 1}


def test_confidence_becomes_margin_and_weight_where_asked(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2")
    (row,) = run(four, confidence={"margin": "log_odds", "weight": True})["pairs"].kept.to_pylist()
    assert row["margin"] == pytest.approx(1.0986, abs=1e-4), "log 3"
    assert row["weight"] == pytest.approx(2 * 0.75 - 1)


@pytest.fixture
def edited() -> ChatLog:
    """An answer of twenty letters, and an edit of it that changes two, four or all."""
    log = ChatLog()
    log.chat("c", "Spell?", "abcdefghijklmnopqrst")
    return log


@pytest.mark.parametrize(
    ("text", "reason", "distance"),
    [
        ("abcdefghijklmnopqrXX", "too_small_edit", 0.1),
        ("abcdefghijklmnopXXXX", None, 0.2),
        ("XXXXXXXXXXXXXXXXXXXX", "rewritten", 1.0),
    ],
)
@pytest.mark.parametrize("kind", ["edit", "correction"])
def test_edits_count_between_two_distances(edited: ChatLog, kind: str, text: str, reason: str | None, distance: float) -> None:
    edited.act(kind, "c/a1", text=text)
    account = run(edited, **{kind: {"min_distance": 0.15, "max_distance": 0.8}})["pairs"]
    (row,) = (account.dropped if reason else account.kept).to_pylist()
    assert (row.get("dropped"), row["distance"]) == (reason, distance)


def test_an_edit_exactly_as_far_as_it_must_or_may_be_counts(edited: ChatLog) -> None:
    """The edit changes four letters of twenty."""
    edited.act("edit", "c/a1", text="abcdefghijklmnopXXXX")
    for bounds, reasons in (
        ({"min_distance": 0.2}, {}),
        ({"min_distance": 0.2000001}, {"too_small_edit": 1}),
        ({"max_distance": 0.2}, {}),
        ({"max_distance": 0.1999999}, {"rewritten": 1}),
    ):
        assert run(edited, edit=bounds)["pairs"].reasons == reasons, bounds


def test_an_edit_may_not_be_bounded_to_one_distance() -> None:
    assert Rewriting(use=True, reliability=0.9, min_distance=0.2, max_distance=0.2000001).use
    with pytest.raises(ValueError, match="min_distance"):
        Rewriting(use=True, reliability=0.9, min_distance=0.2, max_distance=0.2)


def test_nearly_equal_answers_are_no_pair_unless_a_person_edited_one_into_the_other(edited: ChatLog) -> None:
    edited.say("c/a2", "abcdefghijklmnopqrsx", after="u0")
    edited.act("choice", "c", 1, better="a1", worse="a2")
    assert run(edited, nearly_equal=0.95)["pairs"].reasons == {"nearly_equal": 1}
    assert len(pairs(run(edited, nearly_equal=0.96))) == 1
    edited.act("edit", "c/a1", text="abcdefghijklmnopqrXX")
    assert [row[0] for row in pairs(run(edited, nearly_equal=0.8))] == ["edit"]


@pytest.fixture
def unblind() -> ChatLog:
    """A question with two answers, of which one says which model it is, and a choice between them."""
    log = ChatLog()
    log.say("c/u0", "Who are you, and can you help me?")
    log.say("c/a1", "I am Claude, and I can.", after="u0")
    log.say("c/a2", "Sure, what is it about?", after="u0")
    log.act("choice", "c", 1, better="a1", worse="a2")
    return log


@pytest.mark.parametrize(("action", "count"), [("drop", 0), ("warn", 1), ("ignore", 1)])
def test_a_choice_in_which_an_answer_says_which_model_it_is_was_not_blind(unblind: ChatLog, action: str, count: int) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        result = run(unblind, identity={"action": action})
    assert len(pairs(result)) == count
    assert result["pairs"].reasons == result["votes"].reasons == ({} if count else {"identity_told": 1})
    assert sum("identity_told: 1 of 1 comparisons" in str(one.message) for one in heard) == (action != "ignore")


def test_thumbs_and_edits_of_an_answer_that_says_which_model_it_is_are_as_good_as_others(unblind: ChatLog) -> None:
    unblind.act("thumb", "c/a1", 1)
    unblind.act("thumb", "c/a2", -1)
    assert [row[0] for row in pairs(run(unblind))] == ["thumb_contrast"]


def test_no_more_pairs_that_rest_on_one_person_than_the_cap(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2", annotator="p")
    four.act("regenerate", "c", better="a1", worse="a3", annotator="p")
    four.act("regenerate", "c", better="a2", worse="a4", annotator="p")
    four.act("regenerate", "c", better="a2", worse="a4", annotator="q")
    four.act("choice", "c", 1, better="a1", worse="a4")
    result = run(four, max_pairs_per_user=1)
    assert pairs(result) == [("choice", "A", "B"), ("choice", "A", "D"), ("regeneration", "B", "D")]
    assert result["pairs"].reasons == {"over_user_cap": 1}


def test_models_judge_apart_from_people_and_give_way_to_them(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2")
    for better, worse in (("a2", "a1"), ("a3", "a4"), ("a3", "a4")):
        four.act("choice", "c", 1, better=better, worse=worse, annotator_kind="model")
    four.act("thumb", "c/a1", 1, annotator_kind="model")
    off = run(four)
    assert pairs(off) == [("choice", "A", "B")]
    assert off["votes"].reasons == {"judge": 4}
    assert len(off["unpaired"].kept) == 0
    on = run(four, judges={"use": True})
    assert [(row["annotators"], row["chosen"][0]["content"]) for row in on["pairs"].kept.sort_by("annotators").to_pylist()] == [
        ("models", "C"),
        ("people", "A"),
    ]
    assert on["pairs"].reasons == {"contradicted": 1}
    assert on["pairs"].kept["evidence"].to_pylist() != [3, 1], "their votes are not counted together"


@pytest.mark.parametrize(
    ("which", "rank", "made"),
    [
        ("all", 2, ["AB", "AC", "AD", "BC", "BD", "CD"]),
        ("adjacent", 2, ["AB", "BC", "CD"]),
        ("best_vs_rank", 2, ["AB"]),
        ("best_vs_rank", 3, ["AC"]),
        ("best_vs_rank", 9, ["AD"]),
    ],
)
def test_which_pairs_of_a_ranking(four: ChatLog, which: str, rank: int, made: list[str]) -> None:
    for number in range(4):
        four.act("ranking", f"c/a{number + 1}", 2 * number, group="g")
    result = run(four, ranking={"which": which, "rank": rank})
    assert ["".join(row[1:]) for row in pairs(result)] == made


def test_equal_ranks_are_a_tie(four: ChatLog) -> None:
    for number, rank in enumerate((0, 0, 1)):
        four.act("ranking", f"c/a{number + 1}", rank, group="g")
    result = run(four)
    assert [row[1:] for row in pairs(result)] == [("A", "C"), ("B", "C")]
    assert result["pairs"].reasons == {"tie": 1}


def test_ranks_of_two_people_are_not_mixed(four: ChatLog) -> None:
    four.act("ranking", "c/a1", 0, group="g")
    four.act("ranking", "c/a2", 1, group="h")
    assert pairs(run(four)) == []


def test_ranks_without_a_group_belong_together_where_one_person_gave_them(four: ChatLog) -> None:
    for number, person in ((1, "p"), (2, "p"), (3, "q"), (4, None)):
        four.act("ranking", f"c/a{number}", number, annotator=person)
    assert pairs(run(four)) == [("ranking", "A", "B")]


def test_ratings_too_close_are_below_the_margin_and_equal_ones_a_tie(four: ChatLog) -> None:
    for number, value in ((1, 5), (2, 4.5), (3, 4.5)):
        four.act("rating", f"c/a{number}", value)
    result = run(four)
    assert pairs(result) == []
    assert result["pairs"].reasons == {"below_margin": 2, "tie": 1}


def test_answers_with_fewer_votes_than_asked_make_no_pair(four: ChatLog) -> None:
    for value, number in ((1, 1), (1, 1), (-1, 2)):
        four.act("thumb", f"c/a{number}", value)
    assert pairs(run(four, thumb_contrast={"min_votes": 2})) == []
    assert len(pairs(run(four))) == 1


@pytest.mark.parametrize(
    ("kind", "values", "recipe", "bound", "at", "beyond"),
    [
        ("rating", [5, 4], "rating_margin", "min_margin", 0.25, 0.2500001),
        ("rating", [5, 5, 1, 1], "rating_margin", "min_ratings", 2, 3),
        ("thumb", [1, 1, -1, -1], "thumb_contrast", "min_votes", 2, 3),
    ],
)
def test_answers_exactly_at_a_recipes_bound_make_a_pair(
    four: ChatLog, kind: str, values: list[int], recipe: str, bound: str, at: float, beyond: float
) -> None:
    """The first half of the values is about one answer, the other about another."""
    for number, value in enumerate(values):
        four.act(kind, f"c/a{1 + 2 * number // len(values)}", value)
    assert [row[1:] for row in pairs(run(four, **{recipe: {bound: at}}))] == [("A", "B")]
    assert pairs(run(four, **{recipe: {bound: beyond}})) == []


def test_a_confidence_exactly_at_the_least_makes_a_pair(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2")
    (row,) = run(four)["pairs"].kept.to_pylist()
    least = row["confidence"]
    assert len(pairs(run(four, confidence={"min": least}))) == 1
    assert run(four, confidence={"min": math.nextafter(least, 1)})["pairs"].reasons == {"low_confidence": 1}


def test_an_even_confidence_is_none_however_low_the_bound(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2")
    (row,) = candidates(four).to_pylist()
    row["votes"][0] |= {"reliability": 0.5}
    assert pairs(settled(frame([row], "candidates"))) == []


@pytest.mark.parametrize(("cap", "most"), [("max_pairs_per_prompt", 3), ("max_pairs_per_user", 3)])
def test_as_many_pairs_as_a_cap_allows_all_stay(four: ChatLog, cap: str, most: int) -> None:
    for number in range(3):
        four.act("ranking", f"c/a{number + 1}", number, group="g", annotator="p")
    assert len(pairs(run(four, **{cap: most}))) == 3
    assert len(pairs(run(four, **{cap: most - 1}))) == 2


@pytest.mark.parametrize(
    ("kind", "values", "bound", "at", "beyond"),
    [("thumb", [1, 1], "min_votes", 2, 3), ("rating", [4], "min_distance", 0.25, 0.2500001)],
)
def test_an_answer_exactly_at_a_bound_is_liked(four: ChatLog, kind: str, values: list[int], bound: str, at: float, beyond: float) -> None:
    for value in values:
        four.act(kind, "c/a1", value)
    assert [row["label"] for row in run(four, unpaired={bound: at})["unpaired"].kept.to_pylist()] == [True]
    assert run(four, unpaired={bound: beyond})["unpaired"].reasons == {"middle": 1}


@pytest.mark.parametrize(("count", "reasons"), [(1, {"middle": 1}), (2, {}), (3, {})])
def test_as_many_signals_as_votes_are_asked_for_decide(four: ChatLog, count: int, reasons: Row) -> None:
    four.act("thumb", "c/a1", 1)
    (row,) = candidates(four).to_pylist()
    row["votes"] = [row["votes"][0] | {"kind": "thanks", "feedback_id": f"f{number}", "annotator": f"p{number}"} for number in range(count)]
    assert settled(frame([row], "candidates"), unpaired={"min_votes": 2})["unpaired"].reasons == reasons


def test_what_a_person_says_of_two_answers_at_one_moment_overtakes_nothing(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a2", worse="a1", annotator="p", minute=3)
    for turn, value in (("a1", 1), ("a2", -1)):
        four.act("thumb", f"c/{turn}", value, annotator="p", minute=3)
    assert run(four)["pairs"].reasons == {"contradicted": 1}


def test_stronger_recipe_wins_a_contradiction(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2")
    four.act("thumb", "c/a2", 1)
    four.act("thumb", "c/a1", -1)
    result = run(four)
    assert pairs(result) == [("choice", "A", "B")]
    assert result["pairs"].reasons == {"contradicted": 1}


def test_preferences_in_a_circle_lose_the_weakest(four: ChatLog) -> None:
    for better, worse in (("a1", "a2"), ("a1", "a2"), ("a2", "a3"), ("a3", "a4")):
        four.act("choice", "c", 1, better=better, worse=worse)
    four.act("regenerate", "c", better="a3", worse="a1")
    four.act("regenerate", "c", better="a1", worse="a4")
    result = run(four)
    assert pairs(result) == [("choice", "A", "B"), ("choice", "B", "C"), ("choice", "C", "D"), ("regeneration", "A", "D")]
    assert result["pairs"].reasons == {"cycle": 1}
    assert result["votes"].reasons == {"cycle": 1}


def test_equal_pairs_of_two_recipes_are_one(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2")
    four.act("thumb", "c/a1", 1)
    four.act("thumb", "c/a2", -1)
    result = run(four)
    assert pairs(result) == [("choice", "A", "B")]
    assert result["pairs"].dropped.select(["recipe", "dropped"]).to_pylist() == [{"recipe": "thumb_contrast", "dropped": "repeated"}]


def test_no_more_pairs_a_prompt_than_the_cap_and_the_strongest_stay(four: ChatLog) -> None:
    for number in range(4):
        four.act("rating", f"c/a{number + 1}", 5 - number)
    four.act("choice", "c", 1, better="a3", worse="a4")
    result = run(four, max_pairs_per_prompt=2)
    assert pairs(result) == [("choice", "C", "D"), ("rating_margin", "A", "D")]
    assert result["pairs"].reasons["over_cap"] == 4


def test_of_a_ranking_the_cap_keeps_the_answers_farthest_apart_and_says_what_it_took(four: ChatLog) -> None:
    for number, place in enumerate((2, 0, 3, 1), 1):  # B, D, A, C
        four.act("ranking", f"c/a{number}", place, group="g")
    with pytest.warns(UserWarning, match=r"over_cap: 3 of 6 pairs .*1 prompts .*3 pairs \(pair.max_pairs_per_prompt\)"):
        result = run(four, max_pairs_per_prompt=3)
    assert [row[1:] for row in pairs(result)] == [("B", "A"), ("B", "C"), ("D", "C")]


def test_where_two_people_rank_otherwise_the_places_between_are_those_that_both_leave(four: ChatLog) -> None:
    for group, places in (("g", (0, 1, 2, 3)), ("h", (0, 3, 1, 2))):  # A-B: 1 and 3, A-C: 2 and 1, A-D: 3 and 2
        for number, place in enumerate(places, 1):
            four.act("ranking", f"c/a{number}", place, group=group, annotator=group)
    with pytest.warns(UserWarning, match="over_cap"):
        assert [row[1:] for row in pairs(run(four, max_pairs_per_prompt=1))] == [("A", "D")]


def test_what_the_cap_of_one_persons_pairs_takes_is_said(four: ChatLog) -> None:
    for number in range(4):
        four.act("ranking", f"c/a{number + 1}", number, group="g", annotator="p")
    with pytest.warns(UserWarning, match=r"over_user_cap: 5 of 6 pairs .*1 people .*\(pair.max_pairs_per_user\)"):
        assert [row[1:] for row in pairs(run(four, max_pairs_per_user=1))] == [("A", "D")]


def test_variant_gives_the_parents_pairs_under_its_own_prompt(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2")
    variant = {"prompt_id": "v" * 16, "prompt": [{"role": "user", "content": "Which one?"}], "augmenter": "synonym"}
    result = run(four, variant)
    rows = {row["augmenter"]: row for row in result["pairs"].kept.to_pylist()}
    assert set(rows) == {None, "synonym"}
    assert rows["synonym"]["augmented_from"] == rows[None]["prompt_id"]
    assert rows["synonym"]["prompt"][0]["content"] == "Which one?"
    assert len(result["prompts"].kept) == 1, "variants are no prompts to practise on"


def test_each_variant_of_each_prompt_gives_its_own_parents_pair_in_its_own_words(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2")
    four.say("d/u0", "Another question?")
    for number, letter in enumerate("PQ", 1):
        four.say(f"d/a{number}", letter, after="u0")
    four.act("choice", "d", 1, better="a2", worse="a1")
    parents = candidates(four).to_pylist()
    made = [
        parent
        | {"prompt_id": f"{times}{number:015d}", "augmented_from": parent["prompt_id"], "augmenter": "synonym"}
        | {"responses": [one | {"content": one["content"] * times} for one in parent["responses"]]}
        for number, parent in enumerate(parents)
        for times in (2, 3)
    ]
    rows = settled(frame(parents + made, "candidates"))["pairs"].kept.to_pylist()
    of_parent = {row["prompt_id"]: (row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows}
    assert {("A", "B"), ("Q", "P")} <= set(of_parent.values())
    for variant in made:
        chosen, rejected = of_parent[variant["augmented_from"]]
        times = int(variant["prompt_id"][0])
        assert of_parent[variant["prompt_id"]] == (chosen * times, rejected * times)
    assert len(rows) == len(parents) + len(made)


def test_repeat_of_a_prompt_gives_its_pair_again(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2")
    result = run(four, {"prompt_id": "r" * 16, "augmenter": "repeat"})
    assert pairs(result) == [("choice", "A", "B")] * 2
    assert len(set(result["pairs"].kept["pair_id"].to_pylist())) == 2


def test_variant_cannot_reverse_its_parents_pair(four: ChatLog) -> None:
    four.act("thumb", "c/a1", 1)
    four.act("thumb", "c/a2", -1)
    (first, *_) = candidates(four).to_pylist()
    turned = [vote | {"value": -vote["value"]} for vote in first["votes"]]
    result = run(four, {"prompt_id": "v" * 16, "augmenter": "swap", "votes": turned})
    assert pairs(result) == [("thumb_contrast", "A", "B")] * 2
    assert [row["label"] for row in result["unpaired"].kept.to_pylist() if row["completion"][0]["content"] == "A"] == [True, True]


def test_answers_that_a_variant_made_equal_are_no_pair(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2")
    (first, *_) = candidates(four).to_pylist()
    same = [response | {"content": "Same text \n" if response["content"] == "A" else "Same text"} for response in first["responses"]]
    result = run(four, {"prompt_id": "v" * 16, "augmenter": "swap", "responses": same})
    assert pairs(result) == [("choice", "A", "B")]
    assert result["pairs"].reasons == {"equal_text": 1}


def test_variant_without_pairs_is_dropped(four: ChatLog) -> None:
    four.act("choice", "c", 0, better="a1", worse="a2")
    result = run(four, {"prompt_id": "v" * 16, "augmenter": "swap"})
    assert dropped(result["candidates"]) == {"v" * 16: "no_pair"}


@pytest.mark.parametrize(
    ("acts", "label", "reason"),
    [
        ([("thumb", 1)], True, None),
        ([("thumb", -1)], False, None),
        ([("thumb", -1), ("thumb", 1), ("thumb", -1)], False, None),
        ([("rating", 4)], True, None),
        ([("rating", 1)], False, None),
        ([("thumb", 1), ("rating", 3)], True, None),
        ([("rating", 3)], None, "middle"),
        ([("thumb", 1), ("thumb", -1)], None, "middle"),
        ([("thumb", 1), ("rating", 1)], None, "contradicted"),
    ],
)
def test_liked_and_disliked_answers(four: ChatLog, acts: list[tuple[str, float]], label: bool | None, reason: str | None) -> None:
    for kind, value in acts:
        four.act(kind, "c/a1", value)
    account = run(four)["unpaired"]
    assert account.reasons == ({reason: 1} if reason else {})
    rows = account.kept.to_pylist()
    assert [row["label"] for row in rows] == ([] if label is None else [label])
    for row in rows:
        assert row["completion"] == [{"role": "assistant", "content": "A"}]
        assert (row["evidence"], row["model"]) == (len(acts), "mA")


@pytest.mark.parametrize(("kind", "label"), [("thanks", True), ("complaint", False)])
def test_signals_decide_where_nobody_gave_thumbs_or_ratings(four: ChatLog, kind: str, label: bool) -> None:
    for number in (1, 2):
        four.act("thumb", f"c/a{number}", 1)
    (row,) = candidates(four).to_pylist()
    row["votes"][0] |= {"kind": kind}
    told = settled(frame([row], "candidates"))["unpaired"].kept.to_pylist()
    assert {entry["basis"]: entry["label"] for entry in told} == {"signals": label, "thumbs": True}
    row["votes"].append(row["votes"][0] | {"feedback_id": "late", "response_id": row["votes"][1]["response_id"]})
    assert settled(frame([row], "candidates"))["votes"].reasons == {"outranked": 1}, "never counted together with thumbs"
    assert settled(frame([row], "candidates"), unpaired={"signals": False})["votes"].reasons == {"recipe_off": 2}


def test_every_prompt_that_people_wrote_is_a_prompt_to_practise_on(four: ChatLog) -> None:
    four.chat("d", "Another?", "Yes.")
    rows = run(four)["prompts"].kept.to_pylist()
    assert sorted(row["prompt"][0]["content"] for row in rows) == ["Another?", "Which?"]


def test_pair_id_names_prompt_answers_and_recipe(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2")
    (one,) = run(four)["pairs"].kept["pair_id"].to_pylist()
    four.act("choice", "c", 1, better="a1", worse="a2")
    assert run(four)["pairs"].kept["pair_id"].to_pylist() == [one], "more votes, same pair"
    four.act("edit", "c/a2", text="A")
    assert run(four)["pairs"].kept["pair_id"].to_pylist() != [one], "another recipe"


def test_prompt_key_of_what_people_wrote_is_its_id(four: ChatLog) -> None:
    (row,) = candidates(four).to_pylist()
    assert prompt_ids.prompt_id(row["prompt"]) == row["prompt_id"]
