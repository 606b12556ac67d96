"""Stage `dedupe`: merge exact and near copies of conversations, keeping every vote.

In and out: turns and feedback. Two conversations are copies when the texts of all their messages but the system's, in the table's order,
joined by one space and normalised (`tasks.common.similarity`), are equal or alike, and when they are one chat question by question and
answer by
answer (`tasks.dedupe.same_chat`). Two answers to one prompt, which stand in one conversation, are never compared with each other. Of a
group of copies one conversation stays: the one with most copies, then the one with most feedback, then the earliest, then the one with the
smallest id. What is no copy of the one that stays stays too, however many copies lie between them (`tasks.dedupe.merging`).

A conversation that was exported before it ended, all of whose messages are the beginning of another's, of the same person or from the same
moment on, goes in favour of that one, too.

The turns of the others are dropped as `exact_copy` (equal text), `near_copy` or `earlier_copy`, with `copy_of` (the conversation that
stays) and `similarity` (their exact Jaccard similarity to it).

What people said moves to the equal turn of the conversation that stays, and only to an equal answer to an equal prompt. A judged turn
without an equal there moves along, with the questions above it that have none: their rows are kept, with new ids
(`tasks.dedupe.align`). Feedback is dropped in two cases: `repeated`, when the merge shows it to be the same act as another row (of the
same person, or of nobody known at the same moment), and `no_turn`, when it judges a turn that is not in the copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import daft
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from daft import col

from tasks.common.arrays import filled, mask
from tasks.common.similarity.near_copies import jaccard, near_rows
from tasks.common.similarity.ngrams import Hashes, Places, digests, folded, measured, mixed
from tasks.common.vocabulary.reasons import dedupe as why
from tasks.common.vocabulary.roles import ASSISTANT, SYSTEM
from tasks.common.wording import OneLetter
from tasks.core import engine
from tasks.core.engine import Tables
from tasks.core.ids import ConversationId
from tasks.core.tables import TEXT, Turns, put
from tasks.dedupe.align import PARTS, align, named
from tasks.dedupe.merging import Limits, Merging, Standing
from tasks.dedupe.same_chat import ANSWER, QUESTION, Chats, SameChat
from tasks.dedupe.snapshots import beginnings

NEVER = np.iinfo(np.int64).max  # in place of the time of a message that has none
WRITES = ("turns", "feedback")
REFERENCES = ("turn_id", "better", "worse", "shown_first")  # columns of feedback that name turns
# Two rows that agree in all of these, after the merge, are one act told twice.
ACT = (
    "conversation_id",
    *REFERENCES,
    "kind",
    "value",
    "scale_min",
    "scale_max",
    "label",
    "text",
    "annotator",
    "annotator_kind",
    "created_at",
)
PLACE = ("conversation_id", "turn_id", "parent_id", "position")
FATE = pa.struct(
    [(name, pa.int32() if name == "position" else TEXT) for name in PLACE]
    + [("dropped", TEXT), ("copy_of", TEXT), ("similarity", pa.float64())]
)


class Params(Limits):
    """Parameters of `dedupe`: what counts as a near copy."""


def run(tables: Tables, params: Params) -> Tables:
    """Turns and feedback without copies."""
    turns, feedback = tables["turns"], engine.to_arrow(tables["feedback"], tables["feedback"].schema().to_pyarrow_schema())
    copies = find_copies(read_conversations(turns, params.same_chat.common), feedback, params)
    targets = find_targets(turns, feedback, copies, params)
    return {"turns": merge_turns(turns, copies, targets), "feedback": daft.from_arrow(merge_feedback(feedback, copies, targets))}


@dataclass(frozen=True)
class Conversations:
    """One element a conversation, in the order of their ids."""

    ids: pa.Array[Any]
    chats: Chats
    created: Places  # microseconds of the earliest message; a conversation without times comes last
    begins: tuple[Places, Places]  # conversations that are the beginning of another, and that one


SAID = ("conversation_id", "position", "turn_id", "created_at", "role", "redacted", "attachments", "tool_calls", "tools", "user_id")


def read_conversations(turns: daft.DataFrame, common: int) -> Conversations:
    """Gather each conversation's messages; texts in more than `common` conversations are marked."""

    @engine.batch(TEXT)
    def fold(texts: daft.Series) -> pa.Array[Any]:
        return folded(texts.to_arrow())

    rows = engine.sort(turns.select(*SAID, fold(col("content")).alias("content")).to_arrow(), Turns.KEY)
    names = rows["conversation_id"].combine_chunks()
    heads = np.flatnonzero(np.concatenate([[True], pc.not_equal(names[1:], names[:-1]).to_numpy(zero_copy_only=False)])[: len(names)])
    talk = np.repeat(np.arange(len(heads)), np.diff(np.append(heads, len(names))))
    created = filled(rows["created_at"].cast(pa.int64()), NEVER).to_numpy()
    earliest = np.minimum.reduceat(created, heads) if len(heads) else created
    marks = people_of(rows, talk, len(heads)), np.where(earliest == NEVER, 0, earliest).astype(np.uint64)
    contents = measured(rows["content"].combine_chunks())
    begins = beginnings(hashes_of(rows, contents[0]), talk, rows["position"].to_numpy().astype(np.int64), heads, marks)
    return Conversations(names.take(pa.array(heads, pa.int64())), gather_chats(rows, contents, talk, len(heads), common), earliest, begins)


