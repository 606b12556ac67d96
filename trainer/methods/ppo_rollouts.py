"""Rollouts for PPO: answers that the policy writes, and what policy, reference and value model say of every token of them.

In: prompts as tokens. Out: `Sequences` (prompts padded on the left, so that all answers begin in one column), and one number a
token from each model. The same forward pass judges the rollouts and learns from them, so that the first ratio of new and old
probabilities is 1. Dropout stays off in both, for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from trainer.methods import ppo_math
from trainer.models import reward_heads

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedModel
    from transformers._typing import GenerativePreTrainedModel

# A model may bring its own taste in sampling; rollouts must follow its probabilities and nothing else.
PLAIN: dict[str, Any] = {
    "do_sample": True,
    "num_beams": 1,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "use_cache": True,
}
Row = tuple[list[int], list[int]]  # prompt, answer up to and with its end


@dataclass(frozen=True)
class Sequences:
    """Prompts and answers, one line each; the first `context` columns hold the prompts, padded on the left."""

    tokens: Tensor
    real: Tensor  # which tokens are no padding
    context: int
    answered: Tensor  # which columns of the answers belong to them
    ended: Tensor  # which answers have an end

    @staticmethod
    def of(prompts: Tensor, real: Tensor, answers: Tensor, ends: Sequence[int]) -> Sequences:
        """Put prompts and answers together; an answer stops after the first token of `ends`, whatever follows."""
        import torch

        answered = ppo_math.answered(answers, ends)
        tokens, real = torch.cat((prompts, answers), 1), torch.cat((real, answered), 1)
        return Sequences(tokens, real, prompts.shape[1], answered, ppo_math.ended(answers, ends))

    @property
    def answers(self) -> Tensor:
        """The answers' tokens."""
        return self.tokens[:, self.context :]

    @property
    def given(self) -> dict[str, Tensor]:
        """What a model is called with; positions count real tokens only."""
        positions = (self.real.long().cumsum(1) - 1).clamp(min=0)
        return {"input_ids": self.tokens, "attention_mask": self.real.long(), "position_ids": positions}

    def take(self, places: Tensor) -> Sequences:
        """Some of the lines."""
        return Sequences(self.tokens[places], self.real[places], self.context, self.answered[places], self.ended[places])

    def rows(self, closing: list[int]) -> list[Row]:
        """Every line without padding, as a reward model reads it: an answer that has an end is closed as the chat template closes it."""
        found = []
        for line, real, ended in zip(self.tokens, self.real, self.ended.tolist(), strict=True):
            answer = line[self.context :][real[self.context :]].tolist()
            found.append((line[: self.context][real[: self.context]].tolist(), answer[:-1] + closing if ended else answer))
        return found

    def parts(self, rows: int) -> list[Tensor]:
        """Places of the lines, so many at a time: as many as memory holds."""
        import torch

        places = torch.arange(len(self.tokens), device=self.tokens.device)
        return [places[start : start + rows] for start in range(0, len(places), rows)]


def pad_left(prompts: Sequence[list[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Prompts as one tensor that ends where every prompt ends, and which of its tokens are real."""
    import torch

    longest = max(map(len, prompts))
    tokens = torch.tensor([[pad] * (longest - len(prompt)) + prompt for prompt in prompts], device=device)
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    return tokens, torch.arange(longest, device=device) >= longest - lengths.unsqueeze(1)


@dataclass(frozen=True)
class SamplingConfig:
    """How answers are written."""

    eos_token_ids: list[int]  # tokens that end an answer
    pad_token_id: int
    max_new_tokens: int  # tokens of an answer, at most
    temperature: float  # 0 takes the likeliest token each time
    batch_size: int


def write(policy: PreTrainedModel, prompts: Sequence[list[int]], sampling: SamplingConfig) -> Sequences:
    """Let the policy answer, a few prompts at a time; torch's global generator decides."""
    import torch

    tokens, real = pad_left(prompts, sampling.pad_token_id, policy.device)
    starts = range(0, len(tokens), sampling.batch_size)
    parts = [
        _write(policy, tokens[start : start + sampling.batch_size], real[start : start + sampling.batch_size], sampling) for start in starts
    ]
    widest = max(part.shape[1] for part in parts)
    answers = torch.cat([torch.nn.functional.pad(part, (0, widest - part.shape[1]), value=sampling.pad_token_id) for part in parts])
    return Sequences.of(tokens, real, answers, sampling.eos_token_ids)


def _write(policy: PreTrainedModel, tokens: Tensor, real: Tensor, sampling: SamplingConfig) -> Tensor:
    """The answers' tokens, with padding after their ends."""
    import torch

    choice = {"temperature": sampling.temperature} if sampling.temperature else {"do_sample": False, "temperature": 1.0}
    with torch.no_grad():
        made = cast("GenerativePreTrainedModel", policy).generate(
            input_ids=tokens,
            attention_mask=real.long(),
            max_new_tokens=sampling.max_new_tokens,
            eos_token_id=sampling.eos_token_ids,
            pad_token_id=sampling.pad_token_id,
            **(PLAIN | choice),
        )
    return cast("Tensor", made)[:, tokens.shape[1] :]


def log_probabilities(policy: PreTrainedModel, sequences: Sequences, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probability of every token of the answers, and the entropy of the choice there, at the temperature of the rollouts."""
    columns = sequences.answers.shape[1]
    logits = policy(**sequences.given, use_cache=False, logits_to_keep=columns + 1).logits[:, :-1].float() / temperature
    chosen = logits.gather(-1, sequences.answers.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)
    every = logits.detach().log_softmax(-1)
    return chosen.masked_fill(~sequences.answered, 0), -(every.exp() * every).sum(-1)


def values(model: PreTrainedModel, sequences: Sequences, after_end: bool) -> Tensor:
    """What a classification model with one label expects before every token of the answers."""
    whole = cast("PeftModel", model).get_base_model() if hasattr(model, "get_base_model") else model  # behind an adapter
    states = reward_heads.states(cast("PreTrainedModel", whole), sequences.given)[:, sequences.context - 1 : -1]
    expected: Tensor = cast("Module", whole.score)(states).squeeze(-1).float()
    return expected.masked_fill(~ppo_math.valued(sequences.answered, after_end), 0)


def in_parts(ask: Callable[[Sequences], Tensor], sequences: Sequences, rows: int) -> Tensor:
    """Ask a model about a few lines at a time, without learning from it."""
    import torch

    with torch.no_grad():
        return torch.cat([ask(sequences.take(places)) for places in sequences.parts(rows)])
