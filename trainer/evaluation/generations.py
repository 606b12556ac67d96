"""What policy and reference write to the same held-out prompts, how well, and which answer the reward model likes better.

In: one prompt of each of some groups, drawn by the seed; both models sample with the same random numbers. An answer stops at its end
or after the most tokens, and is scored as it stands. Out: what can be counted in the answers of both and in those that people chose, and
the policy's faults (`trainer.evaluation.quality`); how often the policy's answer gets the higher reward (a tie counts one half), with
Wilson's interval and that of the bootstrap; the same with length taken out.

The faults have a say in whether the policy is called better; the reward model has none, for it is no neutral judge: see `CAVEAT`, which
every table of its figures carries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.data.encode import EncodedPair
from trainer.data.release_reader import Messages
from trainer.evaluation import length_control, preference_accuracy, proportions, quality
from trainer.evaluation.bootstrap import Bootstrap
from trainer.evaluation.proportions import rounded
from trainer.evaluation.quality import Answer, Bounds

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.methods.ppo_rollouts import SamplingConfig

CAVEAT = (
    "the judge of generations is the reward model, trained on votes of the same people as the policy: "
    "a policy that exploits its faults (length above all) wins here without being better; read answers before you believe it"
)


@dataclass(frozen=True)
class HeldOutPrompt:
    """A prompt to be answered."""

    messages: Messages
    tokens: list[int]
    chosen: list[int]  # the answer that people chose, up to and with its end


def draw_prompts(rows: Sequence[EncodedPair], groups: np.ndarray, room: int, count: int, seed: int) -> tuple[list[HeldOutPrompt], int]:
    """Prompts of at most `room` tokens, one a group, in an order that the seed decides; and how many groups have none so short."""
    fits = np.array([len(row.prompt) <= room for row in rows], dtype=bool)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(rows))
    _, firsts = np.unique(groups[order[fits[order]]], return_index=True)
    places = order[fits[order]][np.sort(firsts)][:count]
    asked = [HeldOutPrompt(rows[place].pair.prompt, rows[place].prompt, rows[place].chosen) for place in places]
    return asked, len(set(groups.tolist())) - len(firsts)


def sampling_config(tokenizer: PreTrainedTokenizerBase, most: int, temperature: float, batch: int) -> SamplingConfig:
    """How answers are written: of at most `most` tokens; a temperature of 0 takes the likeliest token each time."""
    from trainer.methods.ppo_rollouts import SamplingConfig
    from trainer.models import tokenizer as tokenizers

    ends = tokenizers.end_tokens(tokenizer)
    return SamplingConfig(ends, tokenizer.pad_token_id, most, temperature, batch)


def write(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, asked: Sequence[HeldOutPrompt], sampling: SamplingConfig, seed: int
) -> list[Answer]:
    """An answer to each prompt; every model gets the same random numbers."""
    from trainer.evaluation import answering
    from trainer.models import tokenizer as tokenizers
    from trainer.models import typed

    closing = tokenizers.closing_tokens(tokenizer)
    made = answering.write(model, [one.tokens for one in asked], sampling, seed)
    closed = [one.tokens[:-1] + closing if one.ended else one.tokens for one in made]
    return [Answer(tokens, typed.decoded(tokenizer, tokens), one.ended) for tokens, one in zip(closed, made, strict=True)]


def chosen(tokenizer: PreTrainedTokenizerBase, asked: Sequence[HeldOutPrompt], most: int) -> list[Answer]:
    """The answers that people chose, cut where a model's would be."""
    from trainer.models import tokenizer as tokenizers
    from trainer.models import typed

    spare = len(tokenizers.closing_tokens(tokenizer)) - 1  # of an end, one token is written and the others are put to it
    ended = [len(one.chosen) - spare <= most for one in asked]
    kept = [one.chosen if end else one.chosen[:most] for one, end in zip(asked, ended, strict=True)]
    texts = [typed.decoded(tokenizer, tokens) for tokens in kept]
    return [Answer(*answer) for answer in zip(kept, texts, ended, strict=True)]


def surprise(reference: PreTrainedModel, asked: Sequence[HeldOutPrompt], answers: Sequence[Answer], pad: int, batch: int) -> np.ndarray:
    """-log p of every answer under the reference."""
    from trainer.models import scoring

    rows = [(one.tokens, answer.tokens) for one, answer in zip(asked, answers, strict=True)]
    return -scoring.sums(reference, rows, pad, batch)


def score_answers(model: PreTrainedModel, asked: Sequence[HeldOutPrompt], answers: Sequence[Answer], pad: int, batch: int) -> np.ndarray:
    """The reward of every answer."""
    from trainer.models import reward_models

    rows = [(one.tokens, answer.tokens) for one, answer in zip(asked, answers, strict=True)]
    return reward_models.score(model, rows, pad, batch) if rows else np.zeros(0)


def writing_metrics(
    answers: Mapping[str, Sequence[Answer]], surprises: Mapping[str, np.ndarray], bounds: Bounds, significance: float
) -> dict[str, Any]:
    """The figures of every writer (`quality.WRITERS`), the ratios of length, and the policy's faults in words."""
    figures = {name: quality.writer_metrics(answers[name], surprises[name]) for name in quality.WRITERS}
    ratios = {name: rounded(quality.length_ratio(figures, name)) for name in quality.WRITERS[:2]}
    return figures | {"length_ratio": ratios, "faults": quality.faults(figures, answers, bounds, significance)}


def win_rates(policy: Sequence[Answer], reference: Sequence[Answer], rewards: np.ndarray, resamples: int, seed: int) -> dict[str, Any]:
    """How often the policy's answer wins, and the same with length taken out; rewards are (policy, reference) x prompts."""
    same = [mine.tokens == theirs.tokens for mine, theirs in zip(policy, reference, strict=True)]
    marks = proportions.correctness(
        np.where(same, 0.0, rewards[0] - rewards[1])
    )  # equal answers tie, whatever their batch did to the last bits
    bootstrap = Bootstrap(np.arange(len(marks)), resamples, seed)  # one prompt a group
    longer = np.array([len(mine.text) - len(theirs.text) for mine, theirs in zip(policy, reference, strict=True)], dtype=np.float64)
    wins = preference_accuracy.shares({"wins": marks}, bootstrap, np.arange(len(marks)))["wins"]
    return {
        "wins": wins,
        "ties": int((marks == 0.5).sum()),
        "p": proportions.sign_test(int((marks == 1).sum()), int((marks == 0).sum())),
        "controlled": length_control.controlled(marks, longer, bootstrap),
        "reward": {"policy": rounded(rewards[0].mean()), "reference": rounded(rewards[1].mean())},
    }
