"""What the new model writes worse than the champion, to the same prompts: what can be counted in answers, as `evaluate` counts it.

A share (answers without end, going round, empty, no text) is worse where the new model has it clearly more often than the champion, or
clearly more often than the answers that people chose while the champion has not: so a line of champions cannot drift away step by step.
A mean (length, phrases that come back) is worse where it is beyond its bound beside the chosen answers, and further than the champion's.
How far answers surprise a reference is left out: two models may have two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.evaluation import quality
from trainer.evaluation.proportions import rounded
from trainer.evaluation.quality import Answer, Counted

WRITERS = ("challenger", "champion", "chosen")
Figures = Mapping[str, Mapping[str, float]]


def figures(answers: Mapping[str, Sequence[Answer]], bounds: Counted, significance: float) -> dict[str, Any]:
    """The figures of every writer, and in words what the new model writes worse; no prompt and nothing else where nothing was asked."""
    prompts = len(answers["chosen"])
    if not prompts:
        return {"prompts": 0, "worse": []}
    found = {name: quality.counted(answers[name]) for name in WRITERS}
    ratios = {name: rounded(quality.length_ratio(found, name)) for name in WRITERS[:2]}
    worse = [*_shares(found, answers, bounds, significance), *_means(found, bounds)]
    return {"prompts": prompts, **found, "length_ratio": ratios, "worse": worse}


def _shares(found: Figures, answers: Mapping[str, Sequence[Answer]], bounds: Counted, significance: float) -> list[str]:
    mine, theirs, chosen = (quality.flags(answers[name]) for name in WRITERS)

    def worse(name: str, bound: float) -> bool:
        fresh, old = (quality.clearly_more(one[name], chosen[name], bound, significance) for one in (mine, theirs))
        return quality.clearly_more(mine[name], theirs[name], bound, significance) or (fresh and not old)

    return [_told(name, found) for name, bound in bounds.shares().items() if worse(name, bound)]


def _means(found: Figures, bounds: Counted) -> list[str]:
    mine, theirs, chosen = (found[name]["again"] for name in WRITERS)
    worse = [_told("again", found)] if mine > chosen + bounds.repetition and mine > theirs else []
    if found["chosen"]["characters"]:
        ratios = [quality.length_ratio(found, name) for name in WRITERS[:2]]
        mine, theirs = (abs(math.log(ratio)) if ratio else math.inf for ratio in ratios)
        if mine > math.log(bounds.length_ratio) and mine > theirs:
            worse.append(f"its answers are {ratios[0]:.2f} times as long as the chosen ones (champion {ratios[1]:.2f})")
    return worse


def _told(name: str, found: Figures) -> str:
    mine, champion, chosen = (f"{found[writer][name]:.0%}".replace("%", " %") for writer in WRITERS)
    return f"{mine} {quality.WORDS[name]} (champion {champion}, chosen answers {chosen})"
