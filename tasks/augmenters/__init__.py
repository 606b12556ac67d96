"""Augmenters: ways to word a text differently without changing what it says.

A new augmenter is one module with a `Settings` and an `Augmenter`, and one line in `AUGMENTERS`. Nothing heavy is
imported before an augmenter is built.
"""

from __future__ import annotations

import functools

from tasks.augmenters.back_translation import BackTranslation
from tasks.augmenters.base import Augmenter, Settings
from tasks.augmenters.delete import Delete
from tasks.augmenters.swap import Swap
from tasks.augmenters.synonym import Synonym

AUGMENTERS: dict[str, type[Augmenter]] = {
    "synonym": Synonym,
    "swap": Swap,
    "delete": Delete,
    "back_translation": BackTranslation,
}


@functools.lru_cache(maxsize=8)
def build(name: str, settings: Settings) -> Augmenter:
    """The augmenter of that name; built once a process, because dictionaries take a second to load."""
    return AUGMENTERS[name](settings)
