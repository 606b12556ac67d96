"""What links prompts together, so that a split may not part them.

In: one row a prompt with its facts (FACTS) and the pairs of near-equal prompts. Out: the values that link rows, edges by key, and labels of
connected components. Nodes are rows, edges are two arrays of row numbers; every function works on whole arrays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import Mask, Rows, flat, lengths, numbers, owners
from tasks.common.similarity import Near, digests
from tasks.common.similarity import components as connected
from tasks.common.similarity.near_copies import near_rows
from tasks.common.similarity.ngrams import folded, mixed
from tasks.common.vocabulary.roles import USER
from tasks.core.tables import TEXT, TEXTS, Common

DIGESTS = pa.large_list(pa.uint64())
FACTS = pa.schema(
    [
        ("prompt_id", TEXT),
        ("asked", TEXTS),  # what the user says, turn by turn, up to `compared_turns`
        ("look", pa.uint64()),  # digest of all messages: equal where prompts read the same
        ("opening", pa.uint64()),  # digest of the first user turn; null without one
        ("conversations", TEXTS),
        ("users", TEXTS),
        ("answers", DIGESTS),  # digests of the answers that are long enough
    ]
)
# Weakest first: the order in which links are given up when they would hold too much together. That prompts which read the same ("look")
# stay together is no link that could be given up.
KEYS = ("user", "answer", "opening", "near", "conversation")


@dataclass(frozen=True)
class Edges:
    """Links between rows, each with the number of rows that share its key (2 where there is no key)."""

    left: Rows
    right: Rows
    shared_by: Rows

    def where(self, mask: Mask) -> Edges:
        """Those that the mask keeps."""
        return Edges(self.left[mask], self.right[mask], self.shared_by[mask])


@dataclass(frozen=True)
class Keyed:
    """The values of one key, flat: row `rows[i]` has value `codes[i]`, and `names[code]` is the value itself."""

    codes: Rows
    rows: Rows
    names: pa.Array[Any]

    def where(self, mask: Mask) -> Keyed:
        """Those that the mask keeps."""
        return Keyed(self.codes[mask], self.rows[mask], self.names)


@dataclass(frozen=True)
class UserTexts:
    """Which prompts ask the same or nearly the same: a group a row, equal where the texts are, and the groups that are near-equal."""

    group: Rows
    left: Rows
    right: Rows

    @classmethod
    def of(cls, texts: pa.Array[Any], near: Near) -> UserTexts:
        """Compare the texts, one a row: only one of a group is compared with others."""
        found = near_rows(folded(texts), near)
        group = np.unique(found.whole, return_inverse=True)[1]
        left, right = group[found.left], group[found.right]
        return cls(group, left[left != right], right[left != right])

    def edges(self, rows: Mask) -> Edges:
        """Links among these rows: of a group each to the first, and the first ones of groups that are near-equal."""
        at = np.flatnonzero(rows)
        first = np.full(int(self.group.max(initial=-1)) + 1, -1)
        first[self.group[at[::-1]]] = at[::-1]
        copies = at[first[self.group[at]] != at]
        both = (first[self.left] >= 0) & (first[self.right] >= 0)
        left = np.concatenate([first[self.group[copies]], first[self.left[both]]])
        right = np.concatenate([copies, first[self.right[both]]])
        return Edges(left, right, np.full(len(left), 2))


@dataclass(frozen=True)
class Links:
    """What binds rows, by key, and what is too common to bind anything."""

    keyed: Mapping[str, Keyed]  # users, conversations, answers and openings that may not lie in two splits; and looks
    said: UserTexts
    common_row: Mask  # prompts met in more than `popular` conversations
    common: pa.Table  # first user turns, answers and users that link nothing, as the table `common`
    anywhere: Mapping[str, pa.Array[Any]]  # the same by key, as the values themselves

    @property
    def binding(self) -> dict[str, Keyed]:
        """The values without those places where they link nothing: a prompt that many meet links no users and no conversations."""
        plain = {key: self.keyed[key].where(~self.common_row[self.keyed[key].rows]) for key in ("user", "conversation")}
        return {**self.keyed, **plain}

    def edges(self, rows: Mask) -> dict[str, Edges]:
        """Links among these rows, by key."""
        chains = {key: chain(values.where(rows[values.rows])) for key, values in self.binding.items()}
        return {**chains, "near": self.said.edges(rows)}


ALONE = 5  # prompts of one person, in a log of hardly any other


@dataclass(frozen=True)
class Limits:
    """From where on something is too common to link anything."""

    popular: int  # a prompt or a first user turn in conversations, an answer under prompts
    largest_user: float  # share of the prompts behind which somebody stands
    largest_component: float  # share of the prompts that may lie in one split

    def of_user(self, prompts: int) -> float:
        """The number of prompts from which on who stands behind more links nothing; all where `largest_user` is 1."""
        if self.largest_user >= 1:
            return float(prompts)
        return min(max(self.popular, self.largest_user * prompts), max(ALONE, self.largest_component * prompts))


Anywhere = Callable[[str, "pa.Array[Any]"], Mask]  # which values of a key linked nothing in an earlier release


def build_links(facts: pa.Table, texts: UserTexts, limits: Limits, anywhere: Anywhere) -> Links:
    """The links of all rows. `facts` is sorted by prompt_id.

    An id behind more than `largest_user` of the prompts (and more than `popular`) is no person among many whose ways a split could keep
    together: the owner of all chats, an account that all share, a rater of everything. It links nothing. Nor does, in a small log, one
    behind more prompts than may lie in one split (and more than ALONE).

    What is met more than `popular` times says nothing of where a conversation comes from ("hi"): a prompt in more conversations
    links by its text alone, a first user turn that opens more, and an answer under more prompts, link nothing.

    What was too common once remains so: it lies in several splits since.
    """
    conversations = flat(facts["conversations"])
    common_row = lengths(conversations) > limits.popular
    keys = {"user": keyed(facts["users"]), "answer": keyed(facts["answers"]), "opening": keyed(facts["opening"])}
    met = {key: np.bincount(values.codes, minlength=len(values.names)) for key, values in keys.items()} | {"opening": openings_met(facts)}
    bounds = dict.fromkeys(keys, float(limits.popular)) | {"user": limits.of_user(len(facts))}
    too_common = {key: (met[key] > bounds[key]) | anywhere(key, values.names) for key, values in keys.items()}
    kinds = {"opening": "first_user_turn", "answer": "answer", "user": "user"}
    common = [common_of(kinds[key], keys[key], met[key], too_common[key], facts) for key in kinds]
    everywhere = {key: values.names.filter(pa.array(too_common[key])) for key, values in keys.items()}
    keys = {key: values.where(~too_common[key][values.codes]) for key, values in keys.items()}
    keys |= {"look": keyed(facts["look"]), "conversation": keyed(conversations)}
    return Links(keys, texts, common_row, pa.concat_tables(common), everywhere)


def keyed(column: pa.Array[Any] | pa.ChunkedArray[Any]) -> Keyed:
    """The values of a column, or of a column of lists; nulls are none."""
    values = flat(column)
    rows = np.arange(len(values))
    if pa.types.is_large_list(values.type):
        values, rows = pc.list_flatten(values), owners(values)
    there = pc.is_valid(values)
    coded = values.filter(there).dictionary_encode()
    return Keyed(numbers(coded.indices), rows[there.to_numpy(zero_copy_only=False)], coded.dictionary)


def common_of(kind: str, values: Keyed, met: Rows, too_common: Mask, facts: pa.Table) -> pa.Table:
    """The values that are too common, as rows of the table `common`."""
    codes = np.flatnonzero(too_common)
    first = np.full(len(values.names), len(facts))
    np.minimum.at(first, values.codes, values.rows)
    names = values.names.take(pa.array(codes, pa.int64()))
    columns: dict[str, pa.Array[Any] | pa.ChunkedArray[Any]] = {
        "kind": pa.array([kind] * len(codes), TEXT),
        "digest": names.cast(pa.uint64()) if pa.types.is_uint64(names.type) else pa.array(digests(names), pa.uint64()),
        "met": pa.array(met[codes], pa.int64()),
        "prompt_id": facts["prompt_id"].take(pa.array(first[codes], pa.int64())),
    }
    return pa.Table.from_pydict(columns, Common.schema())


def openings_met(facts: pa.Table) -> Rows:
    """How many conversations each first user turn opens, by its code in `keyed`."""
    openings, conversations = keyed(facts["opening"]), keyed(facts["conversations"])
    of_row = np.full(len(facts), -1)
    of_row[openings.rows] = openings.codes
    code, width = of_row[conversations.rows], len(conversations.names)
    pairs = np.unique(code[code >= 0] * width + conversations.codes[code >= 0])
    return np.bincount(pairs // max(width, 1), minlength=len(openings.names))


def chain(values: Keyed) -> Edges:
    """Edges that link all rows of a value: each to the next."""
    order = np.lexsort((values.rows, values.codes))
    codes, rows = values.codes[order], values.rows[order]
    same = np.flatnonzero(codes[1:] == codes[:-1])
    return Edges(rows[same], rows[same + 1], np.bincount(codes)[codes[same]] if len(codes) else same)


def components(count: int, *edges: Edges) -> Rows:
    """A label for each row: the smallest row number of its component."""
    left, right = (np.concatenate([getattr(part, side) for part in edges]) for side in ("left", "right"))
    return connected(count, left, right)


def largest(labels: Rows) -> tuple[int, int]:
    """Label and size of the largest component."""
    sizes = np.bincount(labels, minlength=1)
    return int(sizes.argmax()), int(sizes.max())


def drop_links(edges: dict[str, Edges], key: str, count: int, limit: float) -> tuple[dict[str, Edges], int]:
    """Give up links of one key inside the largest component until it has at most `limit` rows; also how many were given up.

    Those of the commonest values go first; when the key links nothing there any more, the component stays as it is.
    """
    given_up = 0
    while True:
        labels = components(count, *edges.values())
        giant, size = largest(labels)
        inside = labels[edges[key].left] == giant
        if size <= limit or not inside.any():
            return edges, given_up
        sharing = edges[key].shared_by
        gone = inside & (sharing > sharing[inside].max() // 2)
        given_up += int(gone.sum())
        edges = {**edges, key: edges[key].where(~gone)}


def looks(prompts: pa.Array[Any]) -> pa.Array[Any]:
    """A digest of each prompt's messages, equal where they read the same."""
    messages, owner = pc.list_flatten(prompts), owners(prompts)
    texts = pc.binary_join_element_wise(pc.struct_field(messages, "role"), pc.struct_field(messages, "content"), pa.scalar(":", TEXT))
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    found = np.zeros(len(prompts), np.uint64)
    np.add.at(found, owner, mixed(digests(texts) + mixed(place.astype(np.uint64))))
    return pa.array(found, pa.uint64())