def hashes_of(rows: pa.Table, contents: Hashes) -> Hashes:
    """A hash of each turn: who says what (`contents` are the hashes of the texts), and what the text does not show."""
    roles = rows["role"].combine_chunks().dictionary_encode()
    role = digests(roles.dictionary)[roles.indices.to_numpy()]
    every = np.arange(len(rows))
    unseen = (summed(rows[name], every, len(rows), pc.is_valid(rows[name]).to_numpy()) for name in ("redacted", "tools"))
    values, tools = unseen
    return mixed(mixed(contents) + role) ^ values ^ mixed(tools)


def people_of(rows: pa.Table, talk: Places, count: int) -> Hashes:
    """A hash of who chats in each conversation; 0 where that is not known."""
    found = np.zeros(count, np.uint64)
    known = pc.is_valid(rows["user_id"]).to_numpy()
    np.maximum.at(found, talk[known], digests(rows["user_id"].filter(pa.array(known)).combine_chunks()))
    return found


def gather_chats(rows: pa.Table, contents: tuple[Hashes, Places], talk: Places, count: int, common: int) -> Chats:
    """The chats of `count` conversations, whose number is `talk`, row by row; `contents` are the hashes and words of the texts."""
    system = mask(pc.equal(rows["role"], pa.scalar(SYSTEM)))
    spoken = pa.array(~system)
    texts, at = rows["content"].filter(spoken).combine_chunks(), talk[~system]
    hashes, words = contents[0][~system], contents[1][~system]
    is_answer = mask(pc.equal(rows["role"], pa.scalar(ASSISTANT)))
    bounds = np.searchsorted(at, np.arange(count + 1))
    return Chats(
        texts=pa.LargeListArray.from_arrays(pa.array(bounds, pa.int64()), texts),
        sides=np.where(is_answer[~system], ANSWER, QUESTION).astype(np.int8),
        hashes=hashes,
        words=words,
        common=is_common(hashes, at, is_answer[~system], common),
        settings=setting_of(rows, talk, count, system),
        redacted=summed(rows["redacted"], talk, count, pc.is_valid(rows["redacted"]).to_numpy() & ~system & ~is_answer),
    )


