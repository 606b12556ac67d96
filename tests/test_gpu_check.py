"""gpu-check: what it says where there is no GPU, how a result becomes a line and an exit code, and its way on a processor."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.builders.training import digests, module
from tests.conftest import ROOT
from trainer.data import release_reader
from trainer.gpu_check import __main__ as command
from trainer.gpu_check import checks, made_release, settings
from trainer.gpu_check.project import difference, step_times
from trainer.gpu_check.table import Cost, Result, exit_code, summary, table

GOOD = Result("dpo", "small", "float32", True, "loss 2.0 to 1.0", Cost((0.2, 0.1, 0.3), 300 * 2**20), Cost((0.1, 0.1, 0.2), 200 * 2**20))
BAD = Result("dpo", "small", "4 bit", False, "RuntimeError: a | b")
LEFT = Result("two processes", "small", "float32", None, "1 GPU here, two are needed")


def test_without_a_gpu_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert command.main([]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert line.startswith("gpu-check: torch")
    assert "run it on a machine with an NVIDIA GPU" in line


def test_what_is_not_installed_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(settings, "NEEDED", {"json": "json", "nowhere_at_all": "nowhere-at-all"})
    assert command.main(["--device", "cpu"]) == 2
    expected = "gpu-check: nowhere-at-all not installed; run `pip install -c constraints.txt nowhere-at-all`\n"
    assert capsys.readouterr().err == expected


def test_a_result_is_a_line_with_its_costs_beside_the_bare_loop() -> None:
    head, rule, good, bad, left = table([GOOD, BAD, LEFT]).splitlines()
    assert len({len(line) for line in (head, rule, good, bad, left)}) == 1, "aligned"
    assert [cell.strip() for cell in good.split("|")[1:-1]] == [
        *("dpo", "small", "float32", "passed", "200.0", "x1.50", "300", "x1.50", "loss 2.0 to 1.0"),
    ]
    assert [cell.strip() for cell in bad.split("|")[4:-1]] == ["FAILED", "", "", "", "", "RuntimeError: a / b"]
    assert "not tried" in left


@pytest.mark.parametrize(("results", "code"), [([GOOD], 0), ([GOOD, LEFT], 0), ([GOOD, BAD, LEFT], 1), ([BAD], 1), ([LEFT], 2), ([], 2)])
def test_a_failing_check_makes_the_exit_code_1(
    results: list[Result], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(results) == code
    assert command.ended(results, "a card", tmp_path / "out") == code
    written = (tmp_path / "out/gpu-check.md").read_text()
    assert written.startswith("a card\n\n| check ")
    assert written.rstrip().endswith(summary(results))
    assert [one["check"] for one in json.loads((tmp_path / "out/gpu-check.json").read_text())] == [one.check for one in results]
    assert summary(results) in capsys.readouterr().out


def _raises(error: Exception) -> Callable[[], Result]:
    def work() -> Result:
        raise error

    return work


def test_a_check_that_raises_has_failed_and_one_that_finds_no_memory_was_not_tried(tmp_path: Path) -> None:
    import torch

    bench = checks.Bench(tmp_path, settings.TINY, "cpu")
    found = bench.result("kto", "bfloat16", _raises(RuntimeError("on two devices\nmore")))
    assert found == Result("kto", "tiny", "bfloat16", False, "RuntimeError: on two devices")
    assert bench.result("kto", "float32", _raises(torch.cuda.OutOfMemoryError("full"))).passed is None
    assert bench.result("dpo", "float32", lambda: bench.dpo("float32")).note == "RuntimeError: the supervised start in float32 failed"


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        (checks.falls([2.0, 1.0, 1.5, 1.0]), True),
        (checks.falls([1.0, 1.0, 1.0, 1.0]), False),
        (checks.falls([2.0, float("nan"), 1.5, 1.0]), False),
        (checks.rises([0.0, 0.1, 0.2, 0.3]), True),
        (checks.starts_equal([0.0001], 0.1, "float32"), True),
        (checks.starts_equal([0.0002], 0.1, "float32"), False),
        (checks.follows([1.0, 0.501], [1.0, 0.5], "float32", "it"), True),
        (checks.follows([1.0, 0.503], [1.0, 0.5], "float32", "it"), False),
        (checks.follows([1.0], [1.0, 0.5], "float32", "it"), False),
        (checks.halved("dpo", [1.0, 0.51], [1.0, 0.5]), True),
        (checks.halved("dpo", [1.0, 0.56], [1.0, 0.5]), False),
        (checks.halved("dpo", [1.0, 0.5], [1.0, 0.5]), False),  # to the last bit: nothing was computed in bfloat16
        (checks.same(0.0, 0.0), True),
        (checks.same(1e-9, 0.0), False),
    ],
)
def test_claims_hold_up_to_their_limits(claim: tuple[bool, str], holds: bool) -> None:
    assert claim[0] is holds, claim[1]


def test_memory_beyond_the_limit_fails_a_large_model_and_time_where_it_is_judged(tmp_path: Path) -> None:
    dear, plain = Cost((1.2,), 130), Cost((1.0,), 100)
    large, small = (checks.Bench(tmp_path, size, "cpu") for size in (settings.LARGE, settings.SMALL))
    assert [word for _, word in large._cheap(dear, plain, True)] == ["step time beyond x1.10", "memory beyond x1.20"]
    assert [word for _, word in large._cheap(dear, plain, False)] == ["memory beyond x1.20"]
    assert not list(small._cheap(dear, plain, True))


def test_the_first_quarter_of_the_steps_is_not_timed() -> None:
    assert step_times([0.0, 9.0, 10.0, 12.0]) == (1.0, 2.0)


def test_weights_that_differ_differ_by_their_largest_difference() -> None:
    import torch

    one, other = {"a": torch.tensor([1.0, 2.0])}, {"a": torch.tensor([1.0, 2.5])}
    assert (difference(one, one), difference(one, other), difference(one, {})) == (0.0, 0.5, float("inf"))


VARIANTS: list[dict[str, Any]] = [
    *(settings.precision("bfloat16"), settings.method("kto"), settings.adapter(), settings.recompute(), settings.checkpoints()),
    *(settings.half_share(), settings.wide()),
]


@pytest.mark.parametrize("size", [settings.TINY, settings.SMALL, settings.LARGE], ids=lambda size: size.name)
def test_every_parameter_that_is_laid_over_is_one_of_the_stages(size: settings.Size) -> None:
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for values in (settings.COMMON, size.params, *VARIANTS):
        document = settings.laid_over(document, values)
    for name in ("start", "reward", "train"):
        module(name).Params.model_validate(document[name])
    with pytest.raises(KeyError, match=r"params.yaml has no start.colour"):
        settings.laid_over(document, {"start.colour": "red"})


def test_the_made_release_is_whole_and_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        made_release.write(tmp_path / name, (24, 16))
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert release_reader.verified(tmp_path / "one")
    pairs = release_reader.pairs(tmp_path / "one", "train")
    assert (
        len(pairs)
        == len(release_reader.examples(tmp_path / "one", "train"))
        == len(release_reader.prompts(tmp_path / "one", "train"))
        == 256
    )


@pytest.mark.slow
def test_on_a_processor_the_start_follows_the_bare_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIRWRIGHT_DEVICE", "cpu")
    bench = checks.Bench(tmp_path, settings.TINY, "cpu")
    found = bench.result("start", "float32", lambda: bench.start("float32"))
    assert found.passed, found.note
    assert "of the bare loop" in found.note
    assert found.cost is not None
    assert found.cost.peak == 0


@pytest.mark.slow
def test_two_processes_are_held_against_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIRWRIGHT_DEVICE", "cpu")
    bench = checks.Bench(tmp_path, settings.TINY, "cpu")
    bench.start("float32")
    bench.reward("float32")
    assert bench.together("float32").passed is None, "one GPU or none here"
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    found = bench.together("float32")
    assert found.passed, found.note


@pytest.mark.slow
def test_on_a_processor_every_check_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--device", "cpu"]) == 0, capsys.readouterr().out


def test_the_page_names_the_limits_and_shows_the_columns_of_the_table() -> None:
    page = (ROOT / "docs/explanation/gpu.md").read_text(encoding="utf-8")
    limits = [f"x{limit:.2f}" for limit in (settings.MEMORY_BARE, settings.TIMES_BARE)]
    for told in (*limits, f"{100 * settings.PRECISION:g} %", f"{4 * settings.BATCH} pairs"):
        assert told in page
    heads = [cell.strip() for line in page.splitlines() if line.startswith("| check ") for cell in line.split("|")[1:-1]]
    assert heads == [cell.strip() for cell in table([]).splitlines()[0].split("|")[1:-1]]
