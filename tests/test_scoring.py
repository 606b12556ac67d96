"""Scores are the exact log-probabilities of answers, whatever is scored together, and never more logits at once than allowed."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from tests.builders import releases
from trainer.data import encode, release_reader
from trainer.models import model_io, scoring

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SIZE = model_io.Size(vocab_size=400, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, max_length=512)


@functools.cache
def made() -> tuple[Any, Any, list[encode.EncodedPair]]:
    """A model, its tokenizer and pairs."""
    import torch

    torch.manual_seed(0)
    rows = releases.planted({"train": 12})
    pairs = [release_reader.Pair(**{name: row[name] for name in release_reader.COLUMNS}) for row in rows]
    model, tokenizer = model_io.make(pairs, SIZE)
    return model, tokenizer, encode.encode(pairs, tokenizer, 512).kept


def plain(model: Any, row: scoring.Row) -> float:
    """The same sum from the logits of one row alone, without anything of ours."""
    import torch

    context, answer = row
    with torch.no_grad():
        logits = model(torch.tensor([context + answer])).logits[0].double().log_softmax(dim=-1)
    return float(sum(logits[len(context) + at - 1, token] for at, token in enumerate(answer)))


def test_a_score_is_the_sum_of_the_log_probabilities_of_the_answer() -> None:
    model, tokenizer, pairs = made()
    scores = scoring.score(model, pairs, tokenizer.pad_token_id, 5)
    assert scores.chosen == pytest.approx([plain(model, (one.prompt, one.chosen)) for one in pairs], abs=1e-3)
    assert scores.rejected == pytest.approx([plain(model, (one.prompt, one.rejected)) for one in pairs], abs=1e-3)


def test_few_logits_at_once_change_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer, pairs = made()
    whole = scoring.score(model, pairs, tokenizer.pad_token_id, 12)
    seen: list[int] = []
    most = 3 * 200 * SIZE.vocab_size
    monkeypatch.setattr(scoring, "MOST_LOGITS", most)
    hook = model.lm_head.register_forward_hook(lambda *given: seen.append(given[2].numel()))
    parts = scoring.score(model, pairs, tokenizer.pad_token_id, 12)
    hook.remove()
    assert len(seen) > 4
    assert max(seen) <= most
    np.testing.assert_allclose([parts.chosen, parts.rejected], [whole.chosen, whole.rejected], atol=1e-3)


def test_logits_of_a_long_common_context_are_not_made() -> None:
    model, tokenizer, _ = made()
    seen: list[int] = []
    hook = model.lm_head.register_forward_hook(lambda *given: seen.append(given[2].shape[1]))
    scoring.sums(model, [([5] * 300, [6, 7]), ([5] * 301, [6])], tokenizer.pad_token_id, 2)
    hook.remove()
    assert seen == [2]


def test_scoring_leaves_the_model_in_the_mode_in_which_it_was() -> None:
    model, tokenizer, pairs = made()
    for training in (True, False):
        model.train(training)
        scoring.score(model, pairs[:1], tokenizer.pad_token_id, 1)
        assert model.training is training


def test_a_fresh_adapter_scores_as_the_model_without_it_and_its_dropout_is_off() -> None:
    import copy

    from peft import LoraConfig, get_peft_model

    model, tokenizer, pairs = made()
    alone = scoring.score(model, pairs, tokenizer.pad_token_id, 4)
    config = LoraConfig(r=4, lora_dropout=0.5, target_modules="all-linear", task_type="CAUSAL_LM")
    wrapped = cast("PreTrainedModel", get_peft_model(copy.deepcopy(model), config))
    with_adapter = scoring.score(wrapped, pairs, tokenizer.pad_token_id, 4)
    assert np.array_equal(alone.chosen, with_adapter.chosen)
    assert np.array_equal(alone.rejected, with_adapter.rejected)
