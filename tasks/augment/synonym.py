"""Augmenter `synonym`: replaces words by synonyms of their main sense (nlpaug's SynonymAug with WordNet's files)."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from tasks.augment import augmenter, wordnet_files


class Settings(augmenter.Settings):
    """Settings of `synonym`."""

    rate: float = Field(gt=0, le=1)  # share of the words that are replaced
    sense_share: float = Field(ge=0, le=1)  # a word's main sense must make up this share of its uses
    frequency: int = Field(ge=0)  # WordNet's own texts must use the synonym this often in that sense


class Synonym(augmenter.Augmenter):
    """Replaces words by synonyms; English only."""

    Settings = Settings
    PACKAGES = ("wordnet-base",)

    @classmethod
    def missing(cls) -> str | None:
        """WordNet's files."""
        return wordnet_files.missing()

    @classmethod
    def knows(cls, language: str) -> bool:
        """English."""
        return language == "en"

    def reword(self, texts: Sequence[str], seeds: Sequence[str]) -> list[str | None]:
        """Each text with some words replaced."""
        from tasks.augment.synonym_words import SynonymWords

        words = SynonymWords(self.settings.rate, self.settings.sense_share, self.settings.frequency)
        return [words.reword(text, seed) for text, seed in zip(texts, seeds, strict=True)]
