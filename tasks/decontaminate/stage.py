"""Keeps benchmark items out of training: drops the prompts in which users say one, verbatim or reworded.

In: candidates, and a folder of benchmarks (see `tasks.decontaminate.benchmarks` for what it may hold). Out: the same candidates, those of
the splits named in `splits` dropped (`benchmark`) when something that a user says holds an item, or an answer its reference solution.
Their rows among the dropped ones say which `benchmark`, which `item`, by which `method` it was found (see `tasks.decontaminate.search`)
and how high the `similarity` is on that method's scale. Finds in other splits are only counted and told. `benchmarks.json` tells, for
each benchmark, how many items it has and in how many prompts of each split one was found.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Literal

import daft
import pyarrow as pa
import pyarrow.compute as pc
from daft import col
from pydantic import Field

from tasks.common.arrays import flat, nest, owners
from tasks.core import engine, shell
from tasks.core.engine import Tables
from tasks.core.ledger import Account
from tasks.core.pipeline import Stage
from tasks.core.tables import TEXT, TEXTS
from tasks.decontaminate.benchmarks import PROMPT, SOLUTION, of_benchmarks, read_items
from tasks.decontaminate.search import Search, Settings
from tasks.decontaminate.verbatim import Verbatim, best

WRITES = ("candidates",)
REASON = "benchmark"
FOUND = pa.schema(
    [("prompt_id", TEXT), ("split", TEXT), ("benchmark", TEXT), ("item", TEXT), ("method", TEXT), ("similarity", pa.float64())]
)


class Params(Settings):
    """Parameters of the stage."""

    splits: list[Literal["train", "validation", "test"]] = Field(min_length=1)  # whose prompts are dropped


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Read the benchmarks, run, and write the candidates and `benchmarks.json` into `folder`."""
    items = read_items(stage.input("benchmarks"))
    if not len(items):
        warnings.warn(f"nothing is checked: {stage.input('benchmarks')} holds no benchmark", stacklevel=2)
    source = stage.input("candidates")
    found = find(engine.read_table(source), items, params)
    report(found, params)
    accounts = _write(stage, source, dropped(found, params), folder)
    told = json.dumps(summary(items, found), indent=1, sort_keys=True) + "\n"
    (folder / "benchmarks.json").write_text(told, encoding="utf-8")
    shell.say(stage.name, accounts)


def _write(stage: Stage, source: Path, gone: pa.Table, folder: Path) -> list[Account]:
    """The candidates and their account; where nothing is dropped, as they came."""
    if not len(gone):
        accounts = [shell.pass_table("candidates", source, folder)]
        shell.write_ledger(accounts, folder)
        return accounts
    result = {"candidates": mark(engine.read_table(source), gone)}
    return shell.write_tables(stage.name, WRITES, result, {"candidates": shell.count_rows(source)}, folder)


def run(tables: Tables, items: pa.Table, params: Params) -> Tables:
    """Candidates, those dropped that hold an item."""
    return {"candidates": mark(tables["candidates"], dropped(find(tables["candidates"], items, params), params))}


def find(candidates: daft.DataFrame, items: pa.Table, params: Params) -> pa.Table:
    """The best find in each prompt that holds an item, in any split, sorted by prompt."""
    parts = {part: items.filter(pc.equal(items["part"], part)) for part in (PROMPT, SOLUTION)}
    found = [FOUND.empty_table()]
    if len(sought := parts[PROMPT]):
        found.append(_find_in(candidates, by_users(col("prompt")), sought, Search(flat(sought["text"]), params)))
    if params.answers.use and len(sought := parts[SOLUTION]):
        search = Verbatim(flat(sought["text"]), params.ngram, params.answers.min_words, "answer")
        found.append(_find_in(candidates, answers(col("responses")), sought, search))
    return best(pa.concat_tables(found), "prompt_id")


def _find_in(candidates: daft.DataFrame, texts: daft.Expression, items: pa.Table, search: Verbatim) -> pa.Table:
    """The best find in each prompt, in the texts that belong to it."""
    said = candidates.select("prompt_id", "split", texts.alias("said")).to_arrow()
    lists = flat(said["said"])
    messages = pc.list_flatten(lists).dictionary_encode()  # a message stands in every later prompt of its conversation
    finds = search.find(messages.dictionary.cast(TEXT))
    places = pa.table({"prompt": owners(lists), "message": messages.indices.cast(pa.int64())})
    finds = best(places.join(finds, "message", join_type="inner"), "prompt")
    prompts, named = said.select(["prompt_id", "split"]).take(finds["prompt"]), items.take(finds["item"])
    return pa.table([*prompts.columns, named["benchmark"], named["item"], finds["method"], finds["similarity"]], names=FOUND.names).cast(
        FOUND
    )


@engine.batch(TEXTS)
def by_users(prompts: daft.Series) -> pa.Array:
    """What the user says in a prompt, message by message."""
    lists = prompts.to_arrow()
    messages, owner = pc.list_flatten(lists), owners(lists)
    spoken = pc.equal(pc.struct_field(messages, "role"), "user").to_numpy(zero_copy_only=False)
    return nest(owner[spoken], len(lists), pc.struct_field(messages, "content").filter(pa.array(spoken)))


@engine.batch(TEXTS)
def answers(responses: daft.Series) -> pa.Array:
    """The answers to a prompt."""
    lists = responses.to_arrow()
    return nest(owners(lists), len(lists), pc.struct_field(pc.list_flatten(lists), "content"))


def dropped(found: pa.Table, params: Params) -> pa.Table:
    """What was found in prompts that go: their ids, the reason and the finds."""
    gone = found.filter(pc.is_in(found["split"], value_set=pa.array(params.splits, TEXT))).drop_columns(["split"])
    return gone.append_column("dropped", pa.array([REASON] * len(gone), TEXT))


def mark(candidates: daft.DataFrame, gone: pa.Table) -> daft.DataFrame:
    """The candidates, with the finds in those that go."""
    return candidates.join(daft.from_arrow(gone), on="prompt_id", how="left")


def report(found: pa.Table, params: Params) -> None:
    """Say what is found where nothing is dropped."""
    left = found.filter(pc.invert(pc.is_in(found["split"], value_set=pa.array(params.splits, TEXT))))
    for entry in pc.value_counts(left["split"]).to_pylist():
        kept = f"{entry['counts']} prompts of the {entry['values']} split hold benchmark items"
        warnings.warn(f"{kept}; they are kept (decontaminate.splits)", stacklevel=2)


def summary(items: pa.Table, found: pa.Table) -> dict[str, dict[str, object]]:
    """Of each benchmark: its items, and the prompts of each split in which one was found."""
    told: dict[str, dict[str, object]] = {name: {"items": count, "prompts": {}} for name, count in of_benchmarks(items).items()}
    counts = found.group_by(["benchmark", "split"], use_threads=False).aggregate([([], "count_all")])
    for row in counts.to_pylist():
        told[row["benchmark"]]["prompts"] |= {row["split"]: row["count_all"]}  # type: ignore[operator]
    return told
