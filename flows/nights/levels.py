"""Gates: how far a build may be from the last version before a run warns of it, or stops.

The section `gates` of `params.yaml`.
"""

from __future__ import annotations

from typing import Literal, Self, cast, get_args

from pydantic import Field, model_validator

from flows import sections
from tasks.core.params import StageParams

SECTION = "gates"


class Levels(StageParams):
    """From where on a change is warned of, and from where on it stops the run; null never."""

    warn: float | None = Field(ge=0)
    stop: float | None = Field(ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.warn is not None and self.stop is not None and self.warn > self.stop:
            raise ValueError("warn must not be above stop")
        return self


class Volume(StageParams):
    """Levels for counts."""

    fall: Levels
    rise: Levels


class Params(StageParams):
    """The section of `params.yaml`."""

    chance: float = Field(gt=0, lt=1)
    clumping: float = Field(ge=1)
    volume: Volume
    unread: Levels
    languages: Levels
    drops: Levels
    agreement: Levels
    labels: Levels
    voters: Levels
    bias: Levels
    probe: Levels


def load() -> Params:
    """The section as it stands."""
    return cast("Params", sections.load(SECTION))


Gate = Literal["volume", "unread", "languages", "drops", "agreement", "labels", "voters", "bias", "probe"]
NAMES: tuple[Gate, ...] = get_args(Gate)
ONE_WAY = ("unread", "voters")  # less of these is no fault
DRIFT = tuple(name for name in NAMES if name not in ("volume", "unread"))
