"""The reward model with TRL, on pairs that we have tokenised, counted and put in order ourselves.

In: a model with a scalar head, and encoded pairs to learn from and to look at. Out: the model, trained in place so that the chosen
answer's reward is the higher one; the mean figures of the last steps.

The loss is the Bradley-Terry model's, -log sigmoid(r_chosen - r_rejected), as in Ouyang et al. (2022), with a margin and MixUp as
options, and a weak pull of rewards to a mean of zero (Eisenstein et al. 2023): the loss itself does not say where zero lies.
TRL would tokenise, drop and shuffle by itself, without a count: here it gets exactly the tokens that were counted, each
pair as often as its weight says.

With `counts`, counts of tokens are fitted first (`counting`), and the body learns what they leave open: every reward in TRL's loss and
figures is then the sum of both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from trainer.data import batches
from trainer.data.encode import EncodedPair
from trainer.loop import hf_trainer, metrics
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import counting, margins, mixup
from trainer.models import reward_models, token_counts
from trainer.settings import Schedule

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from transformers.modeling_outputs import SequenceClassifierOutput
    from trl.trainer.reward_config import RewardConfig
    from trl.trainer.reward_trainer import DataCollatorForPreference, RewardTrainer

KNOWN = "known"  # the columns, one a side, of what is said of an answer before its body is asked
FIGURES = {"loss": "loss", "margin": "gap", "accuracy": "accuracy", "mean_reward": "mean"}  # TRL's name: ours


@dataclass(frozen=True)
class Settings:
    """What the reward model needs to know."""

    margin: str
    margin_size: float
    mixup_alpha: float
    center_rewards_coefficient: float
    schedule: Schedule
    counts: counting.Settings | None = None  # of the tokens; None leaves them out


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[EncodedPair],
    held_out: Sequence[EncodedPair],
    settings: Settings,
    run: Run,
) -> Metrics:
    """Train the model to score the chosen answers higher; `held_out` is only looked at. Token counts are put beside the model."""
    from trl.trainer.reward_config import RewardConfig

    vocabulary = 1 + max(tokenizer.get_vocab().values())  # which may have holes
    fitted = counting.fit(pairs, vocabulary, settings.counts, run.context.seed) if settings.counts else None
    token_counts.put(model, fitted.counts if fitted else None)
    steps = hf_trainer.steps(len(pairs), settings.schedule)
    pad, micro = tokenizer.pad_token_id, settings.schedule.per_device_train_batch_size
    own = {
        "center_rewards_coefficient": settings.center_rewards_coefficient or None,
        "pad_to_multiple_of": None,
        "disable_dropout": not run.adapter.lora_dropout,  # TRL would switch the adapter's off, too
    }
    trainer = _trainer_class()(
        model=model,
        args=hf_trainer.arguments(RewardConfig, settings.schedule, steps, run, **own),
        train_dataset=_rows(pairs, settings, steps, run.context.seed, fitted.known if fitted else None),
        data_collator=_collator(pad),
        processing_class=tokenizer,
    )
    look = (lambda: loss(gaps(model, held_out, pad, micro))) if held_out else None
    logged = hf_trainer.fit(trainer, run, "reward", steps, FIGURES, held_out=look)
    figures = {f"reward_{name}": value for name, value in metrics.final_means(logged).items()}
    return {"reward_steps": len(logged)} | figures | ({"counts_worth": fitted.worth} if fitted else {})


def gaps(model: PreTrainedModel, pairs: Sequence[EncodedPair], pad: int, batch: int) -> np.ndarray:
    """By how much the chosen answer's reward is the higher one, for every pair."""
    chosen, rejected = sides(model, pairs, pad, batch)
    difference: np.ndarray = chosen - rejected
    return difference


def sides(model: PreTrainedModel, pairs: Sequence[EncodedPair], pad: int, batch: int) -> np.ndarray:
    """Rewards of the chosen and of the rejected answers: an array of (chosen, rejected) x pairs; `batch` pairs at once."""
    rows = [(row.prompt, side) for row in pairs for side in (row.chosen, row.rejected)]
    return reward_models.score(model, rows, pad, 2 * batch).reshape(-1, 2).T


