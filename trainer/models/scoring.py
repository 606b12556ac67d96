"""Exact log-probabilities of answers: for each row, the sum over the tokens of its answer, the end included.

In: a model, and rows of (context, answer) as token ids. Out: sums in double precision, in the order of the rows.

Logits are made only for the positions that answers are read from, and for few rows at once where the vocabulary is big: a row
of 500 tokens over 49,152 tokens of vocabulary is 100 MB of logits. Adapters are part of the model; dropout is off while scoring.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trainer.data.encode import EncodedPair
from trainer.models import typed

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

IGNORED = -100  # torch's label for a token that does not count
MOST_LOGITS = 2**26  # numbers held at once while scoring: 256 MB in single precision, and as much again for their softmax
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


def score(model: PreTrainedModel, pairs: Sequence[EncodedPair], pad: int, batch: int) -> Scores:
    """Sums of token log-probabilities of both sides; `batch` pairs at once."""
    sides = sums(model, [row for pair in pairs for row in ((pair.prompt, pair.chosen), (pair.prompt, pair.rejected))], pad, 2 * batch)
    return Scores(sides[0::2], sides[1::2])


def sums(model: PreTrainedModel, rows: Sequence[Row], pad: int, batch: int) -> np.ndarray:
    """The log-probability of each row's answer, at most `batch` rows at once.

    The batches are the same for every model of one vocabulary, so equal models give equal bits.
    """
    import torch

    found = np.zeros(len(rows))
    training = model.training
    typed.evaluating(model)
    try:
        with torch.no_grad():
            for at in batches(rows, batch, model.config.get_text_config().vocab_size):
                found[at] = -token_losses(model, [rows[i] for i in at], pad).double().sum(dim=1).cpu().numpy()
    finally:
        model.train(training)
    return found


def batches(rows: Sequence[Row], most: int, vocabulary: int) -> Iterator[list[int]]:
    """Places of rows of like length, as many at once as may be: at most `most` rows and `MOST_LOGITS` logits, at least one row."""
    order = sorted(range(len(rows)), key=lambda at: (len(rows[at][0]) + len(rows[at][1]), at))
    batch: list[int] = []
    for at in order:
        wider = [*batch, at]
        if batch and (len(wider) > most or len(wider) * len(read_from([rows[i] for i in wider])) * vocabulary > MOST_LOGITS):
            yield batch
            wider = [at]
        batch = wider
    if batch:
        yield batch


def read_from(rows: Sequence[Row]) -> range:
    """The positions from which the answers' tokens are read: from the one before the first answer to the one before the last end."""
    first = min(len(context) for context, _ in rows)
    return range(max(0, first - 1), max(len(context) + len(answer) for context, answer in rows) - 1)


def token_losses(model: PreTrainedModel, rows: Sequence[Row], pad: int) -> Tensor:
    """-log p of every token of the answers, one line a row; 0 where a token is context or padding."""
    import torch

    inputs, mask, labels = (part.to(model.device) for part in tensors(rows, pad))
    positions = read_from(rows)
    kept = torch.arange(positions.start, positions.stop, device=model.device)
    logits = model(input_ids=inputs, attention_mask=mask, use_cache=False, logits_to_keep=kept).logits
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), labels[:, kept + 1].flatten(), reduction="none", ignore_index=IGNORED
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
