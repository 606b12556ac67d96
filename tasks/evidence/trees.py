"""Conversation trees to prompts and answers.

In: one row a conversation, its turns as lists, and the turns that people judged. Out, for each conversation:
its prompts in use, the answers to them, what each judged turn is, and what became of each turn.
Everything about one conversation is decided inside its row, so the work spreads over rows as the engine likes.
"""

from __future__ import annotations

from dataclasses import dataclass

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core import engine
from tasks.core.tables import MESSAGES, ORIGIN, TEXT, TEXTS
from tasks.evidence import identity
from tasks.evidence.lists import Mask, Rows, flat, nest, struct

ROLES = pa.array(["system", "user", "assistant", "tool"], TEXT)
SYSTEM, USER, ASSISTANT, TOOL = range(4)
UNJUDGED = ("none", "opening", "all")  # which prompts without votes are kept

PLACE = pa.struct(
    [
        ("prompt_id", TEXT),
        ("turn_id", TEXT),  # the prompt's last message
        ("prompt", MESSAGES),
        ("users", TEXTS),  # who chatted
        ("language", TEXT),  # these three: of the last user turn
        ("topic", TEXT),
        ("source", TEXT),
    ]
)
ANSWER = pa.struct([("prompt_id", TEXT), ("response_id", TEXT), ("turn_id", TEXT), ("content", TEXT), ("model", TEXT), ("origin", ORIGIN)])
JUDGED = pa.struct([("turn_id", TEXT), ("fault", TEXT), ("prompt_id", TEXT), ("response_id", TEXT)])
FATE = pa.struct([("turn_id", TEXT), ("dropped", TEXT)])
READ = pa.struct([(n, pa.large_list(t)) for n, t in (("places", PLACE), ("answers", ANSWER), ("judged", JUDGED), ("fates", FATE))])

COLUMNS = ("turn_id", "parent_id", "position", "role", "content", "model", "user_id", "language", "topic", "source", "origin")


@dataclass(frozen=True)
class Forest:
    """The trees of one batch of conversations, flat: one row a turn, in order of conversation and depth."""

    turns: pa.Table
    tree: Rows  # number of the conversation
    trees: int
    parent: Rows  # row of the parent, -1 at a root, -2 where the parent is missing
    level: Rows
    role: Rows  # index into ROLES; -1: another

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


@engine.batch(READ)
def read(judged: daft.Series, unjudged: str, *columns: daft.Series) -> pa.Array:
    """Read the trees; `columns` are lists in the order of COLUMNS, `judged` the turn ids that feedback names."""
    forest = plant([column.to_arrow() for column in columns])
    return harvest(forest, judged.to_arrow(), unjudged)


def plant(columns: list[pa.Array]) -> Forest:
    """Flatten the lists, sort the turns, and find each turn's parent."""
    lengths = pc.list_value_length(columns[0]).to_numpy(zero_copy_only=False).astype(np.int64)
    tree = np.repeat(np.arange(len(lengths)), lengths)
    turns = pa.table([pc.list_flatten(column) for column in columns], names=list(COLUMNS))
    position = turns["position"].to_numpy().astype(np.int64)
    codes, parents = turn_codes(turns["turn_id"].combine_chunks(), turns["parent_id"].combine_chunks())
    order = np.lexsort((codes, position, tree))
    turns, tree, position, codes, parents = turns.take(pa.array(order)), tree[order], position[order], codes[order], parents[order]
    width = int(codes.max(initial=-1)) + 1
    parent = np.where(parents == -1, -1, look_up(tree * width + codes, tree * width + parents))
    parent = np.where(parents == -2, -2, parent)
    parent = np.where((parent >= 0) & (position[np.maximum(parent, 0)] >= position), -2, parent)  # a parent stands above its child
    role = pc.fill_null(pc.index_in(turns["role"], ROLES), -1).to_numpy().astype(np.int64)
    return Forest(turns, tree, len(lengths), parent, position, role)


def turn_codes(ids: pa.Array, parents: pa.Array) -> tuple[Rows, Rows]:
    """Numbers for turn ids, in the ids' own order; parents: -1 none, -2 no such id."""
    known = pc.unique(ids)
    known = known.take(pc.sort_indices(known))
    codes = pc.index_in(ids, known).to_numpy(zero_copy_only=False).astype(np.int64)
    above = pc.fill_null(pc.index_in(parents, known), -2).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, np.where(pc.is_null(parents).to_numpy(zero_copy_only=False), -1, above)


