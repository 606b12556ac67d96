"""Claims about the release on the Hub: what is asked of it, what it holds then, and what is said where it refuses or is away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import yaml
from huggingface_hub import constants

from flows.versions import croissant, hub, record
from flows.versions.hub import HubAwayError
from flows.versions.record import Record
from flows.versions.settings import Hub as Settings
from tasks.core.errors import UserError
from tests.builders import hub as hubs
from tests.builders import releases
from tests.builders.hub import TOKEN, Hub

REPO = Settings(repo="desk/votes", private=True)
RELEASE = Path("data/release")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub, the client set to it as by the environment, and a release in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(yaml.safe_dump({"artifacts": {"dataset": {"path": str(RELEASE)}}}))
    write(40)
    with hubs.serving() as running:
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # whose servers are none that a test could be
        monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", running.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield running


def write(rows: int) -> None:
    """A release with a card."""
    releases.write(RELEASE, releases.planted({"train": rows, "validation": 2, "test": 2}))
    head = {"pretty_name": "Votes", "license": "mit", "configs": [{"config_name": "preference"}]}
    (RELEASE / "README.md").write_text(f"---\n{yaml.safe_dump(head)}---\n")
    releases.sign(RELEASE)


def version(number: int) -> Record:
    return cast("Record", {"version": number, "tag": record.tag(number)})


def lies() -> dict[str, bytes]:
    """The files of the release."""
    return {path.relative_to(RELEASE).as_posix(): path.read_bytes() for path in RELEASE.rglob("*") if path.is_file()}


def test_a_private_repository_holds_each_version_byte_for_byte_in_one_commit_under_its_tag(server: Hub) -> None:
    assert hub.bring(REPO, version(1)) == [f"desk/votes on the Hub has {record.tag(1)}"]
    assert (server.repo, server.private) == ("desk/votes", True)
    first = lies()
    (RELEASE / "preference" / "test-00000.parquet").unlink()
    (RELEASE / "notes.json").write_text("{}")
    releases.sign(RELEASE)
    assert hub.bring(REPO, version(3)) == [f"desk/votes on the Hub has {record.tag(3)}"]
    assert server.messages == [f"Publish {record.tag(number)}" for number in (1, 3)]
    for number, files in ((1, first), (3, lies())):
        there = dict(server.commits[server.tags[record.tag(number)]])
        assert json.loads(there.pop(croissant.NAME))["version"] == f"{number}.0.0"
        del there[".gitattributes"]
        assert there == files
    asked = len(server.asked)
    assert hub.bring(REPO, version(3)) == []
    assert [one.split()[0] for one in server.asked[asked + 1 :]] == ["GET", "GET"], "nothing is sent that is there"


def test_a_kill_between_commit_and_tag_is_made_good_without_a_second_commit_of_other_bytes(server: Hub) -> None:
    hub.bring(REPO, version(1))
    server.tags.clear()
    assert hub.bring(REPO, version(1)) == [f"desk/votes on the Hub has {record.tag(1)}"]
    assert server.commits[server.tags[record.tag(1)]] == server.commits[1]


def test_a_public_repository_is_not_written_to_unless_that_is_asked_for(server: Hub) -> None:
    hub.bring(REPO, version(1))
    server.private = False
    with pytest.raises(UserError, match=r"Hub desk/votes: found a public repository; .*publish\.hub\.private"):
        hub.bring(REPO, version(2))
    assert list(server.tags) == [record.tag(1)]
    hub.bring(Settings(repo=REPO.repo, private=False), version(2))
    assert list(server.tags) == [record.tag(1), record.tag(2)]


def test_no_token_is_one_line(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(UserError, match=r"Hub desk/votes: found the answer 401: Invalid username or password.*hf auth login") as told:
        hub.bring(REPO, version(1))
    assert "\n" not in str(told.value)


def test_a_name_that_no_repository_has_is_one_line(server: Hub) -> None:
    with pytest.raises(UserError, match=r"publish\.hub\.repo") as told:
        hub.bring(Settings(repo="desk/votes/all", private=True), version(1))
    assert "\n" not in str(told.value)


def test_a_hub_that_is_away_or_busy_is_owed(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.races = 1
    with pytest.raises(HubAwayError, match="the Hub answers 412"):
        hub.bring(REPO, version(1))
    server.down = 429
    with pytest.raises(HubAwayError, match="the Hub answers 429"):
        hub.bring(REPO, version(1))
    server.down = 0
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubAwayError, match="offline"):
        hub.bring(REPO, version(1))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubAwayError, match=r"does not answer: .*refused"):
        hub.bring(REPO, version(1))
    assert not server.tags
