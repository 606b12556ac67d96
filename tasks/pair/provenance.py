"""Where answers and votes come from: the conversations that they stand in and the raw records that hold them.

A prompt that thousands ask ("hi") has thousands of both, and a pair of it rests on a few: so rows name those of their own two answers
and of the votes behind them, not all of the prompt's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import Rows, distinct_keys, find, flat, nest, reach, stretches
from tasks.core.tables import TEXT

Edges = tuple[Rows, Rows]
LAST_PART = "/[^/]*$"


@dataclass(frozen=True)
class Sources:
    """Conversations and records as numbers that order as their names do; -1 where there is none."""

    conversations: pa.Array[Any]  # names, sorted
    records: pa.Array[Any]  # names, sorted
    of_answers: Edges  # answer (ascending) and conversation
    records_of_answers: Edges  # answer (ascending) and record
    of_votes: Rows  # conversation of each vote
    records_of_votes: Rows

    def behind(self, count: int, answers: Edges, votes: Edges) -> tuple[pa.Array[Any], pa.Array[Any]]:
        """Conversations and records of `count` rows, as lists of sorted names; the edges are row and answer, row and vote."""
        row, vote = votes
        conversations = self._lists(count, self.conversations, spread(answers, self.of_answers), (row, self.of_votes[vote]))
        return conversations, self._lists(count, self.records, spread(answers, self.records_of_answers), (row, self.records_of_votes[vote]))

    @staticmethod
    def _lists(count: int, names: pa.Array[Any], *edges: Edges) -> pa.Array[Any]:
        row, name = (np.concatenate(side) for side in zip(*edges, strict=True))
        width = len(names) + 1
        key = distinct_keys((row * width + name)[name >= 0])
        return nest(key // width, count, names.take(key % width))


def spread(rows: Edges, links: Edges) -> Edges:
    """Row and what its links lead to."""
    row, middle = rows
    which, place = reach(*stretches(links[0], middle))
    return row[which], links[1][place]


def trace(turns: pa.ChunkedArray[Any], home: Rows, parts: pa.Table, asked: Rows, votes: pa.Table) -> Sources:
    """Sources of answers and votes.

    `turns` lists each answer's "conversation/turn"; `parts` are PARTs, and `asked` their prompts.
    """
    answer = np.repeat(np.arange(len(turns)), pc.list_value_length(turns).fill_null(0).to_numpy())
    named = flat(pc.list_flatten(turns))
    tops = pc.replace_substring_regex(named, LAST_PART, "")
    conversations = ordered(parts["conversation"], votes["conversation"], tops)
    records = ordered(parts["origin"], votes["origin"])
    width = len(conversations) + 1
    keys = asked * width + find(parts["conversation"], conversations)
    prompt = home[answer]
    stands = find(tops, conversations)
    odd = np.flatnonzero(~np.isin(prompt * width + stands, keys))  # where a turn's own id has a slash
    known = by_prefix(cast("list[str]", named.take(odd).to_pylist()), prompt[odd] * width, conversations, keys)
    stands[odd] = np.where(known >= 0, known, stands[odd])
    held = np.flatnonzero(pc.is_valid(parts["origin"]).to_numpy())
    held = held[np.argsort(keys[held], kind="stable")]
    of_answers = unique(answer, stands)
    lookup = keys[held], find(parts["origin"].take(held), records)
    record = spread((of_answers[0], home[of_answers[0]] * width + of_answers[1]), lookup)
    return Sources(
        conversations, records, of_answers, unique(*record), find(votes["conversation"], conversations), find(votes["origin"], records)
    )


def by_prefix(turns: list[str], prompt: Rows, conversations: pa.Array[Any], keys: Rows) -> Rows:
    """The number of the conversation that each turn's name begins with, among those of its prompt; the longest of several, or -1."""
    stands = np.full(len(turns), -1)
    pieces = [turn.split("/") for turn in turns]
    owner = np.repeat(np.arange(len(turns)), [len(parts) - 1 for parts in pieces])
    names = ["/".join(parts[:cut]) for parts in pieces for cut in range(1, len(parts))]  # a later one is longer, and overwrites
    number = find(pa.array(names, TEXT), conversations)
    known = (number >= 0) & np.isin(prompt[owner] + number, keys)
    stands[owner[known]] = number[known]
    return stands


def ordered(*columns: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """The distinct texts of the columns, sorted; null is none."""
    chunks = [chunk for column in columns for chunk in (column.chunks if isinstance(column, pa.ChunkedArray) else [column])]
    names = cast("pa.Array[Any]", pc.unique(pa.chunked_array(chunks, TEXT))).drop_null()
    return names.take(pc.sort_indices(names))


def unique(row: Rows, number: Rows) -> Edges:
    """The edges sorted, each once, without those that lead nowhere."""
    width = int(number.max(initial=0)) + 1
    key = distinct_keys((row * width + number)[number >= 0])
    return key // width, key % width
