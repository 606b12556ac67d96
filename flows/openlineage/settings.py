"""OpenLineage events of each run: a file a run in `.pairwright/lineage`, and to a receiver where one is named.

Nothing of it changes a byte of a dataset. Without the section no event is written.
"""

from __future__ import annotations

from typing import cast

from pydantic import Field

from flows import sections
from tasks.core.params import StageParams, parse
from tasks.core.shell import PARAMS

SECTION = "lineage"


class Params(StageParams):
    """The section of `params.yaml`."""

    use: bool
    namespace: str = Field(min_length=1)
    url: str = Field(pattern=r"^(https?://.+)?$")
    timeout: float = Field(gt=0)


def load() -> Params | None:
    """The section as it stands; none where events are off, or where it is missing."""
    if SECTION not in (parse(PARAMS.read_text(encoding="utf-8")) or {}):
        return None
    found = cast("Params", sections.load(SECTION))
    return found if found.use else None
