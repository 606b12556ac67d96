"""A PostgreSQL server of a test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.builders.served import free_port

UNPRIVILEGED = "postgres"  # PostgreSQL refuses to run as root


@contextmanager
def postgres() -> Iterator[int]:
    """The port of a PostgreSQL of its own with the empty database `prefect`; skips where none is installed."""
    found = [shutil.which(name) or "" for name in ("initdb", "postgres", "createdb", "pg_isready")]
    as_root = ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--init-groups"] if os.getuid() == 0 else []
    if not all(found) or (as_root and not shutil.which("setpriv")):
        pytest.skip("needs PostgreSQL's commands")
    folder = Path(tempfile.mkdtemp())  # not below pytest's own, which nobody else may enter
    if as_root:
        shutil.chown(folder, UNPRIVILEGED)
    init, server, create, ready = found
    port, data = free_port(), folder / "data"
    subprocess.run([*as_root, init, "-D", data, "-U", "prefect", "-A", "trust", "--no-sync"], check=True, capture_output=True)
    command = [*as_root, server, "-D", str(data), "-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    place = ["-h", "127.0.0.1", "-p", str(port), "-U", "prefect"]
    try:
        subprocess.run(f"for i in $(seq 60); do {ready} -q {' '.join(place)} && exit; sleep 0.5; done; exit 1", shell=True, check=True)
        subprocess.run([create, *place, "prefect"], check=True)
        yield port
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder)


def asked(port: int, question: str) -> str:
    """What the database answers, a line a row."""
    command = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "prefect", "-d", "prefect", "-v", "ON_ERROR_STOP=1", "-Atc", question]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
