"""The proof, computed from the released rows themselves, that nothing is in two splits: `split_certificate.json`.

In: the Arrow tables pairs, unpaired and prompts; the candidates they were made from (with their users), the table `common` of texts that
are too common to link prompts, and the table `places` with each prompt's split in earlier releases. Out: a document with

- `shared`: for each key the number of values that are in two splits, and in `checked` the number of values checked. All are 0: a value in
  two splits stops the release, naming the key and two rows;
- `boilerplate`: very common first user turns, answers and users that may be in two splits, with the rule that allows it;
- `highest_similarity`: the most similar held-out and training prompts, found by search;
- `search`: the method of that search, its recall, and the number of pairs compared;
- `characters`: the same by a second search that shares no code with the split (`tasks.release.character_search`);
- `meaning`: the same by embeddings, where a model is set (`tasks.release.embedding_search`);
- `moved`: how many released prompts were compared with their split in earlier releases, and how many moved: 0, or the release stops;
- `not_seen`: what no search detects, and what only embeddings detect.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common import links
from tasks.common.arrays import Rows, flat, mask, owners
from tasks.common.similarity import Near, digests
from tasks.common.split_rules import SplitRules
from tasks.core.errors import UserError
from tasks.core.tables import TEXT
from tasks.release import character_search, embedding_search, nearest_prompts
from tasks.release.gate_columns import words

NAME = "split_certificate.json"
SOURCES = ("prompt_id", "augmented_from", "users", "conversations", "cluster_id", "split")  # columns of candidates that are read
COMPLETIONS = {"pairs": ("chosen", "rejected"), "unpaired": ("completion",), "prompts": ()}
BOILERPLATE = {
    "first_user_turns": "opens more than {popular} conversations (split.popular)",
    "answers": "answers more than {popular} prompts (split.popular)",
    "users": "has more than {largest_user:.0%} of the prompts (split.largest_user), or had in an earlier release",
    "short_answers": "has fewer than {min_answer_chars} characters (split.min_answer_chars)",
}
NOT_SEEN = (
    "the same question in other words or in another language, unless an embedding model is set and detects it (release.meaning)",
    "the same question about other things, where the differing names and numbers are a large enough part of it",
    "the content of images and files, and what was redacted",
    "pairs below the stated similarities, and those above them that the search misses by its stated recall",
    "people who chat under several ids, and conversations that a log holds under several ids in other words",
    "prompts of earlier releases whose text, conversation and users are no longer in the log",
)

# What the sections of the certificate say.
SECTIONS = {
    "rows": "released rows by table and split",
    "shared": "things that lie in two splits, by kind: all are 0, or there is no release",
    "checked": "different things that were looked at, by kind",
    "boilerplate": "things in two splits that are too common or too short to count as a leak: how many, and by which rule",
    "highest_similarity": "the two prompts, held out and for training, that are most alike by words, and their Jaccard similarity",
    "search": "the method of the search, and the share of pairs at a similarity that it finds (`recall_at`)",
    "characters": "the same by letters, signs, accents, case and fillers aside; `same`: held-out prompts with a training prompt's letters",
    "meaning": "the same by embeddings; null where `release.meaning.model` names no model",
    "moved": "prompts that an earlier release placed, and how many of them have moved to another split",
    "not_seen": "what no search of these sees",
}


@dataclass(frozen=True)
class Proof:
    """What the released rows are checked against."""

    candidates: pa.Table  # columns SOURCES of all candidates
    common: pa.Table  # the table `common`
    places: pa.Table  # the table `places`
    split: SplitRules  # the rules of the split
    search: Near  # the search by word n-grams
    characters: character_search.Search  # the search by characters
    meaning: embedding_search.Search  # the search by embeddings


def certify(tables: Mapping[str, pa.Table], proof: Proof) -> dict[str, Any]:
    """The certificate; a UserError where something lies in two splits."""
    rows = stacked_rows(tables)
    values_by_key, loose = values_of(tables, rows, proof)
    crossing = {key: in_two_splits(values) for key, values in values_by_key.items()}
    refuse_shared(crossing, values_by_key)
    return document(rows, values_by_key, loose, proof)


def values_of(tables: Mapping[str, pa.Table], rows: pa.Table, proof: Proof) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
    """By key what may not lie in two splits, and what may: values with the split and the id of their rows."""
    prompts = words(rows["prompt"])
    _, opening = links.first_user_turns(flat(rows["prompt"]))
    openings, common_openings = split_off_common(with_split(rows, opening), proof.common, "first_user_turn")
    answers = answers_of(tables)
    short = pc.less(answers["chars"], pa.scalar(proof.split.min_answer_chars))
    long, common_answers = split_off_common(answers.filter(pc.invert(short)), proof.common, "answer")
    sources = values_of_sources(rows, proof.candidates)
    users, common_users = split_off_common(sources["users"], proof.common, "user")
    values_by_key = {
        "prompts": with_split(rows, pa.array(digests(prompts))),
        **sources,
        "users": users,
        "first_user_turns": openings,
        "answers": long,
    }
    loose = {"first_user_turns": common_openings, "answers": common_answers, "users": common_users, "short_answers": answers.filter(short)}
    return values_by_key, loose


def document(rows: pa.Table, values_by_key: Mapping[str, pa.Table], loose: Mapping[str, pa.Table], proof: Proof) -> dict[str, Any]:
    """The certificate of these rows and values, whatever lies in two splits."""
    rules = {key: rule.format(**proof.split.model_dump()) for key, rule in BOILERPLATE.items()}
    user_turns, _ = links.first_user_turns(flat(rows["prompt"]))
    return {
        "rows": count_rows(rows),
        "shared": {key: len(in_two_splits(values)) for key, values in values_by_key.items()},
        "checked": {key: pc.count_distinct(values["value"]).as_py() for key, values in values_by_key.items()},
        "boilerplate": {key: {"shared": len(in_two_splits(values)), "rule": rules[key]} for key, values in loose.items()},
        **nearest_prompts.nearest_pair(rows, user_turns, proof.search, proof.split.near.threshold),
        "characters": by_characters(rows, user_turns, proof),
        "meaning": embedding_search.search_by_embeddings(rows, user_turns, proof.meaning),
        "moved": check_places(rows, proof),
        "not_seen": list(NOT_SEEN),
    }


def by_characters(rows: pa.Table, user_turns: pa.LargeListArray[Any], proof: Proof) -> dict[str, object]:
    """The search by characters; warns of prompts in two splits that differ only in punctuation, accents and fillers."""
    section = character_search.search_by_characters(rows, user_turns, proof.split.fillers, proof.characters)
    if section["same"]:
        one, other = (section["highest_similarity"][side] for side in ("held_out", "train"))
        same = f"{section['same']} held-out prompts have the same letters as a training prompt"
        warnings.warn(f"{same}: {one['id']} in {one['table']}, {other['id']} in {other['table']}", stacklevel=3)
    return section


def check_places(rows: pa.Table, proof: Proof) -> dict[str, int]:
    """How many original prompts were compared with their earlier split, and how many moved; raises UserError where one did."""
    at = pc.index_in(flat(proof.candidates["prompt_id"]), value_set=flat(proof.places["prompt_id"]))
    places = flat(proof.places["place"]).take(at)
    own = pc.is_in(flat(proof.candidates["prompt_id"]), value_set=flat(rows["prompt_id"]))
    checked = pc.and_(own, pc.is_valid(at))
    away = mask(pc.and_(checked, pc.not_equal(places, flat(proof.candidates["split"]))))
    lost = proof.candidates.filter(away)
    if len(lost):
        row = lost.slice(0, 1).to_pylist()[0]
        what = f"{len(lost)} prompts in another split than in an earlier release, one of them {row['prompt_id']} (now {row['split']})"
        raise UserError(f"release: {NAME}", what, "none", "run `dvc repro --force split`, then `dvc repro`")
    return {"checked": int(np.count_nonzero(mask(checked))), "moved": len(lost)}


def stacked_rows(tables: Mapping[str, pa.Table]) -> pa.Table:
    """The rows of all configs: table, id, split, prompt_id and prompt."""
    parts = []
    columns: list[pa.Array[Any] | pa.ChunkedArray[Any]]
    for name, rows in tables.items():
        key = rows.column_names[0]
        columns = [pa.array([name] * len(rows), TEXT), *(rows[column] for column in (key, "split", "prompt_id", "prompt"))]
        parts.append(pa.table(columns, names=["table", "id", "split", "prompt_id", "prompt"]))
    return pa.concat_tables(parts).combine_chunks()


def with_split(rows: pa.Table, values: pa.Array[Any], owner: Rows | None = None) -> pa.Table:
    """Values with the split and the id of their rows, without nulls."""
    at = np.arange(len(rows)) if owner is None else owner
    table = pa.Table.from_pydict({"value": values, "split": rows["split"].take(at), "id": rows["id"].take(at)})
    return table.filter(pc.is_valid(table["value"]))


def values_of_sources(rows: pa.Table, candidates: pa.Table) -> dict[str, pa.Table]:
    """Values that only the candidates have for the released rows: clusters, users, conversations, and the parents of variants."""
    at = pc.index_in(flat(rows["prompt_id"]), value_set=flat(candidates["prompt_id"]))
    if at.null_count:
        lost = rows["id"].filter(pc.is_null(at))[0].as_py()
        raise UserError(f"release: {NAME}", f"row {lost}, whose prompt is not a candidate", "rows of one run", "run `dvc repro`")
    known = candidates.take(at)
    values_by_key = {"prompt_clusters": with_split(rows, flat(known["cluster_id"]))}
    for key, column in (("users", "users"), ("conversations", "conversations")):
        lists = flat(known[column])
        values_by_key[key] = with_split(rows, pa.array(digests(pc.list_flatten(lists)), pa.uint64()), owners(lists))
    # a variant and its parent have one value, the parent's id
    made = pc.is_valid(known["augmented_from"])
    parents = known["augmented_from"].filter(made)
    variants = pa.Table.from_pydict({"value": parents, "split": rows["split"].filter(made), "id": rows["id"].filter(made)})
    origin = candidates.filter(pc.is_in(candidates["prompt_id"], value_set=flat(parents)))
    originals = pa.Table.from_pydict({"value": origin["prompt_id"], "split": origin["split"], "id": origin["prompt_id"]})
    return {**values_by_key, "augmentation_parents": pa.concat_tables([variants, originals])}


def answers_of(tables: Mapping[str, pa.Table]) -> pa.Table:
    """Digest and length of every answer, with the split and the id of its row."""
    parts = []
    for name, rows in tables.items():
        for side in COMPLETIONS[name]:
            contents = pc.struct_field(pc.list_flatten(flat(rows[side])), "content")
            held = pa.Table.from_pydict({"split": rows["split"], "id": rows[rows.column_names[0]]})
            part = with_split(held, pa.array(digests(contents)), owners(flat(rows[side])))
            parts.append(part.append_column("chars", pc.utf8_length(contents)))
    return pa.concat_tables(parts)


def split_off_common(values: pa.Table, common: pa.Table, kind: str) -> tuple[pa.Table, pa.Table]:
    """Values that must not be in two splits, and those that may because they are too common to link prompts."""
    too_common = pc.is_in(values["value"], value_set=flat(common.filter(pc.equal(common["kind"], pa.scalar(kind)))["digest"]))
    return values.filter(pc.invert(too_common)), values.filter(too_common)


def in_two_splits(values: pa.Table) -> pa.Array[Any]:
    """The values that lie in more than one split, sorted."""
    sides = values.group_by(["value", "split"], use_threads=False).aggregate([])
    counts = sides.group_by("value", use_threads=False).aggregate([("split", "count")])
    return flat(counts.filter(pc.greater(counts["split_count"], pa.scalar(1))).sort_by("value")["value"])


def refuse_shared(crossing: Mapping[str, pa.Array[Any]], values_by_key: Mapping[str, pa.Table]) -> None:
    """Raise a UserError for the first key with a value in two splits, naming two of its rows."""
    for key, values in crossing.items():
        if len(values):
            rows = (
                values_by_key[key]
                .filter(pc.equal(values_by_key[key]["value"], values[0]))
                .group_by("split")
                .aggregate([("id", "min")])
                .sort_by("split")
            )
            where = ", ".join(f"{row['id_min']} ({row['split']})" for row in rows.to_pylist())
            what = f"{len(values)} {key.replace('_', ' ')} in two splits, one of them in the rows {where}"
            raise UserError(f"release: {NAME}", what, "none", "run `dvc repro --force split`, then `dvc repro`")


def count_rows(rows: pa.Table) -> dict[str, dict[str, int]]:
    """Number of rows by table and split."""
    counts = rows.group_by(["table", "split"]).aggregate([([], "count_all")]).sort_by([("table", "ascending"), ("split", "ascending")])
    counts_by_table: dict[str, dict[str, int]] = {}
    for row in counts.to_pylist():
        counts_by_table.setdefault(row["table"], {})[row["split"]] = row["count_all"]
    return counts_by_table
