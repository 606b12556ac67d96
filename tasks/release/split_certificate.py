"""The proof, made over the released rows themselves, that nothing lies in two splits: `split_certificate.json`.

In: the Arrow tables pairs, unpaired and prompts; the candidates they were made from (which know the people), the table `common` of texts
that are too common to tie prompts, and the table `places`, which says where prompts lie since earlier releases. Out: a document with

- `shared`: for each key the number of values that lie in two splits, and in `checked` the number of values looked at. All are 0: a
  value that is in two splits stops the release with its name and two rows;
- `boilerplate`: the first user turns and answers that may be in two splits, counted apart, with the rule that lets them;
- `highest_similarity`: the two prompts, one held out and one for training, that are most alike, found by search and not assumed;
- `search`: how they were sought, what share of couples such a search finds, and how many were compared;
- `characters`: the same by a second search, which shares nothing with what the split goes by (`tasks.release.character_search`);
- `meaning`: the same by embeddings, where a model is named (`tasks.release.embedding_search`);
- `moved`: how many released prompts were held against the place that they have since an earlier release, and how many lie elsewhere: 0, or
  the release stops;
- `not_seen`: what no search can see, and what only embeddings see.
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
from tasks.common.arrays import Rows, flat, owners
from tasks.common.similarity import Near, digests
from tasks.common.split_rules import SplitRules
from tasks.core.errors import UserError
from tasks.core.tables import TEXT
from tasks.release import character_search, embedding_search, nearest_prompts
from tasks.release.gate_columns import words

NAME = "split_certificate.json"
SOURCES = ("prompt_id", "augmented_from", "users", "conversations", "cluster_id", "split")  # the columns of candidates that are read
COMPLETIONS = {"pairs": ("chosen", "rejected"), "unpaired": ("completion",), "prompts": ()}
BOILERPLATE = {
    "first_user_turns": "opens more than {popular} conversations (split.popular)",
    "answers": "stands under more than {popular} prompts (split.popular)",
    "users": "stands behind more than {largest_user:.0%} of the prompts (split.largest_user), or did in an earlier release",
    "short_answers": "has fewer than {min_answer_chars} characters (split.min_answer_chars)",
}
NOT_SEEN = (
    "the same question in other words or in another language, but as far as a model of embeddings is named and sees it (release.meaning)",
    "the same question about other things, which only its names and figures tell apart, where their share of it is large enough",
    "what pictures and files show, and what was redacted",
    "couples less alike than the stated similarities, and of those above them the share that the stated recall leaves",
    "people who chat under several ids, and conversations that a log tells under several ids in other words",
    "prompts of earlier releases whose text, conversation and people are all gone from the log",
)

# What the sections of the certificate say.
SECTIONS = {
    "rows": "released rows by table and split",
    "shared": "things that lie in two splits, by kind: all are 0, or there is no release",
    "checked": "different things that were looked at, by kind",
    "boilerplate": "things in two splits that are too common or too short to count as a leak: how many, and by which rule",
    "highest_similarity": "the two prompts, held out and for training, that are most alike by words, and their Jaccard similarity",
    "search": "how they were sought, and the share of couples at a similarity that such a search finds (`recall_at`)",
    "characters": "the same by letters, signs, accents, case and fillers aside; `same`: held-out prompts with a training prompt's letters",
    "meaning": "the same by embeddings; null where `release.meaning.model` names no model",
    "moved": "prompts that an earlier release placed, and how many of them have moved to another split",
    "not_seen": "what no search of these sees",
}


@dataclass(frozen=True)
class Proof:
    """What the released rows are held against."""

    candidates: pa.Table  # SOURCES of all candidates that pairs were made from
    common: pa.Table  # the table `common`
    places: pa.Table  # the table `places`
    split: SplitRules  # the rules of the split
    search: Near  # how couples that are alike are sought
    characters: character_search.Search  # and how by letters
    meaning: embedding_search.Search  # and by embeddings, where a model is named


def certify(tables: Mapping[str, pa.Table], proof: Proof) -> dict[str, Any]:
    """The certificate; a UserError where something lies in two splits."""
    rows = gathered(tables)
    found, loose = values_of(tables, rows, proof)
    crossing = {key: in_two_splits(values) for key, values in found.items()}
    stop_at(crossing, found)
    return document(rows, found, loose, proof)


def values_of(tables: Mapping[str, pa.Table], rows: pa.Table, proof: Proof) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
    """By key what may not lie in two splits, and what may: values with the split and the id of their rows."""
    prompts = words(rows["prompt"])
    _, opening = links.first_user_turns(flat(rows["prompt"]))
    openings, common_openings = parted(places(rows, opening), proof.common, "first_user_turn")
    answers = answers_of(tables)
    short = pc.less(answers["chars"], proof.split.min_answer_chars)
    long, common_answers = parted(answers.filter(pc.invert(short)), proof.common, "answer")
    sources = of_sources(rows, proof.candidates)
    users, common_users = parted(sources["users"], proof.common, "user")
    found = {
        "prompts": places(rows, pa.array(digests(prompts))),
        **sources,
        "users": users,
        "first_user_turns": openings,
        "answers": long,
    }
    loose = {"first_user_turns": common_openings, "answers": common_answers, "users": common_users, "short_answers": answers.filter(short)}
    return found, loose


def document(rows: pa.Table, found: Mapping[str, pa.Table], loose: Mapping[str, pa.Table], proof: Proof) -> dict[str, Any]:
    """The certificate of these rows and values, whatever lies in two splits."""
    rules = {key: rule.format(**proof.split.model_dump()) for key, rule in BOILERPLATE.items()}
    said, _ = links.first_user_turns(flat(rows["prompt"]))
    return {
        "rows": counted(rows),
        "shared": {key: len(in_two_splits(values)) for key, values in found.items()},
        "checked": {key: pc.count_distinct(values["value"]).as_py() for key, values in found.items()},
        "boilerplate": {key: {"shared": len(in_two_splits(values)), "rule": rules[key]} for key, values in loose.items()},
        **nearest_prompts.sought(rows, said, proof.search, proof.split.near.threshold),
        "characters": by_characters(rows, said, proof),
        "meaning": embedding_search.sought(rows, said, proof.meaning),
        "moved": moved(rows, proof),
        "not_seen": list(NOT_SEEN),
    }


def by_characters(rows: pa.Table, said: pa.LargeListArray, proof: Proof) -> dict[str, Any]:
    """What the search by characters found; a warning where prompts of two sides are the same but for signs, accents and fillers."""
    found = character_search.sought(rows, said, proof.split.fillers, proof.characters)
    if found["same"]:
        one, other = (found["highest_similarity"][side] for side in ("held_out", "train"))
        told = f"{found['same']} held-out prompts have the letters of a training prompt"
        warnings.warn(f"{told}: {one['id']} in {one['table']}, {other['id']} in {other['table']}", stacklevel=3)
    return found


def moved(rows: pa.Table, proof: Proof) -> dict[str, int]:
    """How many prompts that people wrote were held against their places, and how many lie elsewhere; a UserError where one does."""
    at = pc.index_in(flat(proof.candidates["prompt_id"]), value_set=flat(proof.places["prompt_id"]))
    places = flat(proof.places["place"]).take(at)
    own = pc.is_in(flat(proof.candidates["prompt_id"]), value_set=flat(rows["prompt_id"]))
    checked = pc.and_(own, pc.is_valid(at))
    away = pc.fill_null(pc.and_(checked, pc.not_equal(places, flat(proof.candidates["split"]))), False)
    lost = proof.candidates.filter(away)
    if len(lost):
        row = lost.slice(0, 1).to_pylist()[0]
        what = f"{len(lost)} prompts that lie elsewhere than in an earlier release, one of them {row['prompt_id']} (now {row['split']})"
        raise UserError(f"release: {NAME}", what, "none", "run `dvc repro --force split`, then `dvc repro`")
    return {"checked": pc.sum(checked).as_py() or 0, "moved": len(lost)}


def gathered(tables: Mapping[str, pa.Table]) -> pa.Table:
    """The rows of all configs: table, id, split, prompt_id and prompt."""
    parts = []
    for name, rows in tables.items():
        key = rows.column_names[0]
        columns = [pa.array([name] * len(rows), TEXT), *(rows[column] for column in (key, "split", "prompt_id", "prompt"))]
        parts.append(pa.table(columns, names=["table", "id", "split", "prompt_id", "prompt"]))
    return pa.concat_tables(parts).combine_chunks()


def places(rows: pa.Table, values: pa.Array, owner: Rows | None = None) -> pa.Table:
    """Values with the split and the id of their rows; nulls are none."""
    at = pa.array(np.arange(len(rows)) if owner is None else owner)
    table = pa.table({"value": values, "split": rows["split"].take(at), "id": rows["id"].take(at)})
    return table.filter(pc.is_valid(table["value"]))


def of_sources(rows: pa.Table, candidates: pa.Table) -> dict[str, pa.Table]:
    """What only the candidates know of the released rows: clusters, people, conversations, and the rows that a variant was made from."""
    at = pc.index_in(flat(rows["prompt_id"]), value_set=flat(candidates["prompt_id"]))
    if at.null_count:
        lost = rows["id"].filter(pc.is_null(at))[0].as_py()
        raise UserError(f"release: {NAME}", f"row {lost}, whose prompt is no candidate", "rows of one run", "run `dvc repro`")
    known = candidates.take(at)
    found = {"prompt_clusters": places(rows, flat(known["cluster_id"]))}
    for key, column in (("users", "users"), ("conversations", "conversations")):
        lists = flat(known[column])
        found[key] = places(rows, pa.array(digests(pc.list_flatten(lists)), pa.uint64()), owners(lists))
    # a variant and its parent are one value, the parent's id, wherever either lies
    made = pc.is_valid(known["augmented_from"])
    parents = known["augmented_from"].filter(made)
    variants = pa.table({"value": parents, "split": rows["split"].filter(made), "id": rows["id"].filter(made)})
    origin = candidates.filter(pc.is_in(candidates["prompt_id"], value_set=flat(parents)))
    originals = pa.table({"value": origin["prompt_id"], "split": origin["split"], "id": origin["prompt_id"]})
    return {**found, "augmentation_parents": pa.concat_tables([variants, originals])}


def answers_of(tables: Mapping[str, pa.Table]) -> pa.Table:
    """Digest and length of every answer, with the split and the id of its row."""
    parts = []
    for name, rows in tables.items():
        for side in COMPLETIONS[name]:
            contents = pc.struct_field(pc.list_flatten(flat(rows[side])), "content")
            held = pa.table({"split": rows["split"], "id": rows[rows.column_names[0]]})
            part = places(held, pa.array(digests(contents)), owners(flat(rows[side])))
            parts.append(part.append_column("chars", pc.utf8_length(contents)))
    return pa.concat_tables(parts)


def parted(values: pa.Table, common: pa.Table, kind: str) -> tuple[pa.Table, pa.Table]:
    """Values that may not lie in two splits, and those that may because they are too common to tell anything."""
    too_common = pc.is_in(values["value"], value_set=flat(common.filter(pc.equal(common["kind"], kind))["digest"]))
    return values.filter(pc.invert(too_common)), values.filter(too_common)


def in_two_splits(values: pa.Table) -> pa.Array:
    """The values that lie in more than one split, sorted."""
    sides = values.group_by(["value", "split"], use_threads=False).aggregate([])
    counts = sides.group_by("value", use_threads=False).aggregate([("split", "count")])
    return flat(counts.filter(pc.greater(counts["split_count"], 1)).sort_by("value")["value"])


def stop_at(crossing: Mapping[str, pa.Array], found: Mapping[str, pa.Table]) -> None:
    """A UserError for the first key with a value in two splits, with two of its rows."""
    for key, values in crossing.items():
        if len(values):
            rows = found[key].filter(pc.equal(found[key]["value"], values[0])).group_by("split").aggregate([("id", "min")]).sort_by("split")
            where = ", ".join(f"{row['id_min']} ({row['split']})" for row in rows.to_pylist())
            what = f"{len(values)} {key.replace('_', ' ')} in two splits, one of them in the rows {where}"
            raise UserError(f"release: {NAME}", what, "none", "run `dvc repro --force split`, then `dvc repro`")


def counted(rows: pa.Table) -> dict[str, dict[str, int]]:
    """Number of rows by table and split."""
    counts = rows.group_by(["table", "split"]).aggregate([([], "count_all")]).sort_by([("table", "ascending"), ("split", "ascending")])
    told: dict[str, dict[str, int]] = {}
    for row in counts.to_pylist():
        told.setdefault(row["table"], {})[row["split"]] = row["count_all"]
    return told
