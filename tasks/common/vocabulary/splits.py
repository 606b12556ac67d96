"""Splits: what a prompt, and every row made from it, is used for. They stand in `split`, and in `place` of the table places."""

from __future__ import annotations

from typing import Final, Literal, get_args

Split = Literal["train", "validation", "test"]
TRAIN: Final = "train"
VALIDATION: Final = "validation"
TEST: Final = "test"
SPLITS: tuple[str, ...] = get_args(Split)
HELD_OUT: tuple[str, ...] = (VALIDATION, TEST)
NEITHER: Final = "neither"
ANYWHERE: Final = "anywhere"

MEANINGS: dict[str, str] = {
    TRAIN: "models learn from it; the only split that is augmented and rebalanced",
    VALIDATION: "held out: choices between models and variants are made on it",
    TEST: "held out: the figures that are reported are measured on it",
    NEITHER: "in no split, since what it is linked to lies in two; only in `place`",
    ANYWHERE: "met too often to bind a prompt to a split; only in the assignment under `data/splits`",
}
