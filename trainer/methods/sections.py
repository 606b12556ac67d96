"""Parameters of every method: its own section under `train` in `params.yaml`. Types and bounds, never defaults."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tasks.core.params import StageParams
from trainer.settings import Count, Schedule


class Dpo(StageParams):
    """Direct preference optimisation (Rafailov et al. 2023)."""

    loss_type: Literal["sigmoid", "sigmoid_norm", "hinge", "ipo", "robust", "apo_zero"]
    beta: float = Field(gt=0)  # how dear it is to move away from the reference
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] | Literal["auto"]  # share of pairs believed to be the wrong way round
    sft_weight: float = Field(ge=0)  # of the supervised loss of the chosen answers beside the preference loss; 0 leaves it out
    schedule: Schedule

    renamed: ClassVar = {"loss": "loss_type"}


class TrDpo(StageParams):
    """Trust-region DPO (Gorbatovski et al. 2024): the reference follows the policy."""

    loss_type: Literal["sigmoid", "sigmoid_norm", "hinge", "ipo", "apo_zero"]
    beta: float = Field(gt=0)  # how dear it is to move away from the reference
    sft_weight: float = Field(ge=0)  # of the supervised loss of the chosen answers
    ref_model_mixup_alpha: float = Field(gt=0, le=1)  # share of the policy in the reference that follows it
    ref_model_sync_steps: int = Count  # steps between two times that it follows
    schedule: Schedule


class Orpo(StageParams):
    """Odds ratio preference optimisation (Hong et al. 2024), without a reference."""

    beta: float = Field(gt=0)  # of the odds ratio's loss beside the supervised one
    schedule: Schedule


class Cpo(StageParams):
    """Contrastive preference optimisation (Xu et al. 2024), without a reference."""

    loss_type: Literal["sigmoid", "hinge", "ipo"]
    beta: float = Field(gt=0)  # how much a nat between the two answers is worth
    sft_weight: float = Field(ge=0)  # of the supervised loss of the chosen answers
    schedule: Schedule


class SimPo(StageParams):
    """Simple preference optimisation (Meng et al. 2024), without a reference."""

    beta: float = Field(gt=0)  # how much a nat a token is worth
    gamma: float = Field(ge=0)  # how far the chosen answer's reward is to be above the rejected one's
    sft_weight: float = Field(ge=0)  # of the supervised loss of the chosen answers
    schedule: Schedule


class Sft(StageParams):
    """Supervised fine-tuning on the chosen answers."""

    schedule: Schedule


class Kto(StageParams):
    """Kahneman-Tversky optimisation (Ethayarajh et al. 2024), on single answers that were liked or not."""

    loss_type: Literal["kto", "apo_zero_unpaired"]
    beta: float = Field(gt=0)  # how dear it is to move away from the reference
    class_weights: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=2)] | Literal["auto"]  # liked, disliked
    schedule: Schedule

    renamed: ClassVar = {"loss": "loss_type"}


class Ppo(StageParams):
    """Proximal policy optimisation (Schulman et al. 2017) against the reward model, with a price on leaving the reference."""

    max_new_tokens: int = Count  # tokens of an answer, at most
    temperature: float = Field(gt=0)  # of the rollouts
    num_ppo_epochs: int = Count  # times that the rollouts of one update are learnt from
    num_mini_batches: int = Count  # optimizer steps a round
    gamma: float = Field(gt=0, le=1)  # how much a reward is worth one token earlier
    gae_lambda: float = Field(ge=0, le=1)  # of the advantages: 0 trusts the value model, 1 the rewards
    cliprange: float = Field(gt=0, lt=1)  # change of a probability's ratio beyond which nothing more is gained
    cliprange_value: float = Field(gt=0)  # change of a value beyond which nothing more is gained
    vf_coef: float = Field(gt=0)  # of the value loss beside the policy loss
    max_grad_norm: float = Field(gt=0)  # largest norm of either model's gradient
    missing_eos_penalty: float = Field(ge=0)  # what an answer without end is fined
    whiten_rewards: bool  # bring the rewards of an update to variance 1
    after_end: bool  # the score lies one column after the answer, as TRL has it, not on its last token
    kl_coef: float = Field(ge=0)  # price of one nat away from the reference, at the beginning
    kl_target: float = Field(ge=0)  # nats of a whole answer that the price adapts to; 0 keeps the price
    kl_horizon: int = Count  # rollouts in which the price changes by a fifth at most
    kl_stop: float = Field(ge=0)  # nats of a token between the policy and its rollouts at which an update ends; 0 never
    kl_bound: float = Field(ge=0)  # nats of a whole answer at which training ends, with the best policy within it; 0 never
    schedule: Schedule  # a step is one update: `train_batch_size` rollouts, `num_ppo_epochs` times `num_mini_batches` optimizer steps

    renamed: ClassVar = {
        "answer": "max_new_tokens",
        "rounds": "num_ppo_epochs",
        "minibatches": "num_mini_batches",
        "decay": "gae_lambda",
        "clip": "cliprange",
        "value_clip": "cliprange_value",
        "value_weight": "vf_coef",
        "gradient_norm": "max_grad_norm",
        "missing_end": "missing_eos_penalty",
        "kl_coefficient": "kl_coef",
    }


class Grouped(StageParams):
    """What methods share that hold several own answers to one prompt against each other."""

    num_generations: int = Field(ge=2)  # answers to each prompt
    max_new_tokens: int = Count  # tokens of an answer, at most
    temperature: float = Field(gt=0)  # of the rollouts
    num_iterations: int = Count  # times that the rollouts of one update are learnt from
    num_mini_batches: int = Count  # optimizer steps a round
    max_grad_norm: float = Field(gt=0)  # largest norm of the gradient
    missing_eos_penalty: float = Field(ge=0)  # what an answer without end is fined
    kl_coef: float = Field(ge=0)  # price of one nat away from the reference
    kl_bound: float = Field(ge=0)  # nats of a whole answer at which training ends, with the best policy within it; 0 never
    schedule: Schedule  # a step is one update: `train_batch_size` answers


class Grpo(Grouped):
    """Group relative policy optimisation (Shao et al. 2024) against the reward model."""

    loss_type: Literal["grpo", "dapo", "dr_grpo"]  # how tokens are weighed
    scale_rewards: Literal["group", "none"]  # whether advantages are divided by the standard deviation of their group
    epsilon: float = Field(gt=0, lt=1)  # change of a probability's ratio beyond which nothing more is gained


class Rloo(Grouped):
    """REINFORCE leave-one-out (Ahmadian et al. 2024) against the reward model."""

    normalize_advantages: bool  # bring the advantages of an update to mean 0 and variance 1
    epsilon: float = Field(gt=0, lt=1)  # change of an answer's ratio beyond which nothing more is gained


class Online(Grouped):
    """Online DPO (Guo et al. 2024): the reward model ranks the policy's own answers."""

    loss_type: Literal["sigmoid", "sigmoid_norm", "hinge", "ipo", "apo_zero"]
    beta: float = Field(gt=0)  # how dear it is to move away from the reference
    sft_weight: float = Field(ge=0)  # of the supervised loss of the best answers
    length_price: float = Field(ge=0)  # what a token costs where answers are ranked


class BestOfN(Grouped):
    """Best of n: supervised steps on the best of the policy's own answers."""

    length_price: float = Field(ge=0)  # what a token costs where answers are ranked
