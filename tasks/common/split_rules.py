"""The rules of the split, by which `split` parts the rows and against which `release` holds them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tasks.common.similarity import Near
from tasks.core.params import StageParams


class SplitRules(StageParams):
    """Parameters of `split`."""

    train: float = Field(gt=0, le=1)  # shares of the rows; their sum is 1
    validation: float = Field(ge=0, lt=1)
    test: float = Field(ge=0, lt=1)
    popular: int = Field(ge=1)  # what is met more often than this links nothing: a prompt, a first user turn, an answer
    min_answer_chars: int = Field(ge=1)  # equal answers of at least this length link their prompts
    largest_user: float = Field(gt=0, le=1)  # who stands behind a larger share of the prompts, and behind more than `popular`, links none
    largest_held_out: float = Field(gt=0, le=1)  # share of validation, or test, that one component may make up
    far_from_asked: float = Field(gt=0, le=1)  # by how much of the rows a split may miss its share before a warning says so
    compared_turns: int = Field(ge=1)  # of a user in one prompt, from the first: what comes later makes no two prompts differ
    largest_component: float = Field(gt=0, le=1)  # share of the rows above which a component is a giant
    on_giant: Literal["error", "drop_weakest_links", "keep"]
    fillers: list[str]  # words that change nothing of a question; nor do the signs at the ends of its words
    near: Near  # when two prompts are near-equal, without these

    @model_validator(mode="after")
    def _whole(self) -> SplitRules:
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise ValueError("train, validation and test must sum to 1")
        return self

    @property
    def shares(self) -> tuple[float, ...]:
        """Shares in the order of SPLITS."""
        return (self.train, self.validation, self.test)
