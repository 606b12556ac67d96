"""Claims about which texts are one: each wider meaning holds whatever a narrower one does."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.phrases import plain
from tasks.common.similarity.ngrams import fold
from tasks.common.text_identity import same_answer, same_question
from tasks.common.unseen import JOINERS, UNSEEN

UNSEEN_LETTERS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000 and re.fullmatch(f"[{UNSEEN}]", chr(code))]
SIGNS = st.sampled_from([*"aB iﬁＡé\n\t .?²", "e\u0301", "\u00a0", "\u3000", *JOINERS, *UNSEEN_LETTERS])
TEXTS = st.lists(SIGNS, max_size=12).map("".join)


@given(TEXTS, TEXTS)
def test_equal_answers_are_equal_questions_and_equal_questions_compare_as_copies(one: str, other: str) -> None:
    if same_answer(one) == same_answer(other):
        assert same_question(one) == same_question(other)
    if same_question(one) == same_question(other):
        assert fold(one) == fold(other)


@given(TEXTS)
def test_a_text_is_what_it_is_folded_to(text: str) -> None:
    assert same_question(same_answer(text)) == same_question(text)
    assert fold(same_question(text)) == fold(text)


@pytest.mark.parametrize("letter", UNSEEN_LETTERS, ids=lambda letter: f"U+{ord(letter):04X}")
def test_what_no_reader_sees_makes_no_two_texts_differ_anywhere(letter: str) -> None:
    assert same_answer(f"tha{letter}nks") == same_question(f"tha{letter}nks") == fold(f"tha{letter}nks") == "thanks"
    assert plain(pa.array([f"tha{letter}nks"], pa.large_string())).to_pylist() == ["thanks"]
