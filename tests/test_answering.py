"""Answers are drawn by the model's own probabilities, each by random numbers of its own; scores in shared rows are those of rows alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import releases, training
from trainer.data import encode, release_reader
from trainer.evaluation import answering
from trainer.methods import pair_scores, ppo_rollouts
from trainer.methods.ppo_rollouts import SamplingConfig
from trainer.models import model_io, scoring

ENDS = list(range(20, 60))  # enough of them, so that answers of a model that has learned nothing end at all lengths
HOW = SamplingConfig(ENDS, 0, 12, 0.9, 4)
PROMPTS = [[61 + (7 * at + step) % 300 for step in range(3 + 5 * at % 11)] for at in range(9)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A tiny model and its tokenizer."""
    return model_io.load(str(training.tiny_model(tmp_path_factory.mktemp("tiny") / "model")))


@pytest.fixture(scope="module")
def model(made: tuple[Any, Any]) -> Any:
    """The model alone."""
    return made[0].eval()


@pytest.fixture(scope="module")
def pairs(made: tuple[Any, Any]) -> list[encode.EncodedPair]:
    """Pairs as its tokenizer reads them."""
    rows = releases.planted({"train": 12})
    read = [release_reader.Pair(**{name: row[name] for name in release_reader.COLUMNS}) for row in rows]
    return encode.encode(read, made[1], 256).kept


@pytest.fixture
def calls(model: Any) -> Iterator[list[int]]:
    """How many rows every call of the model reads."""
    seen: list[int] = []
    hook = model.register_forward_pre_hook(lambda _, __, named: seen.append(len(named["input_ids"])), with_kwargs=True)
    yield seen
    hook.remove()


def by_transformers(model: Any, how: SamplingConfig) -> list[list[int]]:
    """The answers of `generate`, up to and with their ends."""
    found = [ppo_rollouts.write(model, [prompt], how) for prompt in PROMPTS]
    return [one.answers[0][one.answered[0]].tolist() for one in found]


def sliding() -> Any:
    """A model that forgets what lies more than four tokens back."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(1)
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
    }
    return MistralForCausalLM(MistralConfig(vocab_size=400, sliding_window=4, pad_token_id=0, bos_token_id=None, eos_token_id=1, **sizes))


# --- answers ---


def test_without_chance_answers_are_those_of_transformers(model: Any) -> None:
    how = replace(HOW, temperature=0.0)
    assert [one.tokens for one in answering.write(model, PROMPTS, how, 0)] == by_transformers(model, how)
    other = sliding()
    assert [one.tokens for one in answering.write(other, PROMPTS, how, 0)] == by_transformers(other, how)


def test_an_answer_does_not_depend_on_what_is_written_beside_it(model: Any) -> None:
    together = answering.write(model, PROMPTS, HOW, 5)
    assert answering.write(model, PROMPTS, replace(HOW, batch_size=1), 5) == together
    assert answering.write(model, PROMPTS, HOW, 6) != together


def test_an_answer_stops_at_its_first_end_and_then_costs_nothing(model: Any, calls: list[int]) -> None:
    found = answering.write(model, PROMPTS, replace(HOW, batch_size=len(PROMPTS)), 5)
    lengths = [len(one.tokens) for one in found]
    assert len(set(lengths)) > 2, "answers of several lengths"
    for one in found:
        assert one.ended == (one.tokens[-1] in ENDS)
        assert not set(one.tokens[:-1]) & set(ENDS)
        assert one.ended or len(one.tokens) == HOW.max_new_tokens
    assert sum(calls) - 1 == sum(lengths), "a line is read once a token, and one line more to see how the model remembers"


@given(st.lists(st.floats(-4, 4), min_size=2, max_size=12), st.sampled_from([0.5, 1.0, 2.0]))
def test_tokens_are_drawn_as_often_as_they_are_likely(logits: list[float], temperature: float) -> None:
    import torch

    points = 4000
    numbers = (torch.arange(points, dtype=torch.float64) + 0.5) / points
    tokens = answering._choose(torch.tensor([logits] * points), temperature, numbers)
    shares = (torch.tensor(logits) / temperature).softmax(-1)
    assert torch.allclose(torch.bincount(tokens, minlength=len(logits)) / points, shares, atol=2 / points)


# --- scores ---


def test_scores_in_shared_rows_are_those_of_rows_of_their_own(model: Any, pairs: list[encode.EncodedPair], calls: list[int]) -> None:
    some = pairs[:10]
    alone = scoring.score(model, some, 0, 5)
    calls.clear()
    shared = pair_scores.score(model, some, 0, 5)
    assert sum(calls) == len(some) + 3 * 4, "a row a pair, and four pairs thrice to see whether the model can be read so"
    for mine, theirs in zip((shared.chosen, shared.rejected), (alone.chosen, alone.rejected), strict=True):
        assert mine == pytest.approx(theirs, abs=1e-3)


def test_a_model_that_heeds_no_mask_is_scored_in_rows_of_their_own(pairs: list[encode.EncodedPair]) -> None:
    other = sliding().eval()
    rows = [replace(row, prompt=row.prompt[-6:]) for row in pairs]
    mine, theirs = pair_scores.score(other, rows, 0, 5), scoring.score(other, rows, 0, 5)
    assert np.array_equal(mine.chosen, theirs.chosen)
    assert np.array_equal(mine.rejected, theirs.rejected)


def test_what_is_known_of_an_answer_is_not_computed_again_whichever_side_it_stands_on(
    model: Any, pairs: list[encode.EncodedPair], calls: list[int]
) -> None:
    known = pair_scores.KnownScores()
    first = known.score(model, pairs[:8], 0, 4)
    calls.clear()
    turned = known.score(model, [replace(row, chosen=row.rejected, rejected=row.chosen) for row in pairs[:8]], 0, 4)
    assert not calls
    assert np.array_equal(turned.chosen, first.rejected)
    assert np.array_equal(turned.rejected, first.chosen)
    more = known.score(model, pairs, 0, 4)
    assert np.array_equal(more.chosen[:8], first.chosen)
    assert more.rejected == pytest.approx(pair_scores.score(model, pairs, 0, 4).rejected, abs=1e-3)


def test_nothing_asked_is_nothing_written_and_nothing_scored(model: Any) -> None:
    assert answering.write(model, [], HOW, 0) == []
    assert pair_scores.score(model, [], 0, 4).chosen.size == 0
