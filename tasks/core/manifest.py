"""The manifest of a release: size and digest of every file, and their verification.

`manifest.json` lies in the release's folder. Its key `files` maps each other file's path to `bytes`, `sha256` and,
for Parquet, `rows`. `verify` is what a reader of the release (the trainer, a person) calls before trusting it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tasks.core.errors import UserError

NAME = "manifest.json"
BLOCK = 1 << 20
REMEDY = "make the release again with `dvc repro release`, or fetch it again with `dvc checkout data/release`"


def digest(data: bytes) -> str:
    """SHA-256 of the bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex, read in blocks."""
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            state.update(block)
    return state.hexdigest()


def dumps(document: object) -> bytes:
    """A JSON document as the release writes it: sorted keys, one trailing newline, the same bytes every time."""
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")


def load(folder: Path) -> dict[str, Any]:
    """The manifest of the release in `folder`; raises UserError where there is none or it is invalid."""
    return parsed(folder / NAME)


def parsed(path: Path) -> dict[str, Any]:
    """The same of a manifest that lies anywhere."""
    if not path.is_file():
        raise UserError(str(path), "no such file", "the manifest of a release", REMEDY)
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(str(path), "text that is not JSON", "the manifest of a release", REMEDY) from error
    files = document.get("files") if isinstance(document, dict) else None
    if not isinstance(files, dict) or not all(isinstance(entry, dict) and "sha256" in entry for entry in files.values()):
        raise UserError(str(path), "no digests of files", "the manifest of a release, with `files` and the sha256 of each", REMEDY)
    return document


def verify(folder: Path) -> None:
    """Check every file of the release against its manifest; a UserError names the first that is missing, changed or extra."""
    listed = load(folder)["files"]
    present = {str(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file()} - {NAME}
    for name in sorted(set(listed) - present):
        raise UserError(str(folder / name), "no such file", f"the file that {NAME} lists", REMEDY)
    for name in sorted(present - set(listed)):
        raise UserError(str(folder / name), "a file that is not in the manifest", f"only what {NAME} lists", REMEDY)
    for name in sorted(listed):
        actual = file_digest(folder / name)
        if actual != listed[name]["sha256"]:
            raise UserError(str(folder / name), f"sha256 {actual[:16]}…", f"{listed[name]['sha256'][:16]}… as {NAME} says", REMEDY)
