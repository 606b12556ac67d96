"""Claims about `rebalance`: strata end inside the bound, only training rows change, and order decides nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core import params
from tasks.core.ledger import Account, ids_of, reconcile
from tasks.core.tables import Candidates
from tasks.rebalance import stage as rebalance
from tests.builders.candidates_made import candidate, frame
from tests.conftest import ROOT

PARAMS = params.load(ROOT / "params.yaml", "rebalance", rebalance.Params).model_copy(update={"by": ["topic"], "min_stratum": 2})
Row = dict[str, Any]
sizes = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6)), min_size=1, max_size=5)


def rows_of(strata: list[tuple[int, int]]) -> list[Row]:
    """For each stratum so many originals, and so many variants of them; beside them rows that must never change."""
    rows = []
    for number, (originals, variants) in enumerate(strata):
        parents = [candidate(f"stratum {number} prompt {n}", topic=f"t{number}") for n in range(originals)]
        texts = [f"stratum {number} variant {n}" for n in range(variants if parents else 0)]
        rows += parents + [
            candidate(text, topic=f"t{number}", augmented_from=parents[n % originals]["prompt_id"], augmenter="swap")
            for n, text in enumerate(texts)
        ]
    rows += [candidate(f"{split} {n}", topic="t0", split=split) for split in ("validation", "test") for n in range(9)]
    return rows + [candidate(f"no votes {n}", topic="t0", evidence="none") for n in range(9)]


def account(rows: list[Row], strategy: str, **changed: object) -> Account:
    chosen = PARAMS.model_copy(update={"strategy": strategy} | changed)
    given = frame(rows)
    result = rebalance.run({"candidates": given}, chosen)["candidates"].to_arrow().sort_by("prompt_id")
    return reconcile("rebalance", "candidates", result, ids_of("candidates", given.to_arrow()))


def counted(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["split"] == "train" and row["evidence"] != "none"]


def strata(rows: list[Row]) -> Counter[str]:
    return Counter(row["topic"] for row in counted(rows))


@settings(deadline=None, max_examples=25)
@given(sizes, st.sampled_from([1.0, 1.5, 3.0]), st.sampled_from(list(rebalance.STRATEGIES)))
def test_validation_test_and_voteless_rows_stay_as_they_are(given_strata: list[tuple[int, int]], ratio: float, strategy: str) -> None:
    rows = rows_of(given_strata)
    kept = account(rows, strategy, max_ratio=ratio).kept.to_pylist()
    outside = [row for row in rows if row not in counted(rows)]
    assert [row for row in kept if row not in counted(kept)] == sorted(outside, key=lambda row: str(row["prompt_id"]))


@settings(deadline=None, max_examples=25)
@given(sizes, st.sampled_from([1.0, 1.5, 3.0]))
def test_undersampling_ends_inside_the_bound(given_strata: list[tuple[int, int]], ratio: float) -> None:
    rows = rows_of(given_strata)
    result = account(rows, "undersample", max_ratio=ratio)
    counts = [size for size in strata(result.kept.to_pylist()).values() if size >= 2]
    assert not counts or max(counts) <= ratio * min(counts)
    assert set(result.reasons) <= {"undersampled"}
    assert result.made == 0
    kept_ids = set(result.kept["prompt_id"].to_pylist())
    assert {row["augmented_from"] for row in result.kept.to_pylist()} <= kept_ids | {None}


@settings(deadline=None, max_examples=25)
@given(sizes, st.sampled_from([1.0, 1.5, 3.0]))
def test_oversampling_ends_inside_the_bound_and_loses_no_original(given_strata: list[tuple[int, int]], ratio: float) -> None:
    rows = rows_of(given_strata)
    originals = Counter(row["topic"] for row in counted(rows) if row["augmented_from"] is None)
    result = account(rows, "oversample", max_ratio=ratio)
    counts = strata(result.kept.to_pylist())
    raised = [size for topic, size in counts.items() if originals[topic] >= 2]
    assert not raised or max(raised) <= ratio * min(raised)
    assert max(counts.values(), default=0) == max(originals.values(), default=0)
    assert set(result.reasons) <= {"not_needed"}
    assert all(row["augmented_from"] for row in result.dropped.to_pylist())


def test_variants_come_before_repeats_and_no_more_than_needed() -> None:
    result = account(rows_of([(8, 0), (2, 3), (2, 9)]), "oversample", max_ratio=1.0)
    kept = Counter((row["topic"], row["augmenter"]) for row in counted(result.kept.to_pylist()))
    assert kept == {("t0", None): 8, ("t1", None): 2, ("t1", "swap"): 3, ("t1", "repeat"): 3, ("t2", None): 2, ("t2", "swap"): 6}
    assert result.reasons == {"not_needed": 3}
    assert result.made == 3


def test_a_repeat_knows_its_parent_and_equals_it_otherwise() -> None:
    rows = rows_of([(8, 0), (2, 0)])
    parents = {row["prompt_id"]: row for row in rows}
    kept = account(rows, "oversample", max_ratio=1.0).kept.to_pylist()
    repeats = [row for row in kept if row["augmenter"] == "repeat"]
    assert len({row["prompt_id"] for row in kept}) == len(kept)
    assert len(repeats) == 6
    for row in repeats:
        mine = {"prompt_id": row["prompt_id"], "augmented_from": row["augmented_from"], "augmenter": "repeat"}
        assert row == parents[row["augmented_from"]] | mine


def test_undersampling_drops_variants_before_originals() -> None:
    result = account(rows_of([(4, 0), (3, 5), (6, 2)]), "undersample", max_ratio=1.0)
    kept = Counter((row["topic"], row["augmenter"]) for row in counted(result.kept.to_pylist()))
    assert kept == {("t0", None): 4, ("t1", None): 3, ("t1", "swap"): 1, ("t2", None): 4}
    assert result.reasons == {"undersampled": 8}


def test_small_strata_neither_set_the_bound_nor_are_raised() -> None:
    rows = rows_of([(12, 0), (6, 0), (1, 0)])
    assert strata(account(rows, "undersample", max_ratio=1.0).kept.to_pylist()) == {"t0": 6, "t1": 6, "t2": 1}
    assert strata(account(rows, "oversample", max_ratio=1.0).kept.to_pylist()) == {"t0": 12, "t1": 12, "t2": 1}


@settings(deadline=None, max_examples=25)
@given(sizes, st.sampled_from([1.0, 1.3, 50.0]))
def test_weights_have_mean_one_stay_under_the_cap_and_favour_the_rare(given_strata: list[tuple[int, int]], cap: float) -> None:
    rows = rows_of(given_strata)
    result = account(rows, "weights", max_weight=cap)
    kept = counted(result.kept.to_pylist())
    assert len(kept) == len(counted(rows))
    if kept:
        assert sum(row["weight"] for row in kept) / len(kept) == pytest.approx(1.0)
        assert max(row["weight"] for row in kept) <= cap * (1 + 1e-9)
    counts = strata(kept)
    by_size = sorted((counts[row["topic"]], -row["weight"]) for row in kept)
    assert [weight for _, weight in by_size] == pytest.approx(sorted(weight for _, weight in by_size))


@pytest.mark.parametrize("strategy", list(rebalance.STRATEGIES))
def test_order_of_rows_changes_nothing_and_the_seed_decides(strategy: str) -> None:
    rows = rows_of([(12, 4), (6, 2), (3, 0)])
    forward, backward = account(rows, strategy, max_ratio=1.0), account(rows[::-1], strategy, max_ratio=1.0)
    assert (forward.kept, forward.dropped) == (backward.kept, backward.dropped)
    other = account(rows, strategy, max_ratio=1.0, seed=PARAMS.seed + 1)
    assert (other.kept != forward.kept) == (strategy in {"undersample", "oversample"})


def test_balance_counts_strata() -> None:
    rows = pa.Table.from_pylist(rows_of([(2, 0), (1, 0)])[:3], schema=Candidates.schema())
    assert rebalance.balance(rows, ["language", "topic"]) == {"en | t0": 2, "en | t1": 1}
