"""Claims about hostile texts in pages: the real path over logs that have one in every field, a real Prefect server, and Chromium.

A page must call nothing of theirs, ask no host, have no element of theirs, and leave the console empty.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from flows.changes import page as change_page
from flows.changes.causes import Between
from flows.changes.difference import KINDS, WHOLE, Difference
from tasks.common.vocabulary.splits import SPLITS
from tests.builders import hostile, projects, toys
from tests.builders.browser import Browser, browser, missing, wait_for
from tests.builders.evaluations import example, report
from tests.builders.served import ask, free_port, serving
from tests.builders.sites import site
from trainer.evaluation import report_page

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}")]

# Run in every page before its own scripts: what payloads call, and a dialog, are counted.
TRAP = """window.called = [];
for (const name of ["hostile", "alert", "confirm", "prompt", "open", "print"])
  window[name] = (...given) => window.called.push([name, ...given]);
"""
LOOK = f"return {{called: window.called, marked: document.querySelectorAll('[{hostile.MARK}]').length, trapped: typeof window.hostile}}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole path over hostile logs."""
    root = projects.make_project(tmp_path_factory.mktemp("hostile") / "project")
    hostile.write_logs(root / "data" / "raw")
    (root / "said.txt").write_text(projects.run_stages(root, projects.DATA_STAGES), encoding="utf-8")
    return root


def card_page(project: Path) -> str:
    """The dataset's card as the Hub shows it: Markdown in which HTML counts."""
    text = (project / "data" / "release" / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2]
    body = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)
    return f"<!doctype html><meta charset=utf-8><title>card</title>{body}"


def difference_page() -> str:
    """A difference in which logs, parameters, reasons, details and texts are payloads."""
    words = list(hostile.PAYLOADS)
    state = {"pair_id": "p", "recipe": "choice", "split": "train", "confidence": 1.0, "weight": 1.0}
    rows = [{"kinds": ["added"], "reason": one, "reasons": [one], "detail": one, "before": None, "after": state} for one in words]
    counts = dict.fromkeys((*SPLITS, WHOLE), 0)
    between = Between(words, words, words, [(one, one, one) for one in words], words, words)
    kinds: dict[str, dict[str, int]] = {kind: dict.fromkeys(words, 1) for kind in KINDS}
    made = Difference(words[0], words[1], dict.fromkeys(("before", "after", "added", "gone"), counts), kinds, between, rows)
    return change_page.render(made, len(rows), {one: (one, one, one) for one in words})


def evaluation_page() -> str:
    """An evaluation of which topics, prompts and answers are payloads."""
    made = report(hostile.PAYLOADS)
    made["generations"]["examples"] = [example(one, one, one) for one in hostile.PAYLOADS]
    return report_page.page(made)


def set_trap(page: Browser) -> None:
    page.call("POST", "/goog/cdp/execute", {"cmd": "Page.addScriptToEvaluateOnNewDocument", "params": {"source": TRAP}})
    page.hosts()
    page.complaints()


def faults(page: Browser) -> dict[str, Any]:
    """What the open page did that it must not; nothing of a good one."""
    seen = page.script(LOOK)
    assert seen.pop("trapped") == "function", "the trap was not set"
    found = {**seen, "hosts": sorted(page.hosts() - {"127.0.0.1"}), "console": page.complaints()}
    return {name: value for name, value in found.items() if value}


def test_a_page_that_shows_payloads_as_they_are_is_caught(tmp_path: Path) -> None:
    """What the other tests look for is there to be seen."""
    (tmp_path / "bad.html").write_text("<!doctype html><link rel=icon href=data:,>" + "\n<p>".join(hostile.PAYLOADS[:8]), encoding="utf-8")
    with site(tmp_path) as address, browser(tmp_path) as page:
        set_trap(page)
        page.open(f"{address}/bad.html")
        found = faults(page)
    assert found.keys() == {"called", "marked", "hosts", "console"}
    assert found["hosts"] == [hostile.HOST]


