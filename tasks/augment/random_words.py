"""nlpaug's RandomWordAug with protected words and its own random generator.

nlpaug draws from Python's global generator, which all threads share: a variant would depend on its neighbours.
"""

from __future__ import annotations

import random
from typing import Any

from tasks.augment.nlpaug_import import RandomWordAug
from tasks.augment.protected_words import Words, split


class RandomWords(RandomWordAug):  # type: ignore[misc]
    """Swaps neighbouring words, or deletes words, of one text at a time; not to be shared between threads."""

    def __init__(self, action: str, rate: float) -> None:
        super().__init__(action=action, aug_p=rate, aug_min=1, aug_max=None, tokenizer=self._tokens, reverse_tokenizer=self._text)
        self.generator = random.Random()
        self.cut = Words([], [""])
        self.movable: list[int] = []

    def reword(self, text: str, seed: str) -> str:
        """The text changed at places drawn from `seed`."""
        self.generator.seed(seed)
        return str(self.augment(text)[0]) if text else text

    @classmethod
    def clean(cls, data: str) -> str:
        """Leave the text as it is: nlpaug would strip it."""
        return data

    def sample(self, x: list[Any], num: int) -> list[Any]:
        """Draw from this object's generator."""
        return self.generator.sample(x, num)

    def pre_skip_aug(self, tokens: list[str], tuple_idx: int | None = None) -> list[int]:
        """Places that may change."""
        return self.movable

    def _get_swap_position(self, pos: int, token_length: int) -> int:
        """A neighbour that may change too, separated only by space; `pos` always has one."""
        right = [pos + 1] if self._pair(pos) else []
        left = [pos - 1] if pos and self._pair(pos - 1) else []
        return int(self.sample(left + right, 1)[0])

    def _pair(self, at: int) -> bool:
        return self.joins[at] and self.free[at] and self.free[at + 1]

    def _tokens(self, text: str) -> list[str]:
        """Words for a swap; words with the space after them for a deletion."""
        self.cut = split(text)
        self.free, self.joins = self.cut.free(), self.cut.joined()
        places = range(len(self.cut.words))
        if self.action == "delete":
            self.movable = [at for at in places if self.free[at] and self.joins[at]]
            return [word + gap for word, gap in zip(self.cut.words, self.cut.gaps[1:], strict=True)]
        self.movable = [at for at in places if self._pair(at) or (at > 0 and self._pair(at - 1))]
        return self.cut.words

    def _text(self, tokens: list[str]) -> str:
        return self.cut.gaps[0] + "".join(tokens) if self.action == "delete" else self.cut.weave(tokens)
