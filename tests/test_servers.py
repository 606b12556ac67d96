"""Claims about remotes on real servers (S3, SSH, WebDAV): what goes where, and what becomes of one that is away, refuses or is full."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.versions import record
from tests.builders import servers, stores, toys, versions
from tests.builders.servers import Options, Server
from tests.builders.stores import LOGS, PLANTED

pytestmark = pytest.mark.slow
V1, V2 = record.tag(1), record.tag(2)


@pytest.fixture(scope="module", params=servers.SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers.serving(request.param, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def root(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built project over logs with a planted value, a git remote beside it, and nothing published."""
    root = stores.make(tmp_path_factory.mktemp("team"))
    (root / ".dvc" / "config").write_text((root / ".dvc" / "config").read_text().partition("    remote = ")[0])
    know(root, server, server.options)
    toys.set_param(root, "runs", "retries", 0)
    versions.build(root, 3)
    versions.add_git_remote(root)
    return root


def know(root: Path, server: Server, options: Options, default: str = "everybody") -> None:
    """Configure both remotes as the server's, with these credentials; a push begins with the default one."""
    lines = [server.remote(name, place, options) for name, place in (("everybody", "shared"), ("vault", "private"))]
    (root / ".dvc" / "config.local").write_text(f"[core]\n    remote = {default}\n{''.join(lines)}")


def said(root: Path, *arguments: str, fails: bool = False) -> list[str]:
    """What a command says, as a process of its own."""
    done = toys.pairwright(root, *arguments, AWS_MAX_ATTEMPTS="1")  # or boto3 asks a server that is away for half a minute
    assert done.returncode == int(fails), done.stdout + done.stderr
    return (done.stdout + done.stderr).splitlines()


def demand_owed(root: Path) -> None:
    """Publishing says in a line, with the reason, that it could not bring the version."""
    (line,) = said(root, "publish")
    assert line.startswith("Owed: "), line
    assert "remote 'everybody': " in line, line
    assert "exit code" not in line, line


def demand_unsent(root: Path, server: Server) -> None:
    """Sending outputs, and where no shared remote is set logs alone, each end with a line that names the place."""
    (line,) = said(root, "push", fails=True)
    assert line.startswith("error: remote 'everybody': found "), line
    know(root, server, server.options, default="")
    left, line = said(root, "push", fails=True)
    assert left.startswith("left out: outputs"), left
    assert line.startswith("error: private store 'vault': found "), line
    know(root, server, server.options)


def test_a_server_that_is_away_or_refuses_or_is_full_is_one_line_each_and_owed_and_then_paid(root: Path, server: Server) -> None:
    server.gate.shut()
    demand_owed(root)
    demand_unsent(root, server)
    server.gate.open()
    know(root, server, server.wrong)
    demand_owed(root)
    know(root, server, server.options)
    if server.disk:
        with server.full():
            demand_owed(root)
            demand_unsent(root, server)
    assert said(root, "publish") == [f"Published: what was owed; bytes in everybody; origin has master, {V1}"]
    assert said(root, "push") == ["outputs: 0 new files in 'everybody'", "data/raw: now in the private store 'vault'"]


def test_versions_and_logs_go_to_places_of_their_own_and_a_clone_has_each_version(root: Path, server: Server) -> None:
    first = shutil.copytree(root / toys.SECOND, root.parent / "first")
    said(root, "publish")
    versions.build(root, 8)
    assert said(root, "publish") == [f"Published: {V2}; bytes in everybody; origin has master, {V2}"]
    assert said(root, "push")[1].endswith(" in the private store 'vault'")
    for place, holds in (("private", True), ("shared", False)):
        found = server.holds(place)
        assert len(found) > 2
        assert any(PLANTED.encode() in data for data in found) is holds, place
    versions.git(root.parent, "clone", "-q", str(root.parent / "origin.git"), "clone")
    clone = root.parent / "clone"
    server.gate.shut()
    know(clone, server, server.options)
    (line,) = said(clone, "rollback", "1", fails=True)
    assert line.startswith("error: remote 'everybody': found "), line
    demand_refused(clone, server, server.options)
    server.gate.open()
    demand_refused(clone, server, server.wrong)
    know(clone, server, server.options)
    assert said(clone, "pull", "--rev", V1) == [
        "outputs: 1 in place, 1 of them fetched from 'everybody'",
        "data/raw: 3 of 3 files from the private store 'vault'",
    ]
    assert (contents(clone / toys.SECOND), stores.logs(clone)) == (contents(first), LOGS)
    assert said(clone, "verify")[-1].endswith(": no faults")
    lock = (clone / "dvc.lock").read_bytes()
    versions.reproduce(clone, "second")
    assert (clone / "dvc.lock").read_bytes() == lock, "made again from the logs, the bytes are the same"


def demand_refused(clone: Path, server: Server, options: Options) -> None:
    """Nothing is called missing that nobody could ask for."""
    know(clone, server, options)
    (line,) = said(clone, "pull", "--rev", V1, fails=True)
    assert line.startswith("error: remote 'everybody': found "), line


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
