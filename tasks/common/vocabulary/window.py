"""What is wrong with a pair in a window of tokens: why a trainer would leave it out, and why `pair.trainability` may drop it."""

from __future__ import annotations

from typing import Final

SAME_TOKENS: Final = "same_tokens"
PROMPT_FILLS_WINDOW: Final = "prompt_fills_window"
EQUAL_AFTER_TRUNCATION: Final = "equal_after_truncation"
ANSWER_CUT: Final = "answer_cut"

MEANINGS: dict[str, str] = {
    SAME_TOKENS: "the two answers differ in nothing that the model sees, even without a cut",
    PROMPT_FILLS_WINDOW: "the prompt alone fills the window: not one token of an answer is left",
    EQUAL_AFTER_TRUNCATION: "both answers are cut, and what is left of them is the same",
    ANSWER_CUT: "at least one answer loses its end",
}
