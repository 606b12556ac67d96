"""Keep benchmark items out of training: drop prompts whose user turns hold one, verbatim, near-verbatim or paraphrased.

In: candidates, and a folder of benchmarks (see `tasks.decontaminate.benchmarks` for its formats). Out: the same candidates; those of the
splits in `splits` are dropped (`benchmark`) when a user turn holds an item, or an answer holds its reference solution. Dropped rows name
the `benchmark`, the `item`, the `method` (see `tasks.decontaminate.search`) and the `similarity` on that method's scale. Matches in other
splits are reported, not dropped. `benchmarks.json` has, for each benchmark, the number of items and of matched prompts in each split.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import daft
import pyarrow as pa
import pyarrow.compute as pc
from daft import col
from pydantic import Field

from tasks.common.arrays import flat, nest, owners
from tasks.common.vocabulary.reasons import decontaminate as why
from tasks.common.vocabulary.roles import USER
from tasks.common.vocabulary.splits import Split
from tasks.core import engine, table_io
from tasks.core.engine import Tables
from tasks.core.ledger import Account
from tasks.core.pipeline import Stage
from tasks.core.tables import TEXT, TEXTS
from tasks.decontaminate.benchmarks import PROMPT, SOLUTION, of_benchmarks, read_items
from tasks.decontaminate.search import Search, Settings
from tasks.decontaminate.verbatim import Verbatim, best

WRITES = ("candidates",)
FIELDS: dict[str, pa.DataType] = {
    "prompt_id": TEXT,
    "split": TEXT,
    "benchmark": TEXT,
    "item": TEXT,
    "method": TEXT,
    "similarity": pa.float64(),
}
MATCHES = pa.schema(FIELDS)


class Params(Settings):
    """Parameters of the stage."""

    splits: list[Split] = Field(min_length=1)  # splits whose matched prompts are dropped


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Read the benchmarks, run, and write the candidates and `benchmarks.json` into `folder`."""
    items = read_items(stage.input("benchmarks"))
    if not len(items):
        warnings.warn(f"nothing is checked: no benchmark in {stage.input('benchmarks')}", stacklevel=2)
    source = stage.input("candidates")
    matches = find_matches(engine.read_table(source), items, params)
    warn_of_kept(matches, params)
    accounts = _write(stage, source, dropped(matches, params), folder)
    document = json.dumps(summary(items, matches), indent=1, sort_keys=True) + "\n"
    (folder / "benchmarks.json").write_text(document, encoding="utf-8")
    table_io.log_accounts(stage.name, accounts)


def _write(stage: Stage, source: Path, gone: pa.Table, folder: Path) -> list[Account]:
    """Write the candidates, unchanged where nothing is dropped, and return their account."""
    if not len(gone):
        accounts = [table_io.pass_table("candidates", source, folder)]
        table_io.write_ledger(accounts, folder)
        return accounts
    result = {"candidates": mark(engine.read_table(source), gone)}
    return table_io.write_tables(stage.name, WRITES, result, {"candidates": source}, folder)


def run(tables: Tables, items: pa.Table, params: Params) -> Tables:
    """Candidates; those that hold an item are dropped."""
    return {"candidates": mark(tables["candidates"], dropped(find_matches(tables["candidates"], items, params), params))}


def find_matches(candidates: daft.DataFrame, items: pa.Table, params: Params) -> pa.Table:
    """The best match of each prompt that holds an item, in any split, sorted by prompt."""
    parts = {part: items.filter(pc.equal(items["part"], pa.scalar(part))) for part in (PROMPT, SOLUTION)}
    matches = [MATCHES.empty_table()]
    if len(items_of_part := parts[PROMPT]):
        matches.append(_find_in(candidates, by_users(col("prompt")), items_of_part, Search(flat(items_of_part["text"]), params)))
    if params.answers.use and len(items_of_part := parts[SOLUTION]):
        search = Verbatim(flat(items_of_part["text"]), params.ngram, params.answers.min_words, "answer")
        matches.append(_find_in(candidates, answers(col("responses")), items_of_part, search))
    return best(pa.concat_tables(matches), "prompt_id")


def _find_in(candidates: daft.DataFrame, texts: daft.Expression, items: pa.Table, search: Verbatim) -> pa.Table:
    """The best match of each prompt in its `texts`."""
    rows = candidates.select("prompt_id", "split", texts.alias("texts")).to_arrow()
    lists = flat(rows["texts"])
    messages = pc.list_flatten(lists).dictionary_encode()  # a message recurs in every later prompt of its conversation
    finds = search.find(messages.dictionary.cast(TEXT))
    places = pa.Table.from_pydict({"prompt": owners(lists), "message": messages.indices.cast(pa.int64())})
    finds = best(places.join(finds, "message", join_type="inner"), "prompt")
    prompts, matched = rows.select(["prompt_id", "split"]).take(finds["prompt"]), items.take(finds["item"])
    return pa.table(
        [*prompts.columns, matched["benchmark"], matched["item"], finds["method"], finds["similarity"]], names=MATCHES.names
    ).cast(MATCHES)


@engine.batch(TEXTS)
def by_users(prompts: daft.Series) -> pa.Array[Any]:
    """The user turns of each prompt."""
    lists = prompts.to_arrow()
    messages, owner = pc.list_flatten(lists), owners(lists)
    spoken = pc.equal(pc.struct_field(messages, "role"), pa.scalar(USER)).to_numpy(zero_copy_only=False)
    return nest(owner[spoken], len(lists), pc.struct_field(messages, "content").filter(pa.array(spoken)))


@engine.batch(TEXTS)
def answers(responses: daft.Series) -> pa.Array[Any]:
    """The answers to each prompt."""
    lists = responses.to_arrow()
    return nest(owners(lists), len(lists), pc.struct_field(pc.list_flatten(lists), "content"))


def dropped(matches: pa.Table, params: Params) -> pa.Table:
    """Matches in prompts that are dropped: ids, the reason and the matches."""
    gone = matches.filter(pc.is_in(matches["split"], value_set=pa.array(params.splits, TEXT))).drop_columns(["split"])
    return gone.append_column("dropped", pa.array([why.BENCHMARK] * len(gone), TEXT))


def mark(candidates: daft.DataFrame, gone: pa.Table) -> daft.DataFrame:
    """The candidates, with the matches of those that are dropped."""
    return candidates.join(daft.from_arrow(gone), on="prompt_id", how="left")


def warn_of_kept(matches: pa.Table, params: Params) -> None:
    """Warn of matches in splits where nothing is dropped."""
    left = matches.filter(pc.invert(pc.is_in(matches["split"], value_set=pa.array(params.splits, TEXT))))
    counts = pc.value_counts(left["split"])
    for split, count in zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True):
        kept = f"{count} prompts of the {split} split hold benchmark items"
        warnings.warn(f"{kept}; they are kept (decontaminate.splits)", stacklevel=2)


def summary(items: pa.Table, matches: pa.Table) -> dict[str, dict[str, object]]:
    """For each benchmark: the number of items, and of matched prompts in each split."""
    document: dict[str, dict[str, object]] = {name: {"items": count, "prompts": {}} for name, count in of_benchmarks(items).items()}
    counts = matches.group_by(["benchmark", "split"], use_threads=False).aggregate([([], "count_all")])
    for row in counts.to_pylist():
        document[row["benchmark"]]["prompts"] |= {row["split"]: row["count_all"]}  # type: ignore[operator]
    return document
