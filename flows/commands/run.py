"""`pairwright run`: every stale stage once, in a Prefect flow."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from flows import access, dvc, exit_codes, server
from flows.commands.check import stop_at_errors
from flows.commands.publish import say_published
from flows.commands.shared import RunFailedError, command, complain, say
from flows.nights.levels import NAMES
from flows.running import lock
from flows.running.waiting import once_free

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from flows.commands.shared import Commands
    from flows.stage_tasks import Told

WORDS = {
    "Completed": "ran",
    "Restored": "restored",
    "Unchanged": "unchanged",
    "Skipped": "unchanged",
    "Failed": "FAILED",
    "Stopped": "STOPPED",
}


def add(commands: Commands) -> None:
    """Declare the command."""
    run = command(commands, "run", run_once, "run every stage that is stale, once, then say what came out")
    run.add_argument("--no-train", dest="train", action="store_false", help="make the dataset only")
    run.add_argument(
        "--model", metavar="PRESET", help="first lay a preset over params.yaml: smollm2, or scratch for the project's own values"
    )
    run.add_argument("--publish", action="store_true", help="then commit, tag and push what came out as a version")
    run.add_argument(
        "--accept",
        action="append",
        default=[],
        choices=NAMES,
        metavar="GATE",
        help="let this gate pass in this one run: " + ", ".join(NAMES),
    )
    run.add_argument("--force", action="store_true", help="run every stage even if nothing changed")
    run.add_argument("--no-wait", dest="wait", action="store_false", help="fail at once when another run is at work here")


def run_once(given: argparse.Namespace) -> None:
    """Run what is stale in a Prefect flow, when no other run is at work; when nothing is stale, say so without starting Prefect."""
    with lock.hold("pairwright run", wait=given.wait):
        _run_alone(given)


def _run_alone(given: argparse.Namespace) -> None:
    if given.model:
        _lay(given.model)
    changed = once_free(dvc.stale, lock.complain, wait=given.wait)
    wanted = dvc.dataset_stages() + (dvc.training_stages() if given.train else [])
    if not given.force and not given.accept and not set(changed) & set(wanted):
        _say_end(_left_out(wanted) | dict.fromkeys(wanted, "unchanged"), {}, "Nothing to do: every stage is up to date.")
        if given.publish:
            say_published(model=given.train and not dvc.nothing_to_learn())
        return
    from flows.preflight import checks

    stop_at_errors(checks.before_run())
    say("To run: " + ", ".join(name for name in wanted if given.force or name in changed or name in dvc.waiting(changed)))
    state, outcomes = _run_flow(given.train, given.force, given.publish, given.accept)
    states = _left_out(wanted) | {outcome["stage"]: WORDS.get(outcome["state"], outcome["state"]) for outcome in outcomes}
    _say_end(states, {outcome["stage"]: outcome["seconds"] for outcome in outcomes}, state.message or "")
    if not state.is_completed():
        raise RunFailedError(exit_code(outcomes))


def _left_out(wanted: Sequence[str]) -> dict[str, str]:
    """Stages that nobody asked for, such as those of training."""
    return {name: "not asked for" for name in dvc.training_stages() if name not in wanted}


def exit_code(outcomes: Sequence[Told]) -> int:
    """Of a run that failed: whether a gate held the dataset back, or something broke."""
    from flows.nights import step

    held = any(outcome["state"] == step.STOPPED for outcome in outcomes)
    return exit_codes.STOPPED_BY_GATE if held else exit_codes.FAILED


def _lay(preset: str) -> None:
    """Lay a preset over the parameters, and say what it changed."""
    from tasks.core.shell import PARAMS
    from trainer import presets

    for line in presets.lay(preset, PARAMS) or [f"{PARAMS} already says so"]:
        say(f"model {preset}: {line}")


def _run_flow(train: bool, force: bool, publish: bool, accept: list[str]) -> tuple[State[list[Told]], list[Told]]:
    """The final state of one run of the flow `build`, and what each stage did."""
    access.home()
    with server.api():
        from flows.build import build

        state = cast("State[list[Told]]", build(train=train, force=force, publish=publish, accept=accept, return_state=True))
        told = state.result(raise_on_failure=False)
        return state, told if isinstance(told, list) else getattr(told, "outcomes", [])


def _say_end(states: dict[str, str], seconds: dict[str, float], message: str) -> None:
    from flows import report  # imports Arrow

    say("")
    for line in report.stage_table(states, seconds):
        say(line)
    say("")
    failed = not {"FAILED", "STOPPED"}.isdisjoint(states.values())
    for line in () if failed else report.results():
        say(line)
    (complain if failed else say)(message)
