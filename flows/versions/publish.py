"""Publish what lies here: a commit and a tag for the dataset, and later for the model trained on it; then the remotes.

    pairwright publish          (or `pairwright run --publish`, which first runs what is stale)

Every step looks whether it is done already, so a run that was killed between two of them is ended by the next, under the same number.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flows import dvc, git
from flows.versions import champion, commits, describe, record, remotes
from flows.versions.record import DATASET, MODEL, Record
from flows.versions.settings import Params, load
from tasks.core import pipeline
from tasks.core.errors import UserError

PUBLISHED, OWED, UNCHANGED = "Published", "Owed", "Unchanged"


@dataclass(frozen=True)
class Result:
    """What became of publishing."""

    state: str  # Published; Owed, when a remote was away; Unchanged, when there was nothing new
    message: str


def dataset(say: dvc.Say) -> Result:
    """Publish the release as it lies here, if it is another one than that of the newest version; bring what remotes are owed."""
    settings = load()
    commits.branch()
    _demand_current(dvc.dataset_stages())
    return _published(settings, say, lambda: _dataset(settings))


def model(say: dvc.Say) -> Result:
    """Publish the model as it lies here, as one of the version that it was trained on."""
    settings = load()
    commits.branch()
    _demand_current([*dvc.dataset_stages(), *dvc.training_stages()])
    result = _published(settings, say, lambda: _model(settings))
    kept = champion.kept(describe.md5_of(record.artifact(MODEL), describe.locked()))
    return Result(UNCHANGED, f"kept {kept}, which the new model did not replace") if kept and result.state == UNCHANGED else result


def _demand_current(stages: Sequence[str]) -> None:
    """A UserError unless these stages made what lies here, from what lies here."""
    for name, reasons in dvc.stale(stages).items():
        place = str(pipeline.stage(name).output)
        raise UserError(place, ", ".join(reasons), f"the result of {name}, up to date and past its gate", "run `pairwright run` first")


def _published(settings: Params, say: dvc.Say, make: Callable[[], str]) -> Result:
    """Make the version here, under another number where the remote has that one; then bring it to the remotes."""
    new = make()
    try:
        try:
            done = remotes.settle(settings, say)
        except remotes.TakenError as taken:
            _withdraw(str(taken), settings)
            new = make()
            done = remotes.settle(settings, say)
    except remotes.TakenError as taken:
        raise _other(str(taken), settings) from taken
    except remotes.AwayError as away:
        return Result(OWED, f"{new or 'nothing new'}; not pushed, the next run or `pairwright publish` does it: {away}")
    if new:
        return Result(PUBLISHED, "; ".join([new, *done]))
    brought = [line for line in done if not line.startswith("no ")]
    return Result(PUBLISHED, "; ".join(["what was owed", *brought])) if brought else Result(UNCHANGED, _nothing())


def _nothing() -> str:
    newest = record.committed()
    return f"nothing new since {newest['tag']}" if newest else "nothing new"


def _dataset(settings: Params) -> str:
    """Commit and tag the release as a version if it is a new one; its tag, or nothing."""
    before = record.committed()
    _sweep(before)
    now = describe.here(_free(settings), before)
    if before is None or not describe.same(now, before):
        _demand_same_environment(now, before, settings)
        commits.demand_clean(dvc.dataset_stages())
        _write(now)
        commits.save(describe.message(now, before), settings.bot)
    else:
        _keep(dvc.dataset_stages(), f"Keep what made {before['tag']} again", settings)
    return _tagged(settings)


def _free(settings: Params) -> int:
    """The next number that no tag here or on the remote has, and no version that we come from."""
    found = (record.TAG.fullmatch(name) for name in (*git.tags(f"{DATASET}@*"), *remotes.taken(settings)))
    newest = record.committed()
    return 1 + max([newest["version"] if newest else 0, *(int(one["version"]) for one in found if one)])


def _demand_same_environment(now: Record, before: Record | None, settings: Params) -> None:
    missing = [name for name in (describe.lost(now, before) if before else ()) if name not in settings.accept]
    if before and missing:
        expected = f"what {before['tag']} was made with"
        remedy = f"install it and run again, or add it to publish.accept: [{', '.join(missing)}]"
        raise UserError("environment", f"no {', '.join(missing)}", expected, remedy)


def _sweep(newest: Record | None) -> None:
    """Take away what a killed run wrote of a version and did not commit."""
    left = [one["version"] for one in record.records() if newest is None or one["version"] > newest["version"]]
    for version in left:
        record.path(version).unlink()
    if left and newest:
        _write_changelog()


def _write(now: Record) -> None:
    """The reports, the record and the changelog of a version."""
    _lay_reports()
    record.write(now)
    _write_changelog()


def _write_changelog() -> None:
    (record.folder() / describe.CHANGELOG).write_text(describe.changelog(record.records()), encoding="utf-8")


def _lay_reports() -> None:
    """Copy the reports of the dataset's stages to where DVC keeps those of a version; none of stages that read people's own words."""
    place = record.pages()
    shutil.rmtree(place, ignore_errors=True)
    for name in dvc.dataset_stages():
        stage = pipeline.stage(name)
        if stage.reports and stage.reports.is_dir() and not stage.private:
            shutil.copytree(stage.reports, place / name)
    if place.is_dir():
        dvc.command("add", "--quiet", str(place))


def _keep(stages: Sequence[str], message: str, settings: Params) -> None:
    """Commit a lock that changed while its outputs did not, so that no run leaves it behind."""
    if commits.changed():
        commits.demand_clean(stages)
        commits.save(message, settings.bot)


def _tagged(settings: Params) -> str:
    """Tag the newest version if it is not; its tag where that was missing."""
    newest = record.committed()
    if newest is None or git.commit_of(f"refs/tags/{newest['tag']}"):
        return ""
    at = commits.adding(record.path(newest["version"]))
    commits.put_tag(newest["tag"], at, git.run("show", "--no-patch", "--format=%B", at), settings.bot)
    return newest["tag"]


def _model(settings: Params) -> str:
    """Commit the lock and tag the model, if it is another one than the last of its version; its tag, or nothing."""
    newest, lock = record.committed(), describe.locked()
    if newest is None or newest["release"]["md5"] != describe.md5_of(record.artifact(DATASET), lock):
        raise UserError(str(record.artifact(DATASET)), "no version of it", "a published dataset under the model", "publish that first")
    made = describe.md5_of(record.artifact(MODEL), lock)
    last, free = _last_model(newest["version"])
    stages = [*dvc.dataset_stages(), *dvc.training_stages()]
    if kept := champion.kept(made):
        _keep(stages, f"Keep {kept} with {newest['tag']}", settings)
        return ""
    if last and describe.md5_of(record.artifact(MODEL), describe.locked(last)) == made:
        _keep(stages, f"Keep what made {last} again", settings)
        return ""
    message = _model_message(free)
    _keep(stages, message, settings)
    head = git.head()
    assert head is not None, "a dataset's version is committed"
    commits.put_tag(free, head, message, settings.bot)
    return free


def _last_model(version: int) -> tuple[str | None, str]:
    """The last tag of a model of that version, and the next free one."""
    found = [int(one["training"]) for name in git.tags(f"{MODEL}@v{version}.*") if (one := record.TAG.fullmatch(name))]
    return (record.model_tag(version, max(found)) if found else None), record.model_tag(version, 1 + max(found, default=-1))


def _model_message(tag: str) -> str:
    path = record.artifact(MODEL) / dvc.FIGURES
    return f"Publish {tag}\n\n" + "".join(f"{name}: {value}\n" for name, value in describe.read(path).items())


def _withdraw(tag: str, settings: Params) -> None:
    """Take back a version that nobody else has and whose number the remote has given to another; a UserError where that cannot be."""
    at = git.commit_of(f"refs/tags/{tag}")
    newest = record.committed()
    if at is None or at != git.head() or newest is None or newest["tag"] != tag:
        raise _other(tag, settings)
    git.run("tag", "--delete", tag)
    commits.undo(at)


def _other(tag: str, settings: Params) -> UserError:
    where, found = f"git remote {settings.git_remote}", f"{tag} on another commit than here"
    return UserError(where, found, "a number of our own", f"run `git tag -d {tag}` and `git pull --tags`, then publish again")