def is_common(texts: Hashes, talk: Places, answers: npt.NDArray[np.bool_], common: int) -> npt.NDArray[np.bool_]:
    """Which messages are answers whose text (told by its hash) stands in more than `common` conversations."""
    ordered = np.sort(texts[answers])
    often = np.unique(ordered[common:][ordered[common:] == ordered[:-common]])  # met more often than `common`: few, and only these count
    rows = np.flatnonzero(answers & np.isin(texts, often))
    text, width = np.searchsorted(often, texts[rows]), int(talk.max(initial=0)) + 1
    met = np.bincount(np.unique(text * width + talk[rows]) // width)
    found = np.zeros(len(texts), bool)
    found[rows] = met[text] > common
    return found


def setting_of(rows: pa.Table, talk: Places, count: int, system: npt.NDArray[np.bool_]) -> Hashes:
    """A hash a conversation of its system turns, its attachments, its tool calls and the tools that were offered."""
    calls, files = rows["tool_calls"], cast("pa.ChunkedArray[Any]", pc.binary_join(rows["attachments"], pa.scalar(" ", TEXT)))
    shown = summed(rows["content"], talk, count, system)
    called = mixed(summed(calls, talk, count, pc.is_valid(calls).to_numpy()))
    offered = mixed(mixed(summed(rows["tools"], talk, count, pc.is_valid(rows["tools"]).to_numpy())))
    return shown ^ summed(files, talk, count, pc.is_valid(files).to_numpy()) ^ called ^ offered


def summed(column: pa.ChunkedArray[Any], talk: Places, count: int, mask: npt.NDArray[np.bool_]) -> Hashes:
    """A hash a conversation of some of its values; a sum, for the order of turns of equal depth is nobody's."""
    found = np.zeros(count, np.uint64)
    np.add.at(found, talk[mask], mixed(digests(column.filter(pa.array(mask)).combine_chunks())))
    return found


def find_copies(conversations: Conversations, feedback: pa.Table, params: Params) -> pa.Table:
    """The conversations to drop: `conversation_id`, `dropped` (the reason), `copy_of`, `similarity`; sorted by id."""
    chats = conversations.chats
    pairs = near_rows(chats.texts, params, chats.hidden)
    left, right, equal = pairs.left, pairs.right, pairs.whole[pairs.left] == pairs.whole[pairs.right]
    early, later = proven(chats, *conversations.begins, params.same_chat)
    whole = ~np.isin(left, early) & ~np.isin(right, early)  # earlier states go whatever else they are like
    left, right, equal = left[whole], right[whole], equal[whole]
    kept = equal.copy()
    kept[~equal] = chats.one_chat(left[~equal], right[~equal], params.same_chat)
    left, right = left[kept], right[kept]
    found = Merging(chats, pairs.whole, params).stars(left, right, Standing(_votes(conversations.ids, feedback), conversations.created))
    last = np.arange(len(conversations.ids))
    last[found.copy] = found.stays
    copy, stays = np.concatenate([found.copy, early]), np.concatenate([found.stays, last[later]])
    similarity = np.concatenate([found.similarity, jaccard(chats.texts, last[later], early, params.shingle_words)])
    reason = np.where(pairs.whole[copy] == pairs.whole[stays], why.EXACT_COPY, why.NEAR_COPY).astype(object)
    reason[len(found.copy) :] = why.EARLIER_COPY
    order = pa.array(np.argsort(copy), pa.int64())
    columns = {
        "conversation_id": conversations.ids.take(pa.array(copy)),
        "dropped": pa.array(reason, TEXT),
        "copy_of": conversations.ids.take(pa.array(stays)),
        "similarity": pa.array(similarity),
    }
    return pa.table(columns).take(order)


def proven(chats: Chats, early: Places, later: Places, limits: SameChat) -> tuple[Places, Places]:
    """Of the beginnings of other conversations those that are earlier states of them: their answers are not what many are told."""
    telling = np.array([chats.telling(int(row)) for row in early], np.int64)
    return early[telling >= limits.min_answer_words], later[telling >= limits.min_answer_words]


def _votes(ids: pa.Array[Any], feedback: pa.Table) -> Places:
    """Number of acts of feedback about each conversation."""
    places = pc.index_in(feedback["conversation_id"], value_set=ids)
    return np.bincount(places.drop_null().to_numpy(), minlength=len(ids))


def find_targets(turns: daft.DataFrame, feedback: pa.Table, copies: pa.Table, params: Params) -> pa.Table:
    """Where the judged turns of the copies went, as `tasks.dedupe.align.TARGETS`."""
    about_copies = feedback.filter(pc.is_in(feedback["conversation_id"], value_set=copies["conversation_id"]))
    copies = copies.filter(pc.is_in(copies["conversation_id"], value_set=about_copies["conversation_id"]))
    involved = pc.unique(pa.chunked_array([*copies["conversation_id"].chunks, *copies["copy_of"].chunks], TEXT))
    columns = [*PLACE, "role", *PARTS]
    involved_ids = daft.from_arrow(pa.table([involved], names=["conversation_id"]))
    rows = turns.select(*columns).join(involved_ids, on="conversation_id", how="semi").to_arrow()
    judged = pa.chunked_array(
        [chunk for name in REFERENCES for chunk in named(about_copies["conversation_id"], about_copies[name]).chunks], TEXT
    )
    ids, stays = (cast("list[ConversationId]", copies[name].to_pylist()) for name in ("conversation_id", "copy_of"))
    one_letter = OneLetter(params.same_chat.misspelt_question_chars, params.same_chat.misspelt_answer_chars)
    distinct = cast("pa.Array[Any]", judged.drop_null().unique())
    return align(engine.sort(rows, Turns.KEY), dict(zip(ids, stays, strict=True)), distinct, one_letter)


def merge_turns(turns: daft.DataFrame, copies: pa.Table, targets: pa.Table) -> daft.DataFrame:
    """All turns: those of copies dropped, save those that move along, which get their new place."""
    moving = targets.filter(targets["moves"])
    names = named(moving["conversation_id"], moving["turn_id"])

    @engine.batch(FATE)
    def fate(conversation: daft.Series, turn: daft.Series, parent: daft.Series, position: daft.Series) -> pa.Array[Any]:
        place = pa.record_batch([column.to_arrow() for column in (conversation, turn, parent, position)], list(PLACE))
        return _turn_status(place, copies, moving, names)

    rest = [name for name in turns.column_names if name not in PLACE]
    return turns.select(fate(*(col(name) for name in PLACE)).unnest(), *rest)


def _turn_status(place: pa.RecordBatch, copies: pa.Table, moving: pa.Table, names: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """The columns of FATE for turns in the given places."""
    copy = pc.index_in(place["conversation_id"], value_set=copies["conversation_id"])
    concerned = pc.is_valid(copy)
    moves = pc.index_in(named(*(place[name].filter(concerned) for name in ("conversation_id", "turn_id"))), value_set=names)
    found = pc.is_valid(moves)
    mask = pc.replace_with_mask(concerned, concerned, found)  # the turns that move along
    fresh = moving.take(moves.filter(found))
    columns = [
        pc.replace_with_mask(place[name], mask, fresh[to].combine_chunks())
        for name, to in zip(PLACE, ("to_conversation", "to_turn", "to_parent", "to_position"), strict=True)
    ]
    dropped = pc.if_else(mask, pa.scalar(None, copy.type), copy)
    columns += [copies[name].combine_chunks().take(dropped) for name in ("dropped", "copy_of", "similarity")]
    return pa.StructArray.from_arrays(columns, fields=list(FATE))


def merge_feedback(feedback: pa.Table, copies: pa.Table, targets: pa.Table) -> pa.Table:
    """All feedback, about the conversations that stay."""
    names = named(targets["conversation_id"], targets["turn_id"])
    copy = pc.index_in(feedback["conversation_id"], value_set=copies["conversation_id"])
    moved = pc.is_valid(copy)
    lost: pa.BooleanArray | pa.ChunkedArray[pa.BooleanScalar] = pa.chunked_array([pa.nulls(len(feedback), pa.bool_())])
    changed = feedback
    for name in REFERENCES:
        target = pc.index_in(named(feedback["conversation_id"], feedback[name]), value_set=names)
        lost = pc.or_kleene(lost, pc.and_(moved, pc.and_(pc.is_valid(feedback[name]), pc.is_null(target))))
        changed = put(changed, name, pc.if_else(pc.is_valid(target), targets["to_turn"].take(target), feedback[name]))
    lost = filled(lost, False)
    stays: pa.ChunkedArray[Any] = pc.if_else(moved, copies["copy_of"].take(copy), feedback["conversation_id"])
    changed = put(changed, "conversation_id", stays)
    repeated = pc.and_(_repeated(changed, pc.is_in(stays, value_set=copies["copy_of"])), pc.invert(lost))
    reason = pc.if_else(lost, pa.scalar(why.NO_TURN, TEXT), pc.if_else(repeated, pa.scalar(why.REPEATED, TEXT), pa.scalar(None, TEXT)))
    # what was lost is written as it was told
    kept = {name: pc.if_else(lost, feedback[name], changed[name]) for name in ("conversation_id", *REFERENCES)}
    for name, column in kept.items():
        changed = put(changed, name, column)
    return changed.append_column("dropped", reason)


def _repeated(feedback: pa.Table, merged: pa.BooleanArray) -> pa.BooleanArray:
    """Acts alone and about a merged conversation that an act with a smaller id tells as well, of the same person or of the same moment."""
    known = pc.or_(pc.is_valid(feedback["annotator"]), pc.is_valid(feedback["created_at"]))
    single = pc.and_(merged, pc.and_(known, pc.is_null(feedback["group"])))
    rows = feedback.filter(single)
    firsts = rows.group_by(list(ACT)).aggregate([("feedback_id", "min")])["feedback_id_min"]
    return pc.and_(single, pc.invert(pc.is_in(feedback["feedback_id"], value_set=firsts)))
