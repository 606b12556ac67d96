"""The control on shuffled labels: the same method, start and schedule, on pairs of which a random half is the wrong way round.

There is nothing to learn in such labels, so what is left above one half is what the method, the start and the count bring along.
In: the stage with the release and the start, the parameters that `train` wrote beside the policy. Out: for each seed the implicit
accuracy on the test split, and their mean with Student's interval. One run leans to one side by chance, and leans in all held-out pairs
alike; so the mean over seeds is what counts, and the pairs' own intervals say nothing of that luck.

The start has seen the real chosen answers, in its supervised part. The control is fair all the same, because the implicit
reward is log p_policy - log p_start: what the start knows stands on both sides and cancels, the accuracy of an untrained policy
is one half exactly, and only what the preference method learned counts. The likelihood of answers would be no fair measure here:
it carries over what the start knows, whatever the labels.

Where the method has a supervised part (an `sft_weight`), what the start knows cancels no more: answers of which half are rejected
ones would draw the policy away from a start that has seen none, and the control would be *below* one half for no fault of anyone's. Then
the control gets a start of its own, made as the policy's was, on shuffled labels too.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from tasks.core.errors import UserError
from tasks.core.pipeline import Stage
from tasks.core.shell import log
from trainer.evaluation import proportions
from trainer.evaluation.proportions import rounded
from trainer.models.training_context import NAME, TrainingContext

if TYPE_CHECKING:
    from trainer.evaluation.heldout import HeldOutReader
    from trainer.methods.pair_scores import KnownScores
    from trainer.train import Params

# Few lines, no checkpoints, and no early stopping: held-out pairs have real labels, which would choose the control's weights.
UNWATCHED = {"logging_steps": 10**9, "save_steps": 0, "eval_steps": 0, "early_stopping_patience": 0}


def run(
    stage: Stage, context: TrainingContext, reader: HeldOutReader, reference: np.ndarray, seeds: int
) -> Mapping[str, float | str | list[float]]:
    """Train and judge the controls; says why where there is none."""
    from trainer.methods import names

    params = _trained(stage.input("policy") / NAME)
    if params.method not in names.LABELLED:
        return {"seeds": 0, "why_not": f"{params.method} reads no labels itself: its control would need a reward model of its own"}
    if not seeds:
        return {"seeds": 0, "why_not": "evaluate.control.seeds is 0"}
    from trainer.methods.pair_scores import KnownScores

    found, known = [], KnownScores()
    with _starting_point(stage, context, params, reader, reference) as (own, reads, before):
        for number in range(1, seeds + 1):
            found.append(_one(own, replace(context, seed=context.seed + number, shuffle_labels=True), params, reads, before, known))
            log(stage.name, f"control {number} of {seeds}, trained on shuffled labels: implicit accuracy {found[-1]:.3f} on test")
    return summary(found)


@contextmanager
def _starting_point(
    stage: Stage,
    context: TrainingContext,
    params: Params,
    reader: HeldOutReader,
    reference: np.ndarray,
) -> Iterator[tuple[Stage, HeldOutReader, np.ndarray]]:
    """What the controls start from: the policy's own start, or one made on shuffled labels; with how it reads and scores the test split."""
    from trainer import start
    from trainer.evaluation.heldout import HeldOutReader
    from trainer.models import model_io

    made = start.Params.model_validate(json.loads((stage.input("start") / NAME).read_bytes())["params"])
    if not (params.supervised and made.schedule.num_train_epochs):
        yield stage, reader, reference
        return
    with tempfile.TemporaryDirectory(prefix="pairwright-") as scratch:
        folder = Path(scratch) / "start"
        folder.mkdir()
        monitoring = made.monitoring.model_copy(update=UNWATCHED)
        own = replace(stage, reports=None, checkpoints=None, data=tuple(folder if path.name == "start" else path for path in stage.data))
        start.work(own, made.model_copy(update={"shuffle_labels": True, "monitoring": monitoring}), folder)
        model, tokenizer = model_io.load(str(folder))
        reads = HeldOutReader.of(stage.input("release"), tokenizer, context.max_length, reader.batch)
        yield own, reads, reads.likelihoods_of("test", model)


def _trained(record: Path) -> Params:
    """The parameters that the policy was trained with."""
    from trainer import train

    try:
        return train.Params.model_validate(json.loads(record.read_bytes())["params"])
    except ValidationError as error:
        fault = ".".join(str(part) for part in error.errors()[0]["loc"])
        found = f"parameters of another version of the stage train ({fault})"
        raise UserError(str(record), found, "those of this version", "train again with `dvc repro`") from error


def _one(
    stage: Stage,
    context: TrainingContext,
    params: Params,
    reader: HeldOutReader,
    reference: np.ndarray,
    known: KnownScores | None = None,
) -> float:
    """Implicit accuracy on test of one training on shuffled labels; `known` are the start's scores, which all of them share."""
    from trainer import train
    from trainer.loop.run import Run
    from trainer.models import runtime

    runtime.prepare(context.threads, context.seed, offline=True)
    quiet = replace(stage, reports=None, checkpoints=None)
    monitoring = params.monitoring.model_copy(update=UNWATCHED)
    with Run.begin(quiet, context, monitoring, params.adapter, params.model_dump(mode="json")) as started:
        model, *_ = train.learn(quiet, params, replace(started, known=known))
    chosen, rejected = reader.likelihoods_of("test", model) - reference
    return float(proportions.correctness(chosen - rejected).mean())


def summary(found: list[float]) -> dict[str, float | list[float]]:
    """The mean over seeds, its 95 % interval by Student's t, the spread of single runs."""
    from scipy.stats import t

    mean, count = float(np.mean(found)), len(found)
    record: dict[str, float | list[float]] = {"seeds": count, "accuracies": [rounded(one) for one in found], "mean": rounded(mean)}
    record |= {"lowest": rounded(min(found)), "highest": rounded(max(found))}
    if count < 2:
        return record
    spread = float(np.std(found, ddof=1))
    half = float(t.ppf(0.975, count - 1)) * spread / count**0.5
    return record | {"spread": rounded(spread), "low": rounded(mean - half), "high": rounded(mean + half)}
