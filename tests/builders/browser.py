"""A headless Chromium for tests, driven through chromedriver's W3C WebDriver interface; needs Debian's chromium and chromium-driver."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1400,1200",
]


def missing() -> str:
    """Names of the programs that are not installed; empty when all are."""
    return ", ".join(name for name in ("chromium", "chromedriver") if not shutil.which(name))


@contextmanager
def browser(folder: Path, *flags: str) -> Iterator[Browser]:
    """A browser with a fresh profile in `folder`, where its screenshots go too; `flags` go to Chromium."""
    driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert driver.stdout
    try:
        port = next(found[1] for line in driver.stdout if (found := re.search(r"started successfully on port (\d+)", line)))
        page = Browser(f"http://127.0.0.1:{port}/session", folder, flags)
        try:
            yield page
        finally:
            page.call("DELETE", "")
    finally:
        driver.terminate()
        driver.wait()


class Browser:
    """One window."""

    def __init__(self, url: str, folder: Path, flags: Sequence[str] = ()) -> None:
        self.folder, self.session = folder, url
        options = {"args": [*FLAGS, *flags, f"--user-data-dir={folder / 'profile'}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"}}
        told = self.call("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"{url}/{told['sessionId']}"

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One command of the WebDriver protocol."""
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.session + path, data=data, method=method, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def open(self, url: str) -> None:
        """Go to the page."""
        self.call("POST", "/url", {"url": url})

    def text(self) -> str:
        """What a person reads on the page."""
        return str(self.script("return document.body.innerText"))

    def script(self, code: str) -> Any:
        """Result of the JavaScript."""
        return self.call("POST", "/execute/sync", {"script": code, "args": []})

    def click(self, words: str) -> None:
        """Click the element whose whole text is `words`, waiting for it to appear."""
        code = (
            "const all = [...document.querySelectorAll('a, button, [role=menuitem], [role=tab], [role=option], td, span')];"
            f"return all.find(e => e.innerText && e.innerText.trim() === {json.dumps(words)})"
        )
        wait_for(lambda: self._clicked(self.script(code)), lambda: f"no {words!r} to click on: {self.text()[:2000]}", 60)

    def _clicked(self, element: dict[str, str] | None) -> bool:
        """Whether the element took the click; not when the page was drawn anew, or something lay over it, since it was found."""
        if not element:
            return False
        (handle,) = element.values()
        try:
            self.call("POST", f"/element/{handle}/click")
        except urllib.error.HTTPError as error:
            reason = json.load(error)["value"]["error"]
            if reason not in MOVED:
                raise
            return False
        return True

    def fill(self, selector: str, text: str) -> None:
        """Type the text into the element, as a person does."""
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        (handle,) = found.values()
        self.call("POST", f"/element/{handle}/value", {"text": text})

    def see(self, *words: str, seconds: float = 60) -> str:
        """The page's text once it holds all the words."""
        wait_for(lambda: all(word in self.text() for word in words), lambda: f"not all of {words} on: {self.text()[:3000]}", seconds)
        return self.text()

    def picture(self, name: str) -> Path:
        """A screenshot in the folder."""
        path = self.folder / f"{name}.png"
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))
        return path

    def hosts(self) -> set[str]:
        """Hosts that the browser asked for anything since the last question."""
        events = [json.loads(entry["message"])["message"] for entry in self.call("POST", "/se/log", {"type": "performance"})]
        urls = [event["params"].get("request", event["params"]).get("url", "") for event in events if event["method"] in SENT]
        return {found[1] for url in urls if (found := re.match(r"(?:https?|wss?)://([^/:]+)", url))}

    def complaints(self) -> list[str]:
        """Errors on the console since the last question."""
        told = self.call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in told if entry["level"] == "SEVERE"]


MOVED = ("stale element reference", "no such element", "element click intercepted", "element not interactable")
SENT = ("Network.requestWillBeSent", "Network.webSocketCreated")


def wait_for(look: Callable[[], Any], complaint: str | Callable[[], str], seconds: float) -> Any:
    """What `look` gives once it gives something; the test fails with the complaint when it does not in time."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(complaint() if callable(complaint) else complaint)
        time.sleep(0.5)
    return found
