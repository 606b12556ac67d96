"""MixUp for preferences (Zhang et al. 2018): learn on points between two pairs, with labels in between.

A pair is the difference d of its answers' features (what the model knows at the last token, before the head), and its label says
whether the first answer is the better one: (d, 1), or turned round (-d, 0), which is the same statement under Bradley and Terry.
So two pairs are mixed as they stand, or with one of them turned, by a coin: features l d_i + (1 - l) s d_j with s = 1 or -1, label
l + (1 - l) (1 + s) / 2, and l drawn from Beta(alpha, alpha). Only turned partners soften the label.

The head is linear, without a constant: mixing the differences of features and mixing the differences of rewards is the same number, so
rewards are mixed, and no model need be opened.

What is drawn (l, s, and a number by which partners are found) stands in columns beside the rows, so that neither a resumed run nor one
of several processes draws otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

COLUMNS = ("share", "turn", "lot")


def columns(rows: int, alpha: float, seed: int) -> dict[str, list[float]]:
    """For every row its own share of the mixture, 1 or -1 for its partner's side, and the lot that says which row is the partner."""
    generator = np.random.default_rng(seed)
    drawn = (generator.beta(alpha, alpha, rows), generator.choice([-1.0, 1.0], rows), generator.random(rows))
    return dict(zip(COLUMNS, (each.tolist() for each in drawn), strict=True))


def mixed(gaps: Tensor, drawn: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The mixed gap of every row and its soft label; partners stand next to each other in the order of their lots."""
    import torch

    order = drawn["lot"].argsort(stable=True)
    partner = torch.empty_like(order)
    partner[order] = order.roll(-1)
    share, turn = drawn["share"], drawn["turn"]
    return share * gaps + (1 - share) * turn * gaps[partner], share + (1 - share) * (1 + turn) / 2


def loss(gaps: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
    """Mean cross-entropy of the mixed pairs; without mixing (a share of 1) it is -log sigmoid(gap)."""
    import torch

    return torch.nn.functional.binary_cross_entropy_with_logits(*mixed(gaps, drawn))
