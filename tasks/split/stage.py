"""Stage `split`: train, validation and test, so that nothing crosses, and what was placed once stays where it is.

In: candidates, and the assignment of earlier releases (`tasks.split.assignment_table`), to which the stage adds what is new. Out:
candidates with
`cluster_id` and `split`; `common`, the texts that are met too often to link prompts; `places`, what the assignment says of each prompt;
and,
as dropped rows, the `votes` that were taken out. Prompts are linked when they read the same or are near-equal in what the user says (signs
and words such as "please" aside), open with the same user turn, come from one conversation or one user, or share a long answer. What is
linked, directly or over others, is one component and goes to one split (`tasks.split.assignment`); what earlier releases know stays, and
what is linked to it follows (`tasks.split.earlier_releases`).

- A component with more than `largest_held_out` of the rows of its split goes to train.
- Where there are as many components as splits, none stays empty.
- A component above `largest_component` is reported with the key that links it, and `on_giant` says what happens: `error` stops,
  `keep` goes on, `drop_weakest_links` gives up, inside that component alone, the links over users (of the users met most often first),
  then over answers, first user turns and conversations, until it is small enough. What costs every row that then lies elsewhere is not
  given up: near-equality, and a first user turn or a conversation that is itself a giant. Such a component is kept, and told.
- What lies in two splits after that is taken out of all but one (`tasks.split.leakage_removal`), with the reason `crosses_split`.
- Shares that are more than `far_from_asked` from those asked for are a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import daft
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from daft import col, lit

from tasks.common import links
from tasks.common.arrays import Mask, Rows, flat, owners, strings
from tasks.common.links import Edges, Keyed, UserTexts
from tasks.common.similarity import digests
from tasks.common.split_rules import SplitRules
from tasks.common.vocabulary.splits import SPLITS
from tasks.core import engine, pipeline, table_io
from tasks.core.engine import Tables
from tasks.core.errors import UserError
from tasks.core.tables import TEXT, TEXTS, Candidates, Places, Votes
from tasks.split import assignment_table, earlier_releases, leakage_removal
from tasks.split.assignment_table import ANYWHERE, MARKS, NEITHER, Assignment
from tasks.split.earlier_releases import Known, Rules
from tasks.split.leakage_removal import HomeSplit

STAGE = "split"
FEW = 30  # rows of which shares say little
WRITES = ("candidates", "common", "places")
BINDING = ("user", "answer", "opening", "conversation")  # keys whose values the assignment remembers, beside prompts
SAID = pa.struct([("asked", TEXTS), ("look", pa.uint64()), ("opening", pa.uint64()), ("answers", links.DIGESTS)])
PLACED = pa.struct([("cluster_id", TEXT), ("split", TEXT), ("touched", pa.bool_())])


Params = SplitRules


@dataclass(frozen=True)
class Plan:
    """What becomes of each row, in the order of `names`, and what belongs where."""

    names: npt.NDArray[np.uint64]  # digests of the prompt ids, sorted
    clusters: pa.Array[Any]
    split: Rows
    whole: Mask  # rows that go whole
    touched: Mask  # these, and rows from which something is taken
    home: Mapping[str, HomeSplit]
    common: pa.Table  # what is too common to link anything
    places: pa.Table  # what the assignment says of each prompt
    assignment: Assignment  # that of earlier releases, and what is new

    def rows(self, prompt_ids: pa.Array[Any]) -> Rows:
        """Where these prompts stand in the plan."""
        return np.searchsorted(self.names, digests(prompt_ids))


def work(stage: pipeline.Stage, params: Params, folder: Path) -> None:
    """Split what `aggregate` gathered; what is placed for the first time is in the assignment before the stage's output is whole.

    Killed between the two, the stage runs again, finds all in the assignment and places it the same way.
    """
    source, remembered = stage.input("candidates"), stage.input("splits")
    plan, tables = assign({"candidates": engine.read_table(source)}, params, assignment_table.load(remembered))
    accounts = table_io.write_tables(STAGE, WRITES, tables, {"candidates": source}, folder)
    assignment_table.save(remembered, plan.assignment)
    table_io.log_accounts(STAGE, accounts)


def run(tables: Tables, params: Params) -> Tables:
    """The tables of a first release."""
    return assign(tables, params, Assignment())[1]


def assign(tables: Tables, params: Params, former: Assignment) -> tuple[Plan, Tables]:
    """The plan, and candidates with their split and the votes that were taken out."""
    candidates = tables["candidates"]
    plan = make_plan(known_facts(candidates, params), params, former)
    placed = with_places(candidates, plan)
    made = {"common": plan.common, "places": plan.places, "votes": Votes.schema().empty_table()}
    more = {name: engine.from_arrow(rows) for name, rows in made.items()}
    if not plan.touched.any():
        return plan, {"candidates": placed.select(*Candidates.names()), **more}
    columns = [col(name) for name in Candidates.names()]
    rows = engine.sort(engine.to_arrow(placed.where(col("touched")).select(*columns), Candidates.schema()), Candidates.KEY)
    at = plan.rows(flat(rows["prompt_id"]))
    stripped = leakage_removal.remove_crossing(rows, plan.split[at], plan.whole[at], plan.home)
    report_stripped(stripped)
    rest = placed.where(~col("touched")).select(*columns, lit(None).cast(daft.DataType.string()).alias("dropped"))
    left = rest.concat(daft.from_arrow(stripped.candidates))
    return plan, {"candidates": left, **more, "votes": daft.from_arrow(stripped.votes)}


def known_facts(candidates: daft.DataFrame, params: Params) -> pa.Table:
    """What links go by, sorted by prompt."""
    texts = what_is_said(col("prompt"), col("responses"), params.min_answer_chars, params.compared_turns).unnest()
    return engine.sort(engine.to_arrow(candidates.select("prompt_id", texts, "conversations", "users"), links.FACTS), ("prompt_id",))


@engine.batch(SAID)
def what_is_said(prompts: daft.Series, responses: daft.Series, min_answer_chars: int, turns: int) -> pa.Array[Any]:
    """What the user says in a prompt, the digest of its first turn, and those of the long answers."""
    asked, opening = links.first_user_turns(prompts.to_arrow(), turns)
    lists = responses.to_arrow()
    contents = pc.struct_field(pc.list_flatten(lists), "content")
    answers = links.long_answers(owners(lists), len(lists), contents, min_answer_chars)
    columns = [asked.cast(TEXTS), links.looks(prompts.to_arrow()), opening, answers.cast(links.DIGESTS)]
    return pa.StructArray.from_arrays(columns, fields=list(SAID))


def make_plan(facts: pa.Table, params: Params, former: Assignment) -> Plan:
    """Links, components, their splits, and what lies in two splits nevertheless."""
    prompts = flat(facts["prompt_id"])
    texts = UserTexts.of(links.loosened(flat(facts["asked"]), params.fillers), params.near)
    limits = links.Limits(params.popular, params.largest_user, params.largest_component)
    linked = links.build_links(facts, texts, limits, lambda kind, names: former.of(kind, names) == ANYWHERE)
    report_popular(linked, params)
    known = Known(former.of("prompt", prompts), {key: former.of(key, linked.keyed[key].names) for key in BINDING})
    inner = break_giants(linked.edges(known.rows == assignment_table.UNKNOWN), len(facts), params)
    names = digests(prompts)
    rules = Rules(params.shares, params.largest_held_out)
    split, neither = earlier_releases.follow(linked, inner, known, names / 2.0**64, rules)
    report_shares(split[~neither], params)
    cluster = clusters(linked, neither)
    whole, home = home_splits_of(linked, known, split, neither, Keyed(cluster, np.arange(len(facts)), prompts))
    touched = np.logical_or.reduce([whole, *(values.touched for values in home.values())])
    marks = np.where(neither, NEITHER, split).tolist()
    homes = [(key, linked.keyed[key].names, home[key].of_value.tolist()) for key in BINDING]
    everywhere = [(key, names, [ANYWHERE] * len(names)) for key, names in linked.anywhere.items()]
    grown = former.grown(("prompt", prompts, marks), *homes, *everywhere)
    order = np.argsort(names)
    if len(names) > 1 and (np.diff(names[order]) == 0).any():
        raise AssertionError("two prompt ids have one digest")
    places = pa.table(
        {"prompt_id": prompts, "place": pa.array(MARKS, TEXT).take(pa.array(grown.of("prompt", prompts), pa.int64()))}, Places.schema()
    )
    return Plan(
        names=names[order],
        clusters=prompts.take(pa.array(cluster[order], pa.int64())),
        split=split[order],
        whole=whole[order],
        touched=touched[order],
        home=home,
        common=linked.common,
        places=places,
        assignment=grown,
    )


def clusters(linked: links.Links, neither: Mask) -> Rows:
    """A label for each row: the first row of those that say nearly the same, those that lie in no split aside."""
    looks = linked.keyed["look"]
    chained = links.chain(looks.where(~neither[looks.rows]))
    return links.components(len(neither), linked.said.edges(~neither), chained)


def home_splits_of(linked: links.Links, known: Known, split: Rows, neither: Mask, cluster: Keyed) -> tuple[Mask, dict[str, HomeSplit]]:
    """Which rows go whole, and where the values of each key belong: what is remembered stays."""
    home: dict[str, HomeSplit] = {}
    whole = neither.copy()
    home["opening"] = leakage_removal.home_splits(linked.keyed["opening"], split, linked.common_row, ~whole, known.values["opening"])
    whole |= home["opening"].touched
    whole |= leakage_removal.home_splits(cluster, split, linked.common_row, ~whole).touched
    for key in ("user", "answer", "conversation"):
        home[key] = leakage_removal.home_splits(linked.keyed[key], split, linked.common_row, ~whole, known.values[key])
    return whole, home


def with_places(candidates: daft.DataFrame, plan: Plan) -> daft.DataFrame:
    """Candidates with cluster, split and `touched`. A look-up and no join: it neither copies nor moves the rows."""
    splits = pa.array(SPLITS, TEXT)

    @engine.batch(PLACED)
    def look_up(prompt_ids: daft.Series) -> pa.Array[Any]:
        at = plan.rows(prompt_ids.to_arrow())
        columns = [
            plan.clusters.take(pa.array(at, pa.int64())),
            splits.take(pa.array(plan.split[at], pa.int64())),
            pa.array(plan.touched[at]),
        ]
        return pa.StructArray.from_arrays(columns, fields=list(PLACED))

    others = candidates.exclude("cluster_id", "split")
    return others.with_column("place", look_up(col("prompt_id"))).select(*others.column_names, col("place").unnest())


def break_giants(edges: dict[str, Edges], rows: int, params: Params) -> dict[str, Edges]:
    """The links that are left when no component is a giant, as far as `on_giant` says."""
    limit = params.largest_component * rows
    labels = links.components(rows, *edges.values())
    untie = params.on_giant == "drop_weakest_links"
    firm = {key for key, values in edges.items() if untie and loses_all(values, key, limit)}
    giant, size = links.largest(links.components(rows, *(edges[key] for key in firm))) if firm else (0, 0)
    if size > max(limit, 1):
        message = f"one component with {size} of {rows} rows, linked by {' and '.join(key for key in links.KEYS if key in firm)}, is kept"
        warnings.warn(f"{message}: parted, it would lose all that then lies elsewhere (split.near says what is near)", stacklevel=2)
        return edges
    for key in links.KEYS:
        giant, size = links.largest(labels)
        inside = int((labels[edges[key].left] == giant).sum())
        if size <= limit or not inside or key in firm:
            continue
        found = f"one component with {size} of {rows} rows, linked by {key} ({inside} links)"
        expected = f"at most {params.largest_component:.0%} of the rows (split.largest_component)"
        if params.on_giant == "error":
            raise UserError("split", found, expected, "set split.on_giant to drop_weakest_links or keep")
        if params.on_giant == "keep":
            warnings.warn(f"{found}; kept", stacklevel=2)
            break
        edges, given_up = links.drop_links(edges, key, rows, limit)
        labels = links.components(rows, *edges.values())
        warnings.warn(f"{found}; {given_up} of them given up, those of the commonest first", stacklevel=2)
    return edges


def loses_all(values: Edges, key: str, limit: float) -> bool:
    """Whether giving up links of this key costs every row that then lies elsewhere: such a row goes whole, as a near-equal one does.

    So it is with a first user turn, or a conversation, that alone is in more rows than a component may have.
    """
    return key == "near" or (key in ("opening", "conversation") and bool(values.shared_by.max(initial=0) > limit))


def report_shares(split: Rows, params: Params) -> None:
    """Say which splits are far from the shares that were asked for."""
    shares = np.bincount(split, minlength=len(SPLITS)) / max(1, len(split))
    found = list(zip(SPLITS, shares.tolist(), params.shares, strict=True))
    if len(split) >= FEW and any(abs(share - asked) > params.far_from_asked for _, share, asked in found):
        message = ", ".join(f"{name} has {share:.1%} of the rows ({asked:.0%} asked)" for name, share, asked in found)
        warnings.warn(f"{message}: large groups of linked prompts train whole, and what earlier releases placed stays", stacklevel=2)


def report_popular(linked: links.Links, params: Params) -> None:
    """Say what is too common to link anything."""
    kinds, counts = pc.value_counts(linked.common["kind"]).flatten()
    met = {"first_user_turn": 0, "answer": 0, "user": 0} | dict(zip(strings(kinds), counts.to_pylist(), strict=True))
    prompts = int(linked.common_row.sum())
    if met["first_user_turn"] or prompts:
        common = f"{met['first_user_turn']} first user turns and {prompts} prompts"
        warnings.warn(f"{common} are met in more than {params.popular} conversations and do not link them", stacklevel=2)
    if met["user"]:
        who = "an owner, an account that many share, or raters of everything"
        warnings.warn(
            f"{met['user']} users stand behind more than {params.largest_user:.0%} of the prompts ({who}) and do not link them",
            stacklevel=2,
        )
    if met["answer"]:
        warnings.warn(f"{met['answer']} answers stand under more than {params.popular} prompts and do not link them", stacklevel=2)


def report_stripped(stripped: leakage_removal.Remaining) -> None:
    """Say what was taken out so that nothing crosses."""
    whole = len(stripped.candidates) - stripped.candidates["dropped"].null_count
    parts = f"{whole} rows dropped, {len(stripped.candidates) - whole} stripped of what belongs elsewhere"
    warnings.warn(f"users, conversations or answers lay in two splits: {parts}; {len(stripped.votes)} votes went with it", stacklevel=2)