def first_user_turns(prompts: pa.Array[Any], most: int | None = None) -> tuple[pa.LargeListArray[Any], pa.Array[Any]]:
    """What the user says in each prompt, as a list of (at most so many) texts, and the digest of its first turn (null without one).

    System turns are left out: one long system prompt would make all the prompts of a service near-equal.
    """
    messages, owner = pc.list_flatten(prompts), owners(prompts)
    by_user = pc.equal(pc.struct_field(messages, "role"), pa.scalar(USER))
    contents = flat(pc.struct_field(messages, "content").filter(by_user))
    counts = np.bincount(owner[by_user.to_numpy(zero_copy_only=False)], minlength=len(prompts))
    starts = np.concatenate([[0], np.cumsum(counts)])
    first = contents.take(pa.array(starts[:-1], mask=counts == 0))
    if most is not None and counts.max(initial=0) > most:
        contents = contents.filter(pa.array(np.arange(len(contents)) - np.repeat(starts[:-1], counts) < most))
        counts = np.minimum(counts, most)
        starts = np.concatenate([[0], np.cumsum(counts)])
    spoken = pa.LargeListArray.from_arrays(pa.array(starts, pa.int64()), contents)
    return spoken, pa.array(digests(first), pa.uint64(), mask=counts == 0)


