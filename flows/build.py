"""The flow `build`: raw logs in, dataset out, then training on it as the last step.

    pairwright run

or, on a schedule, the deployment `nightly` of `prefect.yaml`.
"""

from __future__ import annotations

from flows import promoting
from flows.dvc import dataset_stages, nothing_to_learn
from flows.nights import step as gates
from flows.nights.hooks import logged, report_run
from flows.nights.levels import Gate
from flows.stage_tasks import Told, alone, conclude, run_stages, well
from flows.storing import store_raw_logs
from flows.versions import step

from prefect import flow  # isort: skip  (after flows.stage_tasks, which switches usage reports off first)
from prefect.client.schemas.objects import State


@flow(name="build", on_completion=[report_run], on_failure=[report_run], on_crashed=[report_run])
@alone
@logged
def build(train: bool = True, force: bool = False, publish: bool = False, accept: list[Gate] = []) -> State[list[Told]]:  # noqa: B006 (read only)
    """Make the dataset from the raw logs, stage by stage, and train on it when it changed. Only stages whose inputs changed run.

    A dataset without a pair to train on is a result like any other: the run says so and ends well.

    Args:
        train: Train after the dataset is made, if it passed its gate and changed.
        force: Run every stage even if nothing changed.
        accept: Gates that let this one run pass, whatever they find.
        publish: Commit, tag and push the dataset as a version before training, and the model after it.
    """
    outcomes = run_stages(dataset_stages(), "Unchanged", force=force)
    if well(outcomes):
        outcomes.append(gates.hold(accept))
    if well(outcomes):
        outcomes += store_raw_logs()
    if publish and well(outcomes):
        outcomes.append(step.publish_dataset())
    unfit = nothing_to_learn() if train and well(outcomes) else None
    if train and well(outcomes) and not unfit:
        outcomes += promoting.train(force)
        if publish and well(outcomes):
            outcomes.append(step.publish_model())
    return conclude(outcomes, unfit)
