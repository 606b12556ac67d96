"""Checkpoints: a run killed anywhere goes on from the last whole one, and ends with the bytes of an unbroken run.

    <stage.checkpoints>/<digest of the run>/step-00000020/   one checkpoint; `complete.json` in it is written last
    <stage.checkpoints>/<digest of the run>/run.json         which run this is, see `trainer.core.identity`

A checkpoint is whole or it is ignored: it is written beside and renamed, and every file of it is held against its size and
SHA-256 before any is used; else the one before is taken, with a warning. (Of its own accord transformers takes the newest, whatever is
in it, and goes on without an optimizer where `optimizer.pt` is missing.) A run never goes on from another's checkpoint unless
`watching.resume: other` says so.

Own loops call `restore` before their first step and `save` after each; TRL's trainers come here through `trainer.core.hf`.
Python, numpy and torch random states are part of every checkpoint.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core import manifest
from tasks.core.errors import UserError
from tasks.core.pipeline import Stage
from tasks.core.shell import tell
from trainer.core import identity, parallel, randomness
from trainer.core.guard import SPAN
from trainer.core.identity import Identity
from trainer.core.parts import Part, load, size, state_of
from trainer.core.whole import fault, seal

if TYPE_CHECKING:
    from trainer.core.run import Run

PREFIX, BESIDE, RUN, EXTRA, RANDOM = "step-", ".new", "run.json", "extra.json", "random.pt"


def due(run: Run, step: int) -> bool:
    """Whether a checkpoint is to be written after this step."""
    return run.checkpoints is not None and run.watching.save_every > 0 and step % run.watching.save_every == 0


def save(run: Run, step: int, parts: Mapping[str, Part], extra: dict[str, Any]) -> None:
    """Write a checkpoint if one is due after this step. `extra` is whatever JSON can hold; all processes must call this."""
    if not due(run, step):
        return
    import torch

    states = {name: state_of(part, f"{run.stage}, {name}", step) for name, part in parts.items()}
    random_states = parallel.gather(randomness.states())
    if parallel.rank() == 0:
        with written(run, step) as folder:
            for name, state in states.items():
                torch.save(state, folder / f"{name}.pt")
            torch.save(random_states, folder / RANDOM)
            write_extra(folder, run, extra)
    parallel.wait()


def restore(run: Run, parts: Mapping[str, Part], count: int | None = None) -> tuple[int, dict[str, Any]]:
    """Put the parts back to where the last whole checkpoint has them: its step and `extra`; (0, {}) where there is none to go on from.

    `count` is the number of steps of this run, where it is known.
    """
    import torch

    demand_room(run, sum(size(part) for part in parts.values()))
    found = latest(run, [*(f"{name}.pt" for name in parts), RANDOM, EXTRA], count=count)
    if found is None:
        return 0, {}
    try:
        for name, part in parts.items():
            load(part, torch.load(found / f"{name}.pt", map_location="cpu", weights_only=True))
        randomness.restore(torch.load(found / RANDOM, weights_only=True)[parallel.rank()])
    except (RuntimeError, ValueError, KeyError, IndexError) as error:  # shapes of another model, or states of another number of processes
        raise unfit(found, str(error)) from error
    return step_of(found), read_extra(found, run)


def unfit(found: Path, reason: str) -> UserError:
    """The error for a whole checkpoint that this run cannot take."""
    line = " ".join(reason.split())[:200]
    return UserError(str(found), line, "a checkpoint of a model of this shape", "set watching.resume to own or none")


# --- which one ---


def latest(run: Run, needed: list[str], one_of: Sequence[str] = (), count: int | None = None) -> Path | None:
    """The newest whole checkpoint that this run may go on from; a warning for each that is not whole, an error where one was demanded."""
    if run.checkpoints is None or run.watching.resume == "none":
        return None
    found = _newest(run.checkpoints, needed, one_of, run.stage)
    if found is None and run.watching.resume == "other":
        found = _of_another(run, run.checkpoints, needed, one_of, count)
    if found:
        _tell(run.stage, f"goes on after step {step_of(found)}, from {found}")
    return found


def _of_another(run: Run, own: Path, needed: list[str], one_of: Sequence[str], count: int | None) -> Path:
    """The newest whole checkpoint of another run, which was demanded."""
    found = next((one for folder in others(own) if (one := _newest(folder, needed, one_of, run.stage))), None)
    remedy = "set watching.resume to own"
    if found is None:
        raise UserError(str(own.parent), "no whole checkpoint", "one to go on from (watching.resume: other)", remedy)
    step = step_of(found)
    if count is not None and step >= count:
        raise UserError(str(found), f"a checkpoint of step {step}", f"one before step {count}", f"{remedy}, or raise max_steps")
    _warn(run.stage, f"{found} is of another run ({_difference(found.parent, run.identity)})")
    return found


def _newest(folder: Path, needed: list[str], one_of: Sequence[str], stage: str) -> Path | None:
    for found in reversed(steps(folder)):
        reason = fault(found, step_of(found), needed, one_of)
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


def others(own: Path) -> list[Path]:
    """The folders of other runs of the stage that hold a checkpoint, the newest first."""
    found = [path for path in own.parent.glob("*") if path != own and path.is_dir() and steps(path)]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)


def keep_good(run: Run, since: int) -> Path | None:
    """The last whole checkpoint of a run that diverged after step `since`; later ones are dropped."""
    if run.checkpoints is None:
        return None
    for found in reversed(steps(run.checkpoints)):
        if step_of(found) <= since and fault(found, step_of(found), []) is None:
            return found
        if parallel.rank() == 0:
            shutil.rmtree(found)
    return None


def begin(run: Run) -> None:
    """Clear what a killed run left half written, and say what lies there from another run; only the newest of those is kept."""
    if run.checkpoints is None or parallel.rank():
        return
    shutil.rmtree(run.checkpoints / BESIDE, ignore_errors=True)
    if run.watching.resume == "none":
        shutil.rmtree(run.checkpoints, ignore_errors=True)
    found = others(run.checkpoints)
    for older in found[1:]:
        shutil.rmtree(older)
    if found and run.watching.resume != "other" and not steps(run.checkpoints):
        _tell(
            run.stage,
            f"starts anew: the checkpoint in {found[0]} is of another run ({_difference(found[0], run.identity)}); "
            "watching.resume: other would go on from it",
        )


def end(stage: Stage) -> None:
    """The stage's output is in its place: no checkpoint is needed any more."""
    if stage.checkpoints and parallel.rank() == 0:
        shutil.rmtree(stage.checkpoints, ignore_errors=True)


