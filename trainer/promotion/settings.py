"""Parameters of the stages `compare` and `promote`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.core.params import StageParams
from trainer.evaluation.quality import Counted
from trainer.settings import Count


class Generations(StageParams):
    """What both models write to held-out prompts."""

    prompts: int = Field(ge=0)  # 0 writes nothing: then preferences alone decide
    max_new_tokens: int = Count
    temperature: float = Field(ge=0)  # 0 takes the likeliest token each time


class Params(StageParams):
    """Section `compare` of `params.yaml`."""

    per_device_eval_batch_size: int = Count  # pairs scored, and answers written, at once
    significance: float = Field(gt=0, lt=1)  # p-value below which a difference is called one
    resamples: int = Count  # of the bootstrap over groups
    generations: Generations
    worse: Counted  # from where on the new model writes worse than the champion


class Rule(StageParams):
    """Section `promote` of `params.yaml`."""

    rule: Literal["better", "not_worse", "always"]
    tolerance: float = Field(ge=0, lt=1)  # of accuracy that may be lost under `not_worse`
    require_champion: bool  # whether a champion that cannot be compared with stops the run
