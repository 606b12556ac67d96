"""What policy and reference write to the same held-out prompts, and which answer the reward model likes better.

In: one prompt of each of some groups, drawn by the seed; both models sample with the same random numbers. An answer stops at its end
or after the most tokens, and is scored as it stands. Out: how often the policy's answer gets the higher reward (a tie counts one
half), with Wilson's interval and that of the bootstrap; the same with length taken out; lengths, empty and unfinished answers.

The reward model is the judge here, and no neutral one: see `CAVEAT`, which every table of these figures carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.core import statistics
from trainer.core.encode import Encoded
from trainer.core.release import Messages
from trainer.core.statistics import rounded
from trainer.judging import accuracy, lengths
from trainer.judging.bootstrap import Bootstrap

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.methods.ppo_rollouts import Writing

CAVEAT = (
    "the judge of generations is the reward model, trained on votes of the same people as the policy: "
    "a policy that exploits its faults (length above all) wins here without being better; read answers before you believe it"
)


@dataclass(frozen=True)
class Asked:
    """A prompt to be answered."""

    messages: Messages
    tokens: list[int]


@dataclass(frozen=True)
class Answer:
    """What a model wrote."""

    tokens: list[int]  # closed as the chat template closes an answer, where it has an end
    text: str
    ended: bool


def draw(rows: Sequence[Encoded], groups: np.ndarray, room: int, count: int, seed: int) -> tuple[list[Asked], int]:
    """Prompts of at most `room` tokens, one a group, in an order that the seed decides; and how many groups have none so short."""
    fits = np.array([len(row.prompt) <= room for row in rows], dtype=bool)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(rows))
    _, firsts = np.unique(groups[order[fits[order]]], return_index=True)
    places = order[fits[order]][np.sort(firsts)][:count]
    asked = [Asked(rows[place].pair.prompt, rows[place].prompt) for place in places]
    return asked, len(set(groups.tolist())) - len(firsts)


def writing(tokenizer: PreTrainedTokenizerBase, most: int, temperature: float, batch: int) -> Writing:
    """How answers are written: of at most `most` tokens; a temperature of 0 takes the likeliest token each time."""
    from trainer.core import tokenizer as tokenizers
    from trainer.methods.ppo_rollouts import Writing

    ends = [tokenizer.eos_token_id, tokenizers.closing(tokenizer)[0]]
    return Writing(ends, tokenizer.pad_token_id, most, temperature, batch)


def write(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, asked: Sequence[Asked], how: Writing, seed: int) -> list[Answer]:
    """An answer to each prompt; every model gets the same random numbers."""
    import torch

    from trainer.core import tokenizer as tokenizers
    from trainer.methods import ppo_rollouts

    closing = tokenizers.closing(tokenizer)
    order = sorted(range(len(asked)), key=lambda place: (len(asked[place].tokens), place))
    found: dict[int, Answer] = {}
    model.eval()
    for start in range(0, len(order), how.micro_batch):
        places = order[start : start + how.micro_batch]
        torch.manual_seed(seed + start)
        made = ppo_rollouts.write(model, [asked[place].tokens for place in places], how)
        for place, (_, tokens), ended in zip(places, made.rows(closing), made.ended.tolist(), strict=True):
            found[place] = Answer(tokens, tokenizer.decode(tokens, skip_special_tokens=True), ended)
    return [found[place] for place in range(len(asked))]


def scored(model: PreTrainedModel, asked: Sequence[Asked], answers: Sequence[Answer], pad: int, batch: int) -> np.ndarray:
    """The reward of every answer."""
    from trainer.core import rewards

    rows = [(one.tokens, answer.tokens) for one, answer in zip(asked, answers, strict=True)]
    return rewards.score(model, rows, pad, batch) if rows else np.zeros(0)


def compared(policy: Sequence[Answer], reference: Sequence[Answer], rewards: np.ndarray, resamples: int, seed: int) -> dict[str, Any]:
    """How often the policy's answer wins, and the same with length taken out; rewards are (policy, reference) x prompts."""
    same = [mine.tokens == theirs.tokens for mine, theirs in zip(policy, reference, strict=True)]
    marks = statistics.marks(np.where(same, 0.0, rewards[0] - rewards[1]))  # equal answers tie, whatever their batch did to the last bits
    bootstrap = Bootstrap(np.arange(len(marks)), resamples, seed)  # one prompt a group
    longer = np.array([len(mine.text) - len(theirs.text) for mine, theirs in zip(policy, reference, strict=True)], dtype=np.float64)
    wins = accuracy.shares({"wins": marks}, bootstrap, np.arange(len(marks)))["wins"]
    return {
        "wins": wins,
        "ties": int((marks == 0.5).sum()),
        "p": statistics.sign_test(int((marks == 1).sum()), int((marks == 0).sum())),
        "controlled": lengths.controlled(marks, longer, bootstrap),
        "policy": described(policy, rewards[0]),
        "reference": described(reference, rewards[1]),
    }


def described(answers: Sequence[Answer], rewards: np.ndarray) -> dict[str, float]:
    """Mean reward and length of one model's answers, and the shares that are empty or have no end."""
    return {
        "reward": rounded(rewards.mean()) if len(rewards) else 0.0,
        "characters": _mean([len(answer.text) for answer in answers]),
        "tokens": _mean([len(answer.tokens) for answer in answers]),
        "empty": _mean([not answer.text.strip() for answer in answers]),
        "unfinished": _mean([not answer.ended for answer in answers]),
    }


def _mean(values: Sequence[float]) -> float:
    return rounded(sum(values) / len(values)) if values else 0.0
