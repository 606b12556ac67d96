"""Claims about Croissant: the description names every file and column of a release, and mlcroissant reads by it the rows that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from flows.versions import croissant
from tasks.core import manifest
from tasks.core.errors import UserError
from tests.builders import releases

CONFIGS = {"preference": "pair_id", "unpaired": "example_id"}
Row = dict[str, Any]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of two configs with a card, one of them in two files a split."""
    folder = tmp_path_factory.mktemp("made") / "release"
    rows = releases.planted({"train": 120, "validation": 3, "test": 3})
    rows[0] |= {"chosen_model": "a model", "distance": 0.5, "votes": ["one", "two"], "language": None}
    releases.write(folder, rows)
    releases.add_unpaired(folder, releases.examples(rows))
    for path in folder.glob("*/*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns("split"), path)
    whole = pq.read_table(folder / "preference" / "train-00000.parquet")
    for number, part in enumerate((whole.slice(0, 7), whole.slice(7))):
        pq.write_table(part, folder / "preference" / f"train-0000{number}.parquet")
    head = {"pretty_name": "Votes at the desk!", "license": "mit", "configs": [{"config_name": name} for name in CONFIGS]}
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(head)}---\n# Votes\n", encoding="utf-8")
    releases.sign(folder)
    return folder


def test_it_names_every_file_with_its_digest_and_every_column(release: Path) -> None:
    told = croissant.describe(release, 3)
    assert (told["name"], told["license"], told["version"]) == ("votes-at-the-desk", "mit", "3.0.0")
    files = {one["contentUrl"]: one["sha256"] for one in told["distribution"] if one["@type"] == "cr:FileObject"}
    lie = {str(path.relative_to(release)): manifest.file_digest(path) for path in release.rglob("*") if path.is_file()}
    assert files == {name: digest for name, digest in lie.items() if name != manifest.NAME}
    for records in told["recordSet"]:
        schema = pq.read_schema(release / records["name"] / "test-00000.parquet")
        assert [field["name"].partition("/")[2] for field in records["field"]] == ["split", *schema.names]
        assert all(field["description"] != field["name"] for field in records["field"]), "each says what it means"


def test_an_export_is_the_release_with_its_description_and_the_same_each_time(release: Path, tmp_path: Path) -> None:
    before = contents(release)
    (line,) = croissant.export(release, tmp_path / "out")
    assert line == f"{tmp_path / 'out' / croissant.NAME}: 2 record sets over 10 files and sets of files"
    first = contents(tmp_path / "out")
    assert {name: data for name, data in first.items() if name != croissant.NAME} == before == contents(release)
    assert list(croissant.export(release, tmp_path / "out")) == [line]
    assert contents(tmp_path / "out") == first
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("Dear")
    with pytest.raises(UserError, match="found other files"):
        list(croissant.export(release, tmp_path / "mine"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_mlcroissant_finds_no_fault_and_reads_every_row_of_every_record_set(release: Path, tmp_path: Path) -> None:
    mlc = pytest.importorskip("mlcroissant", reason="needs mlcroissant: pip install -r locks/servers.txt")
    list(croissant.export(release, tmp_path / "out"))
    dataset = mlc.Dataset(jsonld=str(tmp_path / "out" / croissant.NAME))
    assert not dataset.metadata.ctx.issues.errors
    assert {one.uuid for one in dataset.metadata.record_sets} == set(CONFIGS)
    for config, key in CONFIGS.items():
        read = [plain(row) for row in dataset.records(config)]
        assert sorted(read, key=lambda row: row[key]) == sorted(rows(release / config), key=lambda row: row[key])


def rows(folder: Path) -> list[Row]:
    """What the files hold, each row with its split."""
    return [row | {"split": path.name.partition("-")[0]} for path in folder.iterdir() for row in pq.read_table(path).to_pylist()]


def plain(value: Any) -> Any:
    """A value as mlcroissant gives it, with columns by their names and text as text."""
    if isinstance(value, dict):
        return {key.rpartition("/")[2]: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.decode() if isinstance(value, bytes) else value
