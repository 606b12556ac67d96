"""Conversation trees to prompts and answers.

In: one row a conversation, its turns as lists, and the turns that people judged. Out, for each conversation:
its prompts in use, the answers to them, what each judged turn is, and what became of each turn.
Everything about one conversation is decided inside its row, so the work spreads over rows as the engine likes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.aggregate import implicit_feedback, selection_bias
from tasks.aggregate import prompt_ids as identity
from tasks.aggregate.conversation_tree import ASSISTANT, SYSTEM, TOOL, USER, ConversationTrees, blank, build, find_turns, last_users
from tasks.common.arrays import Mask, Rows, flat, nest, struct
from tasks.common.vocabulary.reasons.aggregate import (
    DELETED_BRANCH,
    NEEDS_MEDIA,
    NO_EVIDENCE,
    NO_PROMPT,
    NO_SUCH_TURN,
    NO_TEXT,
    NOT_AN_ANSWER,
    NOT_AN_ANSWER_PATH,
)
from tasks.core import engine
from tasks.core.tables import ORIGIN, PROMPT, TEXT, TEXTS

MESSAGE_PARTS = ("role", "content", "redacted", "attachments", "tool_calls", "tools")  # what `identity.extend` is given
UNJUDGED = ("none", "opening", "all")  # which prompts without votes are kept

PLACE = pa.struct(
    [
        ("prompt_id", TEXT),
        ("turn_id", TEXT),  # the prompt's last message
        ("prompt", PROMPT),
        ("users", TEXTS),  # who chatted
        ("language", TEXT),  # these three: of the last user turn
        ("topic", TEXT),
        ("source", TEXT),
    ]
)
ANSWER = pa.struct([("prompt_id", TEXT), ("response_id", TEXT), ("turn_id", TEXT), ("content", TEXT), ("model", TEXT), ("origin", ORIGIN)])
JUDGED = pa.struct([("turn_id", TEXT), ("fault", TEXT), ("prompt_id", TEXT), ("response_id", TEXT), ("stratum", pa.int32())])
TURN_STATUS = pa.struct([("turn_id", TEXT), ("dropped", TEXT)])
LISTS = {
    "places": PLACE,
    "answers": ANSWER,
    "judged": JUDGED,
    "fates": TURN_STATUS,
    "signals": implicit_feedback.SIGNAL,
    "heard": selection_bias.EXPOSURE,
}
READ = pa.struct([(name, pa.large_list(kind)) for name, kind in LISTS.items()])


def reader(unjudged: str, media: str, settings: implicit_feedback.Settings) -> Callable[..., daft.Expression]:
    """An expression that reads the trees: of the turn ids that feedback names, the conversation's id, and lists in the order of COLUMNS."""

    @engine.batch(READ)
    def read(judged: daft.Series, names: daft.Series, *columns: daft.Series) -> pa.Array[Any]:
        forest = build(names.to_arrow(), [column.to_arrow() for column in columns])
        return extract_candidates(forest, judged.to_arrow(), unjudged, media, settings)

    return read


def cut_off(forest: ConversationTrees) -> Mask:
    """Turns whose way up does not end at a root: one above them is missing."""
    cut: Mask = forest.parent == -2
    for rows in forest.levels():
        below = rows[forest.parent[rows] >= 0]
        cut[below] |= cut[forest.parent[below]]
    return cut


def with_media(forest: ConversationTrees) -> Mask:
    """Turns at or below a picture or a file, which the release does not hold."""
    files = pc.list_value_length(forest.turns["attachments"]).fill_null(0).to_numpy() > 0
    for rows in forest.levels():
        below = rows[forest.parent[rows] >= 0]
        files[below] |= files[forest.parent[below]]
    return np.asarray(files)


def answers_of(forest: ConversationTrees) -> tuple[Mask, Mask]:
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


