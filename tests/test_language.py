"""Claims about language identification."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import daft
import numpy as np
import pyarrow as pa
import pytest
import yaml

from tasks.clean.language import identify
from tasks.clean.language_words import CLOSE, corrected_language
from tasks.clean.stage import run
from tasks.core.tables import Feedback, Turns
from tests.builders.clean_turns import PARAMS, turn


def alone(texts: Sequence[str]) -> list[str]:
    """Languages of texts each of which is a conversation of its own."""
    levels = (PARAMS.min_letters, PARAMS.min_confidence, PARAMS.min_joined_confidence)
    return cast("list[str]", identify(pa.array(texts, pa.large_string()), pa.array(np.arange(len(texts) + 1)), *levels).to_pylist())


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Could you tell me where my parcel is, please?", "en"),
        ("¿Me puede decir dónde está mi paquete, por favor?", "es"),
        ("Können Sie mir bitte sagen, wo mein Paket ist?", "de"),
        ("Pouvez-vous me dire où est mon colis, s'il vous plaît ?", "fr"),
        ("请告诉我我的包裹在哪里", "zh"),
        ("どこですか", "ja"),
        ("어디예요?", "ko"),
        ("Jeg trenger hjelp med fakturaen min, takk", "no"),
        ("Jeg har brug for hjælp til min faktura, tak", "da"),
        ("Boleh awak tolong saya dengan kereta ini", "ms"),
        ("Ek weet nie hoekom hulle dit doen nie", "af"),
        ("Neviem, ako to mám urobiť, keď som doma", "sk"),
        ("bhai mujhe batao ye kaise karna hai", "hi"),
        ("yalla habibi inta fein, ana mish aref", "ar"),
        ("privet, kak dela, chto ty segodnya delaesh", "ru"),
        ("```python\nfor word in words: return word\n``` 12", "und"),
        ("", "und"),
        ("[EMAIL_1] 12345 https://example.com", "und"),
    ],
)
def test_languages_are_recognised(text: str, language: str) -> None:
    assert alone([text]) == [language]


def test_a_word_that_two_close_languages_share_tells_neither() -> None:
    for close in CLOSE:
        assert not close.of_one & close.of_other
        assert not set(close.letters[0]) & set(close.letters[1])


def test_a_sure_guess_is_not_doubted_for_two_foreign_words() -> None:
    assert corrected_language("ok yalla habibi let us go to the beach now", "en", 0.9) == "en"
    assert corrected_language("ok yalla habibi", "en", 0.2) == "ar"


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
    result = {row["turn_id"]: row["language"] for row in run(frames, PARAMS)["turns"].to_pylist()}
    assert result["q"] == result["a"] == "de"
    assert result["x"] != "de"


def test_sentences_of_known_languages_are_recognised(shared_data: Path) -> None:
    right = total = 0
    for code in ("en", "es", "de", "fr", "it", "nl", "pl", "ru", "tr"):
        with gzip.open(shared_data / "flores_langid" / f"flores-dev.{code}.txt.gz", "rt", encoding="utf-8") as stream:
            lines = stream.read().split("\n")[:200]
        result = alone([line for line in lines if line])
        right += result.count(code)
        total += len(result)
    assert right / total > 0.97


def test_equal_texts_and_other_orders_of_conversations_change_nothing() -> None:
    texts = ["Where is my parcel, please? I wait.", "ok", "Dove si trova il mio pacco, per favore?", "ok", "no"]
    levels = (PARAMS.min_letters, PARAMS.min_confidence, PARAMS.min_joined_confidence)
    there = identify(pa.array(texts, pa.large_string()), pa.array([0, 2, 5]), *levels).to_pylist()
    back = identify(pa.array(texts[2:] + texts[:2], pa.large_string()), pa.array([0, 3, 5]), *levels).to_pylist()
    assert there == ["en", "en", "it", "it", "it"]
    assert back == there[2:] + there[:2]


def test_short_messages_are_recognised_as_well_as_the_field_does(shared_data: Path) -> None:
    right = total = 0
    for code, name in {
        "en": "english",
        "es": "spanish",
        "de": "german",
        "fr": "french",
        "it": "italian",
        "pt": "portuguese",
        "ko": "korean",
    }.items():
        for path in sorted((shared_data / "chatterbot_corpus" / "data" / name).glob("*.yml")):
            talks = yaml.safe_load(path.read_text(encoding="utf-8"))["conversations"]
            result = alone([line for talk in talks for line in talk if isinstance(line, str)])
            right += result.count(code)
            total += len(result)
    assert right / total > 0.934
