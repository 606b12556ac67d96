"""What lies in two splits all the same, and what is taken out so that nothing does.

Links are given up inside giants, prompts that many meet ("hi") do not link the people who say them, and new rows may link what an earlier
release had parted. So each user, conversation, long answer, first user turn and cluster has one home: that of the earlier release, else the
split in which most of its rows lie (prompts that many meet count only where there are no others; a draw is settled by a hash). In the rows
of another split, what belongs elsewhere is stripped:

- a row whose first user turn or cluster belongs elsewhere goes whole;
- of any other row go the conversations that belong elsewhere or in which somebody chatted who does, the answers that only they gave,
  the long answers that belong elsewhere, and the votes given in those conversations, by such people, or about such answers.
  What is counted over votes and conversations is counted anew. A row without conversations or answers left goes whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common import candidate_sums
from tasks.common.arrays import Mask, Rows, filled, find, flat, nest, numbers, owners, struct
from tasks.common.links import Keyed
from tasks.common.similarity import digests
from tasks.common.vocabulary.kinds import PERSON, REWRITES
from tasks.common.vocabulary.reasons.split import CROSSES_SPLIT
from tasks.common.vocabulary.splits import SPLITS
from tasks.core.ids import stable_id
from tasks.core.tables import RESPONSE, TEXT, TEXTS, VOTE, Candidates, Votes

NOBODY = pa.nulls(0, TEXT)


@dataclass(frozen=True)
class HomeSplit:
    """The values of one key that are met outside the split where they belong, and where that is (index into SPLITS)."""

    names: pa.Array[Any]
    homes: Rows
    touched: Mask  # rows that hold a value which belongs elsewhere
    of_value: Rows  # where each value of the key belongs, by code; -1 for those of no row that is counted

    def elsewhere(self, values: pa.Array[Any], split: Rows) -> Mask:
        """Which of the values, each in a row of the given split, belong to another one."""
        at = find(values, self.names)
        return np.asarray((at >= 0) & (np.append(self.homes, -1)[at] != split))


def home_splits(values: Keyed, split: Rows, common_row: Mask, counted: Mask, known: Rows | None = None) -> HomeSplit:
    """Where each value belongs, over the rows that are counted; `known` is where it belongs since an earlier release, by code, or -1."""
    values = values.where(counted[values.rows])
    width, place = len(SPLITS), values.codes * len(SPLITS) + split[values.rows]
    rows = np.bincount(place, minlength=len(values.names) * width).reshape(-1, width)
    plain = np.bincount(place, weights=~common_row[values.rows], minlength=rows.size).reshape(-1, width)
    met = rows.any(axis=1)
    order = plain * (len(split) + 1.0) + rows
    of_value = np.where(met, order.argmax(axis=1), -1) if len(order) else np.empty(0, np.int64)
    best = order.max(axis=1, initial=0)
    for at in np.flatnonzero(met & ((order == best[:, None]).sum(axis=1) > 1)).tolist():
        level = np.flatnonzero(order[at] == best[at])
        of_value[at] = level[int(stable_id("home", str(values.names[at].as_py())), 16) % len(level)]
    if known is not None:
        of_value = np.where(met & (known >= 0) & (known < width), known, of_value)
    there = of_value[values.codes]
    away = there != split[values.rows]
    touched = np.zeros(len(split), bool)
    touched[values.rows[away]] = True
    crossing = np.unique(values.codes[away])
    return HomeSplit(values.names.take(pa.array(crossing)), of_value[crossing], touched, of_value)


class Conversations:
    """The conversations of some rows, and which of them are to go from which row."""

    def __init__(self, rows: pa.Table, split: Rows, home: Mapping[str, HomeSplit]) -> None:
        parts = flat(rows["parts"])
        self.parts, self.owner = pc.list_flatten(parts), owners(parts)
        conversations = pc.struct_field(self.parts, "conversation")
        self.names = pc.unique(conversations)
        of_part = split[self.owner]
        elsewhere = home["conversation"].elsewhere(conversations, of_part)
        elsewhere |= home["user"].elsewhere(pc.struct_field(self.parts, "user"), of_part)
        self.leaving = np.unique(self.keys(self.owner, conversations)[elsewhere])

    def keys(self, owner: Rows, conversations: pa.Array[Any]) -> Rows:
        """One number for a row and a conversation; negative for one that is not known."""
        at = find(conversations, self.names)
        return np.where(at < 0, -1, owner * len(self.names) + at)

    def gone(self, owner: Rows, conversations: pa.Array[Any]) -> Mask:
        """Whether the conversation is to go from the row."""
        return np.isin(self.keys(owner, conversations), self.leaving)

    def of_turns(self, turns: pa.Array[Any]) -> pa.Array[Any]:
        """The conversation in "conversation/turn"; both may hold slashes themselves."""
        found = turns
        while True:
            unknown = pc.and_(pc.invert(pc.is_in(found, value_set=self.names)), pc.match_substring(found, "/"))
            if not pc.any(unknown).as_py():
                return found
            found = pc.if_else(unknown, pc.replace_substring_regex(found, r"/[^/]*$", ""), found)


@dataclass(frozen=True)
class Remaining:
    """Rows from which something was taken, or which went whole, and the votes that went with it."""

    candidates: pa.Table  # with `dropped`
    votes: pa.Table  # all of them dropped


def remove_crossing(rows: pa.Table, split: Rows, whole: Mask, home: Mapping[str, HomeSplit]) -> Remaining:
    """Candidates without what belongs elsewhere: `whole` says which go whole; `home` has users, conversations and answers."""
    rows, talks = rows.combine_chunks(), Conversations(rows, split, home)
    answers, votes = Answers(flat(rows["responses"]), talks, split, home), flat(rows["votes"])
    vote, voted = pc.list_flatten(votes), owners(votes)
    leaving = talks.gone(voted, pc.struct_field(vote, "conversation"))
    leaving |= home["user"].elsewhere(pc.struct_field(vote, "annotator"), split[voted])
    staying = answers.settle(vote, ~leaving)
    part_stays = ~talks.gone(talks.owner, pc.struct_field(talks.parts, "conversation"))
    gone = whole | ~np.isin(np.arange(len(rows)), talks.owner[part_stays]) | ~np.isin(np.arange(len(rows)), answers.owner[answers.stays])
    left_votes = nest(voted[staying], len(rows), vote.filter(pa.array(staying)))
    parts = nest(talks.owner[part_stays], len(rows), talks.parts.filter(pa.array(part_stays)))
    changed: dict[str, pa.Array[Any]] = {
        "responses": answers.left(left_votes),
        "votes": left_votes,
        "parts": parts,
        "evidence": candidate_sums.strongest(left_votes),
    }
    changed |= candidate_sums.sources(parts, left_votes, NOBODY)
    changed["users"] = common(changed["users"], flat(rows["users"]))  # what is left of a panel, and a rater, is no user
    columns = {name: changed[name] if name in changed else rows[name] for name in rows.column_names}
    left = pa.Table.from_pydict(columns, Candidates.schema()).filter(pa.array(~gone))
    lost = rows.filter(pa.array(gone))
    both = pa.concat_tables([marked(left, None), marked(lost.cast(Candidates.schema()), CROSSES_SPLIT)])
    out = ~staying | gone[voted]
    return Remaining(both, dropped_votes(rows, voted[out], vote.filter(pa.array(out))))


def common(lists: pa.Array[Any], others: pa.Array[Any]) -> pa.LargeListArray[Any]:
    """Of each list the texts that the other list of the row holds as well."""
    here, there = (pa.table({"owner": pa.array(owners(part)), "text": pc.list_flatten(part)}) for part in (lists, others))
    both = here.join(there, keys=["owner", "text"], join_type="left semi").sort_by([("owner", "ascending"), ("text", "ascending")])
    return nest(both["owner"].to_numpy(), len(lists), both["text"])


def marked(rows: pa.Table, reason: str | None) -> pa.Table:
    """The rows with one reason."""
    return rows.append_column("dropped", pa.array([reason] * len(rows), TEXT))


def dropped_votes(rows: pa.Table, owner: Rows, votes: pa.Array[Any]) -> pa.Table:
    """The votes as rows of the table `votes`, each with its prompt."""
    at = pa.array(owner, pa.int64())
    known: dict[str, pa.Array[Any] | pa.ChunkedArray[Any]] = {name: pc.struct_field(votes, name) for name in VOTE.names}
    known |= {"prompt_id": rows["prompt_id"].take(at), "split": rows["split"].take(at)}
    known["pairs"] = pa.LargeListArray.from_arrays(pa.array(np.zeros(len(owner) + 1, np.int64), pa.int64()), pa.array([], TEXT)).cast(TEXTS)
    schema = Votes.schema()
    columns = {field.name: known.get(field.name, pa.nulls(len(owner), field.type)) for field in schema}
    return marked(pa.Table.from_pydict(columns, schema), CROSSES_SPLIT)


class Answers:
    """The answers of some rows, flat, and which of them stay."""

    def __init__(self, lists: pa.Array[Any], talks: Conversations, split: Rows, home: Mapping[str, HomeSplit]) -> None:
        self.values, self.owner, self.rows = pc.list_flatten(lists), owners(lists), len(lists)
        turns = pc.struct_field(self.values, "turns")
        self.turns, self.turn_of = pc.list_flatten(turns), owners(turns)
        self.turn_stays = ~talks.gone(self.owner[self.turn_of], talks.of_turns(self.turns))
        contents = pc.struct_field(self.values, "content")
        self.here = ~home["answer"].elsewhere(pa.array(digests(contents)), split[self.owner])
        self.given = np.bincount(self.turn_of[self.turn_stays], minlength=len(self.values)) > 0
        self.stays = self.here

    def settle(self, votes: pa.Array[Any], staying: Mask) -> Mask:
        """Which votes stay: those that stay so far and are about answers that stay; an answer without a turn stays with its edit."""
        about = {name: self.places(pc.struct_field(votes, name)) for name in ("response_id", "better", "worse")}
        rewriting = pc.is_in(pc.struct_field(votes, "kind"), value_set=pa.array(REWRITES, TEXT)).to_numpy(zero_copy_only=False)
        while True:
            # a place of -1 names no answer, and takes the last element: true
            known = np.append(self.stays, True)
            staying = staying & np.logical_and.reduce([known[places] for places in about.values()])
            written = np.zeros(len(known), bool)
            written[about["better"][staying & rewriting]] = True
            stays = self.here & (self.given | written[:-1])
            if np.array_equal(stays, self.stays):
                return staying
            self.stays = stays

    def places(self, ids: pa.Array[Any]) -> Rows:
        """Place of each named answer, -1 for none."""
        at = pc.index_in(ids, value_set=pc.struct_field(self.values, "response_id"))
        return np.where(pc.is_null(ids), -1, numbers(at))

    def left(self, votes: pa.LargeListArray[Any]) -> pa.LargeListArray[Any]:
        """The answers that stay, with the turns and the counts of what stays."""
        stays, fields = self.stays, {name: pc.struct_field(self.values, name) for name in RESPONSE.names}
        turn_stays = self.turn_stays & stays[self.turn_of]
        fields["turns"] = nest(self.turn_of[turn_stays], len(self.values), self.turns.filter(pa.array(turn_stays)))
        typed = pa.array(~self.given)  # what only an edit says here is a person's
        fields["written_by"] = pc.if_else(typed, pa.scalar(PERSON, TEXT), fields["written_by"])
        fields["model"] = pc.if_else(typed, pa.scalar(None, TEXT), fields["model"])
        counts = counted(votes)
        at = pc.index_in(fields["response_id"], value_set=flat(counts["response_id"]))
        for name in ("ups", "downs", "ratings", "score"):
            count = counts[name].take(at)
            fields[name] = count if name == "score" else filled(count, 0)
        answers = struct(RESPONSE, *(fields[name] for name in RESPONSE.names)).filter(pa.array(stays))
        return nest(self.owner[stays], self.rows, answers)


def counted(left_votes: pa.LargeListArray[Any]) -> pa.Table:
    """Thumbs and ratings of each answer, as `aggregate` counts them."""
    votes = pa.Table.from_struct_array(cast("pa.StructArray", left_votes.values))
    return candidate_sums.vote_sums(daft.from_arrow(votes)).to_arrow()
