"""The flow `train`: the final step alone, on the release as it lies there.

It runs only on a release that its stages let pass (what lies on disk is what DVC recorded) and that no gate stops.
"""

from __future__ import annotations

from flows import dvc, promoting
from flows.dvc import dataset_stages, training_stages
from flows.nights import step as gates
from flows.nights.hooks import logged, report_run
from flows.nights.levels import Gate
from flows.stage_tasks import Told, alone, conclude, well
from tasks.core import pipeline
from tasks.core.errors import UserError

from prefect import flow  # isort: skip  (after flows.stage_tasks, which switches usage reports off first)
from prefect.client.schemas.objects import State


@flow(name="train", on_completion=[report_run], on_failure=[report_run], on_crashed=[report_run])
@alone
@logged
def train(force: bool = False, accept: list[Gate] = []) -> State[list[Told]]:  # noqa: B006 (read only)
    """Train on the release and count what the model learned, if the release passed its gates and changed since the last training.

    Args:
        force: Train even if nothing changed.
        accept: Gates that let this one run pass, whatever they find.
    """
    demand_release()
    unfit = dvc.nothing_to_learn()
    outcomes = [gates.hold(accept)]
    if well(outcomes) and not unfit:
        outcomes += promoting.train(force)
    return conclude(outcomes, unfit)


def demand_release() -> None:
    """A UserError unless what training reads is what its stages last made and let pass."""
    stages = pipeline.stages()
    read = {path for name in training_stages() for path in stages[name].data}
    makers = [name for name in dataset_stages() if stages[name].output in read]
    for name, reasons in dvc.stale(makers).items():
        raise UserError(
            str(stages[name].output), ", ".join(reasons), f"the result of {name}, which passed its gate", "run `pairwright run --no-train`"
        )
