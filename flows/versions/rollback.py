"""The way back to a version: its dataset, parameters and splits lie here again, as a new version on top of the others.

Nothing is rewritten: the versions in between keep their commits, tags and bytes. What was erased since stays erased: then parameters and
splits alone go back, and the next run makes the dataset without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flows import dvc, git
from flows.versions import champion, commits, describe, record, settings
from flows.versions.record import Record
from flows.versions.stored import TOMBSTONES, AwayError, Stored, opened
from tasks.core import manifest, pipeline
from tasks.core.errors import UserError
from tasks.core.shell import PARAMS

NAMED = 5  # logs that are named
DIGITS = 16  # of a raw file's digest, by which tables name it


def back_to(name: str) -> Iterator[str]:
    """Go back to a version; lines on what was done and what follows. A UserError before anything is touched where that cannot be."""
    old, newest = record.read(name), record.committed()
    commits.branch()
    _demand_clean()
    with opened(old["tag"]) as (version,):
        erased = _erased_since(version)
        stages = [] if erased else _demand_bytes(version, old)
        newer = _newer_logs(version)
    _restore(old, stages)
    told = list[str]()
    if stages:
        champion.restore(_source(old), told.append)
    yield from told
    made = None if erased or newest is None else _record(old, newest)
    yield from _commit(old, made)
    yield from _follows(old["tag"], newer, erased=erased)


def _demand_clean() -> None:
    """A UserError unless git has every tracked file as it lies here."""
    changed = git.names("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=no")
    if changed:
        names = ", ".join(entry[3:] for entry in changed[: commits.SHOWN])
        raise UserError(
            "git", f"changes in {names}", "a clean tree", "commit them, publish them (`pairwright publish`), or `git checkout` them"
        )


def _erased_since(version: Stored) -> bool:
    """Whether other tombstones hold here than when the version was made."""
    folder = next((path for stage in pipeline.stages().values() for path in stage.data if path.name == TOMBSTONES), None)
    if folder is None or not version.commit:
        return False
    return git.attempt("rev-parse", f"{version.commit}:./{folder}") != git.attempt("rev-parse", f"HEAD:./{folder}")


def _demand_bytes(version: Stored, old: Record) -> list[str]:
    """The stages whose outputs come back: those of the dataset, and those of the model trained on it; a UserError where bytes are away."""
    names = [name for name in dvc.dataset_stages() if name in version.lock and not pipeline.stage(name).private]
    away = [str(pipeline.stage(name).output) for name in names if not version.is_whole(pipeline.stage(name).output)]
    if away:
        remedy = "fetch them with `dvc fetch --all-tags` where a remote has them; what was purged cannot be had"
        raise AwayError(f"version {old['tag']}", f"no bytes for {', '.join(away)}", "them in DVC's cache or remote", remedy)
    if _source(old) == old["tag"]:
        return names
    with opened(_source(old)) as (trained,):
        ran = [name for name in dvc.training_stages() if name in trained.lock]
        return names + [name for name in ran if trained.is_whole(pipeline.stage(name).output)]


def _source(old: Record) -> str:
    """The tag whose lock comes back: that of the newest model trained on the version, which has the dataset's too."""
    models = git.tags(f"{record.MODEL}@v{old['version']}.*")
    return max(models, key=lambda tag: int(tag.split(".")[1]), default=old["tag"])


def _restore(old: Record, stages: list[str]) -> None:
    """Lay parameters and splits of the version here, and, where stages are given, its lock and their outputs."""
    splits = [path for path in pipeline.stage(commits.SPLIT[0]).data if path.name == commits.SPLIT[1]]
    pages = Path(f"{record.pages()}.dvc")
    wanted = [PARAMS, *splits, *([commits.LOCK, pages] if stages else [])]
    there = [str(path) for path in wanted if git.attempt("cat-file", "-e", f"{_source(old)}:./{path}") is not None]
    git.run("restore", f"--source={_source(old)}", "--staged", "--worktree", "--", *there)
    if stages:
        targets = [*stages, *([str(pages)] if str(pages) in there else [])]
        try:
            if dvc.remotes()[1]:
                dvc.command("fetch", *targets)
            dvc.command("checkout", "--force", *targets)
        except dvc.DvcError as error:
            raise UserError("dvc checkout", str(error), f"the outputs of {old['tag']}", "run `dvc checkout` once that is mended") from error


def _record(old: Record, newest: Record) -> Record:
    """The version that this makes: the old one under the next number."""
    taken = [record.number(tag) for tag in git.tags(f"{record.DATASET}@*") if record.TAG.fullmatch(tag)]
    number = 1 + max([newest["version"], *taken])
    made: Record = {**old, "version": number, "tag": record.tag(number), "previous": newest["tag"], "code": git.head()}
    record.write(made)
    (record.folder() / describe.CHANGELOG).write_text(describe.changelog(record.records()), encoding="utf-8")
    return made


def _commit(old: Record, made: Record | None) -> Iterator[str]:
    """Commit what was laid here, with a tag where it is a version."""
    bot = settings.load().bot
    what = f"as {made['tag']}" if made else "its parameters and splits"
    message = f"Go back to {old['tag']}, {what}"
    if commits.save(message, bot) is None:
        yield f"nothing to do: everything is as in {old['tag']}"
        return
    head = git.head()
    if made and head:
        commits.put_tag(made["tag"], head, message, bot)
    yield message


def _newer_logs(version: Stored) -> list[str]:
    """Raw files that lie here and that the version was not made from."""
    stage, read = pipeline.stage("ingest"), pipeline.stage("clean").output
    try:
        files = version.table(read / "files")
    except AwayError:
        return []
    known = set(files["file"].to_pylist()) if files is not None else set()
    here = sorted(path for path in stage.input("raw").rglob("*") if path.is_file())
    return [str(path) for path in here if manifest.file_digest(path)[:DIGITS] not in known]


def _follows(tag: str, newer: list[str], *, erased: bool) -> Iterator[str]:
    """What is to be known after going back."""
    if erased:
        yield f"{tag} holds what was erased since: run `pairwright run`, which makes it again from the raw logs without that"
    if newer:
        more = f" and {len(newer) - NAMED} more" if len(newer) > NAMED else ""
        yield f"raw logs that {tag} was not made from: {', '.join(newer[:NAMED])}{more}: the next run builds them in"
        yield "to hold the version, take them out of the folder, or pause the deployments, until they should come in"
    stale = dvc.stale(dvc.dataset_stages())
    if stale:
        yield "stale, so the next run makes it anew: " + "; ".join(f"{name} ({', '.join(reasons)})" for name, reasons in stale.items())
