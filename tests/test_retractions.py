"""Claims about votes that were taken back: many acts of one key are settled as each of them with each."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasks.ingest.formats import retractions

MOMENTS = st.one_of(st.none(), st.integers(0, 3).map(lambda hour: dt.datetime(2026, 1, 1, hour, tzinfo=dt.UTC)))
ROWS = st.fixed_dictionaries(
    {
        "feedback_id": st.sampled_from(["f1", "f2", "f3"]),
        "vote_key": st.sampled_from([None, "p1", "p2"]),
        "kind": st.sampled_from(["thumb", "rating"]),
        "retracts": st.sampled_from([None, None, "explicit", "implied"]),
        "created_at": MOMENTS,
        "seen_at": MOMENTS,
        "origin": st.fixed_dictionaries({"file": st.sampled_from(["a", "b"]), "record": st.integers(0, 4)}),
    }
)


def follows(back: dict[str, Any], vote: dict[str, Any]) -> bool:
    when, voted = retractions.known_at(back), retractions.known_at(vote)
    if when is not None and voted is not None:
        return when >= voted
    if back["origin"]["file"] == vote["origin"]["file"]:
        return bool(back["origin"]["record"] > vote["origin"]["record"])
    return bool(back["retracts"] == "explicit")


@given(st.lists(ROWS, max_size=9))
def test_a_vote_goes_with_the_retractions_that_came_after_it(rows: list[dict[str, Any]]) -> None:
    expected = set()
    for at, vote in enumerate(rows):
        for number, back in enumerate(rows):
            met = vote["feedback_id"] == back["feedback_id"] or (vote["vote_key"] is not None and vote["vote_key"] == back["vote_key"])
            if vote["retracts"] is None and back["retracts"] and met and vote["kind"] == back["kind"] and follows(back, vote):
                expected |= {at, number}
    assert retractions._taken(rows) == expected
