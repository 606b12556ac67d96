"""Claims about `direction`: a scale read upside down is told of, by source and figure, and nothing else is."""

from __future__ import annotations

import random
import warnings

import daft
import pyarrow as pa
import pytest

from tasks.aggregate import scale_direction, votes
from tasks.core.tables import TEXT, Feedback
from tests.builders.chatlog import ChatLog, Row, frame

SETTINGS = scale_direction.Settings(min_shared=20, against=-0.5)
BEST_LAST, BEST_FIRST = (1.0, 5.0), (5.0, 1.0)


def judged(log: ChatLog) -> daft.DataFrame:
    """The log's acts with their verdicts, each answer found."""
    turns = {(row["conversation_id"], row[slot]): None for row in log.feedback for slot in ("turn_id", "better", "worse") if row[slot]}
    known = [{"conversation_id": c, "turn_id": t, "fault": None, "prompt_id": "p", "response_id": f"{c}/{t}"} for c, t in turns]
    schema = pa.schema([(name, TEXT) for name in ("conversation_id", "turn_id", "fault", "prompt_id", "response_id")])
    return votes.judge(frame(log.feedback, "feedback"), daft.from_arrow(pa.Table.from_pylist(known, schema=schema)))


def rated(numbers: int, scale: tuple[float, float], kind: str, flips: float = 0.0, **more: object) -> ChatLog:
    """Answers with a true quality: rated 1 to 5, where 5 is best, on a scale that says what it says; and thumbs or choices."""
    log, chance = ChatLog(), random.Random(3)
    quality = [chance.randint(1, 5) for _ in range(numbers)]
    for number, stars in enumerate(quality):
        log.act("rating", f"c/a{number}", stars, scale_min=scale[0], scale_max=scale[1], **more)
    for number, stars in enumerate(quality):
        other = (number + 1) % numbers
        right = chance.random() >= flips
        if kind == "thumb" and stars != 3:
            log.act("thumb", f"c/a{number}", 1 if (stars > 3) == right else -1)
        if kind == "choice" and stars != quality[other]:
            better, worse = (number, other) if (stars > quality[other]) == right else (other, number)
            log.act("choice", "c", 1, better=f"a{better}", worse=f"a{worse}")
    return log


@pytest.mark.parametrize("kind", ["thumb", "choice"])
def test_a_scale_read_upside_down_is_told_with_its_source_and_figure(kind: str) -> None:
    log = rated(60, BEST_FIRST, kind)
    (found,) = scale_direction.findings(judged(log), 20)
    assert (found.source, found.kind, found.figure) == ("jsonl", kind, -1.0)
    with pytest.warns(UserWarning, match=rf"ratings from jsonl run against its {kind}s: association -1.00 .* over {found.shared} shared"):
        scale_direction.warn(judged(log), SETTINGS)


@pytest.mark.parametrize("kind", ["thumb", "choice"])
@pytest.mark.parametrize(
    ("numbers", "scale", "flips"),
    [(60, BEST_LAST, 0.0), (60, BEST_LAST, 0.3), (60, BEST_FIRST, 0.5), (12, BEST_FIRST, 0.0), (0, BEST_FIRST, 0.0)],
)
def test_nothing_is_told_of_noise_of_few_answers_and_of_what_agrees(
    kind: str, numbers: int, scale: tuple[float, float], flips: float
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scale_direction.warn(judged(rated(numbers, scale, kind, flips)), SETTINGS)


def test_models_ratings_and_acts_that_do_not_count_tell_nothing() -> None:
    assert scale_direction.findings(judged(rated(60, BEST_FIRST, "thumb", annotator_kind="model")), 2) == []
    assert scale_direction.findings(judged(rated(60, (5.0, 5.0), "thumb")), 2) == []


def test_each_source_is_compared_with_itself() -> None:
    log = rated(60, BEST_FIRST, "thumb")
    rows: list[Row] = [{**row, "source": "oasst" if row["kind"] == "thumb" else "jsonl"} for row in log.feedback]
    assert set(rows[0]) == set(Feedback.names())
    log.feedback = rows
    assert scale_direction.findings(judged(log), 2) == []


def test_the_figure_counts_pairs_of_a_liked_and_a_disliked_answer() -> None:
    log = ChatLog()
    for number, (stars, thumb) in enumerate([(5, 1), (3, 1), (3, -1), (4, -1)]):
        log.act("rating", f"c/a{number}", stars)
        log.act("thumb", f"c/a{number}", thumb)
    (found,) = scale_direction.findings(judged(log), 2)
    assert (found.shared, found.figure) == (4, 0.25), "higher twice, lower once, equal once"
