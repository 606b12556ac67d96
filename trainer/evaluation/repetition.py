"""How far a text goes round in circles: as tokens of whichever tokenizer, or as words.

`loops` sees what repeats exactly, `circles` also what repeats with small changes ("2. 3. 3. 1. 1. 2. 1. 3."): a stretch in which few
neighbours are new. Measured on people's answers, either is rare (8 in 1,000 of Open Assistant's, code and tables among them).
`again` sees whole phrases that come back after something else (after Welleck et al. 2020); in code and lists that is no fault, so it is
to be held against the data's own answers. `distinct` (Li et al. 2016) and `compression` (Shaib et al. 2024) are figures to look at.
"""

from __future__ import annotations

import bz2
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

PERIOD, TIMES, LEAST = 16, 4, 16  # a loop: at most so many tokens, so often in a row at least, and so many tokens together
STRETCH, NEW = 24, 0.5  # a circle: so many tokens, of whose pairs of neighbours at most this share are different ones
PHRASE = 8  # tokens of a phrase that comes back


def goes_round(tokens: Sequence[int]) -> bool:
    """Whether there is a loop or a circle."""
    return loops(tokens) or circles(tokens)


def loops(tokens: Sequence[int]) -> bool:
    """Whether the same few tokens stand there again and again, without anything between."""
    for period in range(1, PERIOD + 1):
        needed = max(period * TIMES, LEAST) - period  # tokens that equal the one a period before, in a row
        run = 0
        for place in range(period, len(tokens)):
            run = run + 1 if tokens[place] == tokens[place - period] else 0
            if run >= needed:
                return True
    return False


def circles(tokens: Sequence[int]) -> bool:
    """Whether a stretch has few different pairs of neighbours."""
    pairs = list(pairwise(tokens))
    size = STRETCH - 1
    inside = Counter(pairs[:size])
    for place in range(size, len(pairs) + 1):
        if len(inside) <= NEW * size:
            return True
        if place < len(pairs):
            inside[pairs[place]] += 1
            inside[pairs[place - size]] -= 1
            inside += Counter()  # drops what is gone
    return False


def again(tokens: Sequence[int]) -> float:
    """The share of the phrases that stood there before."""
    return 1 - distinct(tokens, PHRASE)


def distinct(tokens: Sequence[int], size: int) -> float:
    """The share of the runs of `size` tokens that are different ones; 1 where there is none."""
    runs = [tuple(tokens[at : at + size]) for at in range(len(tokens) - size + 1)]
    return len(set(runs)) / len(runs) if runs else 1.0


def compression(texts: Sequence[str]) -> float:
    """Bytes of all texts together, by those that bzip2 makes of them; 0 of nothing."""
    raw = "\n".join(texts).encode("utf-8", "replace")
    return len(raw) / len(bz2.compress(raw)) if raw else 0.0
