"""Claims about what `make` installs: every file is listed by digest, the lists are whole, and another file is refused."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from flows.supply import audit, locks
from flows.supply.lock import EXTRAS
from tasks.core.errors import UserError
from tests.conftest import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REMEDY = "run `make lock`"
LISTS = locks.files(ROOT)


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_every_entry_has_a_version_and_digests(path: Path) -> None:
    entries = locks.read(path)
    assert entries
    assert list(entries) == sorted(entries)
    for entry in entries.values():
        assert entry.digests, entry.name
        assert len(set(entry.digests)) == len(entry.digests)
        assert entry.text.count("--hash=") == len(entry.digests), f"{entry.name} has a digest that is no sha256"


def test_the_constraints_are_the_versions_of_the_lists() -> None:
    listed = locks.everything(path for path in LISTS if path.stem != "cuda")
    assert locks.pins((ROOT / locks.CONSTRAINTS).read_text(encoding="utf-8")) == {name: entry.version for name, entry in listed.items()}, (
        REMEDY
    )


def test_no_package_stands_in_two_lists_with_two_versions() -> None:
    for name, entry in locks.everything(LISTS).items():
        assert {found.version for path in LISTS if (found := locks.read(path).get(name))} == {entry.version}, name


def wanted() -> Iterator[Requirement]:
    """What the project asks for by itself: to be built, to run, to be developed."""
    extras = PROJECT["project"]["optional-dependencies"]
    for line in [
        *PROJECT["build-system"]["requires"],
        *PROJECT["project"]["dependencies"],
        *(line for name in EXTRAS for line in extras[name]),
    ]:
        yield Requirement(line)


def test_all_that_the_project_and_its_packages_ask_for_is_listed_in_a_version_that_they_take() -> None:
    """Pip installs the lists without looking at what packages ask for, so the lists must be whole."""
    listed, todo, seen = locks.everything(LISTS), list(wanted()), set()
    while todo:
        requirement = todo.pop()
        entry = listed.get(canonicalize_name(requirement.name))
        assert entry, f"{requirement} is in no list: {REMEDY}"
        assert requirement.specifier.contains(entry.version, prereleases=True), f"{requirement} is not {entry.version}: {REMEDY}"
        for extra in ("", *requirement.extras):
            if (entry.name, extra) not in seen:
                seen.add((entry.name, extra))
                todo += needs(entry.name, extra)
    assert len(seen) > 200


def needs(package: str, extra: str) -> list[Requirement]:
    """What an installed package asks for here; nothing of one that is not installed."""
    try:
        lines = importlib.metadata.requires(package) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [one for one in map(Requirement, lines) if not one.marker or one.marker.evaluate({"extra": extra})]


def test_what_is_installed_here_has_the_versions_of_the_list() -> None:
    for entry in locks.read(ROOT / "locks/dev.txt").values():
        if entry.here:
            assert importlib.metadata.version(entry.name).partition("+")[0] == entry.version, "run `make install`"


def test_builds_that_lie_elsewhere_are_taken_beside_those_of_the_index() -> None:
    listed = locks.everything(LISTS)
    for name, build in locks.read(ROOT / locks.ELSEWHERE).items():
        assert listed[name].version == build.version
        assert set(build.digests) < set(listed[name].digests)
        assert len(listed[name].digests) > 10, "those for other systems and Pythons"


def installs() -> list[str]:
    """Pip's words in the Makefile that install anything."""
    found = re.findall(r"(?:pip install|\$\(LOCKED\)) ([^;\n]*)", MAKEFILE)
    return [call.strip() for call in found]


def test_make_installs_nothing_but_the_lists_and_the_project_itself() -> None:
    calls = installs()
    assert len(calls) >= 8
    for call in calls:
        own = call == "-q --no-deps --no-build-isolation -e ."
        needed = re.fullmatch(r"-r (locks/\w+\.txt|\$\$packages)", call)
        wanted = re.fullmatch(r"-r locks/\w+\.txt \|\| echo \"[^\"$`]*\"|--no-index -r locks/elsewhere\.txt 2>/dev/null .*", call)
        assert own or needed or wanted or call == options(), call


def options() -> str:
    """How the Makefile has pip install a list."""
    (found,) = re.findall(r"^LOCKED = \$\(BIN\)/pip install (.*)$", MAKEFILE, re.MULTILINE)
    return str(found)


def wheel(folder: Path, text: str) -> Path:
    """A package of one module."""
    path = folder / "harmless-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("harmless.py", text)
        archive.writestr("harmless-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: harmless\nVersion: 1.0\n")
        archive.writestr("harmless-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("harmless-1.0.dist-info/RECORD", "")
    return path


def install(folder: Path, line: str, more: str = "") -> subprocess.CompletedProcess[str]:
    """The Makefile's way to install a list, from an index that is this folder."""
    (folder / "list.txt").write_text(f"{line}\n{more}")
    command = [sys.executable, "-m", "pip", "install", *options().split(), "-r", str(folder / "list.txt")]
    place = ["--no-index", "--find-links", str(folder), "--target", str(folder / "into")]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PIP_CONFIG_FILE": "/dev/null"}
    return subprocess.run([*command, *place], capture_output=True, text=True, env=env, check=False)


def test_a_wheel_that_somebody_changed_is_refused_and_the_right_one_is_not(tmp_path: Path) -> None:
    digest = hashlib.sha256(wheel(tmp_path, "right = True\n").read_bytes()).hexdigest()
    line = f"harmless==1.0 --hash=sha256:{digest}"
    done = install(tmp_path, line)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "into/harmless.py").read_text() == "right = True\n"
    shutil.rmtree(tmp_path / "into")
    wheel(tmp_path, "right = False\n")
    done = install(tmp_path, line)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (tmp_path / "into/harmless.py").exists()


def test_a_package_without_a_digest_is_refused(tmp_path: Path) -> None:
    wheel(tmp_path, "")
    done = install(tmp_path, "harmless==1.0")
    assert done.returncode != 0
    assert "Hashes are required" in done.stderr


def test_an_audit_that_reaches_nobody_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(audit, "asked", lambda root, service: [{"name": "x", "skip_reason": "not there"}])
    with pytest.raises(UserError, match="no answer of pypi and osv"):
        audit.audit(ROOT)
    known = {"name": "x", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}
    monkeypatch.setattr(audit, "asked", lambda root, service: [known])
    with pytest.raises(UserError, match="1 known vulnerabilities"):
        audit.audit(ROOT)
    assert "x 1: PYSEC-1; mended in 2" in capsys.readouterr().out
