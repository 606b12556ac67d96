"""Remotes: the bytes go first, then the branch with its tags, then the Hub, so that nothing public names what cannot be had.

Each step asks what is owed and brings that, so it can be taken again at any time. A remote that does not answer is tried again with longer
and longer pauses, and then left for the next version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from flows import dvc, git
from flows.git import GitError
from flows.running import retry
from flows.storage import clients, recorded, shared
from flows.storage.recorded import Entry
from flows.versions import commits, hub, record
from flows.versions.hub import HubAwayError
from flows.versions.record import DATASET, MODEL
from flows.versions.settings import Params
from tasks.core import pipeline
from tasks.core.errors import UserError, one_of
from tasks.core.params import parse

RACE = ("(fetch first)", "(non-fast-forward)", "(stale info)")  # how git says that somebody else has pushed
TAKEN = "(already exists)"
REFUSED = "[remote rejected]"
RACES = 3  # times that somebody else may have pushed in between
HEADS = "refs/heads/"
AWAY = (GitError, dvc.DvcError, HubAwayError)  # may be gone a moment later


class AwayError(Exception):
    """A remote that did not answer, or did not take what was sent; the next version tries again."""


class TakenError(Exception):
    """A tag of ours that the remote has on another commit; the text is the tag."""


def settle(settings: Params, say: dvc.Say) -> list[str]:
    """Bring to each remote what it has not; lines on where it lies now. AwayError where a remote took it not."""
    done = []
    refs = _asked(settings)
    if refs is None or _owed(refs):
        done += _retried(say, lambda: _bytes(settings, refs))
        done += ["no git remote"] if refs is None else _retried(say, lambda: _branch(settings))
    if settings.hub.repo:
        done += _retried(say, lambda: hub.bring(settings.hub, record.committed()))
    return done


def _retried(say: dvc.Say, work: Callable[[], list[str]]) -> list[str]:
    """The work, tried again while the remote is away; then AwayError."""
    try:
        return retry.patiently("a remote is away", work, transient=(AwayError, *AWAY), say=say)
    except AWAY as error:
        raise AwayError(str(error)) from error


def taken(settings: Params) -> list[str]:
    """Tags that the git remote has; none where there is no remote or it is away, which pushing finds out."""
    try:
        refs = _references(settings)
    except GitError:
        return []
    return [name.removeprefix("refs/tags/") for name in refs or {}]


def _asked(settings: Params) -> dict[str, str] | None:
    """What the git remote has; empty where it is away, so that everything is owed; none where there is no remote."""
    try:
        return _references(settings)
    except GitError:
        return {}


def _references(settings: Params) -> dict[str, str] | None:
    """Branches and tags of the git remote, each with its commit; none where there is no remote."""
    if settings.git_remote not in git.run("remote").split():
        return None
    patterns = (commits.branch(), *(f"refs/tags/{name}@*" for name in (DATASET, MODEL)))
    lines = git.run("ls-remote", settings.git_remote, *patterns, seconds=settings.timeout).splitlines()
    found = {name: commit for commit, name in (line.split("\t") for line in lines)}
    return {name: found.get(f"{name}^{{}}", commit) for name, commit in found.items() if not name.endswith("^{}")}


def _owed(refs: dict[str, str]) -> list[str]:
    """Branch and tags that the remote has not as they are here; TakenError for a tag that it has on another commit."""
    head, branch = git.head(), commits.branch()
    owed = [] if refs.get(branch) == head else [branch]
    for name in _tags():
        there = refs.get(f"refs/tags/{name}")
        if there and there != git.commit_of(f"refs/tags/{name}"):
            raise TakenError(name)
        owed += [] if there else [f"refs/tags/{name}"]
    return owed


def _tags() -> list[str]:
    """Our tags on commits that the current one comes from."""
    merged = git.run("tag", "--merged", "HEAD").split()
    return sorted(name for name in merged if record.TAG.fullmatch(name))


def _bytes(settings: Params, refs: dict[str, str] | None) -> list[str]:
    """Send the bytes of what is owed, and ask whether the remote has them."""
    known, default = dvc.remotes()
    name = settings.dvc_remote or default
    if not name:
        return ["no DVC remote"]
    if name not in known:
        raise UserError(
            "params.yaml: publish.dvc_remote", repr(name), one_of(known) if known else "a remote of DVC", "run `dvc remote add`"
        )
    clients.demand(known, name)
    owed = [one for one in _owed(refs or {}) if one != commits.branch()]
    _mend(name, owed)
    try:
        dvc.command("push", "--remote", name, *(["--all-tags"] if owed[1:] else []), seconds=settings.timeout)
    except dvc.DvcError as error:
        raise AwayError(f"remote {name!r}: {error}") from error
    _demand_there(name, settings)
    return [f"bytes in {name}"]


def _mend(name: str, owed: Sequence[str]) -> None:
    """Take out what an earlier push of these versions, or of what lies here, left half written; AwayError where the remote is away."""
    try:
        with dvc.repository(looking=True) as repository:
            shared.mend(repository, name, {entry.md5: entry for at in ("HEAD", *owed) for entry in _outputs(at)}.values())
    except UserError as error:
        raise AwayError(str(error)) from error


def _outputs(commit: str) -> Iterator[Entry]:
    """What a commit's lock says that DVC keeps, and the reports of its version."""
    texts = [git.show(commit, Path(name)) or "" for name in (recorded.PATH, recorded.LOCK)]
    yield from (entry for entry in recorded.version(*texts).outputs if not entry.private)
    kept = parse(git.show(commit, Path(f"{record.pages()}.dvc")) or "") or {}
    yield from (Entry("", record.pages(), out["md5"], out["size"]) for out in kept.get("outs", ()))


