"""Augmenter `delete`: leaves out words (nlpaug's RandomWordAug)."""

from __future__ import annotations

from tasks.augment import swap


class Delete(swap.Swap):
    """Words are left out; never a negation, a name, or a word before punctuation."""

    ACTION = "delete"
