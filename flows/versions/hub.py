"""The release on the Hugging Face Hub: a dataset repository with its card, and the version's tag."""

from __future__ import annotations

from flows.versions import record
from flows.versions.record import Record
from flows.versions.settings import Hub
from tasks.core.errors import UserError

KIND = "dataset"
AWAY = (408, 409, 412, 425, 429, 500, 502, 503, 504)  # answers that another try may better


class HubAwayError(Exception):
    """The Hub did not answer, or not now."""


def bring(settings: Hub, version: Record | None) -> list[str]:
    """Upload the release under the version's tag where the repository has not that tag."""
    if version is None:
        return []
    from httpx import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return _bring(settings, version)
    except HfHubHTTPError as error:
        code = error.response.status_code
        if code in AWAY:
            raise HubAwayError(f"the Hub answers {code}") from error
        found = f"the answer {code}: {error.server_message or error}"
        raise UserError(
            f"Hub {settings.repo}", found, "a repository that we may write to", "run `hf auth login`, or set HF_TOKEN"
        ) from error
    except HTTPError as error:
        raise HubAwayError(f"the Hub does not answer: {error}") from error


def _bring(settings: Hub, version: Record) -> list[str]:
    from huggingface_hub import HfApi

    api, tag = HfApi(), version["tag"]
    api.create_repo(settings.repo, repo_type=KIND, private=settings.private, exist_ok=True)
    if tag in {ref.name for ref in api.list_repo_refs(settings.repo, repo_type=KIND).tags}:
        return []
    made = api.upload_folder(
        repo_id=settings.repo,
        repo_type=KIND,
        folder_path=record.artifact(record.DATASET),
        commit_message=f"Publish {tag}",
        delete_patterns="*",
    )
    api.create_tag(settings.repo, repo_type=KIND, tag=tag, revision=made.oid, exist_ok=True)
    return [f"{settings.repo} on the Hub has {tag}"]