def loosened(asked: pa.Array[Any], fillers: Sequence[str]) -> pa.LargeListArray[Any]:
    """What users say without the signs at the ends of words and without `fillers`; a turn that has nothing else stays as it is."""
    texts = pc.utf8_lower(pc.list_flatten(asked))
    bare = pc.replace_substring_regex(texts, r"[\p{P}\p{S}]+(\s|\z)|(\A|\s)[\p{P}\p{S}]+", " ")
    if fillers:
        words = "|".join(re.escape(filler.lower()) for filler in sorted(fillers, key=len, reverse=True))
        bare = pc.replace_substring_regex(bare, rf"(\A|\s)(?:{words})(?:\s+(?:{words}))*(\s|\z)", " ")
    kept = pc.if_else(pc.equal(pc.utf8_trim_whitespace(bare), pa.scalar("")), texts, bare)
    offsets = cast("pa.LargeListArray[Any]", asked).offsets
    begins, spoken = pc.subtract(offsets, offsets[0]).cast(pa.int64()), cast("pa.Array[Any]", kept.cast(TEXT))
    return pa.LargeListArray.from_arrays(cast("pa.Int64Array", begins), spoken)


def long_answers(owner: Rows, count: int, contents: pa.Array[Any], min_chars: int) -> pa.LargeListArray[Any]:
    """For each of `count` rows the digests of its answers of at least `min_chars` characters."""
    long = pc.greater_equal(pc.utf8_length(cast("pa.LargeStringArray", contents)), pa.scalar(min_chars))
    owner = owner[long.to_numpy(zero_copy_only=False)]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=count))])
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(digests(flat(contents.filter(long)))))
