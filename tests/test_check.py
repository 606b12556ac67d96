"""Claims about `pairwright check`: each planted fault becomes one line before anything runs, and what is well is not accused."""

from __future__ import annotations

import functools
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import cli, exit_codes, workspace
from flows.commands import check, run, shared
from flows.nights import step
from flows.preflight import augmenters, history, logs, machine, models, parameters, remotes, salt, schedules, server, staleness
from flows.preflight.finding import Finding, errors, warnings
from tasks.augment.registry import AUGMENTERS
from tasks.common import salt as secret
from tests.builders import toys
from tests.conftest import ROOT

Findings = Callable[[], Iterable[Finding]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace of the real path with one log, the current folder; its name has a space and letters of another script."""
    root = tmp_path / "mein Ordner 数据"
    (root / "data" / "raw").mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml", "prefect.yaml"):
        shutil.copy(ROOT / name, root)
    shutil.copy(ROOT / "examples" / "five_lines" / "log.jsonl", root / "data" / "raw")
    shutil.copytree(ROOT / "flows", root / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(
        ROOT / ".dvc", root / ".dvc", ignore=lambda folder, names: [name for name in names if name not in ("config", ".gitignore")]
    )
    (root / ".pairwright").mkdir()
    (root / ".pairwright" / "fingerprint").write_text(secret.fingerprint(secret.PUBLIC))
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    monkeypatch.chdir(root)
    for name in ("PREFECT_API_URL", "PAIRWRIGHT_SALT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(secret, "FOLDER", Path(".pairwright"))
    return root


def change(path: Path, key: str, value: object) -> None:
    """Set the value at a dotted key; a key that is not there comes to be."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    *outer, last = key.split(".")
    functools.reduce(lambda inner, name: inner[int(name)] if isinstance(inner, list) else inner[name], outer, document)[last] = value
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")


def texts(found: Iterable[Finding]) -> list[str]:
    return [finding.text for finding in found]


ALL = (
    augmenters.findings,
    logs.findings,
    machine.disk,
    models.findings,
    parameters.findings,
    remotes.findings,
    salt.findings,
    schedules.findings,
)


@pytest.mark.parametrize("findings", [*ALL, server.findings, history.findings], ids=lambda one: one.__module__.rpartition(".")[2])
def test_what_is_well_is_one_quiet_line(here: Path, findings: Findings) -> None:
    (only,) = findings()
    assert only.level == "ok", only
    assert "\n" not in only.text


PLANTED: dict[str, tuple[str, object, tuple[str, ...]]] = {
    "a method that does not exist": (
        "train.method",
        "dpoo",
        ("train.method: found 'dpoo'; expected one of best_of_n, cpo, dpo, grpo, kto, online, orpo, ppo, rloo,", "write `dpo`"),
    ),
    "a misspelt key": ("dedupe.treshold", 0.8, ("dedupe.treshold", "an unknown key", "write `dedupe.threshold`")),
    "a number out of bounds": ("start.max_length", 2, ("start.max_length", "found 2")),
    "a section that nothing reads": ("deduping", {}, ("a section `deduping` that nothing reads",)),
    "a section of no stage with a wrong key": ("publish.bott", {}, ("publish.bott", "write `publish.bot`")),
    "a width that heads cannot share": ("start.model.hidden_size", 130, ("start.model.hidden_size: 130", "a multiple of 8")),
    "a batch that cannot be shared": (
        "train.dpo.schedule.per_device_train_batch_size",
        5,
        ("schedule.train_batch_size: 8", "5 rows"),
    ),
    "a variant that no model has": ("compress.variants", ["dorp-1"], ("compress.variants: found 'dorp-1'",)),
    "a variant of more layers than there are": ("compress.variants", ["drop-9"], ("compress.variants: drop-9", "a policy of 4 layers")),
    "a format that does not exist": ("ingest.formats", {"*.json": "sharegtp"}, ("ingest.formats", "'sharegtp'", "sharegpt")),
    "a required split without a share": ("release.required_splits", ["test"], ("release.required_splits: test", "split.test: 0")),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_wrong_parameters_are_one_line_each(here: Path, fault: str) -> None:
    key, value, words = PLANTED[fault]
    change(here / "params.yaml", key, value)
    if "split.test: 0" in words:
        change(here / "params.yaml", "split", yaml.safe_load((here / "params.yaml").read_text())["split"] | {"train": 0.9, "test": 0.0})
    (only,) = parameters.findings()
    assert only.level == "error"
    assert only.text.startswith("params.yaml")
    assert all(word in only.text for word in words), only.text


def test_every_faulty_section_is_told_at_once(here: Path) -> None:
    change(here / "params.yaml", "train.method", "dpoo")
    change(here / "params.yaml", "dedupe.treshold", 0.8)
    assert len(errors(parameters.findings())) == 2


def test_a_renamed_section_is_told_once(here: Path) -> None:
    text = (here / "params.yaml").read_text(encoding="utf-8")
    (here / "params.yaml").write_text(text.replace("\nrebalance:", "\nrebalence:"), encoding="utf-8")
    (only,) = errors(parameters.findings())
    assert "rename `rebalence:` to `rebalance:`" in only.text


def test_methods_that_can_have_no_pairs_are_refused(here: Path) -> None:
    document = yaml.safe_load((here / "params.yaml").read_text(encoding="utf-8"))
    for section in document["pair"].values():
        if isinstance(section, dict) and "use" in section:
            section["use"] = False
    (here / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    assert "no recipe in use" in texts(errors(parameters.findings()))[0]
    change(here / "params.yaml", "train.method", "kto")
    assert not errors(parameters.findings())


def test_ppo_needs_room_before_the_answer_and_has_no_heldout_loss(here: Path) -> None:
    change(here / "params.yaml", "train.method", "ppo")
    assert not errors(parameters.findings())
    change(here / "params.yaml", "train.ppo.max_new_tokens", 512)
    change(here / "params.yaml", "train.monitoring.eval_steps", 5)
    told = " ".join(texts(errors(parameters.findings())))
    assert "leaves no prompt room" in told
    assert "has no held-out loss" in told


@pytest.mark.parametrize(
    ("source", "level", "words"),
    [
        ("nowhere/to/be", "error", "no such folder"),
        ("./gone.gguf", "error", "no such file"),
        ("package:no_such_package/x.gguf", "error", "no installed package"),
        ("owner/name", "warning", "not in the hub's cache"),
    ],
)
def test_models_that_are_not_here_are_told(here: Path, monkeypatch: pytest.MonkeyPatch, source: str, level: str, words: str) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(here / "hub"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    change(here / "params.yaml", "start.model.source", source)
    (only,) = models.findings()
    assert (only.level, words in only.text) == (level, True), only
    if level == "warning":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert errors(models.findings())
        (here / "hub" / "models--owner--name" / "snapshots" / "1").mkdir(parents=True)
        (here / "hub" / "models--owner--name" / "snapshots" / "1" / "config.json").touch()
        assert not errors(models.findings())


def test_a_model_without_its_tokenizer_is_told(here: Path) -> None:
    (here / "model").mkdir()
    (here / "model" / "config.json").write_text("{}")
    change(here / "params.yaml", "start.model.source", "model")
    assert "no tokenizer" in texts(errors(models.findings()))[0]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("deployments.0.schedules", [{"cron": "0 25 * * *", "slug": "nightly"}], "'0 25 * * *'"),
        ("deployments.0.schedules", [{"cron": "0 3 * * *", "timezone": "Europe/Berlni"}], "write `Europe/Berlin`"),
        ("deployments.0.schedules", [{"slug": "nightly"}], "an entry without times"),
        ("deployments.0.entrypoint", "flows.bild.build", "'flows.bild.build'"),
        ("deployments.0.entrypoint", "flows/build.py:bild", "no function bild in flows.build"),
        ("deployments.0.entrypoint", "flows.build.bild", "no function bild in flows.build"),
        ("deployments.0.parameters", {"trian": True}, "write `train`"),
        ("deployments", {}, "no list of deployments"),
    ],
)
def test_deployments_that_could_not_run_are_told(here: Path, key: str, value: object, words: str) -> None:
    change(here / "prefect.yaml", key, value)
    (only,) = errors(schedules.findings())
    assert words in only.text, only


def test_logs_are_looked_at_without_being_opened_where_that_would_hang(here: Path) -> None:
    raw = here / "data" / "raw"
    (raw / "notes.txt").write_text("nothing that is JSON\n")
    (raw / "other.jsonl").write_text(json.dumps({"msgs": [{"role": "user", "text": "SECRET"}], "conv": 1}) + "\n")
    told = " ".join(texts(warnings(logs.findings())))
    assert "notes.txt" in told
    assert "other.jsonl: no known format (keys: conv, msgs" in told
    assert "SECRET" not in told
    os.mkfifo(raw / "pipe")
    assert "pipe" not in " ".join(texts(logs.findings()))
    (only,) = errors(staleness.findings())
    assert "data/raw/pipe: found a pipe" in only.text


def test_a_folder_without_logs_is_an_error_until_something_was_made(here: Path) -> None:
    (here / "data" / "raw" / "log.jsonl").unlink()
    assert "no file in it" in texts(errors(logs.findings()))[0]
    (here / "data" / "02_clean").mkdir()
    assert not errors(logs.findings())


def test_a_salt_that_others_may_read_or_that_is_another_one_is_told(here: Path) -> None:
    folder = here / ".pairwright"
    (folder / "salt").write_text("secret")
    (folder / "salt").chmod(0o644)
    assert "chmod 600" in texts(warnings(salt.findings()))[0]
    (folder / "salt").chmod(0o600)
    assert not warnings(salt.findings())
    (folder / "fingerprint").write_text("0123456789abcdef\n")
    assert "people get other ids" in texts(warnings(salt.findings()))[0]
    (folder / "salt").unlink()
    assert "the salt whose fingerprint is in" in texts(warnings(salt.findings()))[0]
    (folder / "salt").write_text("")
    assert "an empty file" in texts(errors(salt.findings()))[0]
    (folder / "salt").unlink()
    (folder / "fingerprint").unlink()
    assert "run `git checkout .pairwright/fingerprint`" in texts(errors(salt.findings()))[0]


def remote(root: Path, name: str, **options: object) -> None:
    lines = [f"['remote \"{name}\"']", *(f"    {key} = {value}" for key, value in options.items())]
    with (root / ".dvc" / "config").open("a") as stream:
        stream.write("\n".join(lines) + "\n")


def test_remotes_are_knocked_at(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    with socket.socket() as listening, socket.socket() as closed:
        for one in (listening, closed):
            one.bind(("127.0.0.1", 0))
        listening.listen()
        remote(here, "up", url=f"http://me:hidden@127.0.0.1:{listening.getsockname()[1]}/store")
        remote(here, "down", url=f"http://127.0.0.1:{closed.getsockname()[1]}/store")
        remote(here, "folder", url=str(here / "store"))
        remote(here, "unmounted", url="/no/such/disk/store")
        found = {finding.text.partition(":")[0]: finding for finding in remotes.findings()}
    assert {name: finding.level for name, finding in found.items()} == {
        "up": "ok",
        "down": "warning",
        "folder": "ok",
        "unmounted": "warning",
    }
    assert "not reached" in found["down"].text
    assert "hidden" not in found["up"].text


def test_too_little_room_stops_and_little_room_warns(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(here)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=50_000_000))
    assert "50.0 MB free" in texts(errors(machine.disk()))[0]
    (here / "data" / "release").mkdir()
    with (here / "data" / "release" / "big").open("wb") as stream:
        stream.truncate(400_000_000)  # takes no room
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=600_000_000))
    assert texts(warnings(machine.disk()))


