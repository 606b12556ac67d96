"""Claims about a dataset's whole life by the real stages, git and DVC: versions, their difference, traces, the way back, and an erasure.

Slow: five nights, shared by all claims, which are told in the order of the life.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.erasure.raw_parts import take_apart
from tasks.core.ids import person_id
from tests.builders import lives
from tests.builders.lives import TAGS, tables
from tests.builders.whole_nights import Workspace

pytestmark = pytest.mark.slow
V1, V2, V3, V4, V5 = TAGS
PLACEHOLDER = re.compile(r"\[[A-Z_]+_\d+\]")


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with three versions."""
    return lives.begun(tmp_path_factory.mktemp("life"))


def by_answers(rows: list[dict[str, Any]]) -> dict[tuple[str, frozenset[str]], dict[str, Any]]:
    """Pairs by prompt and answers, where no other has the same."""
    found: dict[tuple[str, frozenset[str]], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["prompt_id"], frozenset(row[side][-1]["content"] for side in ("chosen", "rejected"))), []).append(row)
    return {key: made[0] for key, made in found.items() if len(made) == 1}


def test_the_difference_of_two_versions_is_that_of_their_rows(life: Workspace) -> None:
    for a, b, reason in ((V1, V2, "new log"), (V2, V3, "parameter"), (V3, V1, "log gone")):
        one, two = (by_answers(tables(life, tag, "pair", "pairs")) for tag in (a, b))
        assert len(one) == len(tables(life, a, "pair", "pairs")), "no two pairs of the same answers"
        both = one.keys() & two.keys()
        told = life.diff(a, b)
        counts = {name: by_split["all"] for name, by_split in told["pairs"].items()}
        assert counts == {"before": len(one), "gone": len(one.keys() - both), "added": len(two.keys() - both), "after": len(two)}
        assert counts["before"] - counts["gone"] + counts["added"] == counts["after"]
        assert counts["gone"] + counts["added"] > 0
        changed = {row["after"]["pair_id"]: row["kinds"] for row in told["rows"] if row["before"] and row["after"]}
        for key in both:
            old, new = one[key], two[key]
            kinds = changed.get(new["pair_id"], [])
            assert ("flipped" in kinds) == (old["chosen"] != new["chosen"])
            assert ("moved" in kinds) == (old["split"] != new["split"])
        assert reason in {row["reason"] for row in told["rows"]}, told["kinds"]


def test_a_trace_leads_to_the_very_records_and_on_to_every_version(life: Workspace) -> None:
    rows = [row for row in tables(life, V3, "pair", "pairs") if not row["augmented_from"]]
    plain = [row for row in rows if not any(PLACEHOLDER.search(row[side][-1]["content"]) for side in ("prompt", "chosen", "rejected"))]
    assert len(plain) > 10
    holders = {tag: {row["pair_id"]: row["split"] for row in tables(life, tag, "pair", "pairs")} for tag in (V1, V2, V3)}
    lasting = [row for row in plain if row["pair_id"] in holders[V1]][:2]
    fresh = [row for row in plain if row["pair_id"] not in holders[V1] and row["pair_id"] in holders[V2]][:1]
    for row in lasting + fresh:
        told = json.loads(life.well("pairwright", "trace", row["pair_id"], "--json"))
        texts = [raw_record(life, place) for place in told["records"]]
        for side in ("chosen", "rejected"):
            assert any(row[side][-1]["content"] in text for text in texts), f"{side} of {row['pair_id']} is in {told['records']}"
        assert any(row["prompt"][-1]["content"] in text for text in texts)
        assert {vote["feedback_id"] for vote in told["votes"]} == set(row["votes"])
        said = {one["version"]: one["split"] for one in told["versions"] if one["state"] == "holds it"}
        expected = {tag: held[row["pair_id"]] for tag, held in holders.items() if row["pair_id"] in held}
        assert said == {**expected, "workspace": row["split"]}


def raw_record(at: Workspace, place: dict[str, Any]) -> str:
    """All texts of the record at a place in a raw file."""
    parts = take_apart(at.root / place["file"])
    assert parts
    return "\n".join(strings(json.loads(parts.records[place["record"]])))


def strings(value: object) -> list[str]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value] if isinstance(value, str) else [text for one in inside for text in strings(one)]


