"""Claims about `pair`: what each recipe makes of the evidence, and what never becomes a preference."""

from __future__ import annotations

from typing import Any

import daft
import pyarrow as pa
import pytest

from tasks import aggregate, pair
from tasks.core.ledger import Account
from tasks.core.tables import Candidates
from tasks.evidence import identity
from tasks.evidence.recipes import RECIPES
from tests.chatlog import AGGREGATE, ChatLog, Row, accounts, dropped, kept

DEFAULTS: Row = {
    "edit": {"use": True},
    "choice": {"use": True},
    "ranking": {"use": True, "which": "all"},
    "rating_margin": {"use": True, "min_margin": 0.25, "min_ratings": 1},
    "thumb_contrast": {"use": True, "min_votes": 1},
    "regeneration": {"use": True},
    "max_pairs_per_prompt": 10,
    "unpaired": {"min_votes": 1, "min_distance": 0.25},
}


def candidates(log: ChatLog) -> daft.DataFrame:
    tables = log.tables()
    return kept(accounts("aggregate", aggregate.run(tables, aggregate.Params.model_validate(AGGREGATE)), tables)["candidates"])


def run(log: ChatLog, *variants: Row, **changes: Any) -> dict[str, Account]:
    """Pairs and the rest; `variants` are changes of the first candidate that make augmented ones."""
    rows = candidates(log)
    if variants:
        (first, *_) = rows.to_pylist()
        made = [first | {"augmented_from": first["prompt_id"]} | variant for variant in variants]
        rows = rows.concat(daft.from_arrow(pa.Table.from_pylist(made, schema=Candidates.schema())))
    tables = {"candidates": rows}
    return accounts("pair", pair.run(tables, pair.Params.model_validate(DEFAULTS | changes)), tables)


