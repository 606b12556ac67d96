"""Which conversation stays of those that are copies of each other.

In: pairs of copies. Out: stars: each copy with the one that stays for it, to which it is a copy itself. A chain joins nothing: a copy of a
copy that is no copy of the one that stays goes on alone, or with others of its kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.common.similarity.minhash import Near
from tasks.common.similarity.near_copies import components, jaccard
from tasks.common.similarity.ngrams import Hashes, Places
from tasks.dedupe.same_chat import Chats, SameChat

Values = npt.NDArray[np.float64]


class Limits(Near):
    """What counts as a copy."""

    same_chat: SameChat


@dataclass(frozen=True)
class Stars:
    """One element a copy, ascending: its row, the row that stays, and their similarity."""

    copy: Places
    stays: Places
    similarity: Values


@dataclass(frozen=True)
class Standing:
    """One element a conversation: by what, after the number of its copies, it is chosen to stay."""

    votes: Places  # acts of feedback about it: the most
    created: Places  # its first moment: the earliest

    def order(self, rows: Places, copies: Places, group: Places) -> Places:
        """The rows by group, in each the one that stays first: most copies, most votes, earliest, smallest row."""
        most_copies, most_votes = -copies[rows], -self.votes[rows]
        return rows[np.lexsort((rows, self.created[rows], most_votes, most_copies, group[rows]))]


@dataclass(frozen=True)
class Merging:
    """The conversations, a hash of each, and when two are copies."""

    chats: Chats
    whole: Hashes
    limits: Limits

    def stars(self, left: Places, right: Places, standing: Standing) -> Stars:
        """Stars over pairs of copies; of a group stays the one with most copies, then by its `standing`."""
        count = len(self.whole)
        label, degree = components(count, left, right), self._degrees(left, right)
        known = np.unique(np.minimum(left, right) * count + np.maximum(left, right))
        pending = np.flatnonzero(np.bincount(label, minlength=count)[label] > 1)
        found: list[tuple[Places, Places, Values]] = [(pending[:0], pending[:0], np.empty(0))]
        while len(pending):
            order = standing.order(pending, degree, label)
            leads = np.concatenate([[True], label[order][1:] != label[order][:-1]])
            stays = np.zeros(count, np.int64)
            stays[label[order[leads]]] = order[leads]
            rest = np.sort(order[~leads])
            joins, similarity = self._joins(stays[label[rest]], rest, known)
            found.append((rest[joins], stays[label[rest]][joins], similarity[joins]))
            pending = rest[~joins]
        copy, stays, similarity = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.argsort(copy)
        return Stars(copy[order], stays[order], similarity[order])

    def _degrees(self, left: Places, right: Places) -> Places:
        """How many copies each has; equal texts count for each other."""
        _, first, group = np.unique(self.whole, return_index=True, return_inverse=True)
        leader = first[group]
        near = self.whole[left] != self.whole[right]
        degree = np.bincount(leader[np.concatenate([left[near], right[near]])], minlength=len(self.whole))
        return degree[leader]

    def _joins(self, stays: Places, rows: Places, known: Places) -> tuple[npt.NDArray[np.bool_], Values]:
        """Which rows are copies of the one that stays, and how similar they are; `known` pairs of copies are not held together again."""
        similarity = np.ones(len(rows))
        near = np.flatnonzero(self.whole[rows] != self.whole[stays])
        similarity[near] = jaccard(self.chats.texts, stays[near], rows[near], self.limits.shingle_words)
        joins = similarity >= self.limits.threshold
        pairs = np.minimum(rows, stays) * len(self.whole) + np.maximum(rows, stays)
        unsure = near[joins[near] & ~np.isin(pairs[near], known)]
        joins[unsure] = self.chats.one_chat(stays[unsure], rows[unsure], self.limits.same_chat)
        return joins, similarity
