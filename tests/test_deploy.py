"""Claims about the recipes in examples/deploy: systemd reads the unit, the files agree, and PostgreSQL keeps Prefect's database."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.builders import toys
from tests.builders.databases import asked, postgres
from tests.builders.served import finished, free_port, serving
from tests.conftest import ROOT

DEPLOY = ROOT / "examples" / "deploy"


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs systemd-analyze")
    text = (DEPLOY / "pairwright-serve.service").read_text(encoding="utf-8")
    assert "ExecStart=/srv/pairwright/.venv/bin/pairwright serve" in text
    unit = tmp_path / "pairwright-serve.service"
    unit.write_text(text.replace("/srv/pairwright/.venv/bin/pairwright", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    faults = [line for line in done.stderr.splitlines() if "pairwright" in line]
    assert faults == []


def test_the_image_and_the_compose_file_name_files_and_commands_that_exist() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    build = services["pairwright"]["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    recipe = (ROOT / build["dockerfile"]).read_text(encoding="utf-8")
    assert "-c constraints.txt" in recipe
    assert "pairwright serve --host 0.0.0.0" in recipe
    (volume,) = services["pairwright"]["volumes"]
    assert f"WORKDIR {volume.partition(':')[2]}" in recipe
    assert services["pairwright"]["environment"]["PREFECT_API_DATABASE_CONNECTION_URL"].startswith("postgresql+asyncpg://prefect:")


@pytest.mark.slow
def test_a_night_runs_with_the_server_s_database_in_postgresql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("asyncpg")
    root, port = toys.make(tmp_path / "toy"), free_port()
    with postgres() as database:
        address = f"postgresql+asyncpg://prefect:any@127.0.0.1:{database}/prefect"
        real = toys.environment
        monkeypatch.setattr(toys, "environment", lambda **more: real(**more) | {"PREFECT_API_DATABASE_CONNECTION_URL": address})
        with serving(root, port):
            env = real(PREFECT_API_URL=f"http://127.0.0.1:{port}/api", PREFECT_HOME=str(root / ".prefect"))
            subprocess.run([sys.executable, "-m", "prefect", "deployment", "run", "build/nightly"], cwd=root, env=env, check=True)
            (run,) = finished(port, 1)
        assert run["state"]["name"] == "Completed"
        assert asked(database, "select state_name from flow_run").split().count("Completed") == 1
        assert not list((root / ".prefect").glob("*.db"))
