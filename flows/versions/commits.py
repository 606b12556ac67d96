"""The commit and the tag of a version: our own files alone, by the bot, whatever else a person has changed or staged.

The commit is made over an index of its own, so that what is staged stays staged and no hook of a person runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from flows import git, installed
from flows.storage import recorded
from flows.versions import record
from flows.versions.settings import Bot, load
from tasks.common import champion as names
from tasks.common import salt, tombstones
from tasks.core import pipeline
from tasks.core.errors import UserError
from tasks.core.shell import PARAMS

LOCK = Path("dvc.lock")
GRAPH = Path("dvc.yaml")
SPLIT = ("split", "splits")  # the stage, and the input of its that it also writes
KEPT = (SPLIT[1], tombstones.NAME, names.CHAMPION)  # inputs that commands of ours write: placements, tombstones, the last model
UNFINISHED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD")
INDEX = "pairwright-index"
SHOWN = 5  # paths that an error names


def branch() -> str:
    """The whole name of the branch that a version goes to; a UserError where no commit belongs here now."""
    found = git.attempt("symbolic-ref", "-q", "HEAD")
    if found is None:
        here = (git.head() or "")[:12]
        raise UserError(
            "git", f"a detached HEAD at {here}", "a branch that the version goes to", "run `git switch BRANCH`, or `git switch -c NAME`"
        )
    for name in UNFINISHED:
        if Path(git.run("rev-parse", "--git-path", name).strip()).exists():
            raise UserError("git", f"an unfinished {name.removesuffix('_HEAD').lower().replace('_', '-')}", "none", "finish or abort it")
    return found


def own() -> list[Path]:
    """The files and folders that a version's commit takes."""
    kept = sorted({path for stage in pipeline.stages().values() for path in stage.data if path.name in KEPT})
    return [LOCK, PARAMS, salt.FOLDER / salt.FINGERPRINT, installed.CODE, record.folder(), *kept]


def demand_clean(stages: Iterable[str]) -> None:
    """A UserError that names files of the stages' code and inputs that git does not have as they are: nobody could make the version."""
    if git.head() is None:
        return
    paths = sorted(str(path) for path in _read(stages))
    changed = [name for name in _changed(paths) if not _inside(Path(name), own())]
    if changed:
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        found = f"{', '.join(changed[:SHOWN])}{more}, which git does not have as they are"
        raise UserError("git", found, "a version that a clone can make again", "commit them, or `git checkout` them, and run again")


def ours(names: Iterable[str]) -> list[str]:
    """Those of the paths that a version is made of."""
    places = [*own(), *_read(pipeline.stages())]
    return [name for name in names if _inside(Path(name), places)]


def changed() -> bool:
    """Whether our own files are other than in the last commit."""
    return bool(_changed([str(path) for path in own()]))


def _read(stages: Iterable[str]) -> set[Path]:
    """Files and folders that the stages read and no stage makes."""
    made = [stage.output for stage in pipeline.stages().values()]
    read = {path for name in stages for path in (*pipeline.stage(name).code, *pipeline.stage(name).data)}
    return {GRAPH, *(path for path in read if not _inside(path, made))}


def _inside(path: Path, folders: Iterable[Path]) -> bool:
    return any(folder == path or folder in path.parents for folder in folders)


def _changed(paths: Sequence[str]) -> list[str]:
    """Files below the paths that differ from the last commit, and those that git could have and has not."""
    told = git.names("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--", *paths)
    return [entry[3:] for entry in told]


def save(message: str, bot: Bot) -> str | None:
    """Commit our own files as they are on disk; the commit, or none where the last one has them so already."""
    at, before = branch(), git.head()
    over = _index(before)
    paths = _files(own(), over) if before else sorted({*_files(own(), over), *_others()})
    git.run("update-index", "--add", "--remove", "-z", "--stdin", env=over, text="\0".join(paths))
    tree = git.run("write-tree", env=over).strip()
    if before is None or tree != git.commit_of(before, "tree"):
        parents = ("-p", before) if before else ()
        made = git.run("commit-tree", tree, *parents, "-m", message, env=_identity(bot)).strip()
        git.run("update-ref", "-m", f"pairwright: {message.splitlines()[0]}", at, made, before or "0" * len(made))
    _settle(paths)
    return git.head() if git.head() != before else None


def _index(commit: str | None) -> dict[str, str]:
    """An index of our own that holds what the commit has."""
    place = Path(git.run("rev-parse", "--git-path", INDEX).strip()).absolute()
    place.unlink(missing_ok=True)
    over = {"GIT_INDEX_FILE": str(place)}
    git.run("read-tree", commit or "--empty", env=over)
    return over


def _files(paths: Iterable[Path], over: Mapping[str, str]) -> list[str]:
    """Files below the paths: those that the index has, and those on disk but what is hidden or DVC's."""
    places = list(paths)
    there = {file for path in places for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()}
    folders = {record.pages(), *(entry.path for entry in recorded.champion())}
    kept = {str(file) for file in there if not file.name.startswith(".") and not folders & set(file.parents)}
    return sorted(kept.union(git.names("ls-files", "-z", "--", *map(str, places), env=over)))


def _others() -> list[str]:
    """What the first commit of all takes beside our own files: those that make the path of the data, as far as git may have them."""
    stages = pipeline.stages().values()
    read = {path for stage in stages for path in (*stage.code, *stage.data)}
    wanted = {GRAPH, *map(Path, installed.COPIED.values()), *read}
    return git.names("ls-files", "-z", "--others", "--cached", "--exclude-standard", "--", *(str(path) for path in sorted(wanted)))


def _settle(paths: Iterable[str]) -> None:
    """Let the person's index have these files as the last commit has them, and change nothing else in it."""
    if off := git.names("diff", "--cached", "--name-only", "-z", "--no-renames", "--", *paths):
        git.run("reset", "-q", "--", *off)


def put_tag(name: str, commit: str, message: str, bot: Bot) -> None:
    """An annotated tag, by the bot."""
    git.run("tag", "--annotate", "--no-sign", "-m", message, name, commit, env=_identity(bot))


def _identity(bot: Bot) -> dict[str, str]:
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in (("NAME", bot.name), ("EMAIL", bot.email))}


def undo(commit: str) -> None:
    """Take back the bot's last commit, which nobody else has: the branch goes back by one, files stay."""
    parent = git.commit_of(f"{commit}~1")
    assert parent is not None, "a version's number is taken only where there is a remote with one"
    git.run("update-ref", "-m", "pairwright: another number", branch(), parent, commit)
    _settle(_files(own(), {}))


def adding(path: Path) -> str:
    """The commit that brought a file."""
    return git.run("log", "-1", "--diff-filter=A", "--format=%H", "HEAD", "--", str(path)).strip()


def merge(theirs: str) -> None:
    """Merge a branch that changes none of our files; the version's commit stays as it is, below the merge."""
    at, head, bot = branch(), git.run("rev-parse", "HEAD").strip(), load().bot
    try:
        tree = git.run("merge-tree", "--write-tree", head, theirs).split("\n")[0]
        git.run("read-tree", "-m", "-u", head, tree)
    except git.GitError as error:
        raise UserError(f"git merge of {theirs}", str(error), "files that fit together", "run `git pull`, then publish again") from error
    text = f"Merge {theirs.removeprefix('refs/remotes/')}"
    made = git.run("commit-tree", tree, "-p", head, "-p", theirs, "-m", text, env=_identity(bot)).strip()
    git.run("update-ref", "-m", f"pairwright: {text}", at, made, head)
