"""A model2vec model of a few words, in which words that mean the same have the same vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

SAME = ("purchase buy", "cheap inexpensive", "fast quick", "big large", "city town")
OTHERS = ("where", "can", "i", "ticket", "for", "train", "to", "the", "a", "an")


def write(folder: Path) -> Path:
    """The model in a folder."""
    groups = [*SAME, *OTHERS]
    words = {word: number for number, group in enumerate(groups) for word in group.split()}
    pieces = Tokenizer(WordLevel({word: place for place, word in enumerate([*words, "[UNK]"])}, unk_token="[UNK]"))
    pieces.normalizer, pieces.pre_tokenizer = Lowercase(), Whitespace()
    vectors = np.concatenate([np.eye(len(groups), dtype=np.float32)[list(words.values())], np.zeros((1, len(groups)), np.float32)])
    StaticModel(vectors, pieces).save_pretrained(folder)
    return folder
