"""Pairs, single answers and prompts as tokens. What does not fit is left out with its reason and counted; nothing is ever cut.

How a pair becomes tokens, and when it fits, says `tasks.common.tokenization`, by which the stage `pair` counts beforehand. A single
answer is held against the same rule; a prompt to practise on must leave room for an answer, which its reader measures (`most`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from tasks.common.tokenization import ANSWER_CUT, PROMPT_FILLS_WINDOW, Messages, Tokens, render, tokenize, verdict, written
from tasks.core.errors import UserError
from trainer.data.release_reader import Example, Pair, Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH = 1000
PROMPT_TOO_LONG = "prompt_too_long"  # a prompt to practise on leaves too little of the window for an answer


@dataclass(frozen=True)
class EncodedPair:
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
class EncodedExample:
    """The tokens of one answer that was liked or not: the prompt, and the answer up to and with its end."""

    example: Example
    prompt: list[int]
    answer: list[int]

    @property
    def length(self) -> int:
        """Tokens of prompt and answer."""
        return len(self.prompt) + len(self.answer)


T = TypeVar("T", EncodedPair, EncodedExample)


@dataclass(frozen=True)
class FilteredRows(Generic[T]):
    """The rows that fit, and how many were left out for which reason."""

    what: ClassVar[str]
    kept: list[T]
    reasons: dict[str, int]

    @property
    def left_out(self) -> int:
        """Number of rows that do not fit."""
        return sum(self.reasons.values())


class FilteredPairs(FilteredRows[EncodedPair]):
    """Pairs."""

    what = "pairs"


class FilteredExamples(FilteredRows[EncodedExample]):
    """Single answers."""

    what = "examples"


def encode(pairs: Sequence[Pair], tokenizer: PreTrainedTokenizerBase, max_length: int) -> FilteredPairs:
    """Tokens of all pairs whose both sides fit into `window`, in the given order."""
    rows = [row for start in range(0, len(pairs), BATCH) for row in _batch(pairs[start : start + BATCH], tokenizer)]
    verdicts = [verdict(Tokens(row.prompt, row.chosen, row.rejected), max_length) for row in rows]
    kept = [row for row, word in zip(rows, verdicts, strict=True) if word is None]
    return FilteredPairs(kept, _counts(verdicts))


def _batch(pairs: Sequence[Pair], tokenizer: PreTrainedTokenizerBase) -> list[EncodedPair]:
    texts = [_texts(tokenizer, pair) for pair in pairs]
    ids = [tokenize(tokenizer, side) for side in zip(*texts, strict=True)]
    return [EncodedPair(*row) for row in zip(pairs, *ids, strict=True)]


def _texts(tokenizer: PreTrainedTokenizerBase, pair: Pair) -> tuple[str, str, str]:
    """The pair as the template writes it: the prompt, and what each answer adds to it."""
    text = render(tokenizer, (pair.prompt, pair.chosen, pair.rejected))
    if text.chosen is None or text.rejected is None:
        raise _unstable(f"pair {pair.pair_id}")
    return text.prompt, text.chosen, text.rejected


def _unstable(where: str) -> UserError:
    return UserError(
        where,
        "a chat template that renders this prompt differently when an answer follows",
        "a template whose prompt is the beginning of prompt and answer",
        "choose another model in start.model.source, or edit its chat_template.jinja",
    )


def _counts(words: Sequence[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(word for word in words if word).items()))


def encode_examples(examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, max_length: int) -> FilteredExamples:
    """Tokens of all single answers that fit into `window` with their prompts, in the given order."""
    texts = []
    for example in examples:
        text = render(tokenizer, (example.prompt, example.completion, example.completion))
        if text.chosen is None:
            raise _unstable(f"example {example.example_id}")
        texts.append((text.prompt, text.chosen))
    prompts, answers = (_tokens([text[side] for text in texts], tokenizer) for side in (0, 1))
    rows = [EncodedExample(*row) for row in zip(examples, prompts, answers, strict=True)]
    words = [_misfit(row, max_length) for row in rows]
    return FilteredExamples([row for row, word in zip(rows, words, strict=True) if word is None], _counts(words))


def _misfit(row: EncodedExample, max_length: int) -> str | None:
    """Why a single answer does not fit, in the words of pairs; None where it does."""
    if row.length <= max_length:
        return None
    return PROMPT_FILLS_WINDOW if len(row.prompt) >= max_length else ANSWER_CUT


def encode_prompts(prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase, most: int) -> tuple[list[list[int]], dict[str, int]]:
    """Tokens of the prompts that have at most `most`, ready for an answer, in the given order; and how many have more."""
    rows = _tokens([_prompt(tokenizer, one.prompt) for one in prompts], tokenizer)
    words = [PROMPT_TOO_LONG if len(row) > most else None for row in rows]
    return [row for row, word in zip(rows, words, strict=True) if word is None], _counts(words)


def _prompt(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> str:
    return written(tokenizer, messages, prompt=True)


def _tokens(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    return [ids for start in range(0, len(texts), BATCH) for ids in tokenize(tokenizer, texts[start : start + BATCH])]


def describe(split: str, encoding: FilteredPairs | FilteredExamples) -> str:
    """The line of the log: how many rows came in, how many stay, and why the others do not."""
    reasons = ", ".join(f"{reason} {count}" for reason, count in encoding.reasons.items())
    total = len(encoding.kept) + encoding.left_out
    line = f"{split}: {total} {encoding.what} = {len(encoding.kept)} used + {encoding.left_out} left out"
    return line + (f" ({reasons})" if reasons else "")


def require_pairs(split: str, pairs: Sequence[Pair], tokenizer: PreTrainedTokenizerBase, max_length: int) -> FilteredPairs:
    """The pairs that fit into the window; a UserError where not one does."""
    encoding = encode(pairs, tokenizer, max_length)
    if not encoding.kept:
        raise _empty(split, encoding, max_length)
    return encoding


def require_examples(split: str, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, max_length: int) -> FilteredExamples:
    """The single answers that fit into the window; a UserError where not one does."""
    encoding = encode_examples(examples, tokenizer, max_length)
    if not encoding.kept:
        raise _empty(split, encoding, max_length)
    return encoding


def _empty(split: str, encoding: FilteredPairs | FilteredExamples, max_length: int) -> UserError:
    return UserError(
        f"start.max_length: {max_length}",
        describe(split, encoding),
        f"at least one of the {encoding.what} that fits",
        "raise start.max_length (as far as the model allows), or bring shorter conversations",
    )
