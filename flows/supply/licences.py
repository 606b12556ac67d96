"""The licence of every package in `locks/`: `python -m flows.supply.licences` writes `locks/licences.json`.

In: the metadata of what is installed; `locks/licences.yaml`, which says what each spelling means and which licences may be. Out: an SPDX
expression for each package. What this machine has not installed (another system's packages, torch's libraries for GPUs) keeps its line.
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from flows.supply.locks import FOLDER, everything, files
from tasks.core.errors import UserError
from tasks.core.shell import guarded

LIST, RULES = FOLDER / "licences.json", FOLDER / "licences.yaml"
TOKEN = re.compile(r"\(|\)|[^\s()]+(?: WITH [^\s()]+)?")


@dataclass(frozen=True)
class Rules:
    """What `locks/licences.yaml` says."""

    allowed: frozenset[str]
    exceptions: Mapping[str, str]  # package, perhaps with `*` -> reason
    spelled: Mapping[str, str]
    read: Mapping[str, str]

    def reason(self, package: str) -> str:
        """Why the package is taken whatever its licence; nothing for most."""
        return _of(package, self.exceptions)


def rules(root: Path) -> Rules:
    """The rules of the project."""
    document = yaml.safe_load((root / RULES).read_text(encoding="utf-8"))
    return Rules(frozenset(document["allowed"]), document["exceptions"], document["spelled"], document["read"])


def listed(root: Path) -> dict[str, str]:
    """What `locks/licences.json` says."""
    path = root / LIST
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return known


def found(root: Path) -> dict[str, str]:
    """The licences of all packages in the lists: read anew where one is installed, as listed elsewhere."""
    known, how = listed(root), rules(root)
    told = {name: licence(name, how) or known.get(name, "") for name in everything(files(root))}
    if unknown := sorted(name for name, expression in told.items() if not expression):
        raise UserError(
            str(LIST), f"no licence of {', '.join(unknown)}", "one of each package", f"install them, or write them under `read` in {RULES}"
        )
    return dict(sorted(told.items()))


def licence(package: str, how: Rules) -> str:
    """The SPDX expression of an installed package, or of one that somebody read; nothing where neither is."""
    if by_hand := _of(package, how.read):
        return by_hand
    try:
        metadata = importlib.metadata.metadata(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
    classifiers = [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier", []) if line.startswith("License ::")]
    given = (*metadata.get_all("License-Expression", []), *metadata.get_all("License", []), *classifiers)
    return next((expression for text in given if text and (expression := _expression(text, how))), "")


def _of(package: str, entries: Mapping[str, str]) -> str:
    return next((entries[pattern] for pattern in entries if fnmatch.fnmatchcase(package, pattern)), "")


def _expression(text: str, how: Rules) -> str:
    """The text as SPDX writes it; nothing where it means none."""
    first = text.strip().partition("\n")[0].strip()
    try:
        return str(canonicalize_license_expression(how.spelled.get(first, first)))
    except InvalidLicenseExpression:
        return ""


def allows(expression: str, allowed: frozenset[str]) -> bool:
    """Whether the expression can be met with these licences alone."""
    tokens = iter([*TOKEN.findall(expression), ")"])
    return _any(tokens, allowed)


def _any(tokens: Iterator[str], allowed: frozenset[str]) -> bool:
    """The rest up to the closing parenthesis: sides of OR, each of parts joined by AND."""
    sides = [True]
    for token in tokens:
        if token == ")":
            break
        if token == "OR":
            sides.append(True)
        elif token != "AND":
            sides[-1] &= _any(tokens, allowed) if token == "(" else token in allowed
    return any(sides)


if __name__ == "__main__":
    sys.exit(guarded(lambda: (Path() / LIST).write_text(json.dumps(found(Path()), indent=1) + "\n", encoding="utf-8")))
