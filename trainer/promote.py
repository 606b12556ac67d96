"""promote: the new model takes the place of the last one, or does not.

Reads the figures of `compare`, the new model and the champion; writes `data/models/final`: a copy of the one that is handed over, byte by
byte, so that a champion that is kept is the same output as before. The decision in words, and a page with the figures behind it, go to the
stage's reports folder.

    python -m trainer promote
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tasks.common import champion as names
from tasks.core import manifest
from tasks.core.pipeline import Stage
from tasks.core.shell import log, must_exist, write_page
from trainer.promotion import decision, outcome, promotion_page
from trainer.promotion.settings import Rule as Params

__all__ = ["Params"]
PAGE = "report.html"


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Decide, and hand over."""
    comparison = json.loads((stage.input("comparison") / names.COMPARISON).read_bytes())
    decided = decision.decide(comparison, params)
    new = decided.promoted or comparison["outcome"] == outcome.SAME
    chosen = stage.input("candidate") if new else must_exist(stage.input(names.CHAMPION) / names.MODEL, stage.name)
    shutil.copytree(chosen, folder, dirs_exist_ok=True)
    if stage.reports:
        write_page(stage.reports / names.SAID, manifest.dumps(decided.document()).decode())
        write_page(stage.reports / PAGE, promotion_page.page(comparison, decided))
    log(stage.name, decided.phrase)