def _demand_there(name: str, settings: Params) -> None:
    """AwayError unless the remote has every file of the dataset that DVC keeps and shares."""
    told = json.loads(dvc.command("data", "status", "--json", "--granular", "--not-in-remote", "--remote", name, seconds=settings.timeout))
    outputs = [pipeline.stage(stage).output for stage in dvc.dataset_stages()]
    missing = [path for path in told.get("not_in_remote", ()) if any(out == Path(path) or out in Path(path).parents for out in outputs)]
    if missing:
        raise AwayError(f"the remote {name} has not {missing[0]}" + (f" and {len(missing) - 1} more files" if missing[1:] else ""))


def _branch(settings: Params) -> list[str]:
    """Push branch and tags together; where somebody else pushed in between, merge what they changed, if it is none of ours."""
    for _ in range(RACES):
        refs = _references(settings) or {}
        owed = _owed(refs)
        try:
            git.run(
                "push",
                "--porcelain",
                "--atomic",
                "--no-verify",
                settings.git_remote,
                *(f"{ref}:{ref}" for ref in owed),
                seconds=settings.timeout,
            )
        except GitError as error:
            if not any(sign in str(error) for sign in RACE):
                raise _told(error, settings) from error
            _merge(settings)
        else:
            return [f"{settings.git_remote} has {', '.join(ref.removeprefix(HEADS).removeprefix('refs/tags/') for ref in owed)}"]
    raise AwayError(f"somebody else pushed to {settings.git_remote} each of {RACES} times")


def _told(error: GitError, settings: Params) -> Exception:
    if TAKEN in str(error) or REFUSED not in str(error):
        return error
    return UserError(
        f"git remote {settings.git_remote}", str(error), "a remote that takes branch and tag", "ask who keeps it, and publish again"
    )


def _merge(settings: Params) -> None:
    """Merge what somebody else pushed; a UserError where it touches what the version is made of."""
    name = commits.branch().removeprefix(HEADS)
    theirs = f"refs/remotes/{settings.git_remote}/{name}"
    git.run("fetch", "--quiet", "--no-tags", settings.git_remote, f"+{HEADS}{name}:{theirs}", seconds=settings.timeout)
    base = git.attempt("merge-base", "HEAD", theirs)
    touched = commits.ours(git.names("diff", "--name-only", "-z", base, theirs)) if base else ["everything"]
    if touched:
        found = f"commits of somebody else that change {', '.join(touched[: commits.SHOWN])}"
        raise UserError(
            f"git remote {settings.git_remote}", found, "a branch that the version fits on", "run `git pull`, then publish again"
        )
    commits.merge(theirs)