def test_no_page_of_a_dataset_or_a_model_does_what_logs_say(project: Path, tmp_path: Path) -> None:
    folder = project / "data"
    made = {"card.html": card_page(project), "difference.html": difference_page(), "evaluation.html": evaluation_page()}
    (folder / "favicon.ico").touch()  # which a browser asks every server for
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
    names = [*made, "release/report.html", *(str(path.relative_to(folder)) for path in sorted((folder / "reports").rglob("*.html")))]
    found, texts = {}, {}
    with site(folder) as address, browser(tmp_path) as page:
        set_trap(page)
        for name in names:
            page.open(f"{address}/{name}")
            texts[name] = page.text()
            if bad := faults(page):
                found[name] = bad
    assert found == {}, json.dumps(found, indent=1)
    assert len(names) > 12
    for name in ("card.html", "difference.html", "evaluation.html", "release/report.html"):
        assert sum(words in texts[name] for words in hostile.HTML[:20]) > 5, f"{name} shows what logs say"


# A stage that says payloads, counts tables that are called so, and fails with them; all at once first, since pages show some lines of many.
SAYS = """
import json, sys
from pathlib import Path
name, payloads = sys.argv[1], json.loads(Path("payloads.json").read_text())
for words in payloads:
    print(f"{name}: {words}", flush=True)
if name == "second":
    sys.exit("error: " + " ".join(payloads[0].split()))
output = Path("data/01_first")
output.mkdir(parents=True, exist_ok=True)
counts = {"in": 1, "made": 0, "kept": 1, "dropped": 0, "reasons": {}}
(output / "ledger.json").write_text(json.dumps({words: counts for words in payloads}))
"""
# What the console says of these pages whatever a stage says: pictures that Prefect lacks, a query that it refuses, and the counter of
# its second UI, which our server's policy stops.
OWN = re.compile(r"http://127\.0\.0\.1:\d+/(?:favicon\.ico|ico/undefined\.svg|failed\.svg|api/task_runs/filter) |.*\.amplitude\.com/")


def ended(port: int) -> dict[str, Any] | None:
    """The run that a person started, once it ended and its table of stages is there."""
    runs = [run for run in ask(port, "flow_runs/filter") if run["end_time"] and not run["auto_scheduled"]]
    return runs[0] if runs and ask(port, "artifacts/filter") else None


def failed_run(port: int) -> dict[str, Any]:
    """A run of the deployment `nightly`, when it has ended."""
    entries = wait_for(lambda: [one for one in ask(port, "deployments/filter") if one["name"] == "nightly"], "no deployment", 60)
    ask(port, f"deployments/{entries[0]['id']}/create_flow_run")
    run: dict[str, Any] = wait_for(lambda: ended(port), "the run did not end", 150)
    return run


def places(port: int, run: dict[str, Any]) -> dict[str, str]:
    """Pages of a run in each of Prefect's two UIs, with words that stand there once the page is drawn."""
    tasks = ask(port, "task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
    (table,) = ask(port, "artifacts/filter")
    found = {f"runs/task-run/{one['id']}": f"second: {hostile.PAYLOADS[0]}" for one in tasks if one["name"] == "second"}
    found |= {f"runs/flow-run/{run['id']}": f"first: {hostile.PAYLOADS[0]}", f"artifacts/artifact/{table['id']}": "hostile(1)"}
    return {f"{ui}{way}": words for ui in ("", "v2/") for way, words in found.items()}


def test_prefects_pages_show_what_a_stage_says_and_do_nothing_else(tmp_path: Path) -> None:
    root, port, found = toys.make(tmp_path / "toy"), free_port(), {}
    short = [words for words in hostile.PAYLOADS if len(words) < 1000]
    (root / "toys" / "__main__.py").write_text(SAYS)
    (root / "payloads.json").write_text(json.dumps([" ".join(short), *short]))
    (tmp_path / "hosts.txt").touch()
    with serving(root, port), browser(tmp_path) as page:
        run = failed_run(port)
        set_trap(page)
        for way, words in places(port, run).items():
            page.open(f"http://127.0.0.1:{port}/{way}")
            page.see(words)
            time.sleep(1)  # for what a page fetches after its text
            bad = faults(page)
            bad["console"] = [line for line in bad.pop("console", []) if not OWN.match(line)]
            if any(bad.values()):
                found[way] = bad
    assert run["state"]["name"] == "Failed"
    assert "hostile(1)" in run["state"]["message"]
    assert found == {}, json.dumps(found, indent=1)
