"""Claims about strangers, with real servers: a web page of another origin in Chromium, and a Prefect server that is not ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from flows import access, probe, server
from tasks.core.errors import UserError
from tests.builders import toys
from tests.builders.browser import browser, missing, wait_for
from tests.builders.served import ask, finished, free_port, serving
from tests.builders.sites import site

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}")]

# What a page would do to make the machine run a command. It knows everything but the password; each try says how it ended.
ATTACK = """<!doctype html><title>attack</title><pre id="told"></pre><iframe id="frame" src="SERVER/v2/deployments"></iframe>
<form id="form" target="hidden" method="post" enctype="text/plain" action="SERVER/api/deployments/ID/create_flow_run">
<input name='{"parameters": {}, "rest": "' value='"}'></form><iframe name="hidden"></iframe>
<script>
const api = "SERVER/api", steps = STEPS, told = {};
const json = {"Content-Type": "application/json"};
const run = `${api}/deployments/ID/create_flow_run`;
async function tried(name, work) {
  try { told[name] = await work(); } catch (error) { told[name] = "error"; }
}
function socket(path) {
  return new Promise((done) => {
    const socket = new WebSocket(`${api.replace("http", "ws")}/${path}`, ["prefect"]);
    socket.onopen = () => socket.send(JSON.stringify({type: "auth", token: ""}));
    socket.onmessage = (message) => done(message.data);
    socket.onerror = () => done("error");
  });
}
(async () => {
  let token = {};
  await tried("read", async () => (await fetch(`${api}/health`)).status);
  await tried("token", async () => {
    token = {"Prefect-Csrf-Client": "page", "Prefect-Csrf-Token": (await (await fetch(`${api}/csrf-token?client=page`)).json()).token};
    return "had";
  });
  const body = JSON.stringify({pull_steps: steps});
  await tried("patch", async () => (await fetch(`${api}/deployments/ID`, {method: "PATCH", headers: {...json, ...token}, body})).status);
  await tried("start", async () => (await fetch(run, {method: "POST", headers: {...json, ...token}, body: "{}"})).status);
  await tried("blind", async () => (await fetch(run, {method: "POST", mode: "no-cors", body: new Blob(["{}"])})).type);
  await tried("events", async () => socket("events/out"));
  await tried("logs", async () => socket("logs/out"));
  document.getElementById("form").submit();
  await new Promise((done) => setTimeout(done, 3000));
  document.getElementById("told").textContent = "done " + JSON.stringify(told);
})();
</script>"""


def attack(folder: Path, server_url: str, deployment: str, mark: Path) -> None:
    """The page, in the folder."""
    steps = [{"prefect.deployments.steps.run_shell_script": {"script": f"touch {mark}"}}]
    page = ATTACK.replace("SERVER", server_url).replace("ID", deployment).replace("STEPS", json.dumps(steps))
    folder.mkdir()
    (folder / "attack.html").write_text(page)


def named(port: int, name: str, password: str = "") -> list[dict[str, Any]]:
    """The deployments of that name."""
    found: list[dict[str, Any]] = ask(port, "deployments/filter", password, deployments={"name": {"any_": [name]}})
    return found


def test_page_of_another_origin_can_neither_change_nor_start_nor_read_anything(tmp_path: Path) -> None:
    root, port, mark = toys.make(tmp_path / "toy"), free_port(), tmp_path / "mark"
    (tmp_path / "hosts.txt").touch()
    rules = f"--host-resolver-rules=MAP evil.example 127.0.0.1:{port}"
    with serving(root, port), browser(tmp_path, rules) as page:
        (train,) = wait_for(lambda: named(port, "train"), "the deployment was not registered", 60)
        attack(tmp_path / "web", f"http://127.0.0.1:{port}", train["id"], mark)
        with site(tmp_path / "web") as elsewhere:
            page.open(f"{elsewhere}/attack.html")
            told = json.loads(page.see("done {").partition("done ")[2].splitlines()[0])
            assert "nightly" not in page.text()
        assert {name: outcome for name, outcome in told.items() if outcome not in ("error", "opaque")} == {}
        assert told["read"] == "error"
        page.open("http://evil.example/api/health")  # as after its name was turned to point here
        assert page.text().strip() == "refused: this server is not called that"
        again = "const answer = await fetch('/api/csrf-token?client=page'); return answer.status"
        assert page.script(f"return (async () => {{ {again} }})()") == 421
        assert not [run for run in ask(port, "flow_runs/filter") if not run["auto_scheduled"]]
        assert named(port, "train")[0]["pull_steps"] == train["pull_steps"]
    assert not mark.exists()


def test_beyond_this_machine_people_and_runs_get_in_with_the_password_only(tmp_path: Path) -> None:
    """The server listens everywhere; the test itself stays on this machine."""
    root, port = toys.make(tmp_path / "toy"), free_port()
    (tmp_path / "hosts.txt").touch()
    with serving(root, port, "--host", "0.0.0.0") as log, browser(tmp_path) as page:
        file = root / ".prefect" / "password"
        assert f"password: in {file}; " in log.read_text()
        password = file.read_text().strip()
        assert password not in log.read_text() + (root / ".prefect" / "server.log").read_text()
        assert probe.answers(f"http://127.0.0.1:{port}/api")
        with pytest.raises(UserError, match="no password for it"):
            probe.demand_entry(f"http://127.0.0.1:{port}/api", "")
        page.open(f"http://127.0.0.1:{port}/v2/deployments")
        page.see("Login")
        page.fill("input[type=password]", password)
        page.click("Login")
        page.see("nightly")
        page.picture("behind_the_password")
        (nightly,) = named(port, "nightly", password)
        ask(port, f"deployments/{nightly['id']}/create_flow_run", password)
        (run,) = finished(port, 1, password=password)
        assert run["state"]["name"] == "Completed"
        quick = toys.pairwright(root, "run", "--force")  # it reports to the server that runs here
        assert quick.returncode == 0, quick.stderr
        assert len(finished(port, 2, password=password)) == 2


def forget(home: Path, patch: pytest.MonkeyPatch) -> None:
    """A home of its own, and no server in the environment."""
    patch.setenv("PREFECT_HOME", str(home))
    for name in ("PREFECT_API_URL", access.SERVER_PASSWORD, access.CLIENT_PASSWORD):
        patch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server as `prefect server start` runs it: no password, and every web page may come."""
    port = free_port()
    env = toys.environment(PREFECT_HOME=str(tmp_path_factory.mktemp("open")), PREFECT_SERVER_ANALYTICS_ENABLED="false", DO_NOT_TRACK="1")
    command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", "--port", str(port)]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: probe.answers(f"http://127.0.0.1:{port}/api"), "no server", 120)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        process.terminate()
        process.wait()


