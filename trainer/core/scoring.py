"""Exact log-probabilities of answers: for each pair, the sum over the tokens of either answer, its end included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trainer.core.encode import Encoded

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

IGNORED = -100  # torch's label for a token that does not count
Row = tuple[list[int], list[int]]  # context, answer


@dataclass(frozen=True)
class Scores:
    """log p(answer | prompt) of both sides of every pair."""

    chosen: np.ndarray
    rejected: np.ndarray

    @property
    def margin(self) -> np.ndarray:
        """How much likelier the chosen answer is, as a difference of logarithms."""
        margin: np.ndarray = self.chosen - self.rejected
        return margin


def score(model: PreTrainedModel, pairs: Sequence[Encoded], pad: int, batch: int) -> Scores:
    """Sums of token log-probabilities. The batches are the same for every model, so equal models give equal bits."""
    import torch

    order = sorted(range(len(pairs)), key=lambda at: (pairs[at].length, at))
    sums = np.zeros((2, len(pairs)))
    model.eval()
    with torch.no_grad():
        for start in range(0, len(order), batch):
            at = order[start : start + batch]
            rows = [(pairs[i].prompt, pairs[i].chosen) for i in at] + [(pairs[i].prompt, pairs[i].rejected) for i in at]
            sums[:, at] = -token_losses(model, rows, pad).double().sum(dim=1).reshape(2, -1).numpy()
    return Scores(sums[0], sums[1])


def token_losses(model: PreTrainedModel, rows: Sequence[Row], pad: int) -> Tensor:
    """-log p of every token of the answers, one line a row; 0 where a token is context or padding."""
    import torch

    inputs, mask, labels = tensors(rows, pad)
    logits = model(input_ids=inputs, attention_mask=mask, use_cache=False).logits[:, :-1]
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), labels[:, 1:].flatten(), reduction="none", ignore_index=IGNORED
    )
    return losses.reshape(len(rows), -1)


def tensors(rows: Sequence[Row], pad: int) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids padded on the right, their attention mask, and labels that count the answers only."""
    import torch

    longest = max(len(context) + len(answer) for context, answer in rows)
    inputs = torch.full((len(rows), longest), pad)
    mask = torch.zeros_like(inputs)
    labels = torch.full_like(inputs, IGNORED)
    for line, (context, answer) in enumerate(rows):
        end = len(context) + len(answer)
        inputs[line, :end] = torch.tensor(context + answer)
        mask[line, :end] = 1
        labels[line, len(context) : end] = inputs[line, len(context) : end]
    return inputs, mask, labels
