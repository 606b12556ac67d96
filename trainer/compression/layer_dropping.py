"""Dropped layers: at each step the layer goes whose loss costs the least.

A greedy search as in ShortGPT (Men et al. 2024), but judged by held-out preferences instead of by how much a layer changes its input.

In: a model, and a judge of models. Out: the numbers of the layers that stay. Nothing is trained afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trainer.compression import layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Evaluate = Callable[["PreTrainedModel"], tuple[float, float]]  # better models give more: accuracy, then margin


def without_one(load: Callable[[], PreTrainedModel], evaluate: Evaluate, stay: Sequence[int]) -> list[int]:
    """The layers that stay when the least needed of these goes too; of equal ones the first."""
    choices = [[place for place in stay if place != out] for out in stay]
    return max(choices, key=lambda places: evaluate(_shortened(load, places)))


def _shortened(load: Callable[[], PreTrainedModel], places: list[int]) -> PreTrainedModel:
    model = load()
    layers.keep(model, places)
    return model
