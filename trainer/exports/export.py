"""export: a release and `params.yaml` in, a folder out that another trainer runs as it is.

    pairwright export openrlhf | verl | llamafactory --to DIR [--base NAME]

Only a release whose files all match its manifest is exported. The folder is written beside and renamed; one that holds anything but an
earlier export is not touched. `export.json` says what is in it, what was left out and why, and what the trainer has no place for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tasks.core import manifest, shell
from tasks.core.errors import UserError, one_of
from trainer.data import release_reader
from trainer.exports import export_plan, export_rows, file_formats, llamafactory, openrlhf, verl
from trainer.exports.export_plan import Plan
from trainer.exports.export_rows import Export, Rows

NAME = "export.json"
EXPORTS: dict[str, tuple[str, Callable[[Rows, Plan], Export]]] = {
    "llamafactory": (llamafactory.VERSION, llamafactory.export),
    "openrlhf": (openrlhf.VERSION, openrlhf.export),
    "verl": (verl.VERSION, verl.export),
}


def write(name: str, given: Path, to: Path, base: str | None) -> Iterator[str]:
    """Make the export; what it holds, line by line."""
    if name not in EXPORTS:
        raise UserError("export", name, one_of(EXPORTS), "name one")
    target = to.absolute()
    _free(target)
    digest = release_reader.verified(given)
    agreed = export_plan.read(shell.PARAMS, base, release_reader.label_smoothing(given))
    read = export_rows.read(given, agreed.start.shuffle_labels, agreed.start.seed)
    version, make = EXPORTS[name]
    made = make(read, agreed)
    _weights(read, made)
    summary = document(name, version, digest, agreed, made)
    with shell.atomic_output(target) as folder:
        for file, data in {**made.files, NAME: file_formats.document(summary)}.items():
            (folder / file).write_bytes(data)
            if file.endswith(".sh"):
                (folder / file).chmod(0o755)
    yield from lines(made, to)


def document(name: str, version: str, digest: str, agreed: Plan, made: Export) -> dict[str, Any]:
    """What `export.json` says."""
    files = {
        file: {"sha256": manifest.digest(data), **({"rows": made.rows[file]} if file in made.rows else {})}
        for file, data in sorted(made.files.items())
    }
    return {
        "trainer": name,
        "version": version,
        "release": digest,
        "base": agreed.base,
        "files": files,
        "left_out": made.left_out,
        "merged": made.merged,
        "not_carried": made.not_carried,
    }


def lines(made: Export, to: Path) -> Iterator[str]:
    """One line a file, with what it lacks."""
    for file in sorted(made.files):
        if file not in made.rows:
            yield f"{to / file}"
            continue
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in made.left_out.get(file, {}).items())
        merged = f"; {made.merged[file]:,} with neighbours of one role merged" if file in made.merged else ""
        yield f"{to / file}: {made.rows[file]:,} rows" + (f", left out: {reasons}" if reasons else "") + merged
    for what, why in made.not_carried.items():
        yield f"not carried: {what}: {why}"


def _free(to: Path) -> None:
    """Refuse a folder that holds something of the user's."""
    if to.exists() and not (to.is_dir() and ((to / NAME).is_file() or not any(to.iterdir()))):
        raise UserError(f"--to {to}", "something there that is no export", "a new folder, or an earlier export", "name another folder")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--to {to}", str(error.strerror), "a place where a folder can be made", "name another folder") from error


def _weights(read: Rows, made: Export) -> None:
    weights = [*(pair.weight for pair in read.pairs["train"]), *(example.weight for example in read.examples["train"])]
    count = sum(weight != 1 for weight in weights)
    if count:
        made.not_carried["weight"] = f"{count:,} training rows have a weight other than 1; the trainer takes each row once"
