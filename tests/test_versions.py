"""Claims about versions as people ask for them: the list, the difference of two in its three forms, and what is no version."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from flows.versions import listing, record
from tasks.common import salt
from tests.builders import shelves
from tests.builders.projects import set_param
from tests.builders.shelves import Shelf, pair, table, vote
from tests.builders.stores import said

V1, V2, V3, V4 = (record.tag(number) for number in (1, 2, 3, 4))
LOG, NEW_LOG = "f" * 16, "e" * 16
SHOWN = ("train", "validation", "test", "all")
PLACE = "мой проект π"


def rows(*made: dict[str, Any], votes: list[dict[str, Any]], files: dict[str, str]) -> dict[str, Any]:
    """The tables that say these pairs, with the votes behind them."""
    turns = [{"conversation_id": name, "turn_id": name} for one in made for name in one["conversations"]]
    return {
        "10_pair/pairs": table("pairs", made),
        "10_pair/votes": table("votes", votes),
        "02_clean/turns": table("turns", turns),
        "02_clean/feedback": table("feedback", [{"feedback_id": one["feedback_id"]} for one in votes]),
        "02_clean/files": table("files", [{"file": file, "name": name} for file, name in files.items()]),
    }


P, Q, R = (pair(name, "good", "bad", votes=(f"v-{name}",)) for name in "pqr")
VOTES = [vote(f"v-{name}", name) for name in "pqr"]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Four versions: two pairs, one of which moves; a third from a new log; one flipped by another parameter; one erased."""
    made = shelves.make(tmp_path_factory.mktemp("shelf") / PLACE)
    old = {LOG: "old.jsonl"}
    made.put(rows(P, Q, votes=VOTES[:2], files=old), model="weights")
    new = {**old, NEW_LOG: "new.jsonl"}
    come = [*VOTES[:2], vote("v-r", "r", file=NEW_LOG)]
    made.put(rows(P, Q | {"split": "test"}, R, votes=come, files=new))
    set_param(made.root, "rebalance", "seed", 99)
    turned = pair("p", "bad", "good", votes=("v-p",))
    made.put(rows(turned, Q | {"split": "test"}, R | {"confidence": 0.5}, votes=come, files=new))
    (made.root / "data" / "erased" / "0.txt").write_text("user 0\n")
    made.put(rows(turned, R | {"confidence": 0.5}, votes=[come[0], come[2]], files=new))
    return made


