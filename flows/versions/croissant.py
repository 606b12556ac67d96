"""Croissant: a release described for the catalogues and loaders that read it (https://mlcommons.org/croissant), mlcroissant among them.

In: a release whose files all match its manifest. Out: `croissant.json`, which lies beside the release's files and names them from there:
each file with its digest, and a record set a config, with a field a column and one for the split. It is no part of the release, whose
bytes and digests stay as they are: an export holds both, and the Hub gets it with each version.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.common.vocabulary.splits import SPLITS
from tasks.core import manifest, shell
from tasks.core.errors import UserError
from tasks.core.params import parse
from tasks.release.column_docs import COLUMNS, OPTIONAL

NAME = "croissant.json"
CARD = "README.md"
TRAINER = "croissant"  # the word for it where a trainer is named
HEAD = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
VERSION = "http://mlcommons.org/croissant/1.0"
PARQUET = "application/x-parquet"  # as mlcroissant and the Hub write it
KINDS = {".json": "application/json", ".md": "text/markdown", ".html": "text/html", ".parquet": PARQUET}
TYPES = ((pa.types.is_boolean, "sc:Boolean"), (pa.types.is_integer, "sc:Integer"), (pa.types.is_floating, "sc:Float"))
TEXT = "sc:Text"
FILES = "{}-files"
# What the words mean, as the specification gives it: a reader that knows JSON-LD alone needs it.
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        word: f"cr:{word}"
        for word in (
            "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet", "format", "includes",
            "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex", "repeated", "replace",
            "samplingRate", "separator", "source", "subField", "transform",
        )
    },
}  # fmt: skip


def export(release: Path, to: Path) -> Iterator[str]:
    """Write the release with its description to a folder that is new or an earlier such export; what it holds, a line each."""
    from trainer.data import release_reader

    release_reader.verified(release)
    target = to.absolute()
    if target.exists() and (not target.is_dir() or (any(target.iterdir()) and not (target / NAME).is_file())):
        raise UserError(str(to), "other files", "a new folder, or an earlier export", "name another one")
    document = describe(release)
    with shell.atomic_output(target) as folder:
        shutil.copytree(release, folder, dirs_exist_ok=True)
        (folder / NAME).write_bytes(manifest.dumps(document))
    yield f"{to / NAME}: {len(document['recordSet'])} record sets over {len(document['distribution'])} files and sets of files"


def describe(release: Path, version: int = 0) -> dict[str, Any]:
    """The description of a release, as the version of that number where it is one; the same for the same bytes."""
    card = _head(release / CARD)
    files: dict[str, dict[str, Any]] = manifest.parsed(release / manifest.NAME)["files"]
    configs = [str(config["config_name"]) for config in card["configs"]]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": re.sub(r"\W+", "-", str(card["pretty_name"])).strip("-").lower(),
        "alternateName": card["pretty_name"],
        "description": f"{card['pretty_name']}: {', '.join(configs)}. See {CARD}.",
        "license": card["license"],
        "inLanguage": card.get("language", []),
        "keywords": card.get("tags", []),
        **({"version": f"{version}.0.0"} if version else {}),
        "distribution": [*(_file(name, entry) for name, entry in sorted(files.items())), *map(_set, configs)],
        "recordSet": [_records(release, name, files) for name in configs],
    }


def _head(path: Path) -> dict[str, Any]:
    """What the head of the card says to programs."""
    found = HEAD.match(path.read_text(encoding="utf-8"))
    if not found:
        raise UserError(str(path), "no head", "a dataset card with one", "make the release again")
    head: dict[str, Any] = parse(found[1])
    return head


def _file(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    kind = KINDS.get(Path(name).suffix, "application/octet-stream")
    told = {"name": name, "contentUrl": name, "contentSize": f"{entry['bytes']} B", "encodingFormat": kind, "sha256": entry["sha256"]}
    return {"@type": "cr:FileObject", "@id": name, **told}


def _set(config: str) -> dict[str, Any]:
    """The files of a config, whatever their number."""
    name = FILES.format(config)
    return {"@type": "cr:FileSet", "@id": name, "name": name, "encodingFormat": PARQUET, "includes": f"{config}/*.parquet"}


def _records(release: Path, config: str, files: Iterable[str]) -> dict[str, Any]:
    """A config as a record set."""
    import pyarrow.parquet as pq

    first = next(name for name in sorted(files) if name.startswith(f"{config}/"))
    fields = [_field(config, column) for column in pq.read_schema(release / first)]
    return {"@type": "cr:RecordSet", "@id": config, "name": config, "field": [_split(config), *fields]}


def _split(config: str) -> dict[str, Any]:
    """The split, which the name of a file says."""
    source = {
        "fileSet": {"@id": FILES.format(config)},
        "extract": {"fileProperty": "filename"},
        "transform": {"regex": f"^({'|'.join(SPLITS)})-.*$"},
    }
    return _told(f"{config}/split", "the split", TEXT, source)


def _field(config: str, column: pa.Field[Any]) -> dict[str, Any]:
    name, kind = f"{config}/{column.name}", column.type
    meaning = {**OPTIONAL, **COLUMNS[config]}.get(column.name, "")
    source: dict[str, Any] = {"fileSet": {"@id": FILES.format(config)}, "extract": {"column": column.name}}
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return _told(name, meaning, _type(kind), source)
    if not pa.types.is_struct(kind.value_type):
        return {**_told(name, meaning, _type(kind.value_type), source), "repeated": True}
    inner = [_told(f"{name}/{one.name}", "", _type(one.type), {**source, "transform": {"jsonPath": one.name}}) for one in kind.value_type]
    return {"@type": "cr:Field", "@id": name, "name": name, "description": meaning, "repeated": True, "subField": inner}


def _told(name: str, meaning: str, kind: str, source: dict[str, Any]) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": name, "name": name, "description": meaning or name, "dataType": kind, "source": source}


def _type(kind: pa.DataType) -> str:
    return next((name for fits, name in TYPES if fits(kind)), TEXT)
