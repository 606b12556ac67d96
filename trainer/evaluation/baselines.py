"""Judges that know little, held beside every model: the longer answer wins; the answer with the better words wins.

The second is the TF-IDF Bradley-Terry judge of the dataset's probe, fitted on the train split alone, as people labelled it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.data.release_reader import Messages, Pair

NAMES = ("longer", "tfidf")


def words(train: Sequence[Pair], held_out: Sequence[Sequence[Pair]]) -> list[np.ndarray]:
    """The TF-IDF judge's margins on each held-out split; it takes all for ties where there is nothing to learn from."""
    from tasks.common.tfidf_bradley_terry import Probe

    if not train:
        return [np.zeros(len(pairs)) for pairs in held_out]
    probe = Probe.fit(*_texts(train), [pair.weight for pair in train])
    return [np.asarray(probe.margins(*_texts(pairs))) if pairs else np.zeros(0) for pairs in held_out]


def _texts(pairs: Sequence[Pair]) -> tuple[list[str], list[str], list[str]]:
    """Prompts, chosen and rejected answers."""
    return ([text_of(pair.prompt) for pair in pairs], [text_of(pair.chosen) for pair in pairs], [text_of(pair.rejected) for pair in pairs])


def text_of(messages: Messages) -> str:
    """All that messages say."""
    return "\n".join(message["content"] for message in messages)
