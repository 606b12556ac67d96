"""Checkpoints: a run killed anywhere goes on from the last whole one, and ends with the bytes of an unbroken run.

    <stage.checkpoints>/<digest of the run>/step-00000020/   one checkpoint; `complete.json` in it is written last
    <stage.checkpoints>/<digest of the run>/run.json         which run this is, see `trainer.checkpointing.run_identity`

A checkpoint is whole or it is ignored: it is written beside and renamed, and every file of it is held against its size and
SHA-256 before any is used; else the one before is taken, with a warning. (Of its own accord transformers takes the newest, whatever is
in it, and goes on without an optimizer where `optimizer.pt` is missing.) A run never goes on from another's checkpoint unless
`monitoring.resume_from_checkpoint: other` says so.

Own loops call `restore` before their first step and `save` after each; TRL's trainers come here through `trainer.loop.hf_trainer`.
Python, numpy and torch random states are part of every checkpoint.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tasks.core import manifest
from tasks.core.errors import UserError
from tasks.core.pipeline import Stage
from tasks.core.shell import log
from trainer.checkpointing import random_states, run_identity
from trainer.checkpointing.divergence import SPAN
from trainer.checkpointing.resumable import ResumableRun
from trainer.checkpointing.run_identity import Identity
from trainer.checkpointing.seal import damage, seal
from trainer.checkpointing.stateful import Stateful, load, size, state_of
from trainer.models import parallel

PREFIX, BESIDE, RUN, EXTRA, RANDOM = "step-", ".new", "run.json", "extra.json", "random.pt"


def due(run: ResumableRun, step: int) -> bool:
    """Whether a checkpoint is to be written after this step."""
    return run.checkpoints is not None and run.monitoring.save_steps > 0 and step % run.monitoring.save_steps == 0


def save(run: ResumableRun, step: int, parts: Mapping[str, Stateful], extra: Mapping[str, object]) -> None:
    """Write a checkpoint if one is due after this step. `extra` is whatever JSON can hold; all processes must call this."""
    if not due(run, step):
        return
    import torch

    states = {name: state_of(part, f"{run.stage}, {name}", step) for name, part in parts.items()}
    generators = parallel.gather(random_states.states())
    if parallel.rank() == 0:
        with new_checkpoint(run, step) as folder:
            for name, state in states.items():
                torch.save(state, folder / f"{name}.pt")
            torch.save(generators, folder / RANDOM)
            write_extra(folder, run, extra)
    parallel.wait()


def restore(run: ResumableRun, parts: Mapping[str, Stateful], count: int | None = None) -> tuple[int, dict[str, object]]:
    """Put the parts back to where the last whole checkpoint has them: its step and `extra`; (0, {}) where there is none to go on from.

    `count` is the number of steps of this run, where it is known.
    """
    import torch

    require_disk_space(run, sum(size(part) for part in parts.values()))
    found = latest(run, [*(f"{name}.pt" for name in parts), RANDOM, EXTRA], count=count)
    if found is None:
        return 0, {}
    try:
        for name, part in parts.items():
            load(part, torch.load(found / f"{name}.pt", map_location="cpu", weights_only=True))
        random_states.restore(torch.load(found / RANDOM, weights_only=True)[parallel.rank()])
    except (RuntimeError, ValueError, KeyError, IndexError) as error:  # shapes of another model, or states of another number of processes
        raise misfit(found, str(error)) from error
    return step_of(found), read_extra(found, run)


def misfit(found: Path, reason: str) -> UserError:
    """The error for a whole checkpoint that this run cannot take."""
    line = " ".join(reason.split())[:200]
    return UserError(str(found), line, "a checkpoint of a model of this shape", "set monitoring.resume_from_checkpoint to own or none")


# --- which one ---


def latest(run: ResumableRun, needed: list[str], one_of: Sequence[str] = (), count: int | None = None) -> Path | None:
    """The newest whole checkpoint that this run may go on from; a warning for each that is not whole, an error where one was demanded."""
    if run.checkpoints is None or run.monitoring.resume_from_checkpoint == "none":
        return None
    found = _newest(run.checkpoints, needed, one_of, run.stage)
    if found is None and run.monitoring.resume_from_checkpoint == "other":
        found = _of_another(run, run.checkpoints, needed, one_of, count)
    if found:
        _tell(run.stage, f"goes on after step {step_of(found)}, from {found}")
    return found


def _of_another(run: ResumableRun, own: Path, needed: list[str], one_of: Sequence[str], count: int | None) -> Path:
    """The newest whole checkpoint of another run, which was demanded."""
    found = next((one for folder in other_runs(own) if (one := _newest(folder, needed, one_of, run.stage))), None)
    remedy = "set monitoring.resume_from_checkpoint to own"
    if found is None:
        raise UserError(str(own.parent), "no whole checkpoint", "one to go on from (monitoring.resume_from_checkpoint: other)", remedy)
    step = step_of(found)
    if count is not None and step >= count:
        raise UserError(str(found), f"a checkpoint of step {step}", f"one before step {count}", f"{remedy}, or raise max_steps")
    _warn(run.stage, f"{found} is of another run ({_difference(found.parent, run.identity)})")
    return found


def _newest(folder: Path, needed: list[str], one_of: Sequence[str], stage: str) -> Path | None:
    for found in reversed(steps(folder)):
        reason = damage(found, step_of(found), needed, one_of)
        if reason is None:
            return found
        _warn(stage, f"a damaged checkpoint is left out: {reason}")
    return None


def steps(folder: Path) -> list[Path]:
    """The checkpoints of one run, whole or not, oldest first."""
    return sorted(path for path in folder.glob(f"{PREFIX}*") if path.is_dir() and path.name.removeprefix(PREFIX).isdecimal())


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.removeprefix(PREFIX))


def other_runs(own: Path) -> list[Path]:
    """The folders of other runs of the stage that hold a checkpoint, the newest first."""
    found = [path for path in own.parent.glob("*") if path != own and path.is_dir() and steps(path)]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)


def keep_good(run: ResumableRun, since: int) -> Path | None:
    """The last whole checkpoint of a run that diverged after step `since`; later ones are dropped."""
    if run.checkpoints is None:
        return None
    for found in reversed(steps(run.checkpoints)):
        if step_of(found) <= since and damage(found, step_of(found), []) is None:
            return found
        if parallel.rank() == 0:
            shutil.rmtree(found)
    return None


def begin(run: ResumableRun) -> None:
    """Clear what a killed run left half written, and say what lies there from another run; only the newest of those is kept."""
    if run.checkpoints is None or parallel.rank():
        return
    shutil.rmtree(run.checkpoints / BESIDE, ignore_errors=True)
    if run.monitoring.resume_from_checkpoint == "none":
        shutil.rmtree(run.checkpoints, ignore_errors=True)
    found = other_runs(run.checkpoints)
    for older in found[1:]:
        shutil.rmtree(older)
    if found and run.monitoring.resume_from_checkpoint != "other" and not steps(run.checkpoints):
        _tell(
            run.stage,
            f"starts anew: the checkpoint in {found[0]} is of another run ({_difference(found[0], run.identity)}); "
            "monitoring.resume_from_checkpoint: other would go on from it",
        )


def end(stage: Stage) -> None:
    """The stage's output is in its place: no checkpoint is needed any more."""
    if stage.checkpoints and parallel.rank() == 0:
        shutil.rmtree(stage.checkpoints, ignore_errors=True)


