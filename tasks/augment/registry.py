"""The augmenters: ways to paraphrase a text without changing its meaning.

A new augmenter is one module with a `Settings` and an `Augmenter`, and one line in `AUGMENTERS`. Nothing heavy is
imported before an augmenter is built.
"""

from __future__ import annotations

import functools

from tasks.augment.augmenter import Augmenter, Settings
from tasks.augment.back_translation import BackTranslation
from tasks.augment.delete import Delete
from tasks.augment.swap import Swap
from tasks.augment.synonym import Synonym

AUGMENTERS: dict[str, type[Augmenter]] = {
    "synonym": Synonym,
    "swap": Swap,
    "delete": Delete,
    "back_translation": BackTranslation,
}


@functools.lru_cache(maxsize=8)
def build(name: str, settings: Settings) -> Augmenter:
    """The augmenter with this name; built once per process, because dictionaries take a second to load."""
    return AUGMENTERS[name](settings)