def test_an_augmenter_that_the_last_version_had_may_not_be_missing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AUGMENTERS["back_translation"], "missing", classmethod(lambda cls: "lt-proc"))
    (only,) = augmenters.findings()
    assert (only.level, "will be skipped" in only.text) == ("warning", True)
    (here / "data" / "versions").mkdir()
    record = {"version": 2, "tag": "dataset@v2.0.0", "environment": {"apertium": "abc", "numpy": "1"}, "release": {"md5": "abc"}}
    (here / "data" / "versions" / "v2.json").write_text(json.dumps(record))
    (only,) = augmenters.findings()
    assert (only.level, "which dataset@v2.0.0 was made with" in only.text) == ("error", True)
    assert "(was 1)" in texts(warnings(history.findings()))[0]
    change(here / "params.yaml", "augment.augmenters.back_translation.enabled", False)
    assert not errors(augmenters.findings())


def test_other_packages_than_the_tested_ones_are_told(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_pins", lambda: {"numpy": "0.1", "zstandard": "0.1"})
    assert "tested: 0.1" in texts(warnings(machine.versions()))[0]
    monkeypatch.setattr(machine, "_pins", lambda: {"prefect": "0.1"})
    assert "of no effect on bytes" in texts(machine.versions())[0]
    monkeypatch.setattr(machine, "_direct", lambda: {"numpy", "no-such-package"})
    assert "not installed: no-such-package" in texts(errors(machine.versions()))[0]


def test_a_server_that_does_not_answer_is_an_error(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert "nothing that answers" in texts(errors(server.findings()))[0]


def test_a_repository_that_git_refuses_or_lacks_is_one_line(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not errors(machine.repository())
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    (only,) = errors(machine.repository())
    assert "dubious ownership" in only.text
    assert "safe.directory" in only.text
    shutil.rmtree(here / ".git")
    assert "no .git" in texts(errors(machine.repository()))[0]


def test_check_knows_what_would_run(here: Path) -> None:
    assert "0 of 18 stages up to date, 18 never run here" in texts(staleness.findings())[0]


def test_the_command_itself_imports_nothing_heavy(here: Path) -> None:
    heavy = ("torch", "transformers", "daft", "prefect", "pyarrow", "numpy")
    script = f"import sys; from flows import cli; cli.main(['check']); print([name for name in {heavy} if name in sys.modules])"
    env = toys.environment()
    done = subprocess.run([sys.executable, "-c", script], cwd=here, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
    assert done.stderr == ""


def test_check_and_run_stop_at_errors_and_change_nothing(tmp_path: Path) -> None:
    root = toys.make(tmp_path / "toy")
    toys.set_param(root, "train", "fate", 3)
    done = toys.pairwright(root, "check", "--json")
    assert done.returncode == exit_codes.FAILED
    document = json.loads(done.stdout)
    assert document["errors"] == 1
    assert any(entry["level"] == "error" and "train.fate" in entry["text"] for entry in document["findings"])
    done = toys.pairwright(root, "run")
    assert done.returncode == exit_codes.FAILED
    assert done.stderr.splitlines() == [line for line in done.stderr.splitlines() if line.startswith("error: params.yaml: train.fate")]
    assert not (root / ".prefect").exists()
    assert not (root / "data" / "01_first").exists()


def test_status_as_json_and_in_a_subfolder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = toys.make(tmp_path / "toy")
    monkeypatch.chdir(root / "data")
    assert cli.main(["status", "--json"]) == exit_codes.DONE
    assert json.loads(capsys.readouterr().out)["second"] == {"state": "never run here", "reasons": []}
    assert Path.cwd() == root


def test_paths_on_the_command_line_mean_what_they_mean_where_a_person_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path / "sub")
    given = cli.build_parser().parse_args(["export", "verl", "--to", "out"])
    workspace.enter(given)
    assert (Path.cwd(), given.to) == (tmp_path, tmp_path / "sub" / "out")


def test_usage_is_helped(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == exit_codes.USAGE
    assert "COMMAND" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=str(exit_codes.USAGE)):
        cli.main(["statsu"])
    assert "did you mean `status`?" in capsys.readouterr().err
    with pytest.raises(SystemExit, match=str(exit_codes.DONE)):
        cli.main(["--version"])
    assert capsys.readouterr().out.startswith("pairwright ")


def test_exit_codes_tell_a_gate_from_a_fault_and_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {"stage": step.NAME, "seconds": 0.0, "message": ""}
    assert run.exit_code([{"state": step.STOPPED, **told}]) == exit_codes.STOPPED_BY_GATE  # type: ignore[typeddict-item]
    assert run.exit_code([{"state": "Failed", **told}]) == exit_codes.FAILED, "a gate that could not be asked"  # type: ignore[typeddict-item]
    monkeypatch.chdir(toys.make(tmp_path / "toy"))

    def interrupted(given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workspace, "enter", interrupted)
    assert cli.main(["status"]) == exit_codes.INTERRUPTED
    assert set(exit_codes.MEANING) == {0, 1, 2, 3, 130, 141}


def test_colours_stand_on_terminals_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    check.say_finding(Finding("error", "model", "gone"))
    assert capsys.readouterr().out == "!!  model        gone\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert shared.painted("!!", "red") == "\033[31m!!\033[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert shared.painted("!!", "red") == "!!"


def test_files_that_are_not_ours_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(given: object) -> None:
        raise PermissionError(13, "Permission denied", "/theirs/dvc.yaml")

    monkeypatch.setattr(workspace, "enter", refused)
    assert cli.main(["status"]) == exit_codes.FAILED
    assert capsys.readouterr().err.splitlines() == [
        "error: /theirs/dvc.yaml: found no permission; expected files that you may read and write; "
        "ask their owner, or work in a copy of your own"
    ]
