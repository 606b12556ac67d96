"""Claims about OpenLineage events: a real run sends them to a real receiver, which holds each against the specification's schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from flows.openlineage import events
from tests.builders import toys
from tests.builders.receiver import check, receiving

LINEAGE = {"use": True, "namespace": "test", "url": "", "timeout": 5.0}


def toy(root: Path, **lineage: Any) -> Path:
    toys.make(root)
    document = yaml.safe_load((root / "params.yaml").read_text()) | {"lineage": LINEAGE | lineage}
    document["first"]["fate"], document["second"]["fate"] = "", ""
    (root / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return root


def filed(root: Path) -> list[dict[str, Any]]:
    """The events of the project's one run, from its file."""
    (file,) = (root / ".pairwright" / "lineage").glob("*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def shapes(told: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["eventType"], event["job"]["name"]) for event in told]


@pytest.mark.slow
def test_a_run_tells_a_receiver_what_it_read_and_made(tmp_path: Path) -> None:
    with receiving(fails=2) as got:
        root = toy(tmp_path / "toy", url=got.url)
        done = toys.pairwright(root, "run", OPENLINEAGE_API_KEY="secret")
    assert done.returncode == 0, done.stdout + done.stderr
    assert got.faults == []
    assert got.keys == {"Bearer secret"}
    assert got.events == filed(root)
    stages = [f"build.{name}" for name in ("first", "second", "train")]
    inner = [(kind, name) for name in stages for kind in ("START", "COMPLETE")]
    assert shapes(got.events) == [("START", "build"), *inner, ("COMPLETE", "build")]
    run = got.events[0]["run"]["runId"]
    assert all(event["run"]["facets"]["parent"]["run"]["runId"] == run for event in got.events[1:-1])
    first, second = got.events[2], got.events[4]
    made = {output["name"]: output for output in first["outputs"]}["data/01_first"]
    read = {entry["name"]: entry for entry in second["inputs"]}["data/01_first"]
    assert made["facets"]["version"] == read["facets"]["version"]
    assert made["outputFacets"]["outputStatistics"]["fileCount"] == 2
    lock = yaml.safe_load((root / "dvc.lock").read_text())["stages"]
    assert made["facets"]["version"]["datasetVersion"] == lock["first"]["outs"][0]["md5"]


@pytest.mark.slow
def test_a_failure_is_told_and_a_receiver_that_is_away_stops_no_run(tmp_path: Path) -> None:
    root = toy(tmp_path / "toy", url="http://127.0.0.1:9")
    toys.set_param(root, "runs", "retries", 0)
    toys.set_param(root, "second", "fate", "fail")
    done = toys.pairwright(root, "run")
    assert "found a cat" in done.stderr
    assert (
        done.stdout.count("Events of this run are in its file alone") + done.stderr.count("Events of this run are in its file alone") == 1
    )
    told = filed(root)
    assert shapes(told)[-2:] == [("FAIL", "build.second"), ("FAIL", "build")]
    assert "found a cat" in told[-1]["run"]["facets"]["errorMessage"]["message"]
    for event in told:
        check(event)


def test_a_schema_is_what_events_are_held_against() -> None:
    with pytest.raises(jsonschema.ValidationError):
        check({"schemaURL": events.RUN_EVENT, "producer": "urn:x", "eventTime": "now"})


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://bob:secret@host/team/project.git", "https://host/team/project.git"),
        ("git@host:team/project.git", "ssh://host/team/project.git"),
        ("ssh://git@host:22/team/project.git", "ssh://host:22/team/project.git"),
        ("/home/bob/project.git", ""),
        ("file:///home/bob/project.git", ""),
        ("", ""),
    ],
)
def test_no_password_and_no_folder_of_this_machine_is_told(remote: str, url: str) -> None:
    assert events.url_of(remote) == url
