"""Names that the stages `compare` and `promote` share with what runs them: of stages, folders, files, and what came out."""

from __future__ import annotations

from typing import Final

COMPARE, PROMOTE = "compare", "promote"  # the stages
CHAMPION: Final = "champion"  # the input of both that holds the last model
RECORD: Final = "champion.json"  # there: which model that is
TRAINED_ON: Final = "trained_on"  # key of that: DVC's digest of the release that it was trained on
MODEL, START = "model", "start"  # there: its bytes, and those that it was trained from
COMPARISON: Final = "comparison.json"  # in the output of `compare`
SAME: Final = "same"  # in the comparison: the new model is the last one, byte by byte
SAID: Final = "verdict.json"  # in the reports of `promote`: the decision, for the end of a run
