"""Texts that are copies of each other: normalisation, word n-grams, MinHash-LSH candidates, exact Jaccard, components."""

from tasks.common.similarity.minhash import Near
from tasks.common.similarity.near_copies import components, near_pairs
from tasks.common.similarity.ngrams import digests, normalise

__all__ = ["Near", "components", "digests", "near_pairs", "normalise"]
