"""The dataset card: README.md of the release, whose head tells `datasets` which configs, splits and columns there are.

In: facts, files and tables of the release. Out: the card's text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from expectations.pairs import SPLITS
from tasks.release.column_docs import COLUMNS, OPTIONAL
from tasks.release.files import CONFIGS
from tasks.release.summary import BY, Facts

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
MAIN = next(iter(CONFIGS))
MARKS = re.compile(r"[\\`*~\[\]]|(?<!\w)_|_(?!\w)|(?<=:)(?=//)|(?<=www)(?=\.)")  # signs of Markdown, and what makes a bare address a link


@dataclass(frozen=True)
class About:
    """What a card says that no count can tell."""

    title: str
    license: str
    redacted: str  # what redaction took and what it left


def card(about: About, facts: Facts, files: Mapping[str, bytes]) -> str:
    """The whole card; what it says of columns is read in the files that stand beside it."""
    schemas = {name: pq.read_schema(pa.BufferReader(files[f"{name}/{SPLITS[0]}-00000.parquet"])) for name in CONFIGS}
    head = yaml.safe_dump(_head(about, facts, files, schemas), sort_keys=False, allow_unicode=True, width=140)
    columns = {name: schema.names for name, schema in schemas.items()}
    return f"---\n{head}---\n\n" + "\n\n".join(_body(about, facts, columns)) + "\n"


def filled(facts: Facts) -> dict[str, list[str]]:
    """Configs and their splits that have rows. `datasets` fails on a split without any, so the head names no such split."""
    found = {name: [split for split in SPLITS if facts.rows[name][split]] for name in CONFIGS}
    return {name: splits for name, splits in found.items() if splits}


def features(schema: pa.Schema) -> list[dict[str, Any]]:
    """A schema's columns as the card's head writes them."""
    return [{"name": field.name, **_feature(field.type)} for field in schema]


def _head(about: About, facts: Facts, files: Mapping[str, bytes], schemas: Mapping[str, pa.Schema]) -> dict[str, Any]:
    pairs = sum(facts.rows["preference"].values())
    languages = [name for name in facts.by["language"] if name not in ("", "und")]
    return {
        "pretty_name": about.title,
        "license": about.license,
        **({"language": languages} if languages else {}),
        "task_categories": ["text-generation"],
        "size_categories": [next((name for top, name in SIZES if pairs < top), "n>10M")],
        "tags": ["preference", "human-feedback", "dpo", "kto", "trl"],
        "configs": [_config(name, splits) for name, splits in filled(facts).items()],
        "dataset_info": [_info(name, splits, facts, files, schemas[name]) for name, splits in filled(facts).items()],
    }


def _config(name: str, splits: list[str]) -> dict[str, Any]:
    paths = [{"split": split, "path": f"{name}/{split}-*.parquet"} for split in splits]
    return {"config_name": name, **({"default": True} if name == MAIN else {}), "data_files": paths}


def _info(name: str, splits: list[str], facts: Facts, files: Mapping[str, bytes], schema: pa.Schema) -> dict[str, Any]:
    sizes = {split: sum(len(data) for path, data in files.items() if path.startswith(f"{name}/{split}-")) for split in splits}
    entries = [{"name": split, "num_bytes": size, "num_examples": facts.rows[name][split]} for split, size in sizes.items()]
    total = sum(sizes.values())
    return {"config_name": name, "features": features(schema), "splits": entries, "download_size": total, "dataset_size": total}


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind):
        inner = kind.value_type
        return {"list": features(pa.schema(list(inner)))} if pa.types.is_struct(inner) else {"list": _dtype(inner)}
    return {"dtype": _dtype(kind)}


def _dtype(kind: pa.DataType) -> str:
    return {"double": "float64", "extension<arrow.json>": "json"}.get(str(kind), str(kind))


def _body(about: About, facts: Facts, columns: Mapping[str, list[str]]) -> list[str]:
    return [
        f"# {quoted(about.title)}",
        "Preferences of people who used a chatbot, made from its logs and their feedback by Pairwright. Each config is one shape of "
        "training data; all message columns are lists of `role` and `content`, as TRL reads them.",
        about.redacted,
        _table(("config", "for", "columns to train on", *SPLITS), _config_rows(facts)),
        '```python\nfrom datasets import load_dataset\n\npairs = load_dataset("data/release", "preference")\n```',
        "## What is in it",
        *(f"Pairs by {column}:\n\n{_table((column, *SPLITS), _split_rows(facts.by[column]))}" for column in BY if facts.by[column]),
        *(f"Columns of `{name}`:\n\n{_table(('column', 'meaning'), _meanings(name, columns[name]))}" for name in filled(facts)),
        "## What to train with it",
        *_training(facts),
        *_probed(facts),
        "## How it was made",
        "Raw records were read, cleaned (personal data and secrets replaced by placeholders), merged where they were copies, checked, "
        "gathered by prompt, split by what ties prompts together, and paired by named recipes (column `recipe`), each reading one kind of "
        "evidence; ties make no pairs. `augmented_from` names the parent of a reworded or repeated row: only the train split has any. "
        "In + made = kept + dropped at every stage:",
        _table(("stage", "table", "in", "made", "kept", "dropped", "reasons"), _path_rows(facts)),
        f"In two splits: {', '.join(f'{count} {what}' for what, count in facts.shared.items())}.",
        "## Limits",
        _bias(facts),
        "Thumbs, ratings and choices are what some users did, not what all users want; `confidence` and `evidence` say how little or much "
        "stands behind a pair. Redaction misses some of what it looks for: do not publish without a look.",
        "`manifest.json` lists every file's digest, the raw files behind the ids in `origins`, and the parameters' digest.",
    ]


def _meanings(config: str, columns: list[str]) -> list[list[str]]:
    return [[f"`{name}`", {**COLUMNS[config], **OPTIONAL}[name]] for name in columns]


def _training(facts: Facts) -> list[str]:
    choice = facts.choice
    rows = [
        [method.title, "yes" if method.enough else "no", ", ".join(f"{need.has:,} of {need.needs:,} {need.what}" for need in method.needs)]
        for method in choice.methods.values()
    ]
    parts = [
        f"{choice.verdict()} Counted are training rows without variants and repeats.",
        _table(("method", "enough", "has and needs"), rows),
    ]
    if choice.kto.desirable_weight is not None:
        weights = f"`desirable_weight={choice.kto.desirable_weight:g}, undesirable_weight={choice.kto.undesirable_weight:g}`"
        parts.append(f"KTO: {choice.kto.desirable:,} liked and {choice.kto.undesirable:,} disliked answers; set {weights}.")
    if choice.label_noise is not None:
        parts.append(
            f"By their confidence, {100 * choice.label_noise:.1f} % of the pairs are the wrong way round: DPO's `label_smoothing`."
        )
    if facts.people.calibration:
        told = ", ".join(f"{row['recipe']} {row['reliability']:.2f} ({_known(row)})" for row in facts.people.calibration)
        parts.append(f"One act of feedback is right so often: {told}.")
    return parts


def _known(row: Mapping[str, Any]) -> str:
    """How an act's reliability is known, in words."""
    if row["basis"] == "assumed":
        return f"assumed; {row['missing']:,} more second opinions would tell"
    shared = f"{row['shared']:,.0f} second opinions" if row["shared"] else ""
    return "estimated from " + " and ".join(part for part in (shared, "words" if row["basis"] == "words" else "") if part)