def pairs(result: dict[str, Account]) -> list[tuple[str, str, str]]:
    """Recipe, chosen and rejected of each pair, sorted."""
    return sorted((row["recipe"], row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in result["pairs"].kept.to_pylist())


def only(recipe: str, **settings: Any) -> Row:
    """Parameters with one recipe in use."""
    return {name: DEFAULTS[name] | {"use": name == recipe} | (settings if name == recipe else {}) for name in RECIPES}


@pytest.fixture
def four() -> ChatLog:
    """One question with the answers A, B, C and D (turns a1 to a4)."""
    log = ChatLog()
    log.say("c/u0", "Which?")
    for number, letter in enumerate("ABCD", 1):
        log.say(f"c/a{number}", letter, after="u0", model=f"m{letter}")
    return log


EXAMPLES: dict[str, list[Row]] = {
    "edit": [{"kind": "edit", "place": "c/a2", "text": "A"}],
    "choice": [{"kind": "choice", "place": "c", "value": 1, "better": "a1", "worse": "a2"}],
    "ranking": [{"kind": "ranking", "place": f"c/a{number + 1}", "value": number, "group": "g"} for number in range(2)],
    "rating_margin": [{"kind": "rating", "place": "c/a1", "value": 4}, {"kind": "rating", "place": "c/a2", "value": 2}],
    "thumb_contrast": [{"kind": "thumb", "place": "c/a1", "value": 1}, {"kind": "thumb", "place": "c/a2", "value": -1}],
    "regeneration": [{"kind": "regenerate", "place": "c", "better": "a1", "worse": "a2"}],
}
CONFIDENCE = {"rating_margin": 0.75, "thumb_contrast": 0.75}
MARGIN = {"rating_margin": 0.5}


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_recipe_makes_a_pair_of_its_evidence(four: ChatLog, recipe: str) -> None:
    for act in EXAMPLES[recipe]:
        four.act(**act)
    (row,) = run(four)["pairs"].kept.to_pylist()
    assert row["prompt"] == [{"role": "user", "content": "Which?"}]
    assert row["chosen"] == [{"role": "assistant", "content": "A"}]
    assert row["rejected"] == [{"role": "assistant", "content": "B"}]
    assert (row["recipe"], row["chosen_model"], row["rejected_model"]) == (recipe, "mA", "mB")
    assert row["evidence"] == (2 if recipe in CONFIDENCE else 1)
    assert row["confidence"] == pytest.approx(CONFIDENCE.get(recipe, 2 / 3))
    assert row["margin"] == pytest.approx(MARGIN.get(recipe, 1))
    assert (row["conversations"], row["language"], row["weight"]) == (["c"], "en", 1.0)
    assert row["origins"], "back to the raw records"


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_that_is_off_makes_nothing(four: ChatLog, recipe: str) -> None:
    for act in EXAMPLES[recipe]:
        four.act(**act)
    result = run(four, **{recipe: DEFAULTS[recipe] | {"use": False}})
    assert len(result["pairs"].kept) == len(result["pairs"].dropped) == 0


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


def test_majority_wins_and_confidence_says_how_clearly(four: ChatLog) -> None:
    for better, worse in (("a1", "a2"), ("a1", "a2"), ("a2", "a1")):
        four.act("choice", "c", 1, better=better, worse=worse)
    four.act("choice", "c", 0, better="a1", worse="a2")
    (row,) = run(four)["pairs"].kept.to_pylist()
    assert row["chosen"][0]["content"] == "A"
    assert row["evidence"] == 4
    assert row["margin"] == pytest.approx(1 / 4)
    assert row["confidence"] == pytest.approx((2 + 0.5 + 1) / (4 + 2))


@pytest.mark.parametrize(
    ("which", "made"),
    [("all", ["AB", "AC", "AD", "BC", "BD", "CD"]), ("adjacent", ["AB", "BC", "CD"]), ("best_vs_rest", ["AB", "AC", "AD"])],
)
def test_which_pairs_of_a_ranking(four: ChatLog, which: str, made: list[str]) -> None:
    for number in range(4):
        four.act("ranking", f"c/a{number + 1}", 2 * number, group="g")
    result = run(four, ranking={"use": True, "which": which})
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
    assert pairs(run(four, thumb_contrast={"use": True, "min_votes": 2})) == []
    assert len(pairs(run(four))) == 1


def test_stronger_recipe_wins_a_contradiction(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2")
    four.act("thumb", "c/a2", 1)
    four.act("thumb", "c/a1", -1)
    result = run(four)
    assert pairs(result) == [("choice", "A", "B")]
    assert result["pairs"].reasons == {"contradicted": 1}


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


def test_variant_gives_the_parents_pairs_under_its_own_prompt(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2")
    variant = {"prompt_id": "v" * 16, "prompt": [{"role": "user", "content": "Which one?"}], "augmenter": "synonym"}
    result = run(four, variant)
    rows = {row["augmenter"]: row for row in result["pairs"].kept.to_pylist()}
    assert set(rows) == {None, "synonym"}
    assert rows["synonym"]["augmented_from"] == rows[None]["prompt_id"]
    assert rows["synonym"]["prompt"][0]["content"] == "Which one?"
    assert len(result["prompts"].kept) == 1, "variants are no prompts to practise on"


def test_repeat_of_a_prompt_gives_its_pair_again(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2")
    result = run(four, {"prompt_id": "r" * 16, "augmenter": "repeat"})
    assert pairs(result) == [("choice", "A", "B")] * 2
    assert len(set(result["pairs"].kept["pair_id"].to_pylist())) == 2


def test_variant_with_a_persons_prompt_cannot_reverse_that_persons_pair(four: ChatLog) -> None:
    four.act("thumb", "c/a1", 1)
    four.act("thumb", "c/a2", -1)
    (first, *_) = candidates(four).to_pylist()
    turned = [response | {"ups": response["downs"], "downs": response["ups"]} for response in first["responses"]]
    result = run(four, {"prompt_id": "v" * 16, "augmenter": "swap", "responses": turned})
    assert pairs(result) == [("thumb_contrast", "A", "B")]
    assert result["pairs"].reasons == {"contradicted": 1}


def test_answers_that_a_variant_made_equal_are_no_pair(four: ChatLog) -> None:
    four.act("choice", "c", 1, better="a1", worse="a2")
    (first, *_) = candidates(four).to_pylist()
    same = [response | {"content": "Same  text" if response["content"] == "A" else "same text"} for response in first["responses"]]
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
    assert identity.prompt_id(row["prompt"]) == row["prompt_id"]
