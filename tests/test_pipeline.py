"""Claims about the whole path, run on the sample: accounts, determinism, no personal data, a release that loads."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import make_sample
import pyarrow.parquet as pq
import pytest

from tasks.common import salt
from tasks.core import pipeline
from tests.builders.projects import DATA_STAGES, digests, make_project, run_stage, run_stages, set_param
from tests.conftest import ROOT, SHARED

FROM_DEDUPE = DATA_STAGES[DATA_STAGES.index("dedupe") :]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample taken from raw logs to a release."""
    root = make_project(tmp_path_factory.mktemp("built") / "project", ROOT / "data" / "raw")
    (root / "log.txt").write_text(run_stages(root, DATA_STAGES), encoding="utf-8")
    return root


def test_the_sample_is_what_its_generator_makes() -> None:
    for name, content in make_sample.make().files.items():
        assert (ROOT / "data" / "raw" / "sample" / name).read_bytes() == content, f"{name}: run `python data/make_sample.py`"


@pytest.mark.parametrize("stage", DATA_STAGES)
def test_no_row_disappears(built: Path, stage: str) -> None:
    ledger = json.loads((built / pipeline.stage(stage, ROOT).output / "ledger.json").read_text(encoding="utf-8"))
    assert ledger
    for table, entry in ledger.items():
        assert entry["in"] + entry["made"] == entry["kept"] + entry["dropped"], f"{stage}: {table}"
        assert sum(entry["reasons"].values()) == entry["dropped"]


@pytest.mark.slow
def test_planted_secrets_are_nowhere_after_clean(built: Path) -> None:
    secrets = make_sample.make().secrets
    assert len(secrets) > 300
    texts = [(built / "log.txt").read_text(encoding="utf-8")]
    outputs = [pipeline.stage(stage, ROOT).output for stage in DATA_STAGES[1:]]
    for folder in [built / out for out in outputs] + [built / "data" / "reports"]:
        texts += [readable(path) for path in sorted(folder.rglob("*")) if path.is_file()]
    everything = "\n".join(texts)
    assert [secret for secret in secrets if secret in everything or json.dumps(secret)[1:-1] in everything] == []


def readable(path: Path) -> str:
    """All that stands in a file, table or not."""
    return json.dumps(pq.read_table(path).to_pylist(), default=str) if path.suffix == ".parquet" else path.read_text(errors="replace")


def test_the_outside_check_accepts_the_release(built: Path) -> None:
    check = SHARED / "checks" / "verify_release.py"
    if not check.is_file():
        pytest.skip(f"needs {check}")
    done = subprocess.run([sys.executable, str(check), str(built / "data" / "release")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_neither_file_names_nor_line_order_nor_workers_change_a_table(built: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw" / "elsewhere"
    raw.mkdir(parents=True)
    chance = random.Random(7)
    for number, source in enumerate(sorted((ROOT / "data" / "raw" / "sample").iterdir(), reverse=True)):
        (raw / f"{number}-renamed{source.suffix}").write_bytes(source.read_bytes())
    root = make_project(tmp_path / "renamed", raw.parent)
    run_stages(root, DATA_STAGES, PAIRWRIGHT_WORKERS=str(chance.choice([1])))
    for stage in FROM_DEDUPE:
        output = pipeline.stage(stage, ROOT).output
        assert digests(built / output) == digests(root / output), stage


@pytest.mark.slow
def test_shuffled_records_change_only_origins(built: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw" / "sample"
    raw.mkdir(parents=True)
    for source in (ROOT / "data" / "raw" / "sample").iterdir():
        lines = source.read_bytes().split(b"\n")[:-1]
        random.Random(7).shuffle(lines)
        (raw / source.name).write_bytes(b"\n".join(lines) + b"\n")
    root = make_project(tmp_path / "shuffled", raw.parent)
    run_stages(root, DATA_STAGES)
    for stage, table, origin in (("dedupe", "turns", "origin"), ("dedupe", "feedback", "origin"), ("pair", "pairs", "origins")):
        output = pipeline.stage(stage, ROOT).output / table
        one, other = (pq.read_table(at / output).drop_columns([origin]) for at in (built, root))
        assert one.equals(other), f"{stage}/{table}"


@pytest.mark.parametrize(
    ("files", "stage", "message"),
    [
        ({}, "ingest", "data/raw"),
        ({"readme.txt": b"nothing to see"}, "ingest", "data/raw"),
    ],
)
def test_raw_folders_without_logs_give_one_line(tmp_path: Path, files: dict[str, bytes], stage: str, message: str) -> None:
    root = make_project(tmp_path)
    (root / "data" / "raw").mkdir(parents=True)
    for name, content in files.items():
        (root / "data" / "raw" / name).write_bytes(content)
    done = run_stage(root, stage)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_wrong_format_name_lists_the_formats(tmp_path: Path) -> None:
    root = make_project(tmp_path, ROOT / "data" / "raw")
    set_param(root, "ingest", "formats", {"*.jsonl": "jsonll"})
    done = run_stage(root, "ingest")
    assert done.returncode == 1
    assert "jsonll" in done.stderr
    assert "openwebui" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_manifest_names_the_salt_without_giving_it_away(built: Path) -> None:
    named = json.loads((built / "data" / "release" / "manifest.json").read_text(encoding="utf-8"))["salt"]
    assert named == salt.fingerprint(os.environ[salt.VARIABLE])
    assert named != salt.fingerprint(salt.PUBLIC)


def test_names_of_files_that_name_people_stay_in_the_folder_that_is_private(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    folder = root / "data" / "raw" / "jane.doe@example.org"
    folder.mkdir(parents=True)
    for number in ("+49 171 2345678", "+49 171 2345679"):  # after redaction both have one name
        record = {"id": number, "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": f"Hello {number[-1]}"}]}
        (folder / f"chat {number}.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    told = run_stages(root, ["ingest", "clean"])
    assert not [value for value in ("jane.doe", "234567") if value in told]
    after = "\n".join(readable(path) for path in sorted((root / "data" / "02_clean").rglob("*")) if path.is_file())
    assert not [value for value in ("jane.doe", "234567") if value in after]
    assert pq.read_table(root / "data" / "02_clean" / "files")["name"].to_pylist() == ["[EMAIL]/chat [PHONE].jsonl"] * 2
