"""Parameters that several training stages share: the model, the adapter, the pace, and what is watched."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tasks.core.params import StageParams

Rate = Field(gt=0, lt=1)
Count = Field(ge=1)


class Model(StageParams):
    """Where the model comes from; all but `source` are the measures of one made from scratch."""

    source: str  # `scratch`, a model's folder, a GGUF file, `package:NAME/FILE` of an installed package, or owner/name on a hub
    vocabulary: int = Field(ge=300)  # most tokens of the tokenizer; 256 are single bytes
    width: int = Count
    inner: int = Count  # width inside the feed-forward layers
    layers: int = Count
    heads: int = Count


class Adapter(StageParams):
    """Low-rank adaptation (LoRA, Hu et al. 2021): train two thin matrices beside each frozen one."""

    rank: int = Field(ge=0)  # 0 trains all weights
    alpha: float = Field(gt=0)  # the adapter's output is scaled by alpha / rank
    dropout: float = Field(ge=0, lt=1)
    targets: str | list[str]  # `all-linear`, or names of modules
    recompute: bool  # whether what layers made is computed again on the way back instead of kept (Chen et al. 2016), with rank 0 too


class Schedule(StageParams):
    """How long and how fast a method learns."""

    epochs: float = Field(ge=0)  # 0 leaves the method out, where it can be left out
    max_steps: int = Count  # optimizer steps, at most
    batch: int = Count  # rows a step, over all processes
    micro_batch: int = Count  # rows at once in one process; fewer cost less memory
    learning_rate: float = Rate
    warmup: float = Field(ge=0, lt=1)  # share of the steps in which the rate rises; then it falls as a cosine


class Lessons(Schedule):
    """A schedule of what cannot be left out."""

    epochs: float = Field(gt=0)


class Watching(StageParams):
    """What is said, saved and watched while a method learns."""

    log_every: int = Count  # steps between two lines of the log
    check_every: int = Field(ge=0)  # steps between two looks at held-out loss; 0 never looks
    patience: int = Field(ge=0)  # looks without a better held-out loss before training stops, at the best weights; 0 goes on
    save_every: int = Field(ge=0)  # steps between two checkpoints; 0 saves none
    keep: int = Count  # checkpoints kept; the older ones are there for when the newest is damaged
    resume: Literal["own", "none", "other"]  # go on from this run's own checkpoint; from none; or from another run's
    max_loss: float = Field(ge=0)  # times the first step's loss at which the run stops; 0 never stops
    max_kl: float = Field(ge=0)  # divergence from the reference at which the run stops; 0 never stops
    max_growth: float = Field(ge=0)  # the run stops where reward rises and answers are so many times the reference's; 0 never stops

    @model_validator(mode="after")
    def _looks(self) -> Watching:
        if self.patience and not self.check_every:
            raise ValueError("a check_every above 0, because patience counts looks at held-out loss")
        return self


Precision = Literal["float32", "bfloat16"]
