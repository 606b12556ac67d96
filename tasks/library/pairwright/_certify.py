"""What crosses the splits of a list of pairs: `certify`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairwright._defaults import Params, section, settings
from pairwright._pairs import Pairs
from pairwright._tables import Rows, records_of
from tasks.common import links
from tasks.common.arrays import flat, strings
from tasks.common.links import UserTexts
from tasks.common.raw_files.files import Unreadable
from tasks.common.similarity import Near
from tasks.core.errors import UserError
from tasks.core.ids import stable_id
from tasks.core.params import StageParams, check
from tasks.core.tables import MESSAGES, PROMPT, TABLES, TEXT, TEXTS
from tasks.ingest.formats import preference
from tasks.release import character_search, embedding_search, split_certificate
from tasks.split import stage as splitting

RELEASED = ("pairs", "unpaired", "prompts")
CROSSING = pa.schema([("key", TEXT), ("rows", TEXTS), ("splits", TEXTS)])
IDS = ("pair_id", "id")
SOURCES = {"users": ("users", "user", "user_id"), "conversations": ("conversations", "conversation", "conversation_id")}


class _Searches(StageParams):
    """The parameters of `release` that certify reads."""

    search: Near
    characters: character_search.Search
    meaning: embedding_search.Search


@dataclass(frozen=True, repr=False)
class Certificate:
    """What crosses the splits.

    Attributes
    ----------
    crossing : pyarrow.Table
        One row a value that lies in several splits: `key` (prompts, prompt_clusters, first_user_turns, answers, users, conversations,
        augmentation_parents), `rows` (the ids of the rows that have it) and `splits`.
    document : dict
        As `split_certificate.json`: `shared` and `checked` (values by key), `boilerplate`, `highest_similarity`, `characters`,
        `search` and `not_seen`.
    """

    crossing: pa.Table
    document: Mapping[str, Any]

    @property
    def holds(self) -> bool:
        """Whether nothing lies in two splits."""
        return len(self.crossing) == 0

    def __repr__(self) -> str:
        counts = {key: count for key, count in self.document["shared"].items() if count}
        told = ", ".join(f"{count} {key.replace('_', ' ')}" for key, count in counts.items()) or "nothing"
        return f"<Certificate: {told} in two splits>"


def certify(source: Pairs | Rows, *, params: Params | None = None, **own: object) -> Certificate:
    """Look for whatever lies in two splits of a list of pairs.

    Sought are equal and near-equal prompts, equal first user turns, equal long answers, and, where columns name them, people and
    conversations. What is met more often than `split.popular` ("hi") may be anywhere, and is counted in `document["boilerplate"]`. The
    two prompts of two sides that are most alike are told too, by words and by letters.

    Parameters
    ----------
    source : Pairs, list of dicts, pandas.DataFrame or pyarrow.Table
        Pairs of any making: `prompt` (a text or a list of messages; it may be missing where both sides are whole conversations), `chosen`
        and `rejected` (texts or lists of messages), `split`, and, if there are such, `pair_id` or `id`, `user` and `conversation` (or
        lists: `users`, `conversations`). Training rows have the split "train"; all other splits are held out.
    params : mapping, optional
        Other parameters than the shipped ones, by stage: those of `split` and of `release` (`search`, `characters`, `meaning`).
    **own
        Parameters of the stage `split` by name, for instance `popular`, `min_answer_chars` or `near`.

    Returns
    -------
    Certificate
        `holds`, `crossing`, `document`.

    Raises
    ------
    UserError
        For a row without a prompt, two answers or a split.

    Examples
    --------
    >>> import pairwright
    >>> row = {"prompt": "Which planet is the largest?", "chosen": "Jupiter.", "rejected": "Mars."}
    >>> found = pairwright.certify([{**row, "split": "train"}, {**row, "split": "test"}])
    >>> found.holds
    False
    >>> found.crossing.to_pylist()[0]
    {'key': 'first_user_turns', 'rows': ['0', '1'], 'splits': ['test', 'train']}
    """
    rules = settings("split", splitting.Params, params, own)
    wanted = section("release", params)
    searches = check("parameters", "release", {name: wanted[name] for name in _Searches.model_fields}, _Searches)
    tables, held = _of_result(source) if isinstance(source, Pairs) else _of_rows(source, rules)
    proof = split_certificate.Proof(*held, rules, searches.search, searches.characters, searches.meaning)
    rows = split_certificate.stacked_rows(tables)
    found, loose = split_certificate.values_of(tables, rows, proof)
    return Certificate(_crossing(found), split_certificate.document(rows, found, loose, proof))


Held = tuple[pa.Table, pa.Table, pa.Table]  # candidates, common and places, as certificate.Proof


def _of_result(source: Pairs) -> tuple[dict[str, pa.Table], Held]:
    last = source.parts.steps[-1].kept if source.parts else {}
    common, places = (last.get(name, TABLES[name].schema().empty_table()) for name in ("common", "places"))
    tables = {name: source.steps[-1].kept[name] for name in RELEASED}
    return tables, (source._candidates.select(list(split_certificate.SOURCES)), common, places)


def _of_rows(source: Rows, rules: splitting.Params) -> tuple[dict[str, pa.Table], Held]:
    """Rows of any making as the table pairs, and as candidates: one a row, with what its prompt shares with others."""
    rows = [_row(record, at) for at, record in enumerate(records_of(source, "certify"))]
    columns = {name: [row[name] for row in rows] for name in ("id", "split", "prompt", "chosen", "rejected", *SOURCES)}
    kinds = {"prompt": PROMPT, "chosen": MESSAGES, "rejected": MESSAGES, "users": TEXTS, "conversations": TEXTS}
    arrays = {name: pa.array(values, kinds.get(name, TEXT)) for name, values in columns.items()}
    numbers = pa.array([str(at) for at in range(len(rows))], TEXT)
    prompts = [stable_id(*(f"{message['role']}\x1f{message['content']}" for message in row["prompt"])) for row in rows]
    clusters, common = _tied(prompts, arrays, rules) if rows else ({}, TABLES["common"].schema().empty_table())
    pairs = pa.table(
        {"pair_id": arrays["id"], "prompt_id": numbers, **{name: arrays[name] for name in ("prompt", "chosen", "rejected", "split")}}
    )
    candidates = {
        "prompt_id": numbers,
        "augmented_from": pa.nulls(len(rows), TEXT),
        "users": arrays["users"],
        "conversations": arrays["conversations"],
        "cluster_id": pa.array([clusters[prompt] for prompt in prompts], TEXT),
        "split": arrays["split"],
    }
    return {"pairs": pairs}, (pa.table(candidates), common, TABLES["places"].schema().empty_table())


def _tied(prompts: list[str], arrays: Mapping[str, pa.Array[Any]], rules: splitting.Params) -> tuple[dict[str, str], pa.Table]:
    """A label for each distinct prompt, equal where prompts are near-equal; and what is too common to tell anything."""
    facts = splitting.known_facts(daft.from_arrow(_distinct(prompts, arrays)), rules)
    said = UserTexts.of(links.loosened(flat(facts["asked"]), rules.fillers), rules.near)
    limits = links.Limits(rules.popular, rules.largest_user, rules.largest_component)
    tied = links.build_links(facts, said, limits, lambda _, names: np.zeros(len(names), bool))
    names = strings(facts["prompt_id"])
    labels = splitting.clusters(tied, np.zeros(len(names), bool))
    return {name: names[label] for name, label in zip(names, labels.tolist(), strict=True)}, tied.common


def _distinct(prompts: list[str], arrays: Mapping[str, pa.Array[Any]]) -> pa.Table:
    """One row a distinct prompt, with all its answers, people and conversations; a prompt of unknown conversations is one of its own."""
    places: dict[str, list[int]] = {}
    for at, prompt in enumerate(prompts):
        places.setdefault(prompt, []).append(at)
    chosen, rejected = (cast("list[list[dict[str, str]]]", arrays[name].to_pylist()) for name in ("chosen", "rejected"))
    users, talks = (cast("list[list[str]]", arrays[name].to_pylist()) for name in ("users", "conversations"))
    answers = [[{"content": side[at][-1]["content"]} for at in group for side in (chosen, rejected)] for group in places.values()]
    columns: dict[str, pa.Array[Any]] = {
        "prompt_id": pa.array(list(places), TEXT),
        "prompt": arrays["prompt"].take(pa.array([group[0] for group in places.values()])),
        "responses": pa.array(answers, pa.large_list(pa.struct([("content", TEXT)]))),
        "conversations": pa.array([sorted({one for at in group for one in talks[at]}) or [name] for name, group in places.items()], TEXTS),
        "users": pa.array([sorted({one for at in group for one in users[at]}) for group in places.values()], TEXTS),
    }
    return pa.table(columns)


def _row(record: object, at: int) -> dict[str, Any]:
    """A pair's id, split, prompt, sides and sources; a UserError where one is missing."""
    where = f"certify: row {at}"
    if not isinstance(record, Mapping):
        raise UserError(where, f"a {type(record).__name__}", "a dict or a row of a table", "pass one a pair")
    for name in ("chosen", "rejected", "split"):
        if not record.get(name):
            raise UserError(where, f"no {name}", "prompt, chosen, rejected and split", f"give every pair a {name}")
    try:
        before = preference.prompt_of(dict(record))
        sides = [preference.line_of(before, record[side]) for side in ("chosen", "rejected")]
    except Unreadable as error:
        raise UserError(
            where, f"{error.fault.reason}: {error.fault.detail}", "texts, or lists of messages with role and content", "correct the row"
        ) from None
    sources = {name: _listed(next((record[key] for key in keys if record.get(key)), [])) for name, keys in SOURCES.items()}
    prompt = _messages(sides[0][:-1])
    if not prompt:
        raise UserError(where, "no prompt", "a prompt, or whole conversations", "give the pair a prompt")
    answers = {name: _messages(side[-1:]) for name, side in zip(("chosen", "rejected"), sides, strict=True)}
    name = str(next((record[key] for key in IDS if record.get(key) is not None), at))
    return {"id": name, "split": str(record["split"]), "prompt": prompt, **answers, **sources}


def _messages(line: Sequence[Any]) -> list[dict[str, object]]:
    return [{"role": said[0], "content": said[1]} for said in line]


def _listed(value: object) -> list[str]:
    return sorted({str(one) for one in value}) if isinstance(value, list | tuple | set) else [str(value)]


def _crossing(found: Mapping[str, pa.Table]) -> pa.Table:
    """Every value that lies in several splits, with its rows."""
    parts = []
    for key, values in sorted(found.items()):
        inside = values.filter(pc.is_in(values["value"], value_set=split_certificate.in_two_splits(values)))
        groups = inside.group_by("value", use_threads=False).aggregate([("id", "distinct"), ("split", "distinct")]).to_pylist()
        parts += [{"key": key, "rows": sorted(one["id_distinct"]), "splits": sorted(one["split_distinct"])} for one in groups]
    return pa.Table.from_pylist(sorted(parts, key=lambda part: (part["key"], part["rows"])), CROSSING)