def loss(difference: np.ndarray) -> float:
    """Mean -log sigmoid of the gaps: the loss without margin, mixing or centring, so that settings can be compared."""
    return float(np.logaddexp(0, -difference).mean())


def _rows(pairs: Sequence[EncodedPair], settings: Settings, steps: int, seed: int, known: np.ndarray | None = None) -> Dataset:
    """The rows of all steps, in order, in TRL's own columns for pairs that are tokenised, and in those of the mixing.

    `known` is what token counts say: an array of (chosen, rejected) x pairs.
    """
    from datasets import Dataset

    order = batches.plan([row.length for row in pairs], [row.pair.weight for row in pairs], settings.schedule.train_batch_size, steps, seed)
    places = [place for batch in order for place in batch]
    columns: dict[str, list[Any]] = {
        "chosen_ids": [pairs[place].prompt + pairs[place].chosen for place in places],
        "rejected_ids": [pairs[place].prompt + pairs[place].rejected for place in places],
    }
    asked = margins.for_pairs([row.pair for row in pairs], settings.margin, settings.margin_size)
    if asked is not None:
        columns["margin"] = [asked[place] for place in places]
    if known is not None:
        columns[KNOWN] = known[:, places].T.tolist()
    if settings.mixup_alpha:
        columns |= mixup.columns(len(places), settings.mixup_alpha, seed)
    return Dataset.from_dict(columns)


def _collator(pad: int) -> DataCollatorForPreference:
    """TRL's collator, which hands on our own columns as well."""
    import torch
    from trl.trainer.reward_trainer import DataCollatorForPreference

    class Collator(DataCollatorForPreference):
        """Pads on the right, chosen answers first."""

        def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Tensor]:
            own = {name: torch.tensor([row[name] for row in examples]) for name in (KNOWN, *mixup.COLUMNS) if name in examples[0]}
            return {**super().torch_call(examples), **own}

    return Collator(pad_token_id=pad)


def _trainer_class() -> type[RewardTrainer]:
    """TRL's trainer, taking rows as they are, mixing and adding what is known where they say so."""
    from trl.trainer.reward_trainer import RewardTrainer

    class CountedRows(RewardTrainer):
        """Neither tokenises nor drops: both is done."""

        def _prepare_dataset(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
            return dataset

        def _set_signature_columns_if_needed(self) -> None:
            # no other may reach the collator; transformers declares None alone
            self._signature_columns = ["chosen_ids", "rejected_ids", "margin", KNOWN, *mixup.COLUMNS]  # type: ignore[assignment]

        def compute_loss(
            self, model: Module, inputs: dict[str, Tensor], return_outputs: bool = False, num_items_in_batch: object = None
        ) -> Tensor | tuple[Tensor, SequenceClassifierOutput]:
            drawn = {name: inputs.pop(name) for name in mixup.COLUMNS if name in inputs}
            scored = _with_known(model, inputs.pop(KNOWN).T.flatten()) if KNOWN in inputs else model
            plain, outputs = super().compute_loss(scored, inputs, True, num_items_in_batch)  # type: ignore[no-untyped-call]  # untyped in TRL
            centre = cast("RewardConfig", self.args).center_rewards_coefficient
            found = _mixed(outputs.logits, inputs.get("margin"), drawn, centre) if drawn else plain
            return (found, outputs) if return_outputs else found

    return CountedRows


def _with_known(model: Module, known: Tensor) -> Callable[..., SequenceClassifierOutput]:
    """The model with these numbers, chosen answers first, added to its rewards."""

    def score(**inputs: Any) -> SequenceClassifierOutput:  # noqa: ANN401  # whatever TRL hands on
        outputs: SequenceClassifierOutput = model(**inputs)
        outputs.logits = cast("Tensor", outputs.logits) + known[:, None].to(cast("Tensor", outputs.logits).dtype)
        return outputs

    return score


def _mixed(logits: Tensor, margin: Tensor | None, drawn: dict[str, Tensor], centre: float | None) -> Tensor:
    """The loss of mixed pairs, centred as TRL does it. A margin turns with its pair, so it is taken off before."""
    import torch

    chosen, rejected = logits.squeeze(-1).chunk(2)
    difference = chosen - rejected if margin is None else chosen - rejected - margin
    return mixup.loss(difference, drawn) + (centre or 0.0) * torch.mean((chosen + rejected) ** 2)