def reports(at: Workspace) -> dict[str, bytes]:
    folder = at.root / "data" / "versions" / "reports"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_tag_checked_out_by_git_and_dvc_gives_the_same_bytes_with_its_reports(life: Workspace) -> None:
    """In the workspace, and in a fresh clone that has nothing but the remotes."""
    made = (life.release(), reports(life))
    assert made[1]
    life.well("git", "checkout", "-q", V1)
    life.well("dvc", "checkout", "--allow-missing")
    first = (life.release(), reports(life))
    assert first != made
    life.well("git", "checkout", "-q", "-")
    life.well("dvc", "checkout", "--allow-missing")
    assert (life.release(), reports(life)) == made
    clone = life.clone("clone")
    assert json.loads(clone.well("pairwright", "versions", "--json"))[0]["bytes"] == "here", "in the remote"
    assert clone.diff(V1, V3) == life.diff(V1, V3)
    clone.well("git", "checkout", "-q", V1)
    clone.well("dvc", "pull", "data/release", "data/versions/reports.dvc")
    assert (clone.release(), reports(clone)) == first


def test_the_way_back_is_a_version_more_and_the_next_one_goes_on_from_there(life: Workspace) -> None:
    life.well("pairwright", "rollback", "2")
    assert life.tags() == [V1, V2, V3, V4]
    assert life.status() == ""
    told = life.diff(V2, V4)
    assert (told["rows"], told["between"]["parameters"]) == ([], [])
    assert tables(life, V4, "pair", "pairs") == tables(life, V2, "pair", "pairs")
    changed = [name for name in life.well("git", "diff", "--name-only", V2, V4).split() if name.startswith(("data/", "params", "dvc.lock"))]
    assert changed == ["data/versions/CHANGELOG.md", "data/versions/v3.json", "data/versions/v4.json"]
    assert "confidence" in life.well("git", "diff", V3, V4, "--", "params.yaml")


def test_after_an_erasure_nothing_planted_is_left_anywhere(life: Workspace) -> None:
    """Mail, id, words, file name, id of a conversation, comment, and the hash of the id; what must stay is salted."""
    hashed = person_id(lives.USER, (life.root / ".pairwright" / "salt").read_text().strip())
    shutil.rmtree(life.outside / "clone", ignore_errors=True)
    lives.strew(life)
    before = lives.found(life, {"hash": hashed})
    assert set(before) == {*lives.PLANTED, "hash"}, "each was planted"
    for kind in ("raw id", "file name"):
        assert {".prefect/prefect.db", ".pairwright/lineage/old.jsonl", "data/reports/run/log.jsonl"} <= {
            place.removeprefix("project/") for place in before[kind]
        }
    assert any(place.startswith("site/") for place in before["file name"]), "DVC notes paths"
    assert any(place.startswith("shared/") for place in before["phrase"])

    first = lives.forget(life, "--purge")
    assert (first.code, "run `pairwright run`, then the same command again" in first.out) == (1, True), first.out
    lives.night(life)
    assert life.tags()[-1] == V5
    reasons = life.diff(V4, V5)["kinds"]["gone"]
    again = lives.forget(life, "--purge")
    assert again.code == 0, again.out
    assert set(reasons) & {"erased", "log gone"}, "the person's pairs, whose file the purge took away"

    assert lives.found(life, {"hash": hashed}) == {}
    (tombstones,) = (life.root / "data" / "erased").glob("*.txt")
    lines = tombstones.read_text().splitlines()[1:]
    assert lines
    assert all(re.fullmatch(r"user [0-9a-f]{16} \d{4}-\d\d-\d\d", line) for line in lines), lines


def test_the_other_people_s_records_and_the_newest_version_are_whole_after_it(life: Workspace) -> None:
    raw = (life.root / "data" / "raw" / "desk" / "desk.jsonl").read_bytes()
    assert raw.count(b"\n") > 200
    assert not (life.root / "data" / "raw" / lives.FILE).exists()
    assert "no faults" in life.well("pairwright", "verify")
    listed = {one["tag"]: one["bytes"] for one in json.loads(life.well("pairwright", "versions", "--json"))}
    assert listed == {V1: "not here", V2: "not here", V3: "not here", V4: "not here", V5: "here"}
    refused = life.command("pairwright", "diff", V1, V5)
    assert refused.code == 1
    assert "what was erased from all versions cannot be had" in refused.out
    assert len(refused.out.strip().splitlines()) == 1
    erased = [json.loads((life.root / "data" / "versions" / f"v{number}.json").read_text()).get("erased") for number in (1, 2, 3, 4, 5)]
    assert erased == [True] * 4 + [None]


def test_the_placements_of_everybody_else_stay(life: Workspace) -> None:
    splits = list((life.root / "data" / "splits").glob("*.txt"))
    assert splits
    assert Path(splits[0]).read_text().count("\n") > 20