def _probed(facts: Facts) -> list[str]:
    """What a judge of words learned, in words."""
    if facts.probed is None:
        return []
    found = facts.probed
    untouched = "" if found.untouched is None else f" ({found.untouched} of those of validation and test, where words drop nothing)"
    return [
        "A judge of words (TF-IDF, Bradley-Terry), cross-validated over groups that share no prompt or conversation, is right about "
        f"{found.accuracy} of the pairs it was not taught{untouched}; the longer answer about {found.longer}. "
        f"It suspects {found.suspects.count:,} labels (`probe.json`). As for size: {found.curve.verdict}."
    ]


def _bias(facts: Facts) -> str:
    """What a model may learn instead of quality, in words."""
    outside = [name for name, share in facts.bias.features.items() if share.marked]
    length = facts.bias.features["length"]
    longer = (
        ""
        if length.share is None
        else f"The chosen answer is the longer one in {100 * length.share:.1f} % of the pairs that differ in length. "
    )
    band = f"{100 * facts.bias.band[0]:g} to {100 * facts.bias.band[1]:g} %"
    told = f"Outside {band}: {', '.join(outside)}." if outside else f"No feature of the answers' form lies surely outside {band}."
    return f"{longer}{told} `bias.json` has the figures by split, recipe, source and model."


def _config_rows(facts: Facts) -> list[list[str]]:
    return [
        [
            f"`{name}`",
            config.trainers,
            ", ".join(f"`{column}`" for column in config.shape),
            *(f"{facts.rows[name][split]:,}" for split in SPLITS),
        ]
        for name, config in CONFIGS.items()
    ]


def quoted(words: str) -> str:
    """Words out of logs as Markdown that shows them and does nothing else: no element, link, picture or code."""
    return MARKS.sub(r"\\\g<0>", html.escape(words))


def _split_rows(values: Mapping[str, Mapping[str, int]]) -> list[list[str]]:
    return [[quoted(name) or "(none)", *(f"{counts[split]:,}" for split in SPLITS)] for name, counts in values.items()]


def _path_rows(facts: Facts) -> list[list[str]]:
    return [
        [
            stage,
            table,
            *(f"{entry[key]:,}" for key in ("in", "made", "kept", "dropped")),
            ", ".join(f"{name} {n:,}" for name, n in entry["reasons"].items()),
        ]
        for stage, tables in facts.ledgers.items()
        for table, entry in tables.items()
    ]


def _table(heads: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines)
