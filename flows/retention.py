"""The flow `retention`: what is too old is left out from the next build on, and the bytes of too old versions are deleted.

The deployment of this name in `prefect.yaml` has a schedule that is switched off; `retention` in `params.yaml` says how old is too old.
"""

from __future__ import annotations

from tasks.core import telemetry  # noqa: F401  (before prefect: switches its usage reports off)
from tasks.core.errors import UserError

from prefect import flow, task  # isort: skip
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed


@flow(name="retention")
def retention() -> State[list[str]]:
    """Leave out conversations that are too old from the next build on, and delete the bytes of versions that are too many."""
    try:
        done = apply()
    except UserError as error:
        return Failed(message=str(error))
    return Completed(message="; ".join(done) or "retention is off: see `retention` in params.yaml", data=done)


@task(name="retention", cache_policy=NO_CACHE)
def apply() -> list[str]:
    """Each thing done, logged as it is done."""
    from flows.erasure import retention as rules

    done = []
    for line in rules.apply(rules.load()):
        get_run_logger().info(line)
        done.append(line)
    return done
