"""Single answers and prompts become tokens by the rule of pairs, and what does not fit is counted."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from tasks.core.errors import UserError
from tests.builders.training import pair
from trainer.data import encode
from trainer.data.release_reader import Example, Prompt
from trainer.models import tokenizer


@functools.cache
def letters() -> Any:
    """A tokenizer without merges: one token a letter, and two marks a message."""
    return tokenizer.from_scratch([], 300, 99)


def example(prompt: str, answer: str, label: bool = True) -> Example:
    asked, said = [{"role": "user", "content": prompt}], [{"role": "assistant", "content": answer}]
    return Example(f"{prompt} {answer}", asked, said, label, "thumbs", "sample", "en", "", 1.0)


def prompt(text: str) -> Prompt:
    return Prompt(text, [{"role": "user", "content": text}], "sample", "en", "")


def test_a_single_answer_has_the_tokens_of_a_side_of_a_pair() -> None:
    (single,) = encode.encode_examples([example("12345", "good")], letters(), 99).kept
    (both,) = encode.encode([pair("12345", "good", "bad")], letters(), 99).kept
    assert (single.prompt, single.answer) == (both.prompt, both.chosen)
    assert letters().decode(single.answer) == "good<|end|>"


# The prompt takes eight tokens of twelve, so four are left for an answer and its end.
@pytest.mark.parametrize(
    ("answer", "window", "reason"), [("abc", 12, None), ("abcd", 12, "answer_cut"), ("a", 9, "answer_cut"), ("a", 8, "prompt_fills_window")]
)
def test_a_single_answer_that_does_not_fit_is_left_out_with_its_reason(answer: str, window: int, reason: str | None) -> None:
    result = encode.encode_examples([example("12345", answer)], letters(), window)
    assert len(result.kept) == (reason is None)
    assert result.reasons == ({reason: 1} if reason else {})
    assert encode.describe("train", result).startswith("train: 1 examples = ")


def test_no_single_answer_that_fits_is_one_line() -> None:
    with pytest.raises(UserError, match=r"start.max_length: 8: found train: 1 examples = 0 used \+ 1 left out \(prompt_fills_window 1\)"):
        encode.require_examples("train", [example("12345", "a")], letters(), 8)


def test_prompts_wait_for_an_answer_and_long_ones_are_counted() -> None:
    kept, reasons = encode.encode_prompts([prompt("12345"), prompt("123456"), prompt("1")], letters(), 8)
    assert [letters().decode(ids) for ids in kept] == ["<|user|>12345<|end|><|assistant|>", "<|user|>1<|end|><|assistant|>"]
    assert reasons == {"prompt_too_long": 1}
    assert encode.encode_prompts([], letters(), 8) == ([], {})
