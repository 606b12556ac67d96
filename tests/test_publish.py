"""Claims about publishing a version: what its commit takes, when there is none, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from gto.constants import tag_re

from flows import git
from flows.versions import environment, publish, record
from tasks.core.errors import UserError
from tests.builders import toys, versions
from tests.builders.versions import published

V1, V2, V3 = (record.tag(number) for number in (1, 2, 3))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return versions.make(tmp_path_factory.mktemp("made"))


@pytest.fixture
def toy(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return versions.copied(made, tmp_path, monkeypatch)


def test_a_version_is_a_commit_and_an_annotated_tag_by_the_bot_with_the_counts(toy: Path) -> None:
    assert published() == f"Published: {V1}; no DVC remote; no git remote"
    assert versions.git(toy, "cat-file", "-t", V1) == "tag"
    assert versions.git(toy, "log", "-1", "--format=%an <%ae>|%cn <%ce>") == f"{versions.BOT}|{versions.BOT}"
    versions.build(toy, pairs=8)
    assert published().startswith(f"Published: {V2}")
    assert versions.git(toy, "log", "-1", "--format=%s", V2) == f"Publish {V2}: 10 pairs (+5), 12 unpaired (+0), 20 prompts (+0)"
    changed = versions.git(toy, "diff", "--name-only", V1, V2).split()
    assert changed == ["data/versions/CHANGELOG.md", "data/versions/v2.json", "dvc.lock", "params.yaml"]
    assert versions.git(toy, "status", "--porcelain") == ""


def test_the_record_says_what_the_version_took_and_gave(toy: Path) -> None:
    published()
    versions.build(toy, pairs=8)
    published()
    found = record.read("v2")
    assert (found["version"], found["tag"], found["previous"], found["code"]) == (2, V2, V1, git.commit_of(V1))
    assert found["metrics"]["pairs_train"] == 8
    assert found["ledgers"]["first"]["turns"]["kept"] == 1200
    assert list(found["parameters"]) == ["first", "second"]
    assert found["raw"] == {"md5": "5d41402abc4b2a76b9719d911017c592", "files": 1, "bytes": 5}
    assert found["environment"] == environment.current()
    assert [one["version"] for one in record.records()] == [1, 2]
    versions.git(toy, "checkout", "-q", V1)
    assert record.newest() == record.read("1")
    assert record.read(V2) == found, "also one that the current commit does not come from"
    with pytest.raises(UserError, match=f"no such version; expected one of {V1}"):
        record.read("7")


def test_the_changelog_has_an_entry_a_version_with_the_differences(toy: Path) -> None:
    published()
    versions.build(toy, pairs=8)
    published()
    text = (toy / "data/versions/CHANGELOG.md").read_text(encoding="utf-8")
    assert text.index(V2) < text.index(V1)
    assert "- pairs_train: 8 (+5)" in text
    assert "- parameters: changed in second" in text


@pytest.mark.parametrize("name", [record.tag(3), record.model_tag(3), record.model_tag(3, 1)])
def test_tags_have_the_form_by_which_gto_registers_versions(name: str) -> None:
    found = tag_re.match(name)
    assert found
    assert found["version"]
    assert record.TAG.fullmatch(name)


def test_nothing_new_is_no_version(toy: Path) -> None:
    published()
    head = git.head()
    assert published() == f"Unchanged: nothing new since {V1}"
    assert (git.head(), versions.tags(toy)) == (head, [V1])


def test_a_lock_that_changed_while_the_release_did_not_is_committed_without_a_version(toy: Path) -> None:
    published()
    (toy / "toys" / "__main__.py").write_text((toy / "toys" / "__main__.py").read_text() + "# more\n")
    versions.git(toy, "commit", "-qam", "code")
    versions.reproduce(toy, "second")
    assert "dvc.lock" in versions.git(toy, "status", "--porcelain")
    assert published().startswith("Unchanged")
    assert versions.git(toy, "status", "--porcelain") == ""
    assert versions.tags(toy) == [V1]


def test_what_a_person_changed_or_staged_stays_theirs(toy: Path) -> None:
    (toy / "notes.txt").write_text("one\n")
    published()
    versions.git(toy, "add", "notes.txt")
    versions.git(toy, "commit", "-qm", "notes")
    (toy / "notes.txt").write_text("two\n")
    versions.git(toy, "add", "notes.txt")
    (toy / "notes.txt").write_text("three\n")
    (toy / "draft.txt").write_text("mine\n")
    (toy / "staged.txt").write_text("mine\n")
    versions.git(toy, "add", "staged.txt")
    before = versions.git(toy, "status", "--porcelain")
    versions.build(toy, pairs=9)
    versions.git(toy, "add", "params.yaml")
    published()
    assert versions.git(toy, "status", "--porcelain") == before == "MM notes.txt\nA  staged.txt\n?? draft.txt"
    assert versions.git(toy, "show", ":notes.txt") == "two"
    assert versions.git(toy, "show", "HEAD:notes.txt") == "one"


@pytest.mark.parametrize(("path", "text"), [("toys/__main__.py", "# more\n"), ("toys/new.py", "X = 1\n"), ("dvc.yaml", "# more\n")])
def test_code_that_git_does_not_have_is_refused_by_name(toy: Path, path: str, text: str) -> None:
    published()
    with (toy / path).open("a") as stream:
        stream.write(text)
    versions.build(toy, pairs=9)
    head = git.head()
    with pytest.raises(UserError, match=f"{path}, which git does not have.*a clone can make again"):
        published()
    assert (git.head(), versions.tags(toy)) == (head, [V1])


def test_a_detached_head_is_refused(toy: Path) -> None:
    published()
    versions.git(toy, "checkout", "-q", "--detach")
    with pytest.raises(UserError, match=r"a detached HEAD at .*git switch"):
        published()


def test_an_unfinished_merge_is_refused(toy: Path) -> None:
    published()
    (toy / ".git" / "MERGE_HEAD").write_text(f"{git.head()}\n")
    with pytest.raises(UserError, match="an unfinished merge"):
        published()


def test_a_release_that_is_not_what_its_stage_made_is_refused(toy: Path) -> None:
    (toy / toys.SECOND / "text.txt").write_text("by hand")
    with pytest.raises(UserError, match="data/02_second modified; expected the result of second, up to date and past its gate"):
        published()
    assert git.head() is None


def test_a_number_that_a_tag_elsewhere_has_is_left_out(toy: Path) -> None:
    published()
    versions.git(toy, "tag", V2, V1)
    versions.build(toy, pairs=8)
    assert published().startswith(f"Published: {V3}")
    assert json.loads((toy / "data/versions/v3.json").read_text())["previous"] == V1


def test_an_augmenter_that_is_missing_here_stops_the_version_until_it_is_accepted(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published()
    monkeypatch.setenv("APERTIUM_DATADIR", str(toy / "nowhere"))
    monkeypatch.setattr(environment, "current", lambda: {**record.read("1")["environment"], "apertium": None})
    versions.build(toy, pairs=8)
    with pytest.raises(UserError, match=f"environment: found no apertium; expected what {V1} was made with; install it.*publish.accept"):
        published()
    versions.configure(toy, accept=["apertium"])
    assert published().startswith(f"Published: {V2}")
    assert "- environment: apertium" in (toy / "data/versions/CHANGELOG.md").read_text(encoding="utf-8")


def test_the_first_commit_takes_what_makes_the_path_and_nothing_else(toy: Path) -> None:
    (toy / "diary.txt").write_text("mine")
    published()
    taken = versions.git(toy, "ls-files").split("\n")
    assert "diary.txt" not in taken
    assert {"dvc.yaml", "dvc.lock", "params.yaml", "toys/__main__.py", ".dvc/config", "data/versions/v1.json"} <= set(taken)
    assert not [name for name in taken if name.startswith("data/0")]


def test_the_model_gets_the_number_of_its_dataset(toy: Path) -> None:
    published()
    versions.reproduce(toy)
    told = publish.model(lambda line: None)
    assert (told.state, versions.tags(toy)) == ("Published", [V1, "model@v1.0.0"])
    assert publish.model(lambda line: None).state == "Unchanged"
    toys.set_param(toy, "train", "wait", 0.01)
    versions.reproduce(toy)
    assert publish.model(lambda line: None).message.startswith("model@v1.1.0"), "a further training on the same version"
    assert versions.git(toy, "status", "--porcelain") == ""
    assert published() == f"Unchanged: nothing new since {V1}"
    versions.build(toy, pairs=8)
    versions.reproduce(toy)
    with pytest.raises(UserError, match="no version of it"):
        publish.model(lambda line: None)


def test_reports_come_along_but_not_those_of_stages_that_read_raw_words(toy: Path) -> None:
    document = toys.path_of(toy)
    for name in ("first", "second"):
        document["stages"][name]["meta"] = {"reports": f"data/reports/{name}"}
        (toy / "data/reports" / name).mkdir(parents=True)
        (toy / "data/reports" / name / "index.html").write_text(f"page of {name}")
    document["stages"]["first"]["outs"] = [{toys.FIRST: {"persist": True, "cache": False}}]
    toys.set_path(toy, document)
    versions.build(toy, pairs=4)
    published()
    assert [path.name for path in (toy / "data/versions/reports").iterdir()] == ["second"]
    shutil.rmtree(toy / "data/versions/reports")
    toys.dvc(toy, "checkout", "--allow-missing")
    assert (toy / "data/versions/reports/second/index.html").read_text() == "page of second"
    assert "data/versions/reports.dvc" in versions.git(toy, "ls-files")
