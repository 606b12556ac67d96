"""Whether a release is what its workspace made: a manifest says only that the files fit it, and whoever changes one can write it anew.

In a workspace, the release must be the one whose digest `dvc.lock` names, or a record of a version in another folder. The digest is DVC's
own: the MD5 of the list of files with their MD5s. Elsewhere nothing vouches for a release, and that is said.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path

from tasks.core import manifest, pipeline
from tasks.core.errors import UserError
from tasks.core.params import parse

LOCK = "dvc.lock"
PATH = "dvc.yaml"
STAGE = "release"
RECORDS = "versions"  # the folder of records, beside the release
FORGED = "`dvc checkout` brings the release back, `dvc repro` makes it again; look who changed it"
UNSIGNED = "unsigned: {} fits its manifest, but no dvc.lock names it: trust it as far as you trust where it came from"


def accept(folder: Path) -> str:
    """SHA-256 of the manifest of a release that is whole and that its workspace made; else a UserError, or a warning where nothing says."""
    manifest.verify(folder)
    if not vouched(folder):
        warnings.warn(UNSIGNED.format(folder), UserWarning, stacklevel=2)
    return manifest.file_digest(folder / manifest.NAME)


def vouched(folder: Path) -> bool:
    """Whether the workspace around the folder says what lies in it; False where nothing does, a UserError where it says otherwise."""
    place = folder.resolve()
    root = next((above for above in place.parents if (above / PATH).is_file()), None)
    named = _named(root, place) if root else {}
    if not named:
        return False
    found = digest(place)
    if found not in named:
        where, expected = next(iter(named.items()))[1], ", ".join(f"{md5[:16]}…" for md5 in named)
        raise UserError(str(folder), f"files of digest {found[:16]}…, which nobody recorded", f"{expected} as in {where}", FORGED)
    return True


def digest(folder: Path) -> str:
    """The digest by which DVC knows a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = [{"md5": _md5(path), "relpath": path.relative_to(folder).as_posix()} for path in files]
    text = json.dumps(sorted(listed, key=lambda line: line["relpath"]), sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _named(root: Path, place: Path) -> dict[str, str]:
    """Digests that the workspace knows for this place, each with where it stands: that of its output, or those of all its versions."""
    stages = (parse((root / LOCK).read_text(encoding="utf-8")) or {}).get("stages", {}) if (root / LOCK).is_file() else {}
    for stage in stages.values():
        for out in stage.get("outs", []):
            if (root / out["path"]).resolve() == place:
                return {out["md5"]: LOCK}
    return _recorded(root)


def _recorded(root: Path) -> dict[str, str]:
    """Digests of the releases of all versions, and the record of each."""
    release = pipeline.stages(root).get(STAGE)
    records = sorted((root / release.output).parent.glob(f"{RECORDS}/v*.json")) if release else []
    return {json.loads(path.read_bytes())["release"]["md5"]: str(path.relative_to(root)) for path in records}
