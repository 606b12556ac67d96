"""Ask for known vulnerabilities of every package in `locks/`: `python -m flows.supply.audit`, what `make audit` does.

Needs pip-audit, and one of the services that it asks (PyPI's, or OSV's) on the network. Where neither answers, it says so in one line.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.supply.locks import files
from tasks.core.errors import UserError
from tasks.core.shell import guarded

SERVICES = ("pypi", "osv")


def audit(root: Path) -> None:
    """Say what is known; a UserError where something is, or where nobody could be asked."""
    answers = [asked(root, service) for service in SERVICES]
    checked = {one["name"]: one for answer in answers for one in answer if "vulns" in one}
    if not checked:
        raise UserError(
            "audit", f"no answer of {' and '.join(SERVICES)}", "one that knows these packages", "run it where the network lets it ask"
        )
    found = [line for one in checked.values() for line in told(one)]
    sys.stdout.write(
        "".join(f"{line}\n" for line in [*found, f"audit: {len(checked)} packages asked for, {len(found)} known vulnerabilities"])
    )
    if found:
        raise UserError(
            "locks", f"{len(found)} known vulnerabilities", "none", "change the versions in constraints.txt and run `make lock`"
        )


def asked(root: Path, service: str) -> list[dict[str, Any]]:
    """What one service says of each package; nothing where it is not reached."""
    lists = [word for path in files(root) for word in ("-r", str(path))]
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--no-deps",
        "--disable-pip",
        "--progress-spinner=off",
        "-f",
        "json",
        "-s",
        service,
        *lists,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    answer: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"] if done.stdout.startswith("{") else []
    return answer


def told(one: dict[str, Any]) -> Iterator[str]:
    """A line for each vulnerability of the package."""
    for vulnerability in one["vulns"]:
        mended = ", ".join(vulnerability["fix_versions"]) or "no version yet"
        yield f"{one['name']} {one['version']}: {vulnerability['id']}; mended in {mended}"


if __name__ == "__main__":
    sys.exit(guarded(lambda: audit(Path())))
