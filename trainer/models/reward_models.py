"""Reward models: one number for a prompt and its answer, read at the answer's last token.

A reward model is a body of any architecture with a head of one number (`reward_heads`), laid out as a sequence-classification model of
transformers with one label. Padding stands on the right: then a row's reward does not depend on the rows beside it, but for the last bits
of a sum. Transformers' own classes look for padding by its id, so it has one of its own in the model's configuration.
Token counts may stand beside the body (`token_counts`); the reward is then the sum of both.
Rewards are comparable for answers to one prompt. Only differences were ever trained;
`reward.center_rewards_coefficient` says where zero lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.core.errors import UserError
from trainer.models import reward_heads, runtime, token_counts, typed
from trainer.models.scoring import Row, tensors

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def begin(folder: Path, seed: int, dtype: str = "float32") -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A language model's body with a new head of one number: normal with variance 1 / (width + 1), as Stiennon et al. (2020) start it.

    The head is in single precision whatever the body is: it is trained, and small steps of a rounded weight are lost.
    """
    import torch

    model, tokenizer = _read(folder, dtype)
    head = model.get_parameter("score.weight")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        head.data = (torch.randn(head.shape, generator=generator) / (head.shape[1] + 1) ** 0.5).to(head.device)
    model.get_submodule("score").register_forward_pre_hook(lambda layer, given: (given[0].to(layer.weight.dtype),))
    return model, tokenizer


def load(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A trained reward model and its tokenizer, ready to score; a UserError where the folder holds something else."""
    model, tokenizer = _read(folder, "float32", trained=True)
    token_counts.put(model, token_counts.load(folder))
    return typed.evaluating(model), tokenizer


def score(model: PreTrainedModel, rows: Sequence[Row], pad: int, batch: int) -> np.ndarray:
    """The reward of every row, which is a prompt's tokens and an answer's up to and with its end."""
    import torch

    order = sorted(range(len(rows)), key=lambda at: (len(rows[at][0]) + len(rows[at][1]), at))
    rewards = np.zeros(len(rows))
    before = model.training
    typed.evaluating(model)
    with torch.no_grad():
        for start in range(0, len(order), batch):
            at = order[start : start + batch]
            inputs, mask, _ = tensors([rows[place] for place in at], pad)
            given = {"input_ids": inputs.to(model.device), "attention_mask": mask.to(model.device)}
            rewards[at] = model(**given, use_cache=False).logits[:, 0].double().cpu().numpy()
    model.train(before)
    rewards += token_counts.score(model, rows)
    return rewards


def _read(folder: Path, dtype: str, trained: bool = False) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokenizer of a folder; with `trained`, only where it has a head of its own."""
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        kind = (config.architectures or ["nothing"])[0]
        if trained and not (kind.endswith("ForSequenceClassification") and config.num_labels == 1):
            raise UserError(str(folder), f"a {kind}", "a reward model: sequence classification with one label", "run `dvc repro reward`")
        model = reward_heads.read(folder, dtype, new=not trained)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, SafetensorError) as error:  # what transformers raises for anything missing or unreadable
        raise UserError(
            str(folder), str(error).strip().splitlines()[0], "a model that transformers loads", "run the stage again"
        ) from error
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return typed.placed(model, runtime.device()), tokenizer
