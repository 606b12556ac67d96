"""The command `pairwright`: run the pipeline once, serve it on a schedule, say what is stale, say where a row comes from.

    pairwright init DIR | run | serve | status | where ID | chat --model DIR | export TRAINER --to DIR

Prefect is imported only when something must run, so a run that has nothing to do takes a second.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from flows import access, dvc, installed, report, server
from tasks.core import pipeline
from tasks.core.errors import UserError
from tasks.core.shell import guarded

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from flows.stage_tasks import Told

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

WORDS = {"Completed": "ran", "Unchanged": "unchanged", "Skipped": "unchanged", "Failed": "FAILED"}


class RunFailedError(Exception):
    """The run was told about in full; only its exit code is left to say."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command; the exit code."""
    given = build_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return guarded(lambda: given.work(given))
    except RunFailedError:
        return 1
    except BrokenPipeError:  # whoever read our output, `head` for instance, has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        _print("stopped; earlier outputs are as they were")
        return 130


def build_parser() -> argparse.ArgumentParser:
    """The command line: what `--help` says, and what the page of commands is made from."""
    parser = argparse.ArgumentParser(
        prog="pairwright",
        description="Raw chat logs and feedback in, a preference dataset and a trained model out. Run it in the project's folder.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    init = _command(commands, "init", make_workspace, "make a workspace for the installed package: its path, its parameters, and git")
    init.add_argument("folder", metavar="DIR", type=Path, help="a new or an empty folder")
    run = _command(commands, "run", run_once, "run every stage that is stale, once, then say what came out")
    run.add_argument("--no-train", dest="train", action="store_false", help="make the dataset only")
    run.add_argument(
        "--model", metavar="PRESET", help="first lay a preset over params.yaml: smollm2, or scratch for the project's own values"
    )
    run.add_argument("--force", action="store_true", help="run every stage even if nothing changed")
    serve = _command(commands, "serve", serve_deployments, "serve the deployments of prefect.yaml, with Prefect's server and UI")
    serve.add_argument("--host", default=server.HOST, help="address that the server listens on (default %(default)s)")
    serve.add_argument("--port", type=int, default=server.PORT, help="port that the server listens on (default %(default)s)")
    serve.add_argument("--name", action="append", default=[], help="what the server is called elsewhere, behind a proxy for instance")
    serve.add_argument("--password", action="store_true", help="ask for a password here too; beyond this machine it always is asked for")
    serve.add_argument("--cron", help='run at these times instead of those in prefect.yaml, e.g. "0 3 * * *"')
    status = _command(commands, "status", say_status, "say which stages are stale, and why")
    status.add_argument("stages", nargs="*", metavar="STAGE", help="only these stages (default: all)")
    where = _command(commands, "where", say_where, "say from which raw records a row of the dataset comes")
    where.add_argument("id", help="pair_id, example_id or prompt_id, or the beginning of one")
    _chat(commands)
    _export(commands)
    return parser


def _chat(commands: Commands) -> None:
    chat = _command(commands, "chat", talk, "talk to a trained model, or to any other that start.model.source may name")
    chat.add_argument("--model", metavar="DIR", required=True, help="the model's folder")
    chat.add_argument("--prompt", metavar="TEXT", help="answer this and end")
    chat.add_argument("--system", metavar="TEXT", help="a system message before the conversation")
    chat.add_argument("--max-new-tokens", type=_natural, default=200, metavar="N", help="longest answer (default %(default)s)")
    chat.add_argument("--temperature", type=_temperature, default=0.7, metavar="T", help="0 takes the likeliest word (default %(default)s)")
    chat.add_argument("--seed", type=_seed, default=0, help="the same seed gives the same answers (default %(default)s)")


def _export(commands: Commands) -> None:
    export = _command(commands, "export", export_release, "write a release for another trainer, with what runs it")
    export.add_argument("trainer", metavar="TRAINER", help="llamafactory, openrlhf or verl")
    export.add_argument("--to", metavar="DIR", required=True, help="folder to write: a new one, or an earlier export")
    export.add_argument("--base", metavar="NAME", help="model to train, in place of start.model.source")


def _natural(text: str) -> int:
    if not text.removeprefix("-").isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{value} is below 1")
    return value


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 0 to {2**32 - 1}")
    return int(text)


def _temperature(text: str) -> float:
    if not 0 <= (value := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no temperature")
    return value


def _command(commands: Commands, name: str, work: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=f"{text[:1].upper()}{text[1:]}.")
    command.set_defaults(work=work)
    return command


def _terminated(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def make_workspace(given: argparse.Namespace) -> None:
    """Make a workspace, and say what comes next."""
    raw = installed.init(given.folder)
    _print(f"made {given.folder}: dvc.yaml is the path of the data, params.yaml has every number and switch")
    _print(f"put chat logs and feedback into {raw}, then: cd {given.folder} && pairwright run")


def run_once(given: argparse.Namespace) -> None:
    """Run what is stale in a Prefect flow; when nothing is, say so without starting Prefect."""
    if given.model:
        _lay(given.model)
    changed = dvc.stale()
    wanted = dvc.dataset_stages() + (dvc.training_stages() if given.train else [])
    if not given.force and not set(changed) & set(wanted):
        _say_end(dict.fromkeys(wanted, "unchanged"), {}, "Nothing to do: every stage is up to date.")
        return
    _print("To run: " + ", ".join(name for name in wanted if given.force or name in changed or name in dvc.waiting(changed)))
    state, outcomes = _run_flow(given.train, given.force)
    states = {outcome["stage"]: WORDS.get(outcome["state"], outcome["state"]) for outcome in outcomes}
    _say_end(states, {outcome["stage"]: outcome["seconds"] for outcome in outcomes}, state.message or "")
    if not state.is_completed():
        raise RunFailedError


def _lay(preset: str) -> None:
    """Lay a preset over the parameters, and say what it changed."""
    from tasks.core.shell import PARAMS
    from trainer import presets

    for line in presets.lay(preset, PARAMS) or [f"{PARAMS} already says so"]:
        _print(f"model {preset}: {line}")


def _run_flow(train: bool, force: bool) -> tuple[State[list[Told]], list[Told]]:
    """The final state of one run of the flow `build`, and what each stage did."""
    access.home()
    with server.api():
        from flows.build import build

        state = cast("State[list[Told]]", build(train=train, force=force, return_state=True))
        told = state.result(raise_on_failure=False)
        return state, told if isinstance(told, list) else getattr(told, "outcomes", [])


def _say_end(states: dict[str, str], seconds: dict[str, float], message: str) -> None:
    _print("")
    for line in report.stage_table(states, seconds):
        _print(line)
    _print("")
    failed = "FAILED" in states.values()
    for line in () if failed else report.results():
        _print(line)
    (_complain if failed else _print)(message)


def _complain(message: str) -> None:
    sys.stderr.write(f"failed: {message}\n")


def serve_deployments(given: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    dvc.stale([])  # a folder in which nothing could ever run is refused here, not at night
    access.home()
    place = server.Place(given.host, given.port, tuple(given.name), lasting=True, password=given.password)
    with server.api(place) as api:
        from flows import deployments

        entries = deployments.read(given.cron)
        os.environ[server.OWNER] = str(os.getpid())
        if api.fresh:
            deployments.mark_crashed_runs()
        for entry in entries:
            times = (
                ", ".join(str(getattr(schedule.schedule, "cron", schedule.schedule)) for schedule in entry.schedules or ())
                or "by hand only"
            )
            _print(f"deployment {entry.flow_name}/{entry.name}: {times}")
        if api.fresh and api.password:
            _print(f"password: {access.whereabouts()}; the UI asks for it, a worker takes it from {access.CLIENT_PASSWORD}")
        _print(f"Prefect UI: {os.environ.get('PREFECT_UI_URL') or api.url.removesuffix('/api')}   (Ctrl-C stops)")
        deployments.serve_all(entries)
    _print("stopped")


def say_status(given: argparse.Namespace) -> None:
    """One line a stage: up to date, stale with its reasons, waiting for one before it, or left out with what is not here."""
    changed, away = dvc.stale(given.stages), dvc.left_out()
    late = dvc.waiting(dvc.stale() if given.stages else changed)
    for name in given.stages or pipeline.stages():
        if name in away:
            _print(f"{name}: left out: private and not on this machine: {', '.join(line.removesuffix(' deleted') for line in away[name])}")
        elif name in changed:
            _print(f"{name}: stale: {', '.join(changed[name])}")
        else:
            _print(f"{name}: " + (f"waits for {late[name]}" if name in late else "up to date"))


def export_release(given: argparse.Namespace) -> None:
    """Write the release in the form of another trainer."""
    from trainer.exports import export

    for line in export.write(given.trainer, pipeline.stage("release").output, Path(given.to), given.base):
        _print(line)


def say_where(given: argparse.Namespace) -> None:
    """The raw records behind one row."""
    if not given.id:
        raise UserError("ID", "nothing", "the id of a row", "copy it from the release")
    for line in report.lineage(given.id):
        _print(line)


def talk(given: argparse.Namespace) -> None:
    """Chat with a model."""
    from trainer import chat

    chat.talk(chat.Settings(given.model, given.system, given.max_new_tokens, given.temperature, given.seed), given.prompt)


if __name__ == "__main__":
    sys.exit(main())
