"""Claims about notifications: who is told of what, by real receivers; a receiver that fails fails no run; no text of logs is sent."""

from __future__ import annotations

import email
import json
import subprocess
import sys
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import exit_codes
from flows.nights import notify
from tests.builders import receivers, toys
from tests.builders.browser import wait_for
from tests.builders.served import finished, free_port, serving

STOPPED: set[notify.Event] = {"stop"}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = toys.make(tmp_path / "toy")
    monkeypatch.chdir(root)
    return root


def send(toy: Path, events: set[notify.Event], *names: str) -> list[str]:
    toys.set_param(toy, "notify", "variables", list(names))
    return list(notify.tell(events, "Pairwright: build was stopped", "volume: stop"))


def test_a_webhook_and_a_mailbox_named_in_the_environment_are_told(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receivers.web() as (site, posts), receivers.mail() as (post, letters):
        monkeypatch.setenv("NIGHT_HOOK", f"json://{site}/night")
        monkeypatch.setenv("NIGHT_MAIL", f"mailto://{post}?from=pairwright@example.org&to=desk@example.org&smtp=127.0.0.1")
        assert send(toy, STOPPED, "NIGHT_HOOK", "NIGHT_MAIL") == []
    (posted,) = map(json.loads, posts)
    assert (posted["title"], posted["message"]) == ("Pairwright: build was stopped", "volume: stop")
    (letter,) = (email.message_from_string(text, policy=default) for text in letters)
    assert letter["Subject"] == "Pairwright: build was stopped"
    assert letter["To"] == "desk@example.org"
    assert "volume: stop" in letter.as_string()


def test_only_events_that_are_asked_for_are_told(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toys.set_param(toy, "notify", "on", ["failure"])
    with receivers.web() as (site, posts):
        monkeypatch.setenv("NIGHT_HOOK", f"json://{site}/night")
        assert send(toy, {"stop", "drift"}, "NIGHT_HOOK") == []
        assert send(toy, set(), "NIGHT_HOOK") == []
        assert posts == []
        assert send(toy, {"failure"}, "NIGHT_HOOK") == []
        assert len(posts) == 1


def test_a_receiver_that_fails_is_a_line_without_its_address_and_the_next_one_is_told(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receivers.web() as (site, posts):
        monkeypatch.setenv("BROKEN", f"json://{site}/broken?token=secret")
        monkeypatch.setenv("AWAY", f"json://127.0.0.1:{free_port()}/")
        monkeypatch.setenv("ODD", "no address")
        monkeypatch.setenv("WELL", f"json://{site}/night")
        faults = send(toy, STOPPED, "BROKEN", "AWAY", "ODD", "MISSING", "WELL")
    assert [fault.partition(" was not told: ")[0] for fault in faults] == ["BROKEN", "AWAY", "ODD", "MISSING"]
    assert "an address that Apprise does not know" in faults[2]
    assert "nothing in the environment" in faults[3]
    assert not any(word in line for line in faults for word in ("secret", "no address", site))
    assert len(posts) == 2


BLOCKS = """
import sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock as Hook
for name, path in (("desk", "night"), ("broken", "broken")):
    Hook(name=name, url=f"http://{sys.argv[1]}/{path}", json_data={"title": "{{subject}}", "text": "{{body}}"}).save(name)
"""
SECRET = "Erika Mustermann, Seeweg 3"


def change(root: Path, section: str, **values: object) -> None:
    for key, value in values.items():
        toys.set_param(root, section, key, value)


def queue(root: Path, port: int) -> None:
    """Start the deployment as a person does."""
    command = [sys.executable, "-m", "prefect", "deployment", "run", "build/nightly"]
    env = toys.environment(PREFECT_API_URL=f"http://127.0.0.1:{port}/api", PREFECT_HOME=str(root / ".prefect"))
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_night_on_a_real_server_tells_of_a_failure_and_of_a_stop_and_a_broken_block_is_a_warning(tmp_path: Path) -> None:
    root, port = toys.make(tmp_path / "toy"), free_port()
    change(root, "notify", blocks=["custom-webhook/broken", "custom-webhook/desk"])
    with receivers.web() as (site, posts), serving(root, port):
        env = toys.environment(PREFECT_API_URL=f"http://127.0.0.1:{port}/api", PREFECT_HOME=str(root / ".prefect"))
        subprocess.run([sys.executable, "-c", BLOCKS, site], cwd=root, env=env, check=True)
        change(root, "second", pairs={"pairs_train": 306, "pairs_validation": 9, "pairs_test": 9})
        queue(root, port)
        finished(port, 1)
        assert posts == []
        publish(root)
        change(root, "second", pairs={"pairs_train": 50, "pairs_validation": 9, "pairs_test": 9})
        queue(root, port)
        stopped = finished(port, 2)[1]
        change(root, "second", fate="fail", wait=0.1, note=SECRET)
        queue(root, port)
        finished(port, 3)
        log = root / "data/reports/run/log.jsonl"
        wait_for(lambda: "Ended as Failed: second" in log.read_text(encoding="utf-8"), "the end of the run was never told", 60)
    assert "volume: pairs_train was 306, is 50" in stopped["state"]["message"]
    told = [json.loads(post)["title"] for post in posts]
    broken = "Pairwright: build {} in toy"
    assert told == [broken.format("was stopped by a gate")] * 2 + [broken.format("failed")] * 2  # each by the broken one too
    assert SECRET not in "".join(posts)
    assert "feed it" not in "".join(posts)  # not even the stage's own line
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    warnings = [line["message"] for line in lines if line["level"] == "WARNING"]
    assert warnings == ["custom-webhook/broken was not told: HTTPStatusError"]
    assert {line["message"] for line in lines if line["level"] == "ERROR"} >= {"error: second: found a cat; expected a dog; feed it"}
    assert 'pairwright_run_success{flow="build"} 0' in (root / "data/reports/run/metrics.prom").read_text()


def publish(root: Path) -> None:
    """Make what lies there a version."""
    for command in (["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "start"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    done = toys.pairwright(root, "publish")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_gate_stops_a_run_before_publishing_and_training_and_a_person_may_let_it_pass_once(tmp_path: Path) -> None:
    root = toys.make(tmp_path / "toy")
    change(root, "second", pairs={"pairs_train": 306, "pairs_validation": 9, "pairs_test": 9})
    assert toys.pairwright(root, "run").returncode == 0
    publish(root)
    models = (root / toys.TRAIN / "text.txt").stat().st_mtime_ns
    change(root, "second", pairs={"pairs_train": 50, "pairs_validation": 9, "pairs_test": 9})
    stopped = toys.pairwright(root, "run", "--publish")
    assert stopped.returncode == exit_codes.STOPPED_BY_GATE
    assert "gates: stopped against dataset@v1.0.0: volume: pairs_train was 306, is 50" in stopped.stderr
    assert (root / toys.TRAIN / "text.txt").stat().st_mtime_ns == models
    assert versions(root) == ["dataset@v1.0.0"]
    by_hand = "from flows import server\nwith server.api():\n    from flows.train import train\n    print(train(return_state=True).message)"
    done = subprocess.run([sys.executable, "-c", by_hand], cwd=root, env=toys.environment(), capture_output=True, text=True, check=False)
    assert "gates: stopped against dataset@v1.0.0: volume: pairs_train was 306, is 50" in done.stdout, done.stderr
    assert (root / toys.TRAIN / "text.txt").stat().st_mtime_ns == models, "training alone asks the gates, too"
    shown = toys.pairwright(root, "gates")
    assert (shown.returncode, "pairs_train" in shown.stdout) == (1, True)
    assert toys.pairwright(root, "run", "--publish", "--accept", "volume").returncode == 0
    assert versions(root) == ["dataset@v1.0.0", "dataset@v2.0.0"]
    assert (root / toys.TRAIN / "text.txt").stat().st_mtime_ns > models
    assert toys.pairwright(root, "gates").returncode == 0
    ignored = yaml.safe_load(toys.dvc(root, "status", "--json") or "{}")
    assert ignored == {}


def versions(root: Path) -> list[Any]:
    """The tags of the dataset."""
    tags = subprocess.run(["git", "tag", "--list", "dataset@*"], cwd=root, capture_output=True, text=True, check=True)
    return tags.stdout.split()
