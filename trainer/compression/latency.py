"""How long a token takes: one thread, the thread's own time, all variants in turn in every round.

In: folders of saved models and a prompt. Out: milliseconds a token when one answer is written, and tokens a second when a batch is.
Wall time on a shared machine differs threefold; the thread's own time, taken in turns, still tells of this machine only.
Only steps of writing are counted, not reading the prompt. One model is in memory at a time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.models import model_io, typed

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WARM = 2  # steps before the clock runs


@dataclass(frozen=True)
class Latency:
    """Medians over the rounds, with the fastest and the slowest round."""

    ms_per_token: float
    ms_low: float
    ms_high: float
    tokens_per_second: float
    per_second_low: float
    per_second_high: float


def measure(folders: Mapping[str, Path], prompt: Sequence[int], tokens: int, batch: int, rounds: int) -> dict[str, Latency]:
    """The latency of every saved variant; each round begins with another one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    names = list(folders)
    single: dict[str, list[float]] = {name: [] for name in names}
    many: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn * len(names) // rounds
        for name in names[first:] + names[:first]:
            model = typed.evaluating(typed.placed(model_io.load(str(folders[name]))[0], "cpu"))
            single[name].append(_seconds(model, prompt, 1, tokens))
            many[name].append(_seconds(model, prompt, batch, tokens))
    torch.set_num_threads(before)
    return {name: _latency(single[name], many[name], tokens, batch) for name in names}


def _seconds(model: PreTrainedModel, prompt: Sequence[int], batch: int, tokens: int) -> float:
    """The thread's seconds for so many steps of writing."""
    import torch

    began = 0.0
    with torch.no_grad():
        made = model(input_ids=torch.tensor([list(prompt)] * batch), use_cache=True)
        for step in range(WARM + tokens):
            if step == WARM:
                began = time.thread_time()
            following = made.logits[:, -1:].argmax(dim=-1)
            cache = "past_key_values" if hasattr(made, "past_key_values") else "cache_params"  # what models without attention keep
            made = model(input_ids=following, use_cache=True, **{cache: getattr(made, cache)})
    return time.thread_time() - began


def _latency(single: Sequence[float], many: Sequence[float], tokens: int, batch: int) -> Latency:
    ms = [1000 * seconds / tokens for seconds in single]
    rates = [tokens * batch / seconds for seconds in many]
    figures = (statistics.median(ms), min(ms), max(ms), statistics.median(rates), min(rates), max(rates))
    return Latency(*(round(figure, 3) for figure in figures))
