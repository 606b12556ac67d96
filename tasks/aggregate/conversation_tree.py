"""Conversation trees, flat: one row a turn, its parent and its depth as numbers, so that whole batches are read at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import Mask, Rows
from tasks.common.vocabulary import roles
from tasks.core.tables import TEXT

ROLES = pa.array(roles.ROLES, TEXT)
SYSTEM, USER, ASSISTANT, TOOL = (roles.ROLES.index(name) for name in (roles.SYSTEM, roles.USER, roles.ASSISTANT, roles.TOOL))

COLUMNS = (
    *("turn_id", "parent_id", "position", "role", "content", "redacted", "attachments", "tool_calls", "tools"),
    *("tool_call_id", "tool_name"),
    *("model", "user_id", "created_at", "language", "topic", "source", "origin"),
)


@dataclass(frozen=True)
class ConversationTrees:
    """The trees of one batch of conversations, flat: one row a turn, in order of conversation and depth."""

    turns: pa.Table
    tree: Rows  # number of the conversation
    names: pa.Array[Any]  # conversation_id of each
    parent: Rows  # row of the parent, -1 at a root, -2 where the parent is missing
    level: Rows
    role: Rows  # index into ROLES; -1: another

    @property
    def trees(self) -> int:
        """Number of conversations."""
        return len(self.names)

    def ancestors(self, marked: Mask) -> Mask:
        """The marked rows and all rows above them."""
        found = marked.copy()
        for rows in reversed(self.levels()):
            below = rows[found[rows] & (self.parent[rows] >= 0)]
            found[self.parent[below]] = True
        return found

    def levels(self) -> list[Rows]:
        """Rows of each depth, from the roots down."""
        order = np.argsort(self.level, kind="stable")
        cuts = np.flatnonzero(np.diff(self.level[order])) + 1
        return list(np.split(order, cuts)) if len(order) else []


def build(names: pa.Array[Any], columns: list[pa.Array[Any]]) -> ConversationTrees:
    """Flatten the lists, sort the turns, and find each turn's parent."""
    lengths = pc.list_value_length(columns[0]).to_numpy(zero_copy_only=False).astype(np.int64)
    tree = np.repeat(np.arange(len(lengths)), lengths)
    turns = pa.table([pc.list_flatten(column) for column in columns], names=list(COLUMNS))
    position = turns["position"].to_numpy().astype(np.int64)
    codes, parents = turn_codes(turns["turn_id"].combine_chunks(), turns["parent_id"].combine_chunks())
    order = np.lexsort((codes, position, tree))
    turns, tree, position, codes, parents = turns.take(order), tree[order], position[order], codes[order], parents[order]
    width = int(codes.max(initial=-1)) + 1
    parent = np.where(parents == -1, -1, look_up(tree * width + codes, tree * width + parents))
    parent = np.where(parents == -2, -2, parent)
    parent = np.where((parent >= 0) & (position[np.maximum(parent, 0)] >= position), -2, parent)  # a parent stands above its child
    role = pc.index_in(turns["role"], ROLES).fill_null(-1).to_numpy().astype(np.int64)
    return ConversationTrees(turns, tree, names, parent, position, role)


def turn_codes(ids: pa.Array[Any], parents: pa.Array[Any]) -> tuple[Rows, Rows]:
    """Numbers for turn ids, in the ids' own order; parents: -1 none, -2 no such id."""
    known = pc.unique(ids)
    known = known.take(pc.sort_indices(known))
    codes = pc.index_in(ids, known).to_numpy(zero_copy_only=False).astype(np.int64)
    above = pc.index_in(parents, known).fill_null(-2).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, np.where(pc.is_null(parents).to_numpy(zero_copy_only=False), -1, above)


def look_up(keys: Rows, wanted: Rows) -> Rows:
    """Row of each wanted key, -2 where there is none."""
    if not len(keys):
        return np.full(len(wanted), -2)
    order = np.argsort(keys, kind="stable")
    place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    return np.where(keys[order][place] == wanted, order[place], -2)


def find_turns(forest: ConversationTrees, tree: Rows, ids: pa.Array[Any]) -> Rows:
    """Row of each turn id in its conversation, -2 where there is none."""
    codes, wanted = turn_codes(forest.turns["turn_id"].combine_chunks(), ids)
    width = int(codes.max(initial=-1)) + 1
    return np.where(wanted < 0, -2, look_up(forest.tree * width + codes, tree * width + wanted))


def blank(forest: ConversationTrees) -> Mask:
    """Turns without a text."""
    texts = pc.utf8_trim_whitespace(forest.turns["content"].fill_null(pa.scalar("")))
    return np.asarray(pc.equal(texts, pa.scalar("")).to_numpy())


def last_users(forest: ConversationTrees) -> Rows:
    """For each turn the row of the last user turn at or above it; itself where there is none."""
    found = np.where(forest.role == USER, np.arange(len(forest.role)), -1)
    for rows in forest.levels():
        below = rows[(found[rows] < 0) & (forest.parent[rows] >= 0)]
        found[below] = found[forest.parent[below]]
    return np.where(found < 0, np.arange(len(found)), found)
