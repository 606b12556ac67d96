"""How versions are published: who commits them, where to, and what is done when a remote is away.

Nothing of it changes a byte of a dataset; remotes that are not there are left out.
"""

from __future__ import annotations

from typing import cast

from pydantic import Field

from flows import sections
from tasks.core.params import StageParams

SECTION = "publish"


class Bot(StageParams):
    """Who commits and tags versions; nobody's own name is used."""

    name: str = Field(min_length=1)
    email: str = Field(min_length=1)


class Hub(StageParams):
    """The release as a dataset on the Hugging Face Hub."""

    repo: str  # owner/name
    private: bool


class Params(StageParams):
    """The section of `params.yaml`."""

    bot: Bot
    git_remote: str
    dvc_remote: str
    accept: list[str]
    timeout: float = Field(gt=0)
    hub: Hub


def load() -> Params:
    """The section as it stands."""
    return cast("Params", sections.load(SECTION))
