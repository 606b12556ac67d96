"""`pairwright serve`: the deployments of `prefect.yaml`, on their schedule."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from flows import access, dvc, server
from flows.commands.shared import command, say

if TYPE_CHECKING:
    from flows.commands.shared import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    serve = command(commands, "serve", serve_deployments, "serve the deployments of prefect.yaml, with Prefect's server and UI")
    serve.add_argument("--host", default=server.HOST, help="address that the server listens on (default %(default)s)")
    serve.add_argument("--port", type=int, default=server.PORT, help="port that the server listens on (default %(default)s)")
    serve.add_argument("--name", action="append", default=[], help="what the server is called elsewhere, behind a proxy for instance")
    serve.add_argument("--password", action="store_true", help="ask for a password here too; beyond this machine it always is asked for")
    serve.add_argument("--cron", help='run at these times instead of those in prefect.yaml, e.g. "0 3 * * *"')


def serve_deployments(given: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    dvc.stale(looking=True)  # a folder in which nothing could ever run is refused here, not at night
    access.home()
    place = server.Place(given.host, given.port, tuple(given.name), lasting=True, password=given.password)
    with server.api(place) as api:
        from flows import dead_runs, deployments

        entries = deployments.read(given.cron)
        os.environ[server.OWNER] = str(os.getpid())
        if marked := dead_runs.mark(fresh=api.fresh):
            say(f"marked as crashed: {marked} runs whose process is gone")
        for entry in entries:
            times = (
                ", ".join(str(getattr(schedule.schedule, "cron", schedule.schedule)) for schedule in entry.schedules or ())
                or "by hand only"
            )
            say(f"deployment {entry.flow_name}/{entry.name}: {times}")
        if api.fresh and api.password:
            say(f"password: {access.whereabouts()}; the UI asks for it, a worker takes it from {access.CLIENT_PASSWORD}")
        say(f"Prefect UI: {os.environ.get('PREFECT_UI_URL') or api.url.removesuffix('/api')}   (Ctrl-C stops)")
        deployments.serve_all(entries)
    say("stopped")
