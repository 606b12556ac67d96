"""The held-out splits, scored once by every judge: policy, reference and reward model, and the baselines.

Models are loaded one at a time, so that one is in memory and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.common.vocabulary.splits import HELD_OUT
from trainer.data.encode import FilteredPairs
from trainer.data.release_reader import Pair
from trainer.evaluation import baselines, evidence_groups, length_control, preference_accuracy, proportions
from trainer.evaluation.bootstrap import Bootstrap
from trainer.models.training_context import TrainingContext

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.data.encode import EncodedPair


@dataclass(frozen=True)
class HeldOutSplit:
    """One split; arrays of scores are (chosen, rejected) x pairs."""

    encoding: FilteredPairs
    policy: np.ndarray
    reference: np.ndarray
    reward: np.ndarray
    tfidf: np.ndarray  # margins
    bootstrap: Bootstrap

    @property
    def pairs(self) -> list[Pair]:
        """The pairs that fit the window."""
        return [row.pair for row in self.encoding.kept]

    @cached_property
    def length_difference(self) -> np.ndarray:
        """Characters of the chosen answer less those of the rejected one."""
        return length_control.differences(self.pairs)

    @cached_property
    def margins(self) -> dict[str, np.ndarray]:
        """By how much each judge puts the chosen answer first."""
        kept = self.encoding.kept
        tokens = np.array([[len(row.chosen) for row in kept], [len(row.rejected) for row in kept]], dtype=np.float64)
        known = preference_accuracy.likelihoods(tokens, self.policy, self.reference)
        return known | {"reward": self.reward[0] - self.reward[1], "longer": self.length_difference, "tfidf": self.tfidf}

    @cached_property
    def correctness(self) -> dict[str, np.ndarray]:
        """Right, wrong or a tie, for each judge and pair."""
        return {name: proportions.correctness(margins) for name, margins in self.margins.items()}


@dataclass(frozen=True)
class HeldOutReader:
    """The held-out pairs as tokens, ready for any model."""

    encodings: dict[str, FilteredPairs]
    pad: int
    batch: int

    @staticmethod
    def of(given: Path, tokenizer: PreTrainedTokenizerBase, max_length: int, batch: int) -> HeldOutReader:
        """The pairs of a release that fit; a UserError where no test pair does."""
        from trainer.data import encode, release_reader

        encodings = {split: encode.encode(release_reader.pairs(given, split), tokenizer, max_length) for split in HELD_OUT}
        encode.require_pairs("test", release_reader.pairs(given, "test"), tokenizer, max_length)
        return HeldOutReader(encodings, tokenizer.pad_token_id, batch)

    def likelihoods(self, model: PreTrainedModel) -> dict[str, np.ndarray]:
        """The log-probabilities of both answers of every pair."""
        return {split: self.likelihoods_of(split, model) for split in self.encodings}

    def likelihoods_of(self, split: str, model: PreTrainedModel) -> np.ndarray:
        """The same for one split."""
        from trainer.methods import pair_scores

        both = pair_scores.score(model, self.encodings[split].kept, self.pad, self.batch)
        return np.stack([both.chosen, both.rejected])

    def rewards(self, model: PreTrainedModel) -> dict[str, np.ndarray]:
        """The reward of both answers of every pair."""
        from trainer.models import reward_models

        def sides(kept: list[EncodedPair]) -> np.ndarray:
            rows = [(row.prompt, row.chosen) for row in kept] + [(row.prompt, row.rejected) for row in kept]
            return reward_models.score(model, rows, self.pad, 2 * self.batch).reshape(2, -1)

        return {split: sides(encoding.kept) for split, encoding in self.encodings.items()}

    def combine_scores(
        self,
        scores: tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]],
        train: list[Pair],
        context: TrainingContext,
        resamples: int,
    ) -> dict[str, HeldOutSplit]:
        """Both splits with the scores of policy, reference and reward model, and the baselines beside."""
        pairs = [[row.pair for row in encoding.kept] for encoding in self.encodings.values()]
        found = {}
        for split, held_out, margins in zip(HELD_OUT, pairs, baselines.words(train, pairs), strict=True):
            bootstrap = Bootstrap(evidence_groups.connected(held_out), resamples, context.seed)
            policy, reference, reward = (each[split] for each in scores)
            found[split] = HeldOutSplit(self.encodings[split], policy, reference, reward, margins, bootstrap)
        return found
