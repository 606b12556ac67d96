"""What a model writes to prompts. Each prompt has random numbers of its own, the same for every model and whatever is written beside it.

In: a model and prompts as tokens. Out: for each an answer up to and with its end, or of the most tokens there may be. A token is the one at
which the cumulative probability passes the random number of its prompt and place (inverse transform sampling), so two models that
think alike write alike. A line that has ended leaves the batch: it costs nothing while others go on.

Models whose cache holds anything but the keys and values of all tokens (sliding windows, state spaces) write by transformers'
`generate`, with one generator for the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.methods import ppo_rollouts
from trainer.methods.ppo_rollouts import SamplingConfig
from trainer.models import typed

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Written:
    """An answer as it was written."""

    tokens: list[int]  # the end included
    ended: bool


def write(model: PreTrainedModel, prompts: Sequence[list[int]], sampling: SamplingConfig, seed: int) -> list[Written]:
    """An answer to each prompt, `sampling.batch_size` of like length at a time."""
    import torch

    numbers = torch.rand((len(prompts), sampling.max_new_tokens), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    order = sorted(range(len(prompts)), key=lambda place: (len(prompts[place]), place))
    found: dict[int, Written] = {}
    typed.evaluating(model)
    with torch.no_grad():
        plain = bool(prompts) and _holds_all(model, prompts[0])
        for start in range(0, len(order), sampling.batch_size):
            places = order[start : start + sampling.batch_size]
            asked = [prompts[place] for place in places]
            made = _lines(model, asked, sampling, numbers[places]) if plain else _generated(model, asked, sampling, seed + start)
            found |= zip(places, made, strict=True)
    return [found[place] for place in range(len(prompts))]


def _holds_all(model: PreTrainedModel, prompt: list[int]) -> bool:
    """Whether the model's cache is keys and values of all tokens, of which lines can be taken out."""
    import torch
    from transformers.cache_utils import DynamicCache, DynamicLayer

    cache = getattr(model(input_ids=torch.tensor([prompt[:1]], device=model.device), use_cache=True), "past_key_values", None)
    return isinstance(cache, DynamicCache) and all(type(layer) is DynamicLayer for layer in cache.layers)


def _lines(model: PreTrainedModel, prompts: Sequence[list[int]], sampling: SamplingConfig, numbers: Tensor) -> list[Written]:
    """The answers to prompts that are written together."""
    import torch

    given, real = ppo_rollouts.pad_left(prompts, sampling.pad_token_id, model.device)
    mask, numbers, ends = real.long(), numbers.to(model.device), torch.tensor(sampling.eos_token_ids, device=model.device)
    lines: list[list[int]] = [[] for _ in prompts]
    going = torch.arange(len(prompts), device=model.device)
    cache: Any = None
    for place in range(sampling.max_new_tokens):
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -given.shape[1] :]
        asked: dict[str, Any] = {"input_ids": given, "attention_mask": mask, "position_ids": positions, "past_key_values": cache}
        made = model(**asked, use_cache=True, logits_to_keep=1)
        tokens, cache = _choose(made.logits[:, -1], sampling.temperature, numbers[going, place]), made.past_key_values
        for line, token in zip(going.tolist(), tokens.tolist(), strict=True):
            lines[line].append(token)
        kept = torch.isin(tokens, ends, invert=True).nonzero()[:, 0]
        if not len(kept):
            break
        if len(kept) < len(going):
            cache.batch_select_indices(kept)
            going, mask, tokens = going[kept], mask[kept], tokens[kept]
        given, mask = tokens[:, None], torch.cat((mask, mask.new_ones(len(mask), 1)), 1)
    return [Written(line, line[-1] in sampling.eos_token_ids) for line in lines]


def _choose(logits: Tensor, temperature: float, numbers: Tensor) -> Tensor:
    """A token for each line; the likeliest where the temperature is 0."""
    import torch

    if not temperature:
        return logits.argmax(-1)
    below = (logits.float() / temperature).softmax(-1).double().cumsum(-1)
    return torch.searchsorted(below, numbers[:, None] * below[:, -1:], right=True)[:, 0].clamp(max=logits.shape[-1] - 1)


def _generated(model: PreTrainedModel, prompts: Sequence[list[int]], sampling: SamplingConfig, seed: int) -> list[Written]:
    """The same by transformers."""
    import torch

    torch.manual_seed(seed)
    made = ppo_rollouts.write(model, prompts, sampling)
    return [
        Written(line[answered].tolist(), ended)
        for line, answered, ended in zip(made.answers, made.answered, made.ended.tolist(), strict=True)
    ]