def _difference(folder: Path, ours: Identity) -> str:
    try:
        return run_identity.differences(json.loads((folder / RUN).read_bytes()), ours) or "nothing differs"
    except (OSError, ValueError):
        return f"without a readable {RUN}"


# --- writing ---


@contextmanager
def new_checkpoint(run: ResumableRun, step: int) -> Iterator[Path]:
    """A folder beside, which becomes the checkpoint of `step` when the block ends well. For rank 0 only."""
    if run.checkpoints is None:
        raise AssertionError("a checkpoint without a place")
    folder = run.checkpoints / BESIDE / f"{PREFIX}{step:08}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    publish(run, step, folder)


def publish(run: ResumableRun, step: int, folder: Path) -> None:
    """Seal a folder that was written beside, put it in its place, and drop what is older than the kept ones or later than it."""
    if run.checkpoints is None:
        raise AssertionError("a checkpoint without a place")
    seal(folder, step)
    (run.checkpoints / RUN).write_bytes(manifest.dumps(run.identity))
    place = run.checkpoints / f"{PREFIX}{step:08}"
    for later in steps(run.checkpoints):
        if step_of(later) >= step:  # damaged, else we would have gone on from it
            shutil.rmtree(later)
    folder.rename(place)
    for older in _surplus(steps(run.checkpoints), step, run.monitoring.save_total_limit):
        shutil.rmtree(older)


def _surplus(found: Sequence[Path], step: int, keep: int) -> list[Path]:
    """All but the newest `keep`, and but what a run that diverges may go back to: one from before the steps that tell, and later ones."""
    before = [one for one in found if step_of(one) <= step - SPAN]
    return list(found[: max(0, min(len(found) - keep, len(before) - 1))])


def write_extra(folder: Path, run: ResumableRun, extra: Mapping[str, object]) -> None:
    """What own loops add, and the figures of all steps so far."""
    (folder / EXTRA).write_text(json.dumps({"extra": extra, "history": run.monitor.history}) + "\n", encoding="utf-8")


def read_extra(folder: Path, run: ResumableRun) -> dict[str, object]:
    """What own loops added; the figures of the steps before go back to the monitor."""
    document = json.loads((folder / EXTRA).read_bytes())
    run.monitor.resume(document["history"])
    extra: dict[str, object] = document["extra"]
    return extra


# --- room ---


def require_disk_space(run: ResumableRun, each: int) -> None:
    """A UserError, before any step, where the checkpoints that are kept and the one being written do not fit on the disk."""
    if run.checkpoints is None or not run.monitoring.save_steps:
        return
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    most = max(run.monitoring.save_total_limit, -(-SPAN // run.monitoring.save_steps) + 1)
    need, free = each * (most + 1), shutil.disk_usage(run.checkpoints).free
    if need > free:
        raise UserError(
            str(run.checkpoints),
            f"room for {free / 1e9:.1f} GB",
            f"{need / 1e9:.1f} GB for {most} checkpoints and one being written",
            "free some, or lower monitoring.save_total_limit, or set monitoring.save_steps to 0",
        )


def _warn(stage: str, text: str) -> None:
    _tell(stage, f"warning: {text}")


def _tell(stage: str, text: str) -> None:
    if parallel.rank() == 0:
        log(stage, text)
