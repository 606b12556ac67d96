"""reward: a scalar that is higher for the chosen answer, the same for an answer whatever stands beside it in the batch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.training import COUNTS, digests, released, run
from trainer.core import encode, release, rewards


@pytest.fixture(scope="module")
def rewarded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a tiny finished run."""
    root = tmp_path_factory.mktemp("rewarded")
    released(root)
    for name in ("start", "reward"):
        run(root, name)
    return root


def test_writes_a_model_that_scores_answers(rewarded: Path) -> None:
    made = rewarded / "data/models/reward"
    model, _ = rewards.load(made)
    assert type(model).__name__ == "LlamaForSequenceClassification"
    assert model.config.num_labels == 1
    assert digests(made)["tokenizer.json"] == digests(rewarded / "data/models/start")["tokenizer.json"]
    told = json.loads((made / "trained_on.json").read_text())
    assert told["release"] == release.verified(rewarded / "data/release")
    metrics = json.loads((made / "metrics.json").read_text())
    assert (metrics["pairs"], metrics["left_out"]) == (COUNTS["train"], 0)


def test_an_answers_reward_does_not_depend_on_the_rows_beside_it(rewarded: Path) -> None:
    import torch

    model, tokenizer = rewards.load(rewarded / "data/models/reward")
    pairs = encode.encode(release.pairs(rewarded / "data/release", "test"), tokenizer, 256).kept
    rows = [(row.prompt, side) for row in pairs for side in (row.chosen, row.rejected)]
    alone = [model(input_ids=torch.tensor([prompt + answer])).logits.item() for prompt, answer in rows]
    assert np.std(alone) > 1e-3, "the rewards differ"
    for batch in (1, 5, 64):
        assert rewards.score(model, rows, tokenizer.pad_token_id, batch) == pytest.approx(alone, abs=1e-5)