def look_up(keys: Rows, wanted: Rows) -> Rows:
    """Row of each wanted key, -2 where there is none."""
    if not len(keys):
        return np.full(len(wanted), -2)
    order = np.argsort(keys, kind="stable")
    place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    return np.where(keys[order][place] == wanted, order[place], -2)


def blank(forest: Forest) -> Mask:
    """Turns without a text."""
    texts = pc.utf8_trim_whitespace(pc.fill_null(forest.turns["content"], ""))
    return np.asarray(pc.equal(texts, "").to_numpy())


def answers_of(forest: Forest) -> tuple[Mask, Mask]:
    """Which turns are answers to a usable prompt, and which of them open their conversation.

    A prompt is usable when it goes back to a root, ends with a user or a tool, and has system turns only at its beginning.
    """
    sound = np.zeros(len(forest.role), bool)
    leading = np.zeros(len(forest.role), bool)  # only system turns so far
    below_answer = np.zeros(len(forest.role), bool)
    answer = np.zeros(len(forest.role), bool)
    empty = blank(forest)
    for rows in forest.levels():
        role, root, inside = forest.role[rows], forest.parent[rows] == -1, forest.parent[rows] >= 0
        above = np.maximum(forest.parent[rows], 0)  # only looked at where inside
        may_lead = root | (inside & leading[above])
        sound[rows] = (root | (inside & sound[above])) & (role >= 0) & ((role != SYSTEM) | may_lead)
        leading[rows] = may_lead & (role == SYSTEM)
        asked = inside & sound[above] & np.isin(forest.role[above], (USER, TOOL))
        answer[rows] = asked & sound[rows] & (role == ASSISTANT) & ~empty[rows]
        below_answer[rows] = inside & (below_answer[above] | answer[above])
    return answer, answer & ~below_answer


def harvest(forest: Forest, judged: pa.Array, unjudged: str) -> pa.Array:
    """What the trees hold, one value of type READ a conversation."""
    answer, opening = answers_of(forest)
    judged_ids = pc.list_flatten(judged)
    judged_tree = np.repeat(np.arange(forest.trees), pc.fill_null(pc.list_value_length(judged), 0).to_numpy(zero_copy_only=False))
    judged_row = find_turns(forest, judged_tree, judged_ids)
    chosen = {"none": np.zeros_like(answer), "opening": opening, "all": answer}[unjudged].copy()
    hits = judged_row[judged_row >= 0]
    chosen[hits[answer[hits]]] = True
    in_use = np.zeros_like(answer)
    in_use[forest.parent[chosen]] = True  # prompts, by their last message
    taken = answer & in_use[np.maximum(forest.parent, 0)]  # with a prompt come all its answers
    above = forest.ancestors(in_use)
    prompt_ids = name_prompts(forest, above, in_use)
    response_ids = name_answers(forest, np.flatnonzero(taken), prompt_ids)
    fates = pc.if_else(pa.array(forest.ancestors(answer)), "no_evidence", "not_an_answer_path")
    fates = pc.if_else(pa.array(above | taken), pa.scalar(None, TEXT), fates.cast(TEXT))
    lists = [
        nest(forest.tree[in_use], forest.trees, places(forest, np.flatnonzero(in_use), prompt_ids)),
        nest(forest.tree[taken], forest.trees, answers(forest, np.flatnonzero(taken), prompt_ids, response_ids)),
        nest(judged_tree, forest.trees, verdicts(forest, judged_ids, judged_row, answer, prompt_ids, response_ids)),
        nest(forest.tree, forest.trees, struct(FATE, forest.turns["turn_id"], fates)),
    ]
    return pa.StructArray.from_arrays(lists, fields=list(READ))


def find_turns(forest: Forest, tree: Rows, ids: pa.Array) -> Rows:
    """Row of each turn id in its conversation, -2 where there is none."""
    codes, wanted = turn_codes(forest.turns["turn_id"].combine_chunks(), ids)
    width = int(codes.max(initial=-1)) + 1
    return np.where(wanted < 0, -2, look_up(forest.tree * width + codes, tree * width + wanted))


