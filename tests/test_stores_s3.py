"""Claims about stores that speak S3, on a real server of that kind: moto's, which `pip install 'moto[server]' dvc-s3` brings."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.builders import stores, toys
from tests.builders.browser import wait_for
from tests.builders.served import free_port
from tests.builders.stores import LOGS, PLANTED, RAW, said

pytestmark = pytest.mark.slow
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a server with two buckets, `everybody` and `vault`."""
    for needed in ("dvc_s3", "moto.server"):
        pytest.importorskip(needed, reason="needs dvc-s3 and moto[server], for stores that speak S3")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with serving() as url:
        for bucket in ("everybody", "vault"):
            urllib.request.urlopen(urllib.request.Request(f"{url}/{bucket}", method="PUT"), timeout=30).close()
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        yield url


@contextmanager
def serving() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | KEYS
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _answers(url), "the S3 server did not start", 60)
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def objects(url: str, bucket: str) -> list[bytes]:
    """What the bucket holds."""
    boto3 = pytest.importorskip("boto3")

    client = boto3.client("s3", endpoint_url=url)
    listed = client.list_objects_v2(Bucket=bucket).get("Contents", [])
    return [client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in listed]


def test_logs_and_outputs_go_to_buckets_of_their_own_and_a_clone_has_them(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = stores.make(tmp_path, "s3://vault/logs", "s3://everybody/outputs")
    assert "ERROR" not in toys.dvc(root, "repro")
    monkeypatch.chdir(root)
    assert said("push") == ["outputs: 5 new files in 'everybody'", "data/raw: now in the private store 'vault'"]
    assert said("push") == ["outputs: 0 new files in 'everybody'", "data/raw: already in the private store 'vault'"]
    assert any(PLANTED.encode() in data for data in objects(endpoint, "vault"))
    assert not any(PLANTED.encode() in data for data in objects(endpoint, "everybody"))
    stores.commit(root, "one")
    subprocess.run(["git", "clone", "-q", str(root), str(tmp_path / "clone")], check=True)
    monkeypatch.chdir(tmp_path / "clone")
    assert said("pull") == [
        "outputs: 2 in place, 2 of them fetched from 'everybody'",
        "data/raw: 3 of 3 files from the private store 'vault'",
    ]
    assert stores.logs(tmp_path / "clone") == LOGS
    lock = (tmp_path / "clone" / "dvc.lock").read_bytes()
    assert "ERROR" not in toys.dvc(tmp_path / "clone", "repro", "--force")
    assert (tmp_path / "clone" / "dvc.lock").read_bytes() == lock


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize("away", [False, True])
def test_a_store_that_is_away_or_refuses_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: bool) -> None:
    if away:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    root = stores.make(tmp_path, "s3://nobody/logs")
    assert "ERROR" not in toys.dvc(root, "repro")
    monkeypatch.chdir(root)
    assert (root / RAW).is_dir()
    (line,) = said("push", fails=True)
    assert line.startswith("error: private store 'vault': found ")
