"""Claims about `tasks.common.similarity`: what is a near copy is decided exactly, and the order of the rows changes nothing."""

from __future__ import annotations

import itertools
from typing import cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.common.similarity import Near, components, near_pairs, normalise
from tasks.common.similarity.ngrams import blocks, folded

# 256 bands of one row: a pair at similarity 0.4 is missed with probability 0.6^256
NEAR = Near(shingle_words=2, threshold=0.4, bands=256, rows=1, largest_bucket=1000, seed=1)
WORDS = st.sampled_from(["a", "B", "cat", "Dog", "é", "É", "Ångström", "ﬁn", "x\u200by", "ΑΣ", "I\u0307"])
SPACES = st.sampled_from([" ", "  ", "\t", "\n", "\u00a0", "\u3000", "\x1c", "\x1f"])
TEXT = st.lists(st.tuples(WORDS, SPACES), max_size=12).map(lambda words: "".join(word + space for word, space in words))
CORPUS = st.lists(TEXT, max_size=12)


def pairs_of(texts: list[str], near: Near = NEAR) -> dict[tuple[str, str], float]:
    """`near_pairs` of the texts, keyed k00, k01, ..."""
    keys = pa.array([f"k{i:04d}" for i in range(len(texts))], pa.large_string())
    found = near_pairs(keys, pa.array(texts, pa.large_string()), near)
    return {(row["left"], row["right"]): row["similarity"] for row in found.to_pylist()}


def shingles(text: str, words: int) -> frozenset[tuple[str, ...]]:
    """The set of word n-grams, the slow way."""
    split = text.split(" ") if text else []
    return frozenset(tuple(split[i : i + words]) for i in range(max(len(split) - words + 1, min(len(split), 1))))


def brute(texts: list[str], near: Near) -> dict[tuple[str, str], float]:
    """Every pair compared; equal texts as a star around the first."""
    plain = cast("list[str]", normalise(pa.array(texts, pa.large_string())).to_pylist())
    first = {text: plain.index(text) for text in plain}
    found = {(f"k{first[text]:04d}", f"k{i:04d}"): 1.0 for i, text in enumerate(plain) if first[text] != i}
    for i, j in itertools.combinations(sorted(first.values()), 2):
        a, b = shingles(plain[i], near.shingle_words), shingles(plain[j], near.shingle_words)
        similarity = len(a & b) / len(a | b)
        if similarity >= near.threshold:
            found[f"k{i:04d}", f"k{j:04d}"] = similarity
    return found


@settings(max_examples=60, deadline=None)
@given(CORPUS)
def test_finds_exactly_the_pairs_of_a_brute_force_comparison(texts: list[str]) -> None:
    assert pairs_of(texts) == brute(texts, NEAR)


@settings(max_examples=20, deadline=None)
@given(CORPUS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(texts: list[str], random: object) -> None:
    keys = pa.array([f"k{i:04d}" for i in range(len(texts))], pa.large_string())
    order = list(range(len(texts)))
    random.shuffle(order)  # type: ignore[attr-defined]
    straight = near_pairs(keys, pa.array(texts, pa.large_string()), NEAR)
    shuffled = near_pairs(keys.take(pa.array(order, pa.int64())), pa.array([texts[i] for i in order], pa.large_string()), NEAR)
    assert straight.equals(shuffled)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(TEXT, max_size=4), max_size=8))
def test_a_list_of_texts_is_its_parts_joined_by_a_space(parts: list[list[str]]) -> None:
    keys = pa.array([f"k{i:04d}" for i in range(len(parts))], pa.large_string())
    listed = near_pairs(keys, pa.array(parts, pa.large_list(pa.large_string())), NEAR)
    assert {(row["left"], row["right"]): row["similarity"] for row in listed.to_pylist()} == brute([" ".join(p) for p in parts], NEAR)