def _difference(folder: Path, ours: Identity) -> str:
    try:
        return identity.differences(json.loads((folder / RUN).read_bytes()), ours) or "nothing differs"
    except (OSError, ValueError):
        return f"without a readable {RUN}"


# --- writing ---


@contextmanager
def written(run: Run, step: int) -> Iterator[Path]:
    """A folder beside, which becomes the checkpoint of `step` when the block ends well. For rank 0 only."""
    if run.checkpoints is None:
        raise AssertionError("a checkpoint without a place")
    folder = run.checkpoints / BESIDE / f"{PREFIX}{step:08}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    publish(run, step, folder)


def publish(run: Run, step: int, folder: Path) -> None:
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
    for older in _needless(steps(run.checkpoints), step, run.watching.keep):
        shutil.rmtree(older)


def _needless(found: Sequence[Path], step: int, keep: int) -> list[Path]:
    """All but the newest `keep`, and but what a guard may go back to when the run diverges: one from before its look, and later ones."""
    before = [one for one in found if step_of(one) <= step - SPAN]
    return list(found[: max(0, min(len(found) - keep, len(before) - 1))])


def write_extra(folder: Path, run: Run, extra: dict[str, Any]) -> None:
    """What own loops add, and the figures of all steps so far."""
    (folder / EXTRA).write_text(json.dumps({"extra": extra, "history": run.watch.history}) + "\n", encoding="utf-8")


def read_extra(folder: Path, run: Run) -> dict[str, Any]:
    """What own loops added; the figures of the steps before go back to the watch."""
    told = json.loads((folder / EXTRA).read_bytes())
    run.watch.resume(told["history"])
    extra: dict[str, Any] = told["extra"]
    return extra


# --- room ---


def demand_room(run: Run, each: int) -> None:
    """A UserError, before any step, where the checkpoints that are kept and the one being written do not fit on the disk."""
    if run.checkpoints is None or not run.watching.save_every:
        return
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    most = max(run.watching.keep, -(-SPAN // run.watching.save_every) + 1)
    need, free = each * (most + 1), shutil.disk_usage(run.checkpoints).free
    if need > free:
        raise UserError(
            str(run.checkpoints),
            f"room for {free / 1e9:.1f} GB",
            f"{need / 1e9:.1f} GB for {most} checkpoints and one being written",
            "free some, or lower watching.keep, or set watching.save_every to 0",
        )


def _warn(stage: str, text: str) -> None:
    _tell(stage, f"warning: {text}")


def _tell(stage: str, text: str) -> None:
    if parallel.rank() == 0:
        tell(stage, text)
