"""Claims about hostile texts in text media: a terminal, a log, a CSV page, a Prometheus file, a message.

What a browser makes of the pages is in `test_payload_pages`, of the card and the report as text in `test_release`.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from flows import dvc
from flows.changes import lines as change_lines
from flows.commands import check, shared
from flows.nights import hooks, journal, place, prometheus
from flows.openlineage import events
from flows.preflight.finding import Finding
from tasks.core import shell, visible
from tasks.core.errors import UserError
from tests.builders import hostile, projects, raw_logs, toys
from trainer import chat

TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # classes of Unicode that turn the order of letters
UNSEEN = {"\u200b", "\u2060", "\ufeff", *map(chr, range(0xE0000, 0xE0080))}
PAYLOADS = pytest.mark.parametrize("words", hostile.PAYLOADS, ids=range(len(hostile.PAYLOADS)))


def acts(text: str) -> set[str]:
    """The characters that a terminal would obey, or that deceive the eye, by Unicode's own tables."""
    found = {one for one in text if unicodedata.category(one) in ("Cc", "Zl", "Zp", "Cs") or unicodedata.bidirectional(one) in TURNS}
    return (found | (set(text) & UNSEEN)) - {"\t", "\n"}


def test_there_are_71_payloads_or_more_each_of_its_own() -> None:
    assert len(set(hostile.PAYLOADS)) == len(hostile.PAYLOADS) >= 71


@given(
    st.text(st.characters() | st.sampled_from(sorted(map(chr, [*range(0xA0), *range(0x2000, 0x2070), 0xD800, 0xDFFF, 0xFEFF, 0xE0041]))))
)
def test_nothing_that_is_said_acts_on_a_terminal_and_none_of_it_is_lost(words: str) -> None:
    assert not acts(visible.line(words) + visible.lines(words))
    assert "\n" not in visible.line(words)
    document = json.dumps({words: words}, ensure_ascii=False)
    assert json.loads(visible.line(document)) == {words: words}


@PAYLOADS
def test_a_command_says_a_line_as_a_line(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    shared.say(words)
    shared.aside(words)
    shared.complain(words)
    shared.say_json({words: words})
    check.say_finding(Finding("warning", "logs", words))
    check.stop_at_errors([Finding("warning", "logs", words)])
    told = capsys.readouterr()
    assert not acts(told.out + told.err)
    assert told.err.count("\n") == 3
    assert told.out.count("\n") == 5
    assert json.JSONDecoder().raw_decode(told.out.partition("\n")[2])[0] == {words: words}


@PAYLOADS
def test_a_stage_says_its_mistakes_and_warnings_as_lines(words: str, capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise UserError(words, words, words, words)

    shell.log("stage", words)
    assert shell.guarded(lambda: shell.capture_warnings("stage", fail)) == 1
    told = capfd.readouterr()
    assert not acts(told.out + told.err)
    assert (told.out.count("\n"), told.err.count("\n")) == (1, 1)
    assert told.err.startswith("error: ")


def test_hostile_logs_are_read_and_what_is_said_of_them_is_a_line_each(tmp_path: Path) -> None:
    root = projects.make_project(tmp_path / "project")
    hostile.write_logs(root / "data" / "raw")
    done = projects.run_stage(root, "ingest")
    assert done.returncode == 0
    assert not acts(done.stdout + done.stderr)
    assert all(line.startswith("ingest: ") for line in (done.stdout + done.stderr).splitlines())
    assert "kept" in done.stdout
    assert "onerror=hostile(5)" in done.stderr


def test_no_cell_of_the_quarantine_is_a_formula(tmp_path: Path) -> None:
    files = {f"{hostile.file_name(words)}.jsonl": words.encode("utf-8", "replace") + b"\n" for words in hostile.PAYLOADS}
    with pytest.raises(UserError):
        raw_logs.read(tmp_path, files)
    text = (tmp_path / "reports" / "quarantine.csv").read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) > 71
    assert not [
        cell for row in rows for cell in row if cell.lstrip()[:1] in ("=", "+", "@") or (cell[:1] == "-" and not cell[1:].isdigit())
    ]
    assert any(cell.startswith("'=HYPERLINK") for row in rows for cell in row)
    assert not acts(text)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = toys.make(tmp_path / "toy")
    monkeypatch.chdir(root)
    return root


def test_the_log_of_a_run_is_one_line_of_json_a_record(toy: Path) -> None:
    records = [logging.LogRecord("prefect.task_runs", logging.INFO, "x.py", 1, words, None, None) for words in hostile.PAYLOADS]
    handler = journal.Journal(place.folder() / place.LOG)
    for record in records:
        handler.emit(record)
    handler.close()
    text = (place.folder() / place.LOG).read_text(encoding="utf-8")
    assert not acts(text)
    assert [json.loads(line)["message"] for line in text.splitlines()] == list(hostile.PAYLOADS)


def test_what_a_stage_prints_by_itself_reaches_the_log_of_a_run_spelled_out(toy: Path) -> None:
    (toy / "toys" / "__main__.py").write_text(
        "import sys\nsys.stdout.write('ran \\x1b]0;title\\x07\\x9b31m')\nsys.exit('error: \\x1b[2J')\n"
    )
    said: list[str] = []
    with pytest.raises(dvc.StageError, match=r"error: \\u001b\[2J") as told:
        dvc.reproduce("first", said.append)
    assert any("ran \\u001b]0;title\\u0007" in line for line in said)
    assert not acts("\n".join([*said, str(told.value)]))


@PAYLOADS
def test_an_event_of_lineage_is_one_line_of_json(words: str) -> None:
    event = {"job": {"name": words}, "run": {"facets": {words: words}}}
    line = events.line(event)
    assert (json.loads(line), line.count("\n"), acts(line)) == (event, 1, set())


@PAYLOADS
def test_a_label_of_a_figure_stays_one_label(words: str) -> None:
    text = prometheus.render([prometheus.Metric("m", "Text.", [prometheus.Sample({"a": words, "b": "end"}, 1)])])
    (family,) = text_string_to_metric_families(text)
    (sample,) = family.samples
    assert (sample.labels, sample.value) == ({"a": words, "b": "end"}, 1)


class Ended:
    """A run that failed with a message that quotes a log."""

    def __init__(self, message: str) -> None:
        self.message, self.name = message, "Failed"

    def is_completed(self) -> bool:
        return False


def test_who_is_told_of_a_night_reads_no_word_of_a_log(toy: Path) -> None:
    for words in hostile.PAYLOADS:
        outcomes: Any = [{"stage": "first", "state": "Failed", "seconds": 1.0, "message": f"{words} of a log"}]
        ended: Any = Ended(f"{words} of a log")
        subject, body = hooks.message("build", outcomes, ended, [])
        assert "of a log" not in subject + body
        assert "first failed" in body


@PAYLOADS
def test_a_difference_keeps_each_text_under_its_own_name(words: str) -> None:
    said = list(change_lines._said("chosen", words))
    assert "\n".join([said[0].removeprefix("  chosen:   "), *(line.removeprefix(" " * 12) for line in said[1:])]) == words
    assert all(line.startswith(" " * 12) for line in said[1:])


@PAYLOADS
def test_an_answer_of_a_model_is_shown_and_does_nothing(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    class Tokenizer:
        """Decodes nothing: the streamer is given whole text."""

    streamer = chat._streamer(Tokenizer())  # type: ignore[arg-type]
    streamer.on_finalized_text(words, stream_end=True)
    assert not acts(capsys.readouterr().out)
    assert streamer.parts == [words]
