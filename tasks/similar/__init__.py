"""Texts that are copies of each other: normalisation, word n-grams, MinHash-LSH candidates, exact Jaccard, components."""

from tasks.similar.minhash import Near
from tasks.similar.pairs import components, near_pairs
from tasks.similar.text import digests, normalise

__all__ = ["Near", "components", "digests", "near_pairs", "normalise"]