def extract_candidates(
    forest: ConversationTrees, judged: pa.Array[Any], unjudged: str, media: str, settings: implicit_feedback.Settings
) -> pa.Array[Any]:
    """What the trees hold, one value of type READ a conversation."""
    answer, opening = answers_of(forest)
    unseen = answer & with_media(forest) if media == "drop" else np.zeros_like(answer)
    answer, opening = answer & ~unseen, opening & ~unseen
    judged_ids = pc.list_flatten(judged)
    judged_tree = np.repeat(np.arange(forest.trees), pc.list_value_length(judged).fill_null(0).to_numpy(zero_copy_only=False))
    judged_row = find_turns(forest, judged_tree, judged_ids)
    found = implicit_feedback.find(forest, answer, settings)
    prompts, held = found.answers()
    chosen = {"none": np.zeros_like(answer), "opening": opening, "all": answer}[unjudged].copy()
    hits = judged_row[judged_row >= 0]
    chosen[hits[answer[hits]]] = True
    in_use = np.zeros_like(answer)
    in_use[forest.parent[chosen]] = in_use[prompts] = True  # prompts, by their last message
    taken = answer & in_use[np.maximum(forest.parent, 0)]  # with a prompt come all its answers
    under, rows = counted_places(forest, taken, prompts, held)
    above = forest.ancestors(in_use)
    prompt_ids = name_prompts(forest, above, in_use)
    response_ids = name_answers(forest, under, rows, prompt_ids)
    fates = pc.if_else(pa.array(forest.ancestors(answer)), NO_EVIDENCE, NOT_AN_ANSWER_PATH)
    taken[held] = True
    fates = pc.if_else(pa.array(forest.ancestors(unseen) & ~forest.ancestors(answer)), pa.scalar(NEEDS_MEDIA, TEXT), fates.cast(TEXT))
    fates = pc.if_else(pa.array(above | taken), pa.scalar(None, TEXT), fates)
    stratum, heard_tree, heard = selection_bias.exposure(forest, answer, found.about)
    lists = [
        nest(forest.tree[in_use], forest.trees, places(forest, np.flatnonzero(in_use), prompt_ids)),
        nest(forest.tree[rows], forest.trees, answers(forest, under, rows, prompt_ids, response_ids)),
        nest(judged_tree, forest.trees, verdicts(forest, judged_ids, judged_row, (answer, unseen), prompt_ids, response_ids, stratum)),
        nest(forest.tree, forest.trees, struct(TURN_STATUS, forest.turns["turn_id"], fates)),
        nest(forest.tree[found.said], forest.trees, implicit_feedback.acts(forest, found, prompt_ids, response_ids)),
        nest(heard_tree, forest.trees, heard),
    ]
    return pa.StructArray.from_arrays(lists, fields=list(READ))


def counted_places(forest: ConversationTrees, taken: Mask, prompts: Rows, held: Rows) -> tuple[Rows, Rows]:
    """(prompt, answer) of the answers taken with their own prompts, and of those that signals put under another's; in order of answer."""
    own, other = np.flatnonzero(taken), forest.parent[held] != prompts
    under, rows = np.concatenate([forest.parent[own], prompts[other]]), np.concatenate([own, held[other]])
    order = np.lexsort((under, rows))
    return under[order], rows[order]


def name_prompts(forest: ConversationTrees, above: Mask, in_use: Mask) -> dict[int, str]:
    """Ids of the prompts in use, by the row of their last message; each message is hashed once."""
    rows = np.flatnonzero(above)
    messages = zip(*(forest.turns[name].take(rows).to_pylist() for name in MESSAGE_PARTS), strict=True)
    digests: dict[int, identity.Digest] = {-1: identity.START}
    ids: dict[int, str] = {}
    # rows are sorted by depth inside a tree, so a parent's digest is always there
    for row, parent, message, named in zip(rows.tolist(), forest.parent[rows].tolist(), messages, in_use[rows].tolist(), strict=True):
        digest = digests[row] = identity.extend(digests[parent], *message)
        if named:
            ids[row] = digest.hexdigest()
    return ids


