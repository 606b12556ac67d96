"""Token counts beside the reward model: fitted exactly, never on the pair asked about, hard to exploit, kept with the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import UserError
from tests.builders.training import beside, digests, pair, released, run, tiny
from trainer.data import encode, release_reader
from trainer.data.encode import EncodedPair
from trainer.methods import counting, reward_modeling
from trainer.models import reward_models, token_counts, training_context
from trainer.models.token_counts import TokenCounts

WANTED = tiny("reward", counts__use=True)
SETTINGS = counting.Settings(2, 30.0)
VOCABULARY = 30


@pytest.fixture(scope="module")
def rewarded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a tiny finished run."""
    root = tmp_path_factory.mktemp("counted")
    released(root)
    run(root, "start")
    run(root, "reward", WANTED)
    return root


def drawn(count: int, seed: int, liked: Sequence[int] = ()) -> list[EncodedPair]:
    """Pairs of chance; people prefer answers with more of the tokens `liked`, and where there is none, either."""
    chance = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        sides = sorted((chance.integers(0, VOCABULARY, 12).tolist() for _ in range(2)), key=lambda one: -sum(map(one.count, liked)))
        rows.append(EncodedPair(replace(pair(f"{number}", "a", "b"), cluster_id=f"c{number // 2}"), [1], *sides))
    return rows


def turned(row: EncodedPair) -> EncodedPair:
    return replace(row, chosen=row.rejected, rejected=row.chosen)


# --- the score ---


@given(st.lists(st.integers(0, VOCABULARY - 1), min_size=1), st.integers(1, 3), st.integers(1, 4))
def test_what_is_said_more_often_than_counts_earns_nothing(answer: list[int], most: int, times: int) -> None:
    counts = TokenCounts(np.random.default_rng(0).normal(size=VOCABULARY), 0.5, most)
    assert counts.score([answer * most * times]) == pytest.approx(counts.score([answer * most]))


def test_counts_are_weighted_and_summed() -> None:
    counts = TokenCounts(np.array([1.0, 10.0, 100.0]), 0.25, 2)
    assert counts.score([[1, 1, 1, 0], [2], []]).tolist() == [21.25, 100.25, 0.25]
    assert counts.score([]).shape == (0,)


def test_tokens_beyond_the_vocabulary_count_nothing() -> None:
    assert TokenCounts(np.array([1.0, 10.0]), 0.0, 2).score([[1, 2, 99], [7]]).tolist() == [10.0, 0.0]


# --- the fit ---


def test_the_weights_are_those_of_ridge_regression_without_a_constant() -> None:
    from sklearn.linear_model import LogisticRegression

    rows = drawn(80, 1, liked=[3, 4])
    chosen, rejected = (
        token_counts.features(side, 2, VOCABULARY) for side in zip(*((row.chosen, row.rejected) for row in rows), strict=True)
    )
    gaps, weights = (chosen - rejected).toarray(), np.linspace(0.5, 1.5, len(rows))
    signs = np.where(np.arange(len(rows)) % 2, 1, -1)  # it wants both labels: half of the pairs turned round
    peer = LogisticRegression(C=1 / 3.0, fit_intercept=False, tol=1e-8, max_iter=1000).fit(gaps * signs[:, None], signs, weights)
    found = counting.ridge(chosen - rejected, weights, 3.0)
    assert found == pytest.approx(peer.coef_[0], abs=1e-3)
    assert np.abs(found).max() > 0.3


def test_what_is_known_of_a_pair_comes_from_counts_that_never_saw_it_or_its_cluster() -> None:
    rows = drawn(60, 2, liked=[3, 4])
    told = counting.fit(rows, VOCABULARY, SETTINGS, 7)
    other = counting.fit([turned(rows[0]), turned(rows[1]), *rows[2:]], VOCABULARY, SETTINGS, 7)
    assert rows[0].pair.cluster_id == rows[1].pair.cluster_id
    before, after = ((one.known[0] - one.known[1])[:2] / one.worth for one in (told, other))
    assert after == pytest.approx(-before)
    assert np.abs(before).min() > 0


