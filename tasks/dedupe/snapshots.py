"""Conversations that were exported before they ended: all of one is, message by message, the beginning of another.

In: the turns of all conversations in key order, as numbers. Out: each earlier state with the longest later one. The earlier state has no
branches, and the later one none up to where that ended; a chat with branches that grew is found by its ids when it is read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tasks.common.similarity.ngrams import Hashes, Places, mixed

UNKNOWN = 0  # in place of a mark that the log does not give


def beginnings(said: Hashes, talk: Places, position: Places, heads: Places, marks: tuple[Hashes, Hashes]) -> tuple[Places, Places]:
    """The conversations that are the beginning of another, ascending, and the longest other one (of equally long ones the first).

    `said` is a hash of each turn (role, text and what the text does not show), `talk` its conversation's number, `heads` the first turn of
    each conversation. Of the `marks` of each conversation (a hash of who chats, its first moment; UNKNOWN where the log does not say) two
    states of one chat have at least one in common, and none that differs.
    """
    place, sizes = np.arange(len(said)) - heads[talk], np.diff(np.append(heads, len(said)))
    bends = np.concatenate([[0], np.cumsum(position != place)])
    straight = bends[1:] == bends[heads[talk]]  # whether no branch stands up to this turn
    way, last = ways(said, place), (heads + sizes - 1)[straight[heads + sizes - 1]]
    goes_on = np.flatnonzero(straight & (place + 1 < sizes[talk]))  # where a later state may stand: copies that end alike are many
    order = goes_on[np.argsort(way[goes_on], kind="stable")]
    start, stop = (np.searchsorted(way[order], way[last], side=side) for side in ("left", "right"))
    found = []
    for at in np.flatnonzero(stop > start).tolist():
        turns = order[start[at] : stop[at]]
        here, others = talk[last[at]], talk[turns]
        fits = (sizes[others] > sizes[here]) & _of_one_chat([(mark[others], mark[here]) for mark in marks])
        if fits.any():
            longest = others[fits][np.lexsort((others[fits], -sizes[others[fits]]))[0]]
            found.append((int(here), int(longest)))
    found.sort()
    return np.array([short for short, _ in found], np.int64), np.array([long for _, long in found], np.int64)


def ways(said: Hashes, place: Places) -> Hashes:
    """A hash of each turn and of all before it in its conversation."""
    way = mixed(said)
    order = np.argsort(place, kind="stable")
    cuts = np.flatnonzero(np.diff(place[order])) + 1
    for rows in np.split(order, cuts)[1:]:  # depth by depth
        way[rows] = mixed(way[rows - 1] * np.uint64(0x9E3779B97F4A7C15) ^ way[rows])
    return way


def _of_one_chat(marks: Sequence[tuple[Hashes, np.uint64]]) -> npt.NDArray[np.bool_]:
    """Whether each of several conversations has a mark of this one, and none that differs."""
    known = [(theirs != UNKNOWN) & (ours != UNKNOWN) for theirs, ours in marks]
    equal = [there & (theirs == ours) for there, (theirs, ours) in zip(known, marks, strict=True)]
    differs = [there & ~same for there, same in zip(known, equal, strict=True)]
    return np.asarray(np.logical_or.reduce(equal) & ~np.logical_or.reduce(differs))
