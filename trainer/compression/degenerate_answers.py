"""Answers that are broken: what a model writes by itself to held-out prompts, every model with the same random numbers.

In: a model and prompts as tokens. Out: how many answers are `empty`, go round (`loop`, exactly or nearly), have no end (`unended`) or are
`not_text` (bytes that are no UTF-8). Each answer counts once, under the first that holds; preference figures say nothing of any of this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer.evaluation import answering
from trainer.evaluation.repetition import goes_round
from trainer.methods.ppo_rollouts import SamplingConfig
from trainer.models import typed

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

KINDS = ("loop", "unended", "empty", "not_text")
BROKEN = "\ufffd"  # what a decoder writes for bytes that are no UTF-8


def count(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[list[int]], sampling: SamplingConfig, seed: int
) -> dict[str, int]:
    """How many answers are broken, by kind."""
    made = answering.write(model, prompts, sampling, seed)
    found = Counter(classify(answer.tokens, set(sampling.eos_token_ids), tokenizer) for answer in made)
    return {kind: found[kind] for kind in KINDS}


def classify(tokens: Sequence[int], ends: set[int], tokenizer: PreTrainedTokenizerBase) -> str | None:
    """What is wrong with an answer, if anything."""
    end = next((place for place, token in enumerate(tokens) if token in ends), None)
    text = typed.decoded(tokenizer, tokens[:end])
    if goes_round(tokens[:end]):
        return "loop"
    if end is None:
        return "unended"
    if not text.strip():
        return "empty"
    return "not_text" if BROKEN in text else None
