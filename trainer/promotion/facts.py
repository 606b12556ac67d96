"""What is known of the two models that are compared: which bytes they are, and what they were trained on.

The champion lies in a folder of its own: `champion.json`, which git keeps, and beside it the model and the start that it was trained
from, which DVC keeps (`model.dvc`, `start.dvc`). A folder without that file has no champion: then the next model is the first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from tasks.common import champion as names
from tasks.core import manifest
from tasks.core.errors import UserError
from trainer.models.training_context import TrainingContext


class Facts(TypedDict):
    """Of one model."""

    digest: str  # of its folder
    start: str  # of the folder that it was trained from
    source: str  # where that came from
    release: str  # SHA-256 of the manifest of what it was trained on
    salt: str  # fingerprint of the salt under which that was placed into splits
    erased: str  # digest of the tombstones that had been heeded


class Named(Facts):
    """Facts of a champion, and how it is called."""

    name: str


@dataclass(frozen=True)
class Champion:
    """The model that a new one is held against."""

    facts: Named
    model: Path
    start: Path

    def lacking(self) -> str:
        """Why its bytes cannot be used; nothing where they can."""
        for folder, wanted in ((self.model, self.facts["digest"]), (self.start, self.facts["start"])):
            if not folder.is_dir():
                return f"its bytes are not here ({folder})"
            if digest(folder) != wanted:
                return f"its bytes are not those that were recorded ({folder})"
        return ""


def of(context: TrainingContext, candidate: Path, start: Path, release: Path, erased: Path) -> Facts:
    """Of the new model, by what it says of itself."""
    return {
        "digest": digest(candidate),
        "start": digest(start),
        "source": context.source,
        "release": context.release,
        "salt": manifest.load(release).get("salt") or "",
        "erased": tombstones(erased),
    }


def champion(folder: Path) -> Champion | None:
    """The champion of a folder; none before the first."""
    path = folder / names.RECORD
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_bytes())
        facts: Named = {key: str(document[key]) for key in Named.__annotations__}  # type: ignore[assignment]  # all of them are text
    except (ValueError, TypeError, KeyError) as error:
        expected = "the record of a champion, as `pairwright run` writes it"
        raise UserError(str(path), "no such record", expected, f"restore it with `git checkout -- {path}`") from error
    return Champion(facts, folder / names.MODEL, folder / names.START)


def digest(folder: Path) -> str:
    """SHA-256 of a folder: of the names and digests of all files in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return manifest.digest(manifest.dumps({path.relative_to(folder).as_posix(): manifest.file_digest(path) for path in files}))


def tombstones(folder: Path) -> str:
    """Digest of all tombstones; nothing where there are none."""
    lines = sorted(
        line for path in folder.glob("*.txt") for line in path.read_text(encoding="utf-8").splitlines() if line[:1] not in ("", "#")
    )
    return manifest.digest("\n".join(lines).encode()) if lines else ""