def test_open_server_that_is_there_already_is_named(
    open_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forget(tmp_path, monkeypatch)
    monkeypatch.setenv("PREFECT_API_URL", open_server)
    with server.api() as api:
        assert (api.url, api.fresh) == (open_server, False)
    told = capsys.readouterr().err
    assert told.startswith("warning: PREFECT_API_URL: it answers every Origin and every Host without a password")
    assert told.count("\n") == 1


def test_serve_refuses_a_strangers_server_on_its_port(open_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget(tmp_path, monkeypatch)
    port = urlsplit(open_server).port or 0
    with pytest.raises(UserError) as refused, server.api(server.Place(port=port, lasting=True, password=False)):
        pass
    assert f"port {port}: found a Prefect server that is not this folder's, and it answers every Origin" in str(refused.value)
    assert f"PREFECT_API_URL={open_server}" in str(refused.value)


def test_run_does_not_report_to_a_stranger_on_the_port_that_was_noted(
    open_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(tmp_path, monkeypatch)
    access.password()
    (tmp_path / "server.url").write_text(open_server)
    with server.api() as api:
        assert api.fresh
        assert api.url != open_server
        assert os.environ["PREFECT_API_URL"] == api.url
    assert "PREFECT_API_URL" not in os.environ
    assert access.CLIENT_PASSWORD not in os.environ
