"""Claims about `augment`: what survives, what is touched, and that nothing but the input and the parameters decides."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.augment import apertium
from tasks.augment import stage as augment
from tasks.augment.back_translation import MODES, from_stream, to_stream
from tasks.augment.checks import fault
from tasks.augment.protected_words import split
from tasks.augment.registry import AUGMENTERS, build
from tasks.augment.rewording import reword_and_check, verdicts
from tasks.augment.synonym import Synonym
from tasks.core import params
from tasks.core.errors import UserError
from tasks.core.ledger import ids_of, reconcile
from tests.builders.candidates_made import candidate, frame
from tests.builders.chatlog import UNTOLD
from tests.conftest import ROOT

PARAMS = params.load(ROOT / "params.yaml", "augment", augment.Params)
QUICK = tuple(name for name in AUGMENTERS if name != "back_translation" and AUGMENTERS[name].missing() is None)
needs_apertium = pytest.mark.skipif(apertium.missing(MODES) is not None, reason="needs Debian's apertium and apertium-eng-spa")
needs_wordnet = pytest.mark.skipif(Synonym.missing() is not None, reason="needs Debian's wordnet-base")

PIECES = ["[EMAIL_1]", "`rm -rf x`", "https://a.org/b?c=1", "1,200.50", "$20", "-5", "Berlin", "McCoy", "not", "don't", "```\nx = 3\n```"]
TEXT = "please help me buy a quick computer and explain the way it works today my order is late"
WORDS = TEXT.split()
texts = st.lists(st.sampled_from(PIECES + WORDS * 2), min_size=4, max_size=25).map(" ".join)
SAMPLE = [
    "How can I reset my password? I do not know the way.",
    "please help me buy a quick computer for $1,200.50 from https://x.org/z today",
    "My friend Alice lives in Berlin and needs 3 answers about [EMAIL_1] and `code x`",
    "what is the best way to learn to cook for a large family?",
]


def settings_of(name: str) -> Any:
    return getattr(PARAMS.augmenters, name)


def with_only(*names: str, **changed: object) -> augment.Params:
    """The shipped parameters with these augmenters on, for all rows and without a limit."""
    sections = {name: settings_of(name).model_copy(update={"enabled": name in names}) for name in AUGMENTERS}
    augmenters = PARAMS.augmenters.model_copy(update=sections)
    return PARAMS.model_copy(update={"rows": "all", "max_share": 9.0, "augmenters": augmenters} | changed)


def outcome(rows: list[dict[str, Any]], chosen: augment.Params) -> pa.Table:
    """All rows of the result, sorted; the ledger has accepted them."""
    given = frame(rows)
    result = augment.run({"candidates": given}, chosen)["candidates"].to_arrow()
    reconcile("augment", "candidates", result, ids_of("candidates", given.to_arrow()))
    return result.sort_by("prompt_id")


def made(table: pa.Table) -> list[dict[str, Any]]:
    return [row for row in table.to_pylist() if row["made"]]


@settings(deadline=None, max_examples=60)
@given(texts, st.text("ab", max_size=3))
def test_word_augmenters_never_touch_what_is_protected(text: str, seed: str) -> None:
    for name in QUICK:
        (new,) = build(name, settings_of(name)).reword([text], [seed])
        assert new is not None
        assert fault(text, new) in {None, "unchanged"}, (name, new)


@needs_apertium
@settings(deadline=None, max_examples=5)
@given(st.lists(texts, min_size=20, max_size=20))
def test_back_translations_keep_what_is_protected_or_are_dropped(batch: list[str]) -> None:
    augmenter = build("back_translation", settings_of("back_translation"))
    news = augmenter.reword(batch, batch)
    for old, new, reason in zip(batch, news, verdicts(augmenter, batch, news), strict=True):
        if reason is None:
            assert new is not None
            for piece in PIECES[:5]:
                assert old.count(piece) == new.count(piece)
        else:
            assert reason.startswith("lost_") or reason in {"untranslated", "too_different", "unchanged"}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("pay 20 euros now", "pay 30 euros now", "lost_number"),
        ("pay 20 euros of 30", "pay 30 euros of 20", "lost_number"),
        ("write to [EMAIL_1] now", "write to now", "lost_placeholder"),
        ("run `ls -l` here", "run `ls l` here", "lost_code"),
        ("```\na b\n``` fails", "```\nb a\n``` fails", "lost_code"),
        ("see https://a.org now", "see https://b.org now", "lost_link"),
        ("ask Alice about it", "ask alice about it", "lost_name"),
        ("ask the iPhone maker", "ask the iphone maker", "lost_name"),
        ("I do not know", "I do know", "lost_negation"),
        ("I can't do it", "I can do it", "lost_negation"),
        ("hello  my friend", "Hello my friend", "unchanged"),
        ("ask Alice about it", "about it ask Alice", None),
    ],
)
def test_a_check_names_what_was_lost(old: str, new: str, reason: str | None) -> None:
    assert fault(old, new) == reason


@given(st.text())
def test_a_text_is_its_words_and_gaps(text: str) -> None:
    cut = split(text)
    assert cut.weave(cut.words) == text


@given(texts)
def test_apertium_stream_gives_the_text_back(text: str) -> None:
    assert from_stream(to_stream(text), text) == " ".join(text.split(" ")).strip()


def test_only_training_rows_with_votes_in_a_known_language_get_variants() -> None:
    rows = [
        candidate("please help me buy a computer today"),
        candidate("please help me sell a computer today", split="test"),
        candidate("please help me find a computer today", split="validation"),
        candidate("please help me mend a computer today", evidence="none"),
        candidate("please help me move a computer today", language="zh"),
        candidate("please help me lift a computer today", language="und"),
    ]
    table = outcome(rows, with_only("swap", "delete"))
    assert {row["augmented_from"] for row in made(table)} == {rows[0]["prompt_id"]}
    assert len(made(table)) == 2
    untouched = [row for row in table.to_pylist() if not row["made"]]
    assert [{name: row[name] for name in rows[0]} for row in untouched] == sorted(rows, key=lambda row: str(row["prompt_id"]))


def test_a_variant_knows_its_parent_and_keeps_its_answers_votes_and_place() -> None:
    parent = candidate(SAMPLE[1], cluster_id="cluster", topic="shopping", weight=1.0)
    (row,) = made(outcome([parent], with_only("swap")))
    assert (row["augmented_from"], row["augmenter"], row["dropped"]) == (parent["prompt_id"], "swap", None)
    assert row["prompt"] != parent["prompt"]
    changed = {"prompt_id", "prompt", "augmented_from", "augmenter"}
    assert {name for name in parent if row[name] != parent[name]} == changed


def test_only_the_last_message_of_the_user_is_reworded() -> None:
    messages = [
        {"role": "user", "content": "what is the best way to learn?", **UNTOLD},
        {"role": "assistant", "content": "it depends on what you want to learn", **UNTOLD},
        {"role": "user", "content": "i want to learn to cook at home", **UNTOLD},
        {"role": "tool", "content": "a cook book lies on the kitchen table", **UNTOLD},
    ]
    (row,) = made(outcome([candidate("x", prompt=messages)], with_only("swap")))
    assert [old == new for old, new in zip(messages, row["prompt"], strict=True)] == [True, True, False, True]


def test_with_responses_every_answer_is_reworded_and_votes_still_point_to_answers() -> None:
    parent = candidate(SAMPLE[1], answers=["You can buy one in our shop.", "No idea, ask somebody else about this."])
    (row,) = made(outcome([parent], with_only("swap", targets="prompt_and_responses")))
    ids = {response["response_id"] for response in row["responses"]}
    assert row["dropped"] is None
    assert all(old["content"] != new["content"] for old, new in zip(parent["responses"], row["responses"], strict=True))
    assert {row["votes"][0]["better"], row["votes"][0]["worse"]} == ids


def test_with_responses_one_answer_that_fails_drops_the_variant() -> None:
    parent = candidate(SAMPLE[1], answers=["You can do that on the settings page.", "Yes."])
    (row,) = made(outcome([parent], with_only("swap", targets="prompt_and_responses")))
    assert row["dropped"] == "too_short"


def test_short_long_and_unchangeable_texts_are_dropped_with_their_reason() -> None:
    rows = [candidate("help me now"), candidate("please " * 1000), candidate("Ask Bob Not Alice For It")]
    reasons = {row["augmented_from"]: row["dropped"] for row in made(outcome(rows, with_only("swap")))}
    assert [reasons[row["prompt_id"]] for row in rows] == ["too_short", "too_long", "unchanged"]


def test_a_variant_that_exists_already_in_any_split_collides() -> None:
    (variant,) = made(outcome([candidate(SAMPLE[3])], with_only("swap")))
    twin = candidate(variant["prompt"][0]["content"].upper().replace(" ", "  "), split="test")
    (row,) = made(outcome([candidate(SAMPLE[3]), twin], with_only("swap")))
    assert row["dropped"] == "collides"


def test_two_equal_variants_do_not_both_stay() -> None:
    swap = settings_of("swap").model_copy(update={"enabled": True, "variants": 20})
    only = with_only("swap", max_share=20.0)
    many = only.model_copy(update={"augmenters": only.augmenters.model_copy(update={"swap": swap})})
    rows = made(outcome([candidate("please help me now")], many))
    kept = [row["prompt"][0]["content"].lower() for row in rows if row["dropped"] is None]
    assert len(kept) == len(set(kept)) < len(rows) == 20
    assert {row["dropped"] for row in rows} == {None, "collides"}


def test_order_of_rows_and_batches_change_nothing() -> None:
    rows = [candidate(f"{text} please look at number {n} again") for n in range(6) for text in SAMPLE]
    chosen = with_only(*QUICK, max_share=1.0)
    assert outcome(rows, chosen) == outcome(rows[::-1], chosen)
    alone = {row["prompt_id"]: row["prompt"] for part in rows for row in made(outcome([part], with_only(*QUICK)))}
    assert all(alone[row["prompt_id"]] == row["prompt"] for row in made(outcome(rows, chosen)))


def test_max_share_bounds_the_variants() -> None:
    rows = [candidate(f"please help me buy computer number {n} today") for n in range(20)]
    assert len(made(outcome(rows, with_only("swap", "delete", max_share=0.25)))) == 5
    assert made(outcome(rows, with_only("swap", max_share=0.0))) == []


def test_minority_leaves_large_strata_alone() -> None:
    rows = [candidate(f"please help me buy computer number {n} today", topic="shop" if n < 8 else "home") for n in range(12)]
    chosen = with_only("swap", rows="minority", by=["topic"], minority_ratio=1.9)
    assert {row["topic"] for row in made(outcome(rows, chosen))} == {"home"}
    assert made(outcome(rows, chosen.model_copy(update={"minority_ratio": 2.0}))) == []


@needs_wordnet
def test_synonyms_are_synonyms_and_articles_agree() -> None:
    augmenter = build("synonym", settings_of("synonym").model_copy(update={"rate": 1.0}))
    (new,) = augmenter.reword(["please help me buy a big car"], ["1"])
    assert new is not None
    assert new != "please help me buy a big car"
    assert new.startswith("please ")


def test_a_missing_dictionary_is_said_or_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path))
    with pytest.warns(UserWarning, match="synonym is skipped.*wordnet-base"):
        assert made(outcome([candidate(SAMPLE[0])], with_only("synonym"))) == []
    with pytest.raises(UserError, match="wordnet-base"):
        augment.run({"candidates": frame([candidate(SAMPLE[0])])}, with_only("synonym", on_missing="error"))


def test_missing_apertium_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("APERTIUM_DATADIR", str(tmp_path))
    with pytest.warns(UserWarning, match="back_translation is skipped.*apertium-eng-spa"):
        outcome([candidate(SAMPLE[0])], with_only("back_translation"))


@needs_apertium
def test_back_translation_keeps_meaning_or_says_why() -> None:
    chosen = settings_of("back_translation")
    texts = pa.array(["it is not working since monday", SAMPLE[1]])
    bad, good = reword_and_check("back_translation", chosen, texts, pa.array(["", ""])).to_pylist()
    assert bad["reason"] == "too_different"
    assert (good["reason"], good["text"] == SAMPLE[1]) == (None, False)


@needs_apertium
def test_a_dead_program_is_replaced_and_no_text_is_lost() -> None:
    lines = [to_stream(f"please help me to find house {n} in the city") for n in range(300)]
    with apertium.Pipeline(MODES) as pipeline:
        whole = pipeline.translate(lines)
        os.kill(pipeline._programs[5].pid, signal.SIGKILL)
        assert [answer for answer in pipeline.translate(lines) if answer is not None][-250:] == whole[-250:]
        programs = pipeline._programs
    assert None not in whole
    assert all(program.poll() is not None for program in programs)
