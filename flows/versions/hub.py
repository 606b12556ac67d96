"""The release on the Hugging Face Hub: a dataset repository with its card, its description as Croissant, and the version's tag.

A version is one commit: whoever reads the repository meanwhile sees the one before. What the repository has and the release has not goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flows.versions import record
from flows.versions.record import Record
from flows.versions.settings import Hub
from tasks.core import manifest
from tasks.core.errors import UserError

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

KIND = "dataset"
AWAY = (408, 409, 412, 425, 429, 500, 502, 503, 504)  # answers that another try may better
OWN = ".gitattributes"  # the Hub's: says which files are large
Contents = dict[str, Path | bytes]
LOG_IN = "run `hf auth login`, or set HF_TOKEN"


class HubAwayError(Exception):
    """The Hub did not answer, or not now."""


def bring(settings: Hub, version: Record | None) -> list[str]:
    """Upload the release under the version's tag where the repository has not that tag."""
    if version is None:
        return []
    contents = _contents(version)
    with _told(settings.repo):
        return _bring(settings, version["tag"], contents)


@contextmanager
def _told(repo: str) -> Iterator[None]:
    """What the Hub answers or its client raises: an error of ours, or that the Hub is away."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]  # of the HTTP client that it uses

    try:
        yield
    except HfHubHTTPError as error:
        code = error.response.status_code
        if code in AWAY:
            raise HubAwayError(f"the Hub answers {code}") from error
        found = f"the answer {code}: {error.server_message or _line(error)}"
        raise UserError(f"Hub {repo}", found, "a repository that we may write to", LOG_IN) from error
    except (HTTPError, OSError, RuntimeError) as error:  # the client's own, its offline mode, and those of its uploads
        raise HubAwayError(f"the Hub does not answer: {_line(error)}") from error
    except ValueError as error:
        raise UserError(
            f"Hub {repo}", _line(error), "a name and a card that the Hub takes", "correct publish.hub.repo, or the card"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _bring(settings: Hub, tag: str, contents: Contents) -> list[str]:
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(settings.repo, repo_type=KIND, private=settings.private, exist_ok=True)
    _demand_private(api, settings)
    refs = api.list_repo_refs(settings.repo, repo_type=KIND)
    if tag in {ref.name for ref in refs.tags}:
        return []
    before = next((ref.target_commit for ref in refs.branches if ref.name == "main"), None)
    made = api.create_commit(
        settings.repo,
        [*_additions(contents), *_deletions(api, settings.repo, contents)],
        commit_message=f"Publish {tag}",
        repo_type=KIND,
        parent_commit=before,
    )
    api.create_tag(settings.repo, repo_type=KIND, tag=tag, revision=made.oid, exist_ok=True)
    return [f"{settings.repo} on the Hub has {tag}"]


def _demand_private(api: HfApi, settings: Hub) -> None:
    """A UserError where a repository that was there before is open to everybody, and `params.yaml` says that it should not be."""
    if settings.private and not api.repo_info(settings.repo, repo_type=KIND).private:
        remedy = "make it private in its settings on the Hub, or set publish.hub.private to false"
        raise UserError(f"Hub {settings.repo}", "a public repository", "a private one", remedy)


def _contents(version: Record) -> Contents:
    """Path in the repository of each file of the release and of its description, with the file or its bytes."""
    release = record.artifact(record.DATASET)
    files = sorted(path for path in release.rglob("*") if path.is_file())
    from flows.versions import croissant  # imports Arrow, for which no other command should wait

    told = manifest.dumps(croissant.describe(release, version["version"]))
    return {**{path.relative_to(release).as_posix(): path for path in files}, croissant.NAME: told}


def _additions(contents: Contents) -> list[CommitOperationAdd]:
    from huggingface_hub import CommitOperationAdd

    return [CommitOperationAdd(path_in_repo=name, path_or_fileobj=source) for name, source in contents.items()]


def _deletions(api: HfApi, repo: str, contents: Contents) -> list[CommitOperationDelete]:
    """What the repository holds of earlier versions and this one has not."""
    from huggingface_hub import CommitOperationDelete

    there = api.list_repo_files(repo, repo_type=KIND)
    return [CommitOperationDelete(path_in_repo=name) for name in there if name not in contents and name != OWN]
