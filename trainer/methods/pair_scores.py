"""Log-probabilities of both answers of every pair under one model, and a memory of those that several trainings ask for.

Both answers of a pair share one row where the model allows it (`shared_prompt`), so that their prompt is computed once; else each has a row
of its own (`scoring`). The same pairs in the same order make the same batches for every model of one kind, so equal models give equal bits.

In: a model and encoded pairs. Out: `Scores`, in the order of the pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from trainer.data.encode import EncodedPair
from trainer.methods import shared_prompt
from trainer.models import scoring, typed
from trainer.models.scoring import Scores

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Key = tuple[tuple[int, ...], tuple[int, ...]]  # prompt, answer


def score(model: PreTrainedModel, pairs: Sequence[EncodedPair], pad: int, batch: int) -> Scores:
    """The log-probabilities of both sides, at most `batch` pairs at once."""
    triples = [(row.prompt, row.chosen, row.rejected) for row in pairs]
    if not triples or not shared_prompt.fits(model, triples, pad, 1):
        return scoring.score(model, pairs, pad, batch)
    import torch

    found = np.zeros((2, len(triples)))
    rows = [(prompt, [*chosen, prompt[-1], *rejected]) for prompt, chosen, rejected in triples]
    training = model.training
    typed.evaluating(model)
    with torch.no_grad():
        for places in scoring.batches(rows, batch, model.config.get_text_config().vocab_size):
            given = shared_prompt.tensors([triples[place] for place in places], pad)
            sides = shared_prompt.log_probabilities(model, {name: part.to(model.device) for name, part in given.items()})
            found[:, places] = torch.stack(sides).double().cpu().numpy()
    model.train(training)
    return Scores(*found)


@dataclass(frozen=True)
class KnownScores:
    """What one model gave so far: trainings that begin from one start ask for the same answers, whichever side they stand on."""

    found: dict[Key, float] = field(default_factory=dict)

    def score(self, model: PreTrainedModel, pairs: Sequence[EncodedPair], pad: int, batch: int) -> Scores:
        """The same as `score`, whose model must be the same each time; only what is new is computed."""
        sides = [[(tuple(row.prompt), tuple(answer)) for row in pairs for answer in (row.chosen, row.rejected)][at::2] for at in (0, 1)]
        fresh = [row for row, *keys in zip(pairs, *sides, strict=True) if not all(key in self.found for key in keys)]
        made = score(model, fresh, pad, batch)
        for row, chosen, rejected in zip(fresh, made.chosen, made.rejected, strict=True):
            self.found.update({(tuple(row.prompt), tuple(row.chosen)): chosen, (tuple(row.prompt), tuple(row.rejected)): rejected})
        return Scores(*(np.array([self.found[key] for key in keys]) for keys in sides))
