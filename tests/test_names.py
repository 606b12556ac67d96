"""Claims about names that are no texts: what of a path goes, what stays, and that nothing is found a second time."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.clean.stage import Params
from tasks.common.redaction import paths
from tasks.core.params import load
from tests.conftest import ROOT

KINDS = load(ROOT / "params.yaml", "clean", Params).redact


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("jane.doe@example.org/chat +49 171 2345678.jsonl", "[EMAIL]/chat [PHONE].jsonl"),
        ("jane.doe%40example.org/x.jsonl", "[EMAIL]/x.jsonl"),
        ("export_jane.doe@example.org_2026.jsonl", "[EMAIL]_2026.jsonl"),
        ("jane_doe@example.org/a.zip/b.json", "[EMAIL]/a.zip/b.json"),
        ("chat_+491712345678.json", "chat_[PHONE].json"),
        ("user-555-123-4567.jsonl", "user-[PHONE].jsonl"),
        ("user_4111_1111_1111_1111.jsonl", "user_[CARD].jsonl"),
        ("192.168.10.20/log.jsonl", "[IP]/log.jsonl"),
        ("DE89370400440532013000.json", "[IBAN].json"),
        ("078-05-1120.json", "[SSN].json"),
    ],
)
def test_a_path_loses_what_names_a_person(path: str, shown: str) -> None:
    assert paths.path(path, KINDS) == shown
    assert paths.path(path, []) == path


@pytest.mark.parametrize(
    "path",
    [
        "sample/desk.jsonl",
        "2026/01/31/chat-export-1735689600000.json",
        "chats-20260131.jsonl.gz",
        "20260131T120000-export.json",
        "4e1b8d1a-1234-4567-8901-1234567890ab.json",
        "v1.2.3/part-00017-of-00100.jsonl",
        "100%.json",
    ],
)
def test_a_path_without_a_person_stays(path: str) -> None:
    assert paths.path(path, KINDS) == path


@given(st.text("ab_-@.%+ 0123456789/x", max_size=40))
def test_nothing_is_found_a_second_time(path: str) -> None:
    shown = paths.path(path, KINDS)
    assert paths.path(shown, KINDS) == shown


def test_nulls_and_empty_columns_stay() -> None:
    assert paths.paths(pa.array([None, "a"], pa.large_string()), KINDS).to_pylist() == [None, "a"]
    assert paths.ids(pa.array([], pa.large_string()), KINDS, str.upper).to_pylist() == []
    assert paths.ids(pa.array([None, "x@example.org", "b"], pa.large_string()), KINDS, str.upper).to_pylist() == [
        None,
        "X@EXAMPLE.ORG",
        "b",
    ]
