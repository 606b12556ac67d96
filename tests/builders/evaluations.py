"""Reports of made-up evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tests.builders.training import pair
from trainer import evaluate
from trainer.data.encode import EncodedPair, FilteredPairs
from trainer.evaluation import calibration, control, generations, quality, verdict
from trainer.evaluation.bootstrap import Bootstrap
from trainer.evaluation.heldout import HeldOutSplit
from trainer.evaluation.quality import Answer

LOUD = ("<b>loud</b>",) * 12


def report(topics: Sequence[str] = LOUD, **other: Any) -> dict[str, Any]:
    """The report of a made-up evaluation of one pair a topic, `other` laid over it."""
    count = len(topics)
    pairs = [replace(pair(f"p{at}", "a" * (at + 2), "b" * 7), topic=topic) for at, topic in enumerate(topics)]
    encoding = FilteredPairs([EncodedPair(one, [1], [2] * len(one.chosen[0]["content"]), [3] * 7) for one in pairs], {"answer_cut": 2})
    policy, reference, reward = np.random.default_rng(0).normal(size=(3, 2, count))
    held = HeldOutSplit(encoding, policy, reference, reward, policy[0], Bootstrap(np.arange(count) // 2, 30, 0))
    test, margins = evaluate._split(held, 0.01), held.margins["reward"]
    made = {"test": test, "validation": test, "calibration": calibration.figures(margins, margins, 10)}
    made |= {"generations": _written(), "control": control.summary([0.4, 0.6, 0.5])} | other
    return made | {"verdict": verdict.decide(made["test"], made["generations"])}


def _written() -> dict[str, Any]:
    """What was generated: one answer that is a script, and one that is fine."""
    answers = [Answer([1], "<script>x</script>", True), Answer([1, 2], "fine", False)]
    written = generations.win_rates(answers, answers[::-1], np.array([[1.0, 2.0], [0.0, 3.0]]), 20, 0)
    bounds = quality.Bounds(length_ratio=1.5, unended=0.05, repetition=0.05, empty=0.05, surprise=0.5)
    everyone = {"policy": answers, "reference": answers[::-1], "chosen": answers}
    surprises = {"policy": np.full(2, 9.0), "reference": np.ones(2), "chosen": np.ones(2)}
    written |= generations.writing_metrics(everyone, surprises, bounds, 0.01)
    written |= {"prompts": 2, "groups_too_long": 0, "most_tokens": 8, "temperature": 0.7}
    return written | {"examples": [example("1 < 2?", *(answer.text for answer in answers))]}


def example(asked: str, policy: str, reference: str) -> dict[str, Any]:
    """A prompt with the two answers, as a page shows it."""
    sides = {name: {"text": text, "ended": True, "reward": 0.5} for name, text in (("policy", policy), ("reference", reference))}
    return {"prompt": [{"role": "user", "content": asked}], **sides}
