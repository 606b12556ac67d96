"""Pairs as tokens. A pair that does not fit is left out with its reason and counted; nothing is ever cut.

The prompt is rendered alone, as a chat will render it, and the rest of the rendering with the answer is the
completion: so the tokens before an answer are those that the model will see when it is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.core.errors import UserError
from trainer.core.release import Messages, Pair

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROMPT_TOO_LONG = "prompt_too_long"  # the prompt alone fills the window
ANSWER_CUT = "answer_cut"  # the longer answer would lose its end
EQUAL = "equal_after_truncation"  # ... and what is left of both would be the same
SAME_TOKENS = "same_tokens"  # both answers are the same to the model, without any cut
BATCH = 1000


@dataclass(frozen=True)
class Encoded:
    """A pair's tokens: the prompt, and each answer up to and with its end."""

    pair: Pair
    prompt: list[int]
    chosen: list[int]
    rejected: list[int]

    @property
    def length(self) -> int:
        """Tokens of the longer side."""
        return len(self.prompt) + max(len(self.chosen), len(self.rejected))


@dataclass(frozen=True)
class Encoding:
    """The pairs that fit, and how many were left out for which reason."""

    kept: list[Encoded]
    reasons: dict[str, int]

    @property
    def left_out(self) -> int:
        """Number of pairs that do not fit."""
        return sum(self.reasons.values())


def encode(pairs: Sequence[Pair], tokenizer: PreTrainedTokenizerBase, window: int) -> Encoding:
    """Tokens of all pairs whose both sides fit into `window`, in the given order."""
    rows = [row for start in range(0, len(pairs), BATCH) for row in _batch(pairs[start : start + BATCH], tokenizer)]
    verdicts = [_verdict(row, window) for row in rows]
    kept = [row for row, verdict in zip(rows, verdicts, strict=True) if verdict is None]
    return Encoding(kept, dict(sorted(Counter(verdict for verdict in verdicts if verdict).items())))


def _batch(pairs: Sequence[Pair], tokenizer: PreTrainedTokenizerBase) -> list[Encoded]:
    prompts = [_render(tokenizer, pair.prompt, True) for pair in pairs]
    sides = [
        [_answer(tokenizer, pair, answer, prompt) for pair, answer, prompt in zip(pairs, answers, prompts, strict=True)]
        for answers in ([pair.chosen for pair in pairs], [pair.rejected for pair in pairs])
    ]
    # The template has written every special token: a tokenizer that adds its own would write the first one twice.
    ids = [tokenizer(texts, add_special_tokens=False)["input_ids"] for texts in (prompts, *sides)]
    return [Encoded(*row) for row in zip(pairs, *ids, strict=True)]


def _render(tokenizer: PreTrainedTokenizerBase, messages: Messages, prompt: bool) -> str:
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
    return text


def _answer(tokenizer: PreTrainedTokenizerBase, pair: Pair, answer: Messages, prompt: str) -> str:
    """What the rendering with the answer adds to the prompt's."""
    whole = _render(tokenizer, pair.prompt + answer, False)
    if not whole.startswith(prompt):
        raise UserError(
            f"pair {pair.pair_id}",
            "a chat template that renders this prompt differently when an answer follows",
            "a template whose prompt is the beginning of prompt and answer",
            "choose another model in train.model.source, or edit its chat_template.jinja",
        )
    return whole[len(prompt) :]


def _verdict(row: Encoded, window: int) -> str | None:
    """Why the pair cannot be used; None if it can."""
    if row.chosen == row.rejected:
        return SAME_TOKENS
    if row.length <= window:
        return None
    room = window - len(row.prompt)
    if room <= 0:
        return PROMPT_TOO_LONG
    return EQUAL if row.chosen[:room] == row.rejected[:room] else ANSWER_CUT


def describe(split: str, encoding: Encoding) -> str:
    """The line of the log: how many pairs came in, how many stay, and why the others do not."""
    reasons = ", ".join(f"{reason} {count}" for reason, count in encoding.reasons.items())
    total = len(encoding.kept) + encoding.left_out
    return f"{split}: {total} pairs = {len(encoding.kept)} used + {encoding.left_out} left out" + (f" ({reasons})" if reasons else "")


def demand_some(split: str, encoding: Encoding, window: int) -> None:
    """A UserError where not one pair fits."""
    if not encoding.kept:
        raise UserError(
            f"train.window: {window}",
            describe(split, encoding),
            "at least one pair that fits",
            "raise train.window (as far as the model allows), or bring shorter conversations",
        )