@settings(deadline=None)
@given(TEXT)
def test_the_hash_of_a_text_is_that_of_its_normal_form(text: str) -> None:
    raw, normal = pa.array([text], pa.large_string()), normalise(pa.array([text], pa.large_string()))
    assert normalise(normal).equals(normal)
    (one,), (other,) = blocks(folded(raw), 3), blocks(folded(normal), 3)
    assert one.whole == other.whole
    assert one.grams.tolist() == other.grams.tolist()


def test_normalise_says_what_it_folds() -> None:
    given_texts = pa.array(["  Ｈｅllo\u200b\u00a0\n WORLD ", None, ""])
    assert normalise(given_texts).to_pylist() == ["hello world", None, ""]


def test_texts_cut_by_blocks_compare_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [" ".join(f"w{(i * 7 + j) % 40}" for j in range(30)) for i in range(40)] * 2
    expected = brute(texts, NEAR)
    monkeypatch.setattr("tasks.common.similarity.ngrams.BLOCK", 64)
    monkeypatch.setattr("tasks.common.similarity.near_copies.CHUNK", 3)
    assert pairs_of(texts) == expected


def test_a_pair_at_the_threshold_counts_and_one_below_does_not() -> None:
    near = Near(shingle_words=1, threshold=0.8, bands=64, rows=1, largest_bucket=10, seed=1)
    assert pairs_of(["a b c d e", "a b c d"], near) == {("k0000", "k0001"): 0.8}
    assert pairs_of(["a b c d e f", "a b c d e g"], near) == {}


def test_every_space_of_ascii_parts_words_and_its_neighbours_do_not() -> None:
    """As `str.split` does it: tab to carriage return, the four separators, and the space."""
    near = Near(shingle_words=1, threshold=0.9, bands=64, rows=1, largest_bucket=10, seed=1)
    for code in range(128):
        texts = [f"ab{chr(code)}cd", "ab cd"]
        assert bool(pairs_of(texts, near)) == (texts[0].split() == ["ab", "cd"]), code


@pytest.mark.parametrize(("one", "other", "same"), [("A", "a", True), ("Z", "z", True), ("@", "`", False), ("[", "{", False)])
def test_letters_are_one_in_both_cases_and_the_signs_beside_them_are_not(one: str, other: str, same: bool) -> None:
    assert bool(pairs_of([f"word{one} word", f"word{other} word"])) == same


def test_a_text_of_exactly_as_many_words_as_an_ngram_shares_it_with_a_longer_one() -> None:
    near = Near(shingle_words=3, threshold=0.5, bands=64, rows=1, largest_bucket=10, seed=1)
    assert pairs_of(["a b c", "a b c d"], near) == {("k0000", "k0001"): 0.5}
    assert pairs_of(["a b", "a b c"], near) == {}, "a shorter one is compared as a whole"


def test_a_bucket_too_wide_for_all_pairs_still_connects_its_texts() -> None:
    near = Near(shingle_words=2, threshold=0.5, bands=16, rows=4, largest_bucket=4, seed=1)
    common = " ".join(f"word{i}" for i in range(40))
    found = pairs_of([f"{common} order {i}" for i in range(300)], near)
    left, right = (np.array([int(pair[side][1:]) for pair in found]) for side in (0, 1))
    assert not components(300, left, right).any()
    assert {("k0000", f"k{i:04d}") for i in range(1, 300)} <= set(found)
    assert len(found) < 300 * 299 / 2 / 4


@settings(deadline=None)
@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))))))
def test_components_are_those_of_a_walk_over_the_edges(graph: tuple[int, list[tuple[int, int]]]) -> None:
    n, edges = graph
    expected = list(range(n))
    for _ in range(n):
        for a, b in edges:
            expected[a] = expected[b] = min(expected[a], expected[b])
    left, right = np.array([a for a, _ in edges], np.int64), np.array([b for _, b in edges], np.int64)
    assert components(n, left, right).tolist() == expected


def test_a_long_chain_is_one_component() -> None:
    order = np.random.default_rng(0).permutation(100_000)
    assert not components(100_000, order[:-1], order[1:]).any()
