"""Parameters that several training stages share: the model, the adapter, the schedule, and monitoring."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from tasks.core.params import StageParams

Rate = Field(gt=0, lt=1)
Count = Field(ge=1)


class Model(StageParams):
    """Where the model comes from; all but `source` are the measures of one made from scratch."""

    source: str  # `scratch`, a model's folder, a GGUF file, `package:NAME/FILE` of an installed package, or owner/name on a hub
    vocab_size: int = Field(ge=300)  # most tokens of the tokenizer; 256 are single bytes
    hidden_size: int = Count
    intermediate_size: int = Count  # width inside the feed-forward layers
    num_hidden_layers: int = Count
    num_attention_heads: int = Count

    renamed: ClassVar = {
        "vocabulary": "vocab_size",
        "width": "hidden_size",
        "inner": "intermediate_size",
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
    }


class ChatTemplate(StageParams):
    """How the model's chat template is used; what it says is saved with the model, so later stages and servers do the same."""

    file: str  # a Jinja file in place of the tokenizer's own template; empty takes that
    system: Literal["fold", "drop"]  # where the template has no system message: part of the first question, or the row left out
    enable_thinking: bool | None  # what the template is told, if it asks; None lets it decide, and false helps where it must be stable


class Adapter(StageParams):
    """Low-rank adaptation (LoRA, Hu et al. 2021): train two thin matrices beside each frozen one."""

    r: int = Field(ge=0)  # rank; 0 trains all weights
    lora_alpha: float = Field(gt=0)  # the adapter's output is scaled by lora_alpha / r
    lora_dropout: float = Field(ge=0, lt=1)
    target_modules: str | list[str]  # `all-linear`, or names of modules
    gradient_checkpointing: (
        bool  # whether what layers made is computed again on the way back instead of kept (Chen et al. 2016), with r 0 too
    )
    load_in_4bit: bool  # hold the frozen weights in four bits (QLoRA, Dettmers et al. 2023): needs CUDA and bitsandbytes

    renamed: ClassVar = {
        "rank": "r",
        "alpha": "lora_alpha",
        "dropout": "lora_dropout",
        "targets": "target_modules",
        "recompute": "gradient_checkpointing",
    }


class Schedule(StageParams):
    """How long and how fast a method learns."""

    num_train_epochs: float = Field(gt=0)
    max_steps: int = Count  # optimizer steps, at most
    train_batch_size: int = Count  # rows a step, over all processes
    per_device_train_batch_size: int = Count  # rows at once in one process; fewer cost less memory
    learning_rate: float = Rate
    warmup_ratio: float = Field(ge=0, lt=1)  # share of the steps in which the rate rises; then it falls as a cosine

    renamed: ClassVar = {
        "epochs": "num_train_epochs",
        "batch": "train_batch_size",
        "micro_batch": "per_device_train_batch_size",
        "warmup": "warmup_ratio",
    }


class OptionalSchedule(Schedule):
    """A schedule of what can be left out, by 0 epochs."""

    num_train_epochs: float = Field(ge=0)


class Monitoring(StageParams):
    """What is logged, saved and monitored while a method learns."""

    logging_steps: int = Count  # steps between two lines of the log
    eval_steps: int = Field(ge=0)  # steps between two evaluations on held-out pairs; 0 never evaluates
    early_stopping_patience: int = Field(ge=0)  # evaluations without a better loss before training stops, at the best weights; 0 goes on
    save_steps: int = Field(ge=0)  # steps between two checkpoints; 0 saves none
    save_total_limit: int = Count  # checkpoints kept; the older ones are there for when the newest is damaged
    resume_from_checkpoint: Literal["own", "none", "other"]  # go on from this run's own checkpoint; from none; or from another run's
    max_loss: float = Field(ge=0)  # times the first step's loss at which the run stops; 0 never stops
    max_kl: float = Field(ge=0)  # divergence from the reference at which the run stops; 0 never stops
    max_growth: float = Field(ge=0)  # the run stops where reward rises and answers are so many times the reference's; 0 never stops

    renamed: ClassVar = {
        "log_every": "logging_steps",
        "check_every": "eval_steps",
        "patience": "early_stopping_patience",
        "save_every": "save_steps",
        "keep": "save_total_limit",
        "resume": "resume_from_checkpoint",
    }

    @model_validator(mode="after")
    def _looks(self) -> Monitoring:
        if self.early_stopping_patience and not self.eval_steps:
            raise ValueError("an eval_steps above 0, because early_stopping_patience counts evaluations on held-out pairs")
        return self


Dtype = Literal["float32", "bfloat16"]
