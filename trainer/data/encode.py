"""Pairs, single answers and prompts as tokens. What does not fit is left out with its reason and counted; nothing is ever cut.

How a pair becomes tokens, and when it fits, says `tasks.common.tokenization`, by which the stage `pair` counts beforehand. A single
answer is held against the same rule; a prompt to practise on must leave room for an answer, which its reader measures (`most`).
What a chat template refuses, or has no place for, is left out too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from tasks.common.tokenization import ANSWER_CUT, PROMPT_FILLS_WINDOW, Messages, Sides, Tokens, render, tokenize, verdict, written
from tasks.common.vocabulary.roles import SYSTEM
from tasks.core.errors import UserError
from trainer.data import chat_templates
from trainer.data.release_reader import Example, Pair, Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH = 1000
PROMPT_TOO_LONG = "prompt_too_long"  # a prompt to practise on leaves too little of the window for an answer
SYSTEM_MESSAGE = "system_message"  # there is one, and the chat template has no place for it
TEMPLATE_REFUSES = "template_refuses"  # the chat template does not take such messages


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
R = TypeVar("R", Pair, Example)


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
    """Tokens of all pairs that the template takes and whose both sides fit into `window`, in the given order."""
    writer = Writer.of(tokenizer)
    texts = [writer.sides(f"pair {pair.pair_id}", (pair.prompt, pair.chosen, pair.rejected)) for pair in pairs]
    rows = iter(EncodedPair(*row) for row in zip(_written(pairs, texts), *_columns(texts, tokenizer), strict=True))
    taken = [text if isinstance(text, str) else next(rows) for text in texts]
    words = [row if isinstance(row, str) else verdict(Tokens(row.prompt, row.chosen, row.rejected), max_length) for row in taken]
    return FilteredPairs([row for row, word in zip(taken, words, strict=True) if word is None and not isinstance(row, str)], _counts(words))


@dataclass(frozen=True)
class Writer:
    """Writes messages by a tokenizer's chat template, or says in a word why they cannot be written."""

    tokenizer: PreTrainedTokenizerBase
    takes_system: bool
    errors: tuple[type[Exception], ...]

    @staticmethod
    def of(tokenizer: PreTrainedTokenizerBase) -> Writer:
        """The writer of this tokenizer."""
        return Writer(tokenizer, chat_templates.takes_system(tokenizer), chat_templates.errors())

    def sides(self, where: str, sides: Sides) -> Texts | str:
        """The prompt and what each answer adds to it; a UserError that names `where` if the template is not stable."""
        if self._no_place(sides[0]):
            return SYSTEM_MESSAGE
        try:
            text = render(self.tokenizer, sides)
        except self.errors:
            return TEMPLATE_REFUSES
        if text.chosen is None or text.rejected is None:
            raise _unstable(where)
        return text.prompt, text.chosen, text.rejected

    def prompt(self, messages: Messages) -> tuple[str] | str:
        """The prompt, ready for an answer."""
        if self._no_place(messages):
            return SYSTEM_MESSAGE
        try:
            return (written(self.tokenizer, messages, prompt=True),)
        except self.errors:
            return TEMPLATE_REFUSES

    def _no_place(self, messages: Messages) -> bool:
        return not self.takes_system and any(message["role"] == SYSTEM for message in messages)


Texts = tuple[str, ...]


def _written(rows: Sequence[R], texts: Sequence[Texts | str]) -> list[R]:
    """The rows that have a text."""
    return [row for row, text in zip(rows, texts, strict=True) if not isinstance(text, str)]


def _columns(texts: Sequence[Texts | str], tokenizer: PreTrainedTokenizerBase) -> list[list[list[int]]]:
    """Tokens of the rows that have a text: a list a column, of as many columns as a text has."""
    there = [text for text in texts if not isinstance(text, str)]
    return [_tokens(column, tokenizer) for column in zip(*there, strict=True)]


def _unstable(where: str) -> UserError:
    return UserError(
        where,
        "a chat template that renders this prompt differently when an answer follows",
        "a template whose prompt is the beginning of prompt and answer",
        "name a template that does so in start.chat_template.file, or choose another model in start.model.source",
    )


def _counts(words: Sequence[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(word for word in words if word).items()))


def encode_examples(examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, max_length: int) -> FilteredExamples:
    """Tokens of all single answers that fit into `window` with their prompts, in the given order."""
    writer = Writer.of(tokenizer)
    texts = [writer.sides(f"example {one.example_id}", (one.prompt, one.completion, one.completion)) for one in examples]
    rows = iter(EncodedExample(row, *ids) for row, *ids in zip(_written(examples, texts), *_columns(texts, tokenizer)[:2], strict=True))
    taken = [text if isinstance(text, str) else next(rows) for text in texts]
    words = [row if isinstance(row, str) else _misfit(row, max_length) for row in taken]
    kept = [row for row, word in zip(taken, words, strict=True) if word is None and not isinstance(row, str)]
    return FilteredExamples(kept, _counts(words))


def _misfit(row: EncodedExample, max_length: int) -> str | None:
    """Why a single answer does not fit, in the words of pairs; None where it does."""
    if row.length <= max_length:
        return None
    return PROMPT_FILLS_WINDOW if len(row.prompt) >= max_length else ANSWER_CUT


def encode_prompts(prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase, most: int) -> tuple[list[list[int]], dict[str, int]]:
    """Tokens of the prompts that have at most `most`, ready for an answer, in the given order; and how many have more."""
    writer = Writer.of(tokenizer)
    texts = [writer.prompt(one.prompt) for one in prompts]
    rows = iter(next(iter(_columns(texts, tokenizer)), []))
    taken = [text if isinstance(text, str) else next(rows) for text in texts]
    words = [row if isinstance(row, str) else PROMPT_TOO_LONG if len(row) > most else None for row in taken]
    return [row for row, word in zip(taken, words, strict=True) if word is None and not isinstance(row, str)], _counts(words)


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
