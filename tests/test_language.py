"""Claims about language identification."""

from __future__ import annotations

import gzip
from pathlib import Path

import daft
import pyarrow as pa
import pytest

from tasks.clean import Params, run
from tasks.core.tables import Feedback, Turns
from tasks.text.language import identify
from tests.test_clean import turn


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Could you tell me where my parcel is, please?", "en"),
        ("¿Me puede decir dónde está mi paquete, por favor?", "es"),
        ("Können Sie mir bitte sagen, wo mein Paket ist?", "de"),
        ("Pouvez-vous me dire où est mon colis, s'il vous plaît ?", "fr"),
        ("请告诉我我的包裹在哪里", "zh"),
        ("", "und"),
        ("[EMAIL_1] 12345 https://example.com", "und"),
    ],
)
def test_languages_are_recognised(text: str, language: str) -> None:
    assert identify(pa.array([text], pa.large_string()), 0.4).to_pylist() == [language]


def test_a_short_message_takes_the_language_of_its_conversation() -> None:
    rows = [
        turn("q", None, 0, "user", "Hallo, können Sie mir bitte bei meiner Bestellung helfen? Sie ist noch nicht da."),
        turn("a", "q", 1, "assistant", "OK."),
        turn("x", None, 0, "user", "No", conversation_id="other"),
    ]
    frames = {
        "turns": daft.from_arrow(pa.Table.from_pylist(rows, schema=Turns.schema())),
        "feedback": daft.from_arrow(Feedback.schema().empty_table()),
    }
    found = {
        row["turn_id"]: row["language"] for row in run(frames, Params(redact=[], min_letters=40, min_confidence=0.4))["turns"].to_pylist()
    }
    assert found["q"] == found["a"] == "de"
    assert found["x"] != "de"


def test_sentences_of_known_languages_are_recognised(shared_data: Path) -> None:
    right = total = 0
    for code in ("en", "es", "de", "fr", "it", "nl", "pl", "ru", "tr"):
        with gzip.open(shared_data / "flores_langid" / f"flores-dev.{code}.txt.gz", "rt", encoding="utf-8") as stream:
            lines = stream.read().split("\n")[:200]
        found = identify(pa.array([line for line in lines if line], pa.large_string()), 0.4).to_pylist()
        right += found.count(code)
        total += len(found)
    assert right / total > 0.97
