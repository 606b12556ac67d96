"""nlpaug's SynonymAug with our own dictionary, tokens and random generator."""

from __future__ import annotations

import random
from typing import Any

from tasks.augment.nlpaug_import import SynonymAug
from tasks.augment.protected_words import Words, split
from tasks.augment.wordnet import Dictionary, dictionary

ARTICLES = ("a", "an")


class SynonymWords(SynonymAug):  # type: ignore[misc]
    """Replaces words of one text at a time; not to be shared between threads."""

    def __init__(self, rate: float, sense_share: float, frequency: int) -> None:
        self.dictionary = dictionary(sense_share, frequency)
        self.generator = random.Random()
        self.cut = Words([], [""])
        super().__init__(aug_p=rate, aug_min=1, aug_max=None, tokenizer=self._tokens, reverse_tokenizer=self._text)

    def reword(self, text: str, seed: str) -> str:
        """The text with some words replaced, drawn from `seed`."""
        self.generator.seed(seed)
        return str(self.augment(text)[0]) if text else text

    def get_model(self, *_: object) -> Dictionary:
        """Our dictionary, in place of the one that nlpaug would load and download."""
        return self.dictionary

    @classmethod
    def clean(cls, data: str) -> str:
        """Leave the text as it is: nlpaug would strip it."""
        return data

    def sample(self, x: list[Any], num: int) -> list[Any]:
        """Draw from this object's generator."""
        return self.generator.sample(x, num)

    def pre_skip_aug(self, tokens: list[str], tuple_idx: int | None = None) -> list[int]:
        """Places that may change."""
        return [at for at, free in enumerate(self.cut.free()) if free]

    def _tokens(self, text: str) -> list[str]:
        self.cut = split(text)
        return self.cut.words

    def _text(self, tokens: list[str]) -> str:
        words = list(tokens)
        for at in range(1, len(words)):
            if words[at] != self.cut.words[at] and words[at - 1].lower() in ARTICLES:
                words[at - 1] = _article(words[at - 1], words[at])
        return self.cut.weave(words)


def _article(article: str, word: str) -> str:
    """`a` or `an`, depending on the next word."""
    return article[0] + "n" * (word[0] in "aeiou")
