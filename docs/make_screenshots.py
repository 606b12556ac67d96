"""Photograph a run in the Prefect UI and the release report, as people see them.

    python -m docs.make_screenshots WORKSPACE     # a checkout with logs in data/raw; writes docs/assets/*.png

It serves the workspace on a free port, lets the deployment `nightly` make the dataset anew (`train` off, about a minute on the sample), and
looks at the pages with a headless Chromium. In: a workspace. Out: one compressed PNG a page. Needs Debian's chromium and chromium-driver.
"""

from __future__ import annotations

import base64
import io
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from tests.builders import toys
from tests.builders.browser import Browser, browser, missing, wait_for
from tests.builders.served import ask, free_port

ASSETS = Path(__file__).parent / "assets"
WIDTH, HEIGHT = 1280, 800
COLOURS = 128  # of the palette: pages have few, and the files stay small
SECONDS = 900  # that a run may take


def main(arguments: list[str]) -> int:
    """Make all pictures; the exit code."""
    if len(arguments) != 1 or not (workspace := Path(arguments[0])).joinpath("dvc.yaml").is_file():
        sys.stderr.write("usage: python -m docs.make_screenshots WORKSPACE   (a folder with dvc.yaml and data/raw)\n")
        return 2
    if lacking := missing():
        sys.stderr.write(f"error: not installed: {lacking}; run apt-get install chromium chromium-driver\n")
        return 1
    port = free_port()
    with tempfile.TemporaryDirectory() as profile, serving(workspace, port), browser(Path(profile)) as page:
        page_size(page)
        run = make_the_dataset(port)
        page.open(f"http://127.0.0.1:{port}/v2/deployments")
        page.see("nightly", "train")
        keep(page, "prefect-deployments", height=360)
        page.open(f"http://127.0.0.1:{port}/v2/runs/flow-run/{run}")
        page.see("Finished in state")
        keep(page, "prefect-run")
        page.open((workspace / "data/release/report.html").resolve().as_uri())
        keep(page, "release-report")
    return 0


@contextmanager
def serving(workspace: Path, port: int) -> Iterator[None]:
    """`pairwright serve` in the workspace while the body runs."""
    command = [sys.executable, "-m", "flows.cli", "serve", "--port", str(port)]
    with tempfile.NamedTemporaryFile("w") as log:
        printed = Path(log.name)
        process = subprocess.Popen(command, cwd=workspace, env=toys.environment(), stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for(lambda: "Prefect UI:" in printed.read_text() or process.poll() is not None, "the server did not start", 200)
            if process.poll() is not None:
                raise SystemExit(printed.read_text())
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(180)  # a run that is under way is stopped first


def make_the_dataset(port: int) -> str:
    """Id of a run of the deployment `nightly` that made the dataset and ended well."""
    (nightly,) = wait_for(lambda: [entry for entry in ask(port, "deployments/filter") if entry["name"] == "nightly"], "no deployment", 60)
    started: dict[str, Any] = ask(port, f"deployments/{nightly['id']}/create_flow_run", parameters={"train": False, "force": True})
    run = wait_for(lambda: ended(port, started["id"]), "the run did not end in time", SECONDS)
    if run["state"]["name"] != "Completed":
        raise SystemExit(f"the run ended as {run['state']['name']}: {run['state']['message']}")
    return str(run["id"])


def ended(port: int, identity: str) -> dict[str, Any] | None:
    """The run of that id, once it has ended."""
    found = ask(port, "flow_runs/filter", flow_runs={"id": {"any_": [identity]}})
    return next((run for run in found if run["end_time"]), None)


def page_size(page: Browser) -> None:
    """A window of one size everywhere, in the light mode."""
    devtools(page, "Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False)
    devtools(page, "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])


def devtools(page: Browser, method: str, **parameters: object) -> Any:  # noqa: ANN401
    """One command of Chromium's own protocol."""
    return page.call("POST", "/goog/cdp/execute", {"cmd": method, "params": parameters})


def keep(page: Browser, name: str, height: int = HEIGHT) -> None:
    """The page as it stands down to `height`, with few colours."""
    time.sleep(3)  # charts and fonts come after the text
    shot = devtools(page, "Page.captureScreenshot", format="png")["data"]
    picture = Image.open(io.BytesIO(base64.b64decode(shot))).convert("RGB").crop((0, 0, WIDTH, height))
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(ASSETS / f"{name}.png", optimize=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
