"""Claims about the flow `retention`: what its deployment names runs under Prefect and does what `params.yaml` says."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flows import deployments
from tests.builders import shelves, toys
from tests.builders.projects import set_param
from tests.builders.shelves import Shelf, pair, table
from tests.conftest import ROOT

RUN = """
from flows import access, server
access.home()
with server.api():
    from prefect.flows import load_flow_from_entrypoint
    state = load_flow_from_entrypoint({entrypoint!r})(return_state=True)
print("state:", state.type.value, state.message)
"""


def entrypoint() -> str:
    """What the deployment of this name runs."""
    with contextlib.chdir(ROOT):
        (found,) = (one.entrypoint for one in deployments.read() if one.name == "retention")
    assert found
    return found


def ran(at: Shelf) -> str:
    """The state that a run of the flow ends in."""
    env = toys.environment(PAIRWRIGHT_SALT="salt of the tests")
    command = [sys.executable, "-c", RUN.format(entrypoint=entrypoint())]
    done = subprocess.run(command, cwd=at.root, env=env, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return re.findall(r"^state: (.*)$", done.stdout, re.MULTILINE)[-1]  # type: ignore[no-any-return]


@pytest.mark.slow
def test_the_flow_does_what_the_parameters_say_and_nothing_where_they_are_off(tmp_path: Path) -> None:
    at = shelves.make(tmp_path / "workspace")
    for number in range(3):
        at.put({"10_pair/pairs": table("pairs", [pair(f"of version {number}", "a", "b")])})
    assert ran(at) == "COMPLETED retention is off: see `retention` in params.yaml"
    set_param(at.root, "retention", "raw_days", 30)
    set_param(at.root, "retention", "versions_keep", 1)
    state = ran(at)
    assert state.startswith("COMPLETED ")
    assert "conversations whose last message is from before" in state
    (path,) = (at.root / "data" / "erased").glob("*.txt")
    assert f"older {dt.datetime.now(dt.UTC).date() - dt.timedelta(days=30)}" in path.read_text()
    erased = [json.loads((at.root / "data" / "versions" / f"v{number}.json").read_text()).get("erased") for number in (1, 2, 3)]
    assert erased == [True, True, None]
