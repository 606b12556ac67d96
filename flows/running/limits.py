"""How long a run waits for another, how often it tries again what can flake, and when it ends a stage."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tasks.core import params
from tasks.core.params import StageParams
from tasks.core.shell import PARAMS

SECTION = "runs"
Minutes = Annotated[float, Field(gt=0)]


class Params(StageParams):
    """The section `runs`."""

    max_wait_minutes: float = Field(ge=0)
    retries: int = Field(ge=0)
    retry_seconds: float = Field(ge=0)
    timeout_minutes: Minutes
    timeouts: dict[str, Minutes]

    def minutes(self, stage: str) -> float:
        """How long a stage may run."""
        return self.timeouts.get(stage, self.timeout_minutes)


def load() -> Params:
    """The section as `params.yaml` of the current folder has it."""
    return params.load(PARAMS, SECTION, Params)
