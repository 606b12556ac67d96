"""The sample's planted truth, read back from texts alone, is what `make_sample.py` planted."""

from __future__ import annotations

import numpy as np
import pytest
from make_sample import LANGUAGES, TOPICS, Maker

from tests.builders import sample_truth
from tests.builders.training import pair
from trainer.data.release_reader import Pair


def test_the_worth_of_an_answer_is_read_from_its_text() -> None:
    maker = Maker()
    for language in LANGUAGES:
        for topic in TOPICS:
            for _ in range(20):
                answer = maker.answer(topic, language)
                assert sample_truth.worth(answer.text) == pytest.approx(answer.worth)


def test_a_judge_is_held_against_the_truth_and_not_against_the_labels() -> None:
    maker = Maker()
    pairs: list[Pair] = []
    while len(pairs) < 20:
        good, bad = sorted(maker.answers("login", "en", 2), key=lambda answer: -answer.worth)
        erred = len(pairs) % 4 == 0
        pairs.append(pair("How?", *((bad.text, good.text) if erred else (good.text, bad.text))))
    margins = np.where(np.arange(20) % 4, 1.0, -1.0)  # right about everything, so against every fourth label
    assert sample_truth.ceiling(pairs) == 0.75
    assert sample_truth.truly(margins, pairs) == 1.0
    assert sample_truth.truly(-margins, pairs) == 0.0
    assert sample_truth.truly(np.zeros(20), pairs) == 0.5
