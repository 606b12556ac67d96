"""The interface of augmenters: texts in, the same number of paraphrased texts out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from tasks.core.params import StageParams

# Languages written without spaces between words, which splitting cannot separate.
UNSPACED = frozenset({"bo", "dz", "ja", "km", "lo", "my", "th", "wuu", "yue", "zh"})


class Settings(StageParams):
    """Settings of every augmenter."""

    enabled: bool
    variants: int = Field(ge=1, le=20)  # variants tried for each row


class Augmenter:
    """Base of all augmenters. One object serves all threads: `reword` keeps no state between calls."""

    Settings: ClassVar[type[Settings]]  # the augmenter's section of the parameters
    PACKAGES: ClassVar[tuple[str, ...]] = ()  # Debian packages that it needs
    IN_ENGINE: ClassVar[bool] = True  # false: called once from the driver, because it runs its own process

    def __init__(self, settings: StageParams) -> None:
        self.settings: Any = settings  # the subclass's own Settings

    @classmethod
    def missing(cls) -> str | None:
        """What it needs and this machine lacks; None when nothing is missing."""
        return None

    @classmethod
    def knows(cls, language: str) -> bool:
        """Whether it can reword this language (ISO 639-1 code)."""
        return language not in UNSPACED and language != "und"

    def reword(self, texts: Sequence[str], seeds: Sequence[str]) -> list[str | None]:
        """A paraphrase of each text, a pure function of (text, seed); None where that failed."""
        raise NotImplementedError

    def gate(self, old: str, new: str) -> str | None:
        """The augmenter's own reason to reject a variant, as one word; None when it has none."""
        return None