def name_answers(forest: ConversationTrees, prompts: Rows, rows: Rows, prompt_ids: dict[int, str]) -> dict[tuple[int, int], str]:
    """Ids of the answers, by the rows of their prompt and their own."""
    contents = cast("list[str]", forest.turns["content"].take(rows).to_pylist())
    pairs = zip(prompts.tolist(), rows.tolist(), strict=True)
    return {pair: identity.response_id(prompt_ids[pair[0]], content) for pair, content in zip(pairs, contents, strict=True)}


def places(forest: ConversationTrees, rows: Rows, prompt_ids: dict[int, str]) -> pa.StructArray:
    """The prompts in use as PLACE."""
    up = forest.parent.tolist()
    path: list[int] = []
    ends: list[int] = [0]
    for row in rows.tolist():
        line: list[int] = []
        at = row
        while at >= 0:
            line.append(at)
            at = up[at]
        path.extend(reversed(line))
        ends.append(len(path))
    along, offsets, last = pa.array(path, pa.int64()), pa.array(ends, pa.int64()), last_users(forest)[rows]
    said = forest.turns.select(["role", "content", "tool_calls", "tool_call_id", "tool_name", "tools"]).take(along)
    messages = struct(PROMPT.value_type, said["role"], said["content"].fill_null(pa.scalar("")), *said.columns[2:])
    users = pa.LargeListArray.from_arrays(offsets, flat(forest.turns["user_id"].take(along)))
    strata = [forest.turns[name].take(last) for name in ("language", "topic", "source")]
    ids = pa.array([prompt_ids[row] for row in rows.tolist()], TEXT)
    return struct(PLACE, ids, forest.turns["turn_id"].take(rows), pa.LargeListArray.from_arrays(offsets, messages), users, *strata)


def answers(
    forest: ConversationTrees, under: Rows, rows: Rows, prompt_ids: dict[int, str], response_ids: dict[tuple[int, int], str]
) -> pa.StructArray:
    """The answers, each under its prompt, as ANSWER."""
    at = forest.turns.take(rows)
    prompts = pa.array([prompt_ids[row] for row in under.tolist()], TEXT)
    responses = pa.array([response_ids[pair] for pair in zip(under.tolist(), rows.tolist(), strict=True)], TEXT)
    return struct(ANSWER, prompts, responses, at["turn_id"], at["content"], at["model"], at["origin"])


def verdicts(
    forest: ConversationTrees,
    ids: pa.Array[Any],
    rows: Rows,
    answers: tuple[Mask, Mask],
    prompt_ids: dict[int, str],
    response_ids: dict[tuple[int, int], str],
    stratum: Rows,
) -> pa.StructArray:
    """What the judged turns are, as JUDGED: an answer, or why not; `answers` are those that are used, and those that need media."""
    answer, unseen = answers
    found, at = rows >= 0, np.maximum(rows, 0)
    fault = np.where(blank(forest)[at], NO_TEXT, NO_PROMPT).astype(object)
    fault[forest.role[at] != ASSISTANT] = NOT_AN_ANSWER
    fault[unseen[at]] = NEEDS_MEDIA
    fault[cut_off(forest)[at]] = DELETED_BRANCH
    fault[~found] = NO_SUCH_TURN
    fault[found & answer[at]] = None
    good = [int(row) if why is None else -1 for row, why in zip(rows.tolist(), fault.tolist(), strict=True)]
    prompts = [prompt_ids[int(forest.parent[row])] if row >= 0 else None for row in good]
    responses = [response_ids[int(forest.parent[row]), row] if row >= 0 else None for row in good]
    named = (pa.array(column, TEXT) for column in (fault.tolist(), prompts, responses))
    return struct(JUDGED, ids, *named, pa.array(np.where(found, stratum[at], -1)))