def name_prompts(forest: Forest, above: Mask, in_use: Mask) -> dict[int, str]:
    """Ids of the prompts in use, by the row of their last message; each message is folded and hashed once."""
    rows = np.flatnonzero(above)
    roles, contents = forest.turns["role"].take(pa.array(rows)).to_pylist(), forest.turns["content"].take(pa.array(rows)).to_pylist()
    digests: dict[int, identity.Digest] = {-1: identity.START}
    ids: dict[int, str] = {}
    # rows are sorted by depth inside a tree, so a parent's digest is always there
    for row, parent, role, content, named in zip(
        rows.tolist(), forest.parent[rows].tolist(), roles, contents, in_use[rows].tolist(), strict=True
    ):
        digest = digests[row] = identity.extend(digests[parent], role, content or "")
        if named:
            ids[row] = digest.hexdigest()
    return ids


def name_answers(forest: Forest, rows: Rows, prompt_ids: dict[int, str]) -> dict[int, str]:
    """Ids of the answers, by row."""
    contents = forest.turns["content"].take(pa.array(rows)).to_pylist()
    parents = forest.parent[rows].tolist()
    return {row: identity.response_id(prompt_ids[up], content) for row, up, content in zip(rows.tolist(), parents, contents, strict=True)}


def places(forest: Forest, rows: Rows, prompt_ids: dict[int, str]) -> pa.StructArray:
    """The prompts in use as PLACE."""
    up, user = forest.parent.tolist(), (forest.role == USER).tolist()
    path: list[int] = []
    ends: list[int] = [0]
    asked: list[int] = []
    for row in rows.tolist():
        line: list[int] = []
        at, last_user = row, -1
        while at >= 0:
            line.append(at)
            last_user = at if last_user < 0 and user[at] else last_user
            at = up[at]
        path.extend(reversed(line))
        ends.append(len(path))
        asked.append(last_user if last_user >= 0 else row)
    along, offsets, last = pa.array(path, pa.int64()), pa.array(ends, pa.int64()), pa.array(asked, pa.int64())
    messages = struct(MESSAGES.value_type, forest.turns["role"].take(along), forest.turns["content"].take(along))
    users = pa.LargeListArray.from_arrays(offsets, flat(forest.turns["user_id"].take(along)))
    strata = [forest.turns[name].take(last) for name in ("language", "topic", "source")]
    ids = pa.array([prompt_ids[row] for row in rows.tolist()], TEXT)
    return struct(
        PLACE, ids, forest.turns["turn_id"].take(pa.array(rows)), pa.LargeListArray.from_arrays(offsets, messages), users, *strata
    )


def answers(forest: Forest, rows: Rows, prompt_ids: dict[int, str], response_ids: dict[int, str]) -> pa.StructArray:
    """The answers as ANSWER."""
    at = forest.turns.take(pa.array(rows))
    prompts = pa.array([prompt_ids[row] for row in forest.parent[rows].tolist()], TEXT)
    responses = pa.array([response_ids[row] for row in rows.tolist()], TEXT)
    return struct(ANSWER, prompts, responses, at["turn_id"], at["content"], at["model"], at["origin"])


def verdicts(
    forest: Forest, ids: pa.Array, rows: Rows, answer: Mask, prompt_ids: dict[int, str], response_ids: dict[int, str]
) -> pa.StructArray:
    """What the judged turns are, as JUDGED: an answer, or why not."""
    found, at = rows >= 0, np.maximum(rows, 0)
    fault = np.where(blank(forest)[at], "no_text", "no_prompt").astype(object)
    fault[forest.role[at] != ASSISTANT] = "not_an_answer"
    fault[~found] = "no_such_turn"
    fault[found & answer[at]] = None
    good = [int(row) if why is None else -1 for row, why in zip(rows.tolist(), fault.tolist(), strict=True)]
    prompts = [prompt_ids[int(forest.parent[row])] if row >= 0 else None for row in good]
    responses = [response_ids[row] if row >= 0 else None for row in good]
    return struct(JUDGED, ids, pa.array(fault.tolist(), TEXT), pa.array(prompts, TEXT), pa.array(responses, TEXT))
