"""States of a message: whether the log has it whole. They stand in `status` of turns."""

from __future__ import annotations

from typing import Final

COMPLETE: Final = ""
UNFINISHED: Final = "unfinished"
ERROR: Final = "error"
DELETED: Final = "deleted"

MEANINGS: dict[str, str] = {
    COMPLETE: "complete",
    UNFINISHED: "the answer was cut off while it was written",
    ERROR: "the answer failed",
    DELETED: "the message was deleted; it stays in its place so that the tree below it is known",
}
STATES = tuple(MEANINGS)