@pytest.fixture
def here(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """The shelf itself, for those who only look."""
    monkeypatch.chdir(shelf.root)
    return shelf


@pytest.fixture
def own(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A copy of the shelf, to be spoilt."""
    root = tmp_path / PLACE
    shutil.copytree(shelf.root, root, symlinks=True)
    monkeypatch.chdir(root)
    monkeypatch.setattr(salt, "FOLDER", Path(".pairwright"))
    return Shelf(root, dict(shelf.codes), list(shelf.tags))


def test_each_version_is_listed_with_its_pairs_the_difference_and_its_model(here: Shelf) -> None:
    found = json.loads("\n".join(said("versions", "--json")))
    assert [(one["tag"], one["total"], one["change"], one["model"], one["test_accuracy"]) for one in found] == [
        (V1, 2, None, "model@v1.0.0", 0.75), (V2, 3, 1, None, None), (V3, 3, 0, None, None), (V4, 2, -1, None, None),
    ]  # fmt: skip
    assert [one["pairs"] for one in found][:2] == [{"train": 2, "validation": 0, "test": 0}, {"train": 2, "validation": 0, "test": 1}]
    head, *lines = (line.split() for line in said("versions"))
    assert head[0] == "version"
    assert [(line[0], line[-1]) for line in lines] == [(one["tag"], "here") for one in found]
    assert [line[5] for line in lines] == ["2", "3", "3", "2"]
    assert [line[6] for line in lines[1:]] == ["+1", "+0", "-1"]


def test_a_version_whose_bytes_are_nowhere_is_listed_as_that_and_found_again_in_a_remote(own: Shelf) -> None:
    remote = own.root.parent / "remote" / "files" / "md5"
    shutil.copytree(own.cache, remote)
    shutil.rmtree(own.cache)
    assert [line.split()[-2:] for line in said("versions")[1:]] == [["not", "here"]] * 4
    (line,) = said("diff", "1", "2", fails=True)
    assert re.fullmatch(rf"error: version {V1}: found no bytes for \w+\.dir; expected them in DVC's cache or remote; fetch them .*", line)
    with (own.root / ".dvc" / "config").open("a") as stream:
        stream.write(f"    remote = store\n['remote \"store\"']\n    url = {own.root.parent / 'remote'}\n")
    assert {line.split()[-1] for line in said("versions")[1:]} == {"here"}
    assert json.loads("\n".join(said("diff", "1", "2", "--json")))["pairs"]["added"]["all"] == 1
    (own.root / ".dvc" / "config.local").write_text("['remote \"store\"']\n    url = http://127.0.0.1:9\n")
    assert {line.split("  ")[-1].strip() for line in said("versions")[1:]} == {listing.UNKNOWN}, "nobody answers there"
    (line,) = said("diff", "1", "2", fails=True)
    assert line.startswith("error: remote 'store': found "), line


class Page(HTMLParser):
    """The cells of a page's tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data


def identities(at: Shelf, tag: str) -> dict[tuple[str, frozenset[str]], dict[str, Any]]:
    """The pairs of a version by prompt and answers, straight from the cache."""
    lock = yaml.safe_load(at.git("show", f"{tag}:dvc.lock"))["stages"]["pair"]["outs"][0]["md5"]
    listing = json.loads((at.cache / lock[:2] / lock[2:]).read_bytes())
    md5 = next(entry["md5"] for entry in listing if entry["relpath"].startswith("pairs/"))
    pairs = pq.read_table(io.BytesIO((at.cache / md5[:2] / md5[2:]).read_bytes())).to_pylist()
    return {(one["prompt_id"], frozenset(one[side][0]["content"] for side in ("chosen", "rejected"))): one for one in pairs}


@pytest.mark.parametrize(("a", "b"), [(V1, V2), (V2, V3), (V3, V4), (V1, V4), (V4, V1), (V2, V2)])
def test_table_json_and_page_say_what_a_comparison_row_by_row_finds(here: Shelf, tmp_path: Path, a: str, b: str) -> None:
    one, two = identities(here, a), identities(here, b)
    both = one.keys() & two.keys()
    brute = {
        "added": len(two.keys() - both),
        "gone": len(one.keys() - both),
        "flipped": sum(one[key]["chosen"] != two[key]["chosen"] for key in both),
        "moved": sum(one[key]["split"] != two[key]["split"] for key in both),
        "re-weighed": sum(
            one[key]["chosen"] == two[key]["chosen"] and abs(one[key]["confidence"] - two[key]["confidence"]) > 0.01 for key in both
        ),
    }
    found = json.loads("\n".join(said("diff", a, b, "--json")))
    assert {kind: sum(reasons.values()) for kind, reasons in found["kinds"].items()} == brute
    assert Counter(kind for row in found["rows"] for kind in row["kinds"]) == Counter({k: n for k, n in brute.items() if n})
    counts = {name: by_split["all"] for name, by_split in found["pairs"].items()}
    shares = [[found["pairs"][name][split] for split in SHOWN] for name in ("before", "gone", "added", "after")]
    assert counts == {"before": len(one), "gone": brute["gone"], "added": brute["added"], "after": len(two)}
    assert len(one) - brute["gone"] + brute["added"] == len(two)
    for by_split in found["pairs"].values():
        assert sum(by_split[split] for split in ("train", "validation", "test")) == by_split["all"]

    text = said("diff", a, b)
    head = [[cell.strip("+-") for cell in line.split()] for line in text[1:5]]
    assert [[int(cell) for cell in line[1:]] for line in head] == shares
    told = {(kind, reason): count for kind, reasons in found["kinds"].items() for reason, count in reasons.items()}
    lines = {tuple(cell.strip() for cell in line.split("  ") if cell.strip()) for line in text}
    assert {(kind, reason, str(count)) for (kind, reason), count in told.items()} <= lines

    page = tmp_path / "page.html"
    (wrote,) = said("diff", a, b, "--html", str(page))
    assert wrote == f"wrote {page}: {', '.join(f'{count} {kind}' for kind, count in brute.items())}"
    shown = Page(page.read_text(encoding="utf-8"))
    assert [[int(cell) for cell in row[1:]] for row in shown.rows[1:5]] == shares
    pairs = [row for row in shown.rows if row and re.fullmatch(r"[0-9a-f]{16,}", row[0])]
    assert [(row[0], row[1]) for row in pairs] == [
        ((row["after"] or row["before"])["pair_id"], ", ".join(row["kinds"])) for row in found["rows"]
    ]


def test_each_change_has_its_reason_with_what_did_it(here: Shelf) -> None:
    def reasons(a: str, b: str) -> dict[str, dict[str, int]]:
        kinds = json.loads("\n".join(said("diff", a, b, "--json")))["kinds"]
        return {kind: found for kind, found in kinds.items() if found}

    assert reasons(V1, V2) == {"added": {"new log": 1}, "moved": {"other": 1}}
    assert reasons(V2, V3) == {"flipped": {"parameter": 1}, "re-weighed": {"parameter": 1}}
    assert reasons(V3, V4) == {"gone": {"erased": 1}}
    found = json.loads("\n".join(said("diff", V2, V3, "--json")))
    assert [one["name"] for one in found["between"]["parameters"]] == ["rebalance.seed"]
    assert {row["detail"] for row in found["rows"]} == {"rebalance.seed"}
    assert json.loads("\n".join(said("diff", V1, V2, "--json")))["between"]["new_logs"] == ["new.jsonl"]
    assert json.loads("\n".join(said("diff", V3, V4, "--json")))["between"]["inputs"] == ["data/erased"]


def test_the_workspace_is_compared_as_it_lies_there(own: Shelf) -> None:
    assert "no pair differs" in said("diff", V4, "workspace")
    shutil.rmtree(own.root / "data" / "10_pair")
    (line,) = said("diff", V4, "workspace", fails=True)
    assert line == "error: version workspace: found no data/10_pair/pairs; expected a dataset that was built; run `pairwright run` first"


def spoil_object(own: Shelf) -> None:
    lock = own.git("show", f"{V1}:dvc.lock")
    digest = re.findall(r"path: data/10_pair\n.*\n\s+md5: (\w+)\.dir", lock)[0]
    (own.cache / digest[:2] / f"{digest[2:]}.dir").write_text("[]")


def cut_record(own: Shelf) -> None:
    (own.root / "data" / "versions" / "v1.json").write_text('{"version": 1, "ta')


def forge_record(own: Shelf) -> None:
    path = own.root / "data" / "versions" / "v1.json"
    path.write_text(path.read_text().replace('"pairs_train": 2', '"pairs_train": 2000'))


def empty_record(own: Shelf) -> None:
    (own.root / "data" / "versions" / "v1.json").write_text("[]")


def swap_record(own: Shelf) -> None:
    shutil.copy(own.root / "data" / "versions" / "v2.json", own.root / "data" / "versions" / "v1.json")


def tag_without_record(own: Shelf) -> None:
    own.git("tag", "-am", "no version", "dataset@v9.0.0", f"{V1}^{{commit}}")


def early_commit(own: Shelf) -> None:
    own.git("checkout", "-q", "--orphan", "empty")
    own.git("rm", "-rqf", "--cached", ".")
    own.git("commit", "-qm", "nothing", "--allow-empty")
    own.git("tag", "nightly")
    own.git("checkout", "-qf", "master")


def write_nowhere(own: Shelf) -> None:
    """The folder of the page is not there."""


CASES: list[tuple[Callable[[Shelf], None], tuple[str, ...], str]] = [
    (write_nowhere, ("diff", "7", "1"), rf"version '7': found no such version; expected a version \({V1}, .*\), a commit, or `workspace`"),
    (write_nowhere, ("diff", "nonsense", "1"), "version 'nonsense': found no such version"),
    (early_commit, ("diff", "nightly", "1"), r"nightly: dvc\.lock: found no such file; expected what DVC built there"),
    (spoil_object, ("diff", "1", "2"), r"found bytes that are not what their name says; expected those of \w+\.dir; delete the file"),
    (write_nowhere, ("diff", "1", "2", "--html", "no/such/folder/page.html"), r"no/such/folder: found no such folder"),
    (cut_record, ("versions",), r"data/versions/v1\.json: found text that is not JSON; expected the record of a version; restore it"),
    (
        empty_record,
        ("versions",),
        r"data/versions/v1\.json: found no record of version 1; expected the record as it was published",
    ),
    (swap_record, ("versions",), r"data/versions/v1\.json: found no record of version 1;"),
    (forge_record, ("versions",), rf"data/versions/v1\.json: found another record than its tag has;.*`git checkout {V1} -- data/versions"),
    (forge_record, ("rollback", "1"), "found another record than its tag has"),
    (tag_without_record, ("versions",), "version dataset@v9.0.0: found no such version"),
    (write_nowhere, ("rollback", "7"), rf"version 7: found no such version; expected one of {V1}, {V2}"),
    (write_nowhere, ("rollback", "nightly"), r"version 'nightly': found no number; expected a number, or a tag such as dataset@v3\.0\.0"),
]


@pytest.mark.parametrize(("spoil", "command", "line"), CASES)
def test_what_is_no_version_is_one_line(own: Shelf, spoil: Callable[[Shelf], None], command: tuple[str, ...], line: str) -> None:
    spoil(own)
    head = own.git("rev-parse", "HEAD")
    (told,) = said(*command, fails=True)
    assert re.search(line, told), told
    assert own.git("rev-parse", "HEAD") == head


def test_no_way_back_from_a_tree_with_changes_nor_to_bytes_that_are_nowhere(own: Shelf) -> None:
    before = own.git("rev-parse", "HEAD")
    (own.root / "params.yaml").write_text((own.root / "params.yaml").read_text() + "# mine\n")
    (line,) = said("rollback", "3", fails=True)
    assert "git: found changes in params.yaml; expected a clean tree" in line
    assert (own.root / "params.yaml").read_text().endswith("# mine\n")
    own.git("checkout", "params.yaml")
    shutil.rmtree(own.root / "data" / "erased")
    own.git("commit", "-qam", "no tombstones, as version 3 had")
    before = own.git("rev-parse", "HEAD")
    shutil.rmtree(own.cache)
    (line,) = said("rollback", "3", fails=True)
    assert re.search(rf"version {V3}: found no bytes for data/02_clean, .*; expected them in DVC's cache or remote", line), line
    assert (own.git("rev-parse", "HEAD"), own.git("status", "--porcelain")) == (before, "")


@pytest.mark.slow
def test_the_way_back_lays_rows_parameters_and_models_here_as_a_version_more(own: Shelf) -> None:
    own.git("checkout", "-qB", "master", V3)
    own.git("tag", "-d", V4)
    before = {path: path.read_bytes() for path in (own.root / "data" / "raw").iterdir()}
    told = said("rollback", "1")
    assert told[0] == f"Go back to {V1}, as {V4}"
    assert told[1].startswith("stale, so the next run makes it anew: ")
    assert own.git("status", "--porcelain") == ""
    assert identities(own, V4) == identities(own, V1) != identities(own, V3)
    assert (own.root / "data" / "models" / "policy" / "model.safetensors").read_bytes() == b"weights", "the model trained on it"
    assert pq.read_table(own.root / "data" / "10_pair" / "pairs")["split"].to_pylist() == ["train", "train"]
    assert own.git("diff", "--name-only", V1, V4, "--", "params.yaml", "dvc.lock") == ""
    made = json.loads((own.root / "data" / "versions" / "v4.json").read_text())
    assert (made["version"], made["tag"], made["previous"], made["code"]) == (4, V4, V3, own.git("rev-parse", f"{V3}^{{commit}}"))
    assert own.git("cat-file", "-t", V4) == "tag"
    assert before == {path: path.read_bytes() for path in (own.root / "data" / "raw").iterdir()}


@pytest.mark.slow
def test_what_was_erased_does_not_come_back_with_an_older_version(own: Shelf) -> None:
    told = said("rollback", "2")
    assert told[0] == f"Go back to {V2}, its parameters and splits"
    assert f"{V2} holds what was erased since: run `pairwright run`, which makes it again from the raw logs without that" in told
    assert own.git("diff", "--name-only", V2, "HEAD", "--", "params.yaml") == ""
    assert own.git("diff", "--name-only", V4, "HEAD").split() == ["params.yaml"], "neither rows nor tombstones"
    assert own.git("tag", "--list", "dataset@*").split() == [V1, V2, V3, V4]