def test_counts_that_tell_preferences_are_taken_at_their_word() -> None:
    told = counting.fit(drawn(400, 3, liked=[3, 4]), VOCABULARY, SETTINGS, 7)
    assert told.worth > 0.9
    assert set(np.argsort(-told.counts.weights)[:2]) == {3, 4}
    assert float(np.mean(told.known[0] > told.known[1])) > 0.7  # many pairs are a tie


def test_counts_that_tell_nothing_say_next_to_nothing() -> None:
    said = {}
    for liked in ((), (3, 4)):
        fitted = [counting.fit(drawn(200, seed, liked), VOCABULARY, SETTINGS, 7).known for seed in range(8)]
        said[liked] = float(np.mean([np.abs(known[0] - known[1]).mean() for known in fitted]))
    assert said[()] < 0.3 * said[3, 4]


def test_scores_of_the_pairs_fitted_on_are_centred() -> None:
    rows = drawn(60, 4, liked=[3])
    told = counting.fit(rows, VOCABULARY, SETTINGS, 7)
    assert told.known.mean() == pytest.approx(0, abs=1e-9)
    assert told.counts.score([side for row in rows for side in (row.chosen, row.rejected)]).mean() == pytest.approx(0, abs=1e-9)


# --- beside the model ---


def test_a_reward_is_the_bodys_and_that_of_the_counts(rewarded: Path) -> None:
    model, tokenizer = reward_models.load(rewarded / "data/models/reward")
    rows = [([5, 6], [7, 8, 1]), ([5, 6, 9], [7, 1])]
    both, counts = reward_models.score(model, rows, tokenizer.pad_token_id, 2), token_counts.of(model)
    assert counts is not None
    token_counts.put(model, None)
    body = reward_models.score(model, rows, tokenizer.pad_token_id, 2)
    assert both - body == pytest.approx(counts.score([answer for _, answer in rows]))
    assert np.abs(both - body).min() > 0


def test_the_body_learns_what_the_counts_leave_open(rewarded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = beside(rewarded, tmp_path)
    run(root, "reward", tiny("reward", counts__use=True, center_rewards_coefficient=0.0))
    told = float(next(line for line in capsys.readouterr().out.splitlines() if "reward: step 1" in line).split("loss ")[1].split(",")[0])
    context = training_context.of(root / "data/models/start")
    model, tokenizer = reward_models.begin(root / "data/models/start", context.seed)
    rows = encode.encode(release_reader.pairs(root / "data/release", "train"), tokenizer, context.max_length).kept
    fitted = counting.fit(rows, len(tokenizer), SETTINGS, context.seed)
    settings = reward_modeling.Settings("none", 1.0, 0.0, 0.0, WANTED.schedule)
    seen = reward_modeling._rows(rows, settings, 3, context.seed, fitted.known)[: WANTED.schedule.train_batch_size]
    sides = [
        reward_models.score(model, [([], ids) for ids in seen[f"{side}_ids"]], tokenizer.pad_token_id, 4) + np.array(seen["known"])[:, at]
        for at, side in enumerate(("chosen", "rejected"))
    ]
    assert told == pytest.approx(reward_modeling.loss(sides[0] - sides[1]), abs=1e-4)


def test_counts_are_the_same_beside_an_adapter_and_bit_for_bit_again(rewarded: Path, tmp_path: Path) -> None:
    first = digests(rewarded / "data/models/reward")
    for name, wanted in (("again", WANTED), ("adapter", tiny("reward", counts__use=True, adapter__r=2))):
        made = digests(run(beside(rewarded, tmp_path / name), "reward", wanted))
        assert made[token_counts.NAME] == first[token_counts.NAME]
        assert (made == first) == (name == "again")


def test_damaged_counts_are_one_line(rewarded: Path, tmp_path: Path) -> None:
    assert token_counts.load(tmp_path) is None
    whole = (rewarded / "data/models/reward" / token_counts.NAME).read_bytes()
    for content in (whole[:-9], whole.replace(b"constant", b"constans"), b""):
        (tmp_path / token_counts.NAME).write_bytes(content)
        with pytest.raises(UserError, match="expected the token counts of a reward model") as caught:
            token_counts.load(tmp_path)
        assert "\n" not in str(caught.value)
