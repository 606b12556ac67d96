"""What every variant is measured against, read once. Preferences are judged exactly as the stage evaluate judges the policy.

In: the release, the reference, a tokenizer. Out: for a model its accuracy and mean margin on the validation split, by which variants
are chosen, and on the test split, which only reports; and its broken answers to prompts of the validation split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tasks.common.vocabulary.splits import HELD_OUT
from trainer.compression import degenerate_answers
from trainer.data import encode, release_reader
from trainer.data.encode import EncodedPair
from trainer.evaluation import proportions
from trainer.methods import pair_scores
from trainer.methods.ppo_rollouts import SamplingConfig
from trainer.models import model_io
from trainer.models import tokenizer as tokenizers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

T = TypeVar("T")


@dataclass(frozen=True)
class Evaluator:
    """Held-out pairs with the reference's margins, and the prompts that answers are written to."""

    tokenizer: PreTrainedTokenizerBase
    pairs: dict[str, list[EncodedPair]]
    reference: dict[str, np.ndarray]
    prompts: list[list[int]]
    sampling: SamplingConfig
    seed: int  # of the answers
    batch: int

    @staticmethod
    def read(
        given: Path, reference: Path, max_length: int, batch: int, prompts: int, most: int, temperature: float, seed: int
    ) -> Evaluator:
        """Encode the held-out splits and score them once under the reference; answers have at most `most` tokens."""
        model, tokenizer = model_io.load(str(reference))
        pairs = {split: encode.require_pairs(split, release_reader.pairs(given, split), tokenizer, max_length).kept for split in HELD_OUT}
        margins = {split: pair_scores.score(model, rows, tokenizer.pad_token_id, batch).margin for split, rows in pairs.items()}
        asked = {tuple(row.prompt): None for row in pairs["validation"] if len(row.prompt) + most <= max_length}  # each prompt once
        sampling = SamplingConfig(tokenizers.end_tokens(tokenizer), tokenizer.pad_token_id, most, temperature, batch)
        return Evaluator(tokenizer, pairs, margins, [list(prompt) for prompt in spread(list(asked), prompts)], sampling, seed, batch)

    def margins(self, model: PreTrainedModel, split: str, places: Sequence[int] | None = None) -> np.ndarray:
        """The implicit reward of the chosen answer less that of the rejected one, for all pairs or for some."""
        chosen = range(len(self.pairs[split])) if places is None else places
        rows = [self.pairs[split][place] for place in chosen]
        own = pair_scores.score(model, rows, self.tokenizer.pad_token_id, self.batch).margin
        result: np.ndarray = own - self.reference[split][list(chosen)]
        return result

    def quick_evaluation(self, model: PreTrainedModel, count: int) -> tuple[float, float]:
        """Accuracy and mean margin on a part of the validation split, to choose between many models."""
        margins = self.margins(model, "validation", spread(range(len(self.pairs["validation"])), count))
        return proportions.rounded(proportions.correctness(margins).mean()), proportions.rounded(margins.mean())

    def evaluate(self, model: PreTrainedModel) -> dict[str, Any]:
        """All figures of a model that hold no clock."""
        figures: dict[str, Any] = {}
        for split in HELD_OUT:
            margins = self.margins(model, split)
            figures[split] = proportions.proportion(proportions.correctness(margins)) | {"margin": proportions.rounded(margins.mean())}
        broken = degenerate_answers.count(model, self.tokenizer, self.prompts, self.sampling, self.seed)
        share = sum(broken.values()) / max(1, len(self.prompts))
        return figures | {"errors": {"prompts": len(self.prompts), "share": proportions.rounded(share), **broken}}


def spread(rows: Sequence[T], count: int) -> list[T]:
    """At most so many of the rows, evenly spread."""
    if len(rows) <= count:
        return list(rows)
    return [rows[place * len(rows) // count] for place in range(count)]
