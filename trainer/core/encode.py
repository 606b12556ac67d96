"""Pairs as tokens. A pair that does not fit is left out with its reason and counted; nothing is ever cut.

How a pair becomes tokens, and when it fits, says `tasks.evidence.encoding`, by which the stage `pair` counts beforehand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.core.errors import UserError
from tasks.evidence.encoding import Tokens, render, tokenize, verdict
from trainer.core.release import Pair

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

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
    verdicts = [verdict(Tokens(row.prompt, row.chosen, row.rejected), window) for row in rows]
    kept = [row for row, word in zip(rows, verdicts, strict=True) if word is None]
    return Encoding(kept, dict(sorted(Counter(word for word in verdicts if word).items())))


def _batch(pairs: Sequence[Pair], tokenizer: PreTrainedTokenizerBase) -> list[Encoded]:
    texts = [_texts(tokenizer, pair) for pair in pairs]
    ids = [tokenize(tokenizer, side) for side in zip(*texts, strict=True)]
    return [Encoded(*row) for row in zip(pairs, *ids, strict=True)]


def _texts(tokenizer: PreTrainedTokenizerBase, pair: Pair) -> tuple[str, str, str]:
    """The pair as the template writes it: the prompt, and what each answer adds to it."""
    text = render(tokenizer, (pair.prompt, pair.chosen, pair.rejected))
    if text.chosen is None or text.rejected is None:
        raise UserError(
            f"pair {pair.pair_id}",
            "a chat template that renders this prompt differently when an answer follows",
            "a template whose prompt is the beginning of prompt and answer",
            "choose another model in start.model.source, or edit its chat_template.jinja",
        )
    return text.prompt, text.chosen, text.rejected


def describe(split: str, encoding: Encoding) -> str:
    """The line of the log: how many pairs came in, how many stay, and why the others do not."""
    reasons = ", ".join(f"{reason} {count}" for reason, count in encoding.reasons.items())
    total = len(encoding.kept) + encoding.left_out
    return f"{split}: {total} pairs = {len(encoding.kept)} used + {encoding.left_out} left out" + (f" ({reasons})" if reasons else "")


def demanded(split: str, pairs: Sequence[Pair], tokenizer: PreTrainedTokenizerBase, window: int) -> Encoding:
    """The pairs that fit into the window; a UserError where not one does."""
    encoding = encode(pairs, tokenizer, window)
    if not encoding.kept:
        raise UserError(
            f"start.window: {window}",
            describe(split, encoding),
            "at least one pair that fits",
            "raise start.window (as far as the model allows), or bring shorter conversations",
        )
    return encoding
