"""The Prefect server that a run would use: the one in the environment must answer and should not obey web pages."""

from __future__ import annotations

import os
from collections.abc import Iterator

from flows import access, probe
from flows.preflight.finding import Finding, error, ok, warning
from tasks.core.errors import UserError

TOPIC = "server"


def findings() -> Iterator[Finding]:
    """One line."""
    url = os.environ.get("PREFECT_API_URL", "")
    if not url:
        yield ok(TOPIC, "none is named (PREFECT_API_URL): a run starts its own")
        return
    try:
        yield _given(url)
    except UserError as fault:
        yield error(TOPIC, fault)


def _given(url: str) -> Finding:
    """What is wrong with the server that the environment names."""
    access.home()
    if not probe.answers(url):
        found = f"nothing that answers at {url}"
        return error(TOPIC, UserError("PREFECT_API_URL", found, "a Prefect server", "start it, or unset the variable"))
    if not probe.ours(url):
        probe.demand_entry(url, os.environ.get(access.CLIENT_PASSWORD, ""))
    if how := probe.openness(url):
        return warning(TOPIC, f"{url}: {how}, so any web page that you visit can run commands through it; give it a password")
    return ok(TOPIC, f"{url} answers, and keeps web pages out")
