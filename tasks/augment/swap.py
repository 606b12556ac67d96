"""Augmenter `swap`: swaps neighbouring words (nlpaug's RandomWordAug)."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from tasks.augment import augmenter


class Settings(augmenter.Settings):
    """Settings of `swap`."""

    rate: float = Field(gt=0, le=1)  # share of the words that move


class Swap(augmenter.Augmenter):
    """Swaps neighbouring words."""

    Settings = Settings
    ACTION = "swap"

    def reword(self, texts: Sequence[str], seeds: Sequence[str]) -> list[str | None]:
        """Each text with some neighbours swapped."""
        from tasks.augment.random_words import RandomWords

        words = RandomWords(self.ACTION, self.settings.rate)
        return [words.reword(text, seed) for text, seed in zip(texts, seeds, strict=True)]
