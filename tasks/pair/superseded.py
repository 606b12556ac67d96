"""One person's last word: what they said of an answer themselves, and which of two opposite things they said later.

In: the evidence, and votes or proposals. A person is known by the log's id; whom it does not name is the person of the conversation.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tasks.common.arrays import Mask, Rows, codes, stretches
from tasks.common.vocabulary.kinds import RATING, THUMB
from tasks.pair.evidence import Evidence

MIDDLE = {THUMB: 0.0, RATING: 0.5}  # values of VOTE above which an answer is liked
UNKNOWN = np.iinfo(np.int64).min  # in place of the time of a vote that has none


def own(evidence: Evidence, votes: Rows, answers: Rows) -> Rows:
    """What the person of each vote says of an answer, by thumb or rating: above 0 liked, below 0 disliked, 0 both or nothing."""
    talk = codes(evidence.votes["conversation"].fill_null(pa.scalar("")))
    parts = [(kind, evidence.votes_of_kind(kind, models=False)) for kind in MIDDLE]
    given = np.concatenate([rows for _, rows in parts])
    liked = np.concatenate([np.sign(evidence.value(rows) - MIDDLE[kind]) for kind, rows in parts]).astype(np.int64)
    named = evidence.person[given] >= 0
    found = np.zeros(len(votes), np.int64)
    known = evidence.person[votes] >= 0
    ways: list[tuple[Mask, Rows, Rows, Mask]] = [
        (named, evidence.person[given], evidence.person[votes], known),
        (~named, talk[given], talk[votes], np.ones(len(votes), bool)),  # in the same chat, by whom the log does not name
        (named, talk[given], talk[votes], ~known),
    ]
    for theirs, key, wanted, mask in ways:
        width = int(max(key.max(initial=0), wanted.max(initial=0))) + 1
        at = evidence.about[given[theirs]] * width + key[theirs]
        order = np.argsort(at, kind="stable")
        sums = np.concatenate([[0], np.cumsum(liked[theirs][order])])
        start, count = stretches(at[order], answers * width + wanted)
        found += np.where(mask, sums[start + count] - sums[start], 0)
    return found


def times(evidence: Evidence) -> Rows:
    """When each vote was given, in microseconds; UNKNOWN where the log does not say."""
    moments = evidence.votes["created_at"].cast(pa.int64())
    return np.asarray(moments.fill_null(pa.scalar(UNKNOWN)).to_numpy()).astype(np.int64)


def latest(evidence: Evidence, behind: tuple[Rows, Rows]) -> Rows:
    """For each item the time of its last vote, by the number of the item; UNKNOWN where the log does not say of one."""
    item, vote = behind
    moment = times(evidence)[vote]
    last, first = np.full(int(item.max(initial=-1)) + 1, UNKNOWN), np.full(int(item.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.maximum.at(last, item, moment)
    np.minimum.at(first, item, moment)
    return np.where(first == UNKNOWN, UNKNOWN, last)
