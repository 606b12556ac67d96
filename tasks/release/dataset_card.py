"""The dataset card: README.md of the release, whose YAML head tells `datasets` which configs, splits and columns there are.

In: summary and files of the release. Out: the card's text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tasks.common.markdown import quoted
from tasks.common.vocabulary.splits import SPLITS
from tasks.release.column_docs import COLUMNS, OPTIONAL
from tasks.release.files import CONFIGS
from tasks.release.summary import BY, Summary

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
MAIN = next(iter(CONFIGS))


@dataclass(frozen=True)
class Metadata:
    """What the card states besides counts."""

    title: str
    license: str
    redacted: str  # what was redacted and what was not


def card(metadata: Metadata, summary: Summary, files: Mapping[str, bytes]) -> str:
    """The whole card; its columns are read from the files of the release."""
    schemas = {name: pq.read_schema(pa.BufferReader(files[f"{name}/{SPLITS[0]}-00000.parquet"])) for name in CONFIGS}
    head = yaml.safe_dump(_head(metadata, summary, files, schemas), sort_keys=False, allow_unicode=True, width=140)
    columns = {name: schema.names for name, schema in schemas.items()}
    return f"---\n{head}---\n\n" + "\n\n".join(_body(metadata, summary, columns)) + "\n"


def filled(summary: Summary) -> dict[str, list[str]]:
    """Configs and their splits that have rows. `datasets` fails on an empty split, so the head names none."""
    with_rows = {name: [split for split in SPLITS if summary.rows[name][split]] for name in CONFIGS}
    return {name: splits for name, splits in with_rows.items() if splits}


def features(schema: pa.Schema) -> list[dict[str, object]]:
    """A schema's columns as the card's YAML head lists them."""
    return [{"name": field.name, **_feature(field.type)} for field in schema]


def _head(metadata: Metadata, summary: Summary, files: Mapping[str, bytes], schemas: Mapping[str, pa.Schema]) -> dict[str, object]:
    pairs = sum(summary.rows["preference"].values())
    languages = [name for name in summary.by["language"] if name not in ("", "und")]
    return {
        "pretty_name": metadata.title,
        "license": metadata.license,
        **({"language": languages} if languages else {}),
        "task_categories": ["text-generation"],
        "size_categories": [next((name for top, name in SIZES if pairs < top), "n>10M")],
        "tags": ["preference", "human-feedback", "dpo", "kto", "trl"],
        "configs": [_config(name, splits) for name, splits in filled(summary).items()],
        "dataset_info": [_info(name, splits, summary, files, schemas[name]) for name, splits in filled(summary).items()],
    }


def _config(name: str, splits: list[str]) -> dict[str, object]:
    paths = [{"split": split, "path": f"{name}/{split}-*.parquet"} for split in splits]
    return {"config_name": name, **({"default": True} if name == MAIN else {}), "data_files": paths}


def _info(name: str, splits: list[str], summary: Summary, files: Mapping[str, bytes], schema: pa.Schema) -> dict[str, object]:
    sizes = {split: sum(len(data) for path, data in files.items() if path.startswith(f"{name}/{split}-")) for split in splits}
    entries = [{"name": split, "num_bytes": size, "num_examples": summary.rows[name][split]} for split, size in sizes.items()]
    total = sum(sizes.values())
    return {"config_name": name, "features": features(schema), "splits": entries, "download_size": total, "dataset_size": total}


def _feature(kind: pa.DataType) -> dict[str, object]:
    if pa.types.is_list(kind):
        inner = kind.value_type
        return {"list": features(pa.schema(list(inner)))} if pa.types.is_struct(inner) else {"list": _dtype(inner)}
    return {"dtype": _dtype(kind)}


def _dtype(kind: pa.DataType) -> str:
    return {"double": "float64", "extension<arrow.json>": "json"}.get(str(kind), str(kind))


def _body(metadata: Metadata, summary: Summary, columns: Mapping[str, list[str]]) -> list[str]:
    return [
        f"# {quoted(metadata.title)}",
        "Preferences of chatbot users, built by Pairwright from chat logs and user feedback. Each config is one format of training data; "
        "all message columns are lists of `role` and `content`, as TRL expects.",
        metadata.redacted,
        _table(("config", "for", "columns to train on", *SPLITS), _config_rows(summary)),
        '```python\nfrom datasets import load_dataset\n\npairs = load_dataset("data/release", "preference")\n```',
        "## What is in it",
        *(f"Pairs by {column}:\n\n{_table((column, *SPLITS), _split_rows(summary.by[column]))}" for column in BY if summary.by[column]),
        *(f"Columns of `{name}`:\n\n{_table(('column', 'meaning'), _meanings(name, columns[name]))}" for name in filled(summary)),
        "## What to train with it",
        *_training(summary),
        *_probed(summary),
        "## How it was made",
        "Raw records were read, cleaned (personal data and secrets replaced by placeholders), deduplicated, validated, "
        "grouped by prompt, split so that linked prompts stay together, and paired by named recipes (column `recipe`), each reading "
        "one kind of evidence; ties give no pairs. `augmented_from` names the parent of a paraphrased or repeated row: only the train "
        "split has such rows. In + made = kept + dropped at every stage:",
        _table(("stage", "table", "in", "made", "kept", "dropped", "reasons"), _path_rows(summary)),
        f"In two splits: {', '.join(f'{count} {what}' for what, count in summary.shared.items())}.",
        "## Limits",
        _bias(summary),
        "Thumbs, ratings and choices are what some users did, not what all users want; `confidence` and `evidence` say how much supports "
        "a pair. Redaction is not complete: review the data before you publish it.",
        "`manifest.json` lists every file's digest, the raw files behind the ids in `origins`, and the parameters' digest.",
    ]


def _meanings(config: str, columns: list[str]) -> list[list[str]]:
    return [[f"`{name}`", {**COLUMNS[config], **OPTIONAL}[name]] for name in columns]


def _training(summary: Summary) -> list[str]:
    choice = summary.choice
    rows = [
        [method.title, "yes" if method.enough else "no", ", ".join(f"{need.has:,} of {need.needs:,} {need.what}" for need in method.needs)]
        for method in choice.methods.values()
    ]
    parts = [
        f"{choice.verdict()} Counts are of training rows without variants and repeats.",
        _table(("method", "enough", "has and needs"), rows),
    ]
    if choice.kto.desirable_weight is not None:
        weights = f"`desirable_weight={choice.kto.desirable_weight:g}, undesirable_weight={choice.kto.undesirable_weight:g}`"
        parts.append(f"KTO: {choice.kto.desirable:,} good and {choice.kto.undesirable:,} bad answers; set {weights}.")
    if choice.label_noise is not None:
        parts.append(f"Expected label noise by the pairs' confidence: {100 * choice.label_noise:.1f} %; use it as DPO's `label_smoothing`.")
    if summary.people.calibration:
        reliabilities = ", ".join(f"{row['recipe']} {row['reliability']:.2f} ({_known(row)})" for row in summary.people.calibration)
        parts.append(f"Estimated reliability of one vote: {reliabilities}.")
    return parts


def _known(row: Mapping[str, object]) -> str:
    """How the reliability of a vote is known, in words."""
    if row["basis"] == "assumed":
        return f"assumed; {row['missing']:,} more second opinions are needed to estimate it"
    shared = f"{row['shared']:,.0f} second opinions" if row["shared"] else ""
    return "estimated from " + " and ".join(part for part in (shared, "words" if row["basis"] == "words" else "") if part)


def _probed(summary: Summary) -> list[str]:
    """What the bag-of-words probe learned, in words."""
    if summary.probed is None:
        return []
    probed = summary.probed
    untouched = "" if probed.untouched is None else f" ({probed.untouched} on validation and test, where words drop no pairs)"
    return [
        "A bag-of-words probe (TF-IDF, Bradley-Terry), cross-validated over groups that share no prompt or conversation, has a held-out "
        f"accuracy of {probed.accuracy}{untouched}; always taking the longer answer reaches {probed.longer}. "
        f"It suspects {probed.suspects.count:,} labels (`probe.json`). Dataset size: {probed.curve.verdict}."
    ]


def _bias(summary: Summary) -> str:
    """Spurious cues that a model may learn instead of quality, in words."""
    outside = [name for name, share in summary.bias.features.items() if share.marked]
    length = summary.bias.features["length"]
    longer = (
        ""
        if length.share is None
        else f"The chosen answer is the longer one in {100 * length.share:.1f} % of the pairs that differ in length. "
    )
    band = f"{100 * summary.bias.band[0]:g} to {100 * summary.bias.band[1]:g} %"
    verdict = f"Significantly outside {band}: {', '.join(outside)}." if outside else f"No spurious cue is significantly outside {band}."
    return f"{longer}{verdict} `bias.json` has the figures by split, recipe, source and model."


def _config_rows(summary: Summary) -> list[list[str]]:
    return [
        [
            f"`{name}`",
            config.trainers,
            ", ".join(f"`{column}`" for column in config.shape),
            *(f"{summary.rows[name][split]:,}" for split in SPLITS),
        ]
        for name, config in CONFIGS.items()
    ]


def _split_rows(values: Mapping[str, Mapping[str, int]]) -> list[list[str]]:
    return [[quoted(name) or "(none)", *(f"{counts[split]:,}" for split in SPLITS)] for name, counts in values.items()]


def _path_rows(summary: Summary) -> list[list[str]]:
    return [
        [
            stage,
            table,
            *(f"{entry[key]:,}" for key in ("in", "made", "kept", "dropped")),
            ", ".join(f"{name} {n:,}" for name, n in entry["reasons"].items()),
        ]
        for stage, tables in summary.ledgers.items()
        for table, entry in tables.items()
    ]


def _table(heads: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines)
