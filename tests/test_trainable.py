"""Trainability: what a tokenizer and a window would do to pairs is counted before any training begins."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.common import tokenization
from tasks.core.errors import UserError
from tasks.core.tables import Pairs
from tasks.pair import trainability
from tasks.pair.trainability import FINDINGS, Trainability
from tests.builders import releases, training
from trainer.data import encode, release_reader
from trainer.models import tokenizer

Messages = list[dict[str, str]]


def settings(name: str = "", max_length: int = 12, action: str = "drop", **actions: str) -> Trainability:
    return Trainability.model_validate({"tokenizer": name, "max_length": max_length} | dict.fromkeys(FINDINGS, action) | actions)


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=Pairs.schema())


def pair(prompt: str | Messages, chosen: str, rejected: str) -> dict[str, Any]:
    row = releases.row(str(prompt), chosen, rejected, "train")
    return row if isinstance(prompt, str) else {**row, "prompt": prompt}


def talk(roles: str) -> Messages:
    """Messages of the roles whose first letters are given."""
    names = {name[0]: name for name in tokenization.MARKS}
    return [{"role": names[letter], "content": f"{number}"} for number, letter in enumerate(roles)]


def reasons(pairs: pa.Table, chosen: Trainability) -> list[str | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: list[str | None] = trainability.reasons(pairs, chosen).to_pylist()
    return found


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer without merges, one token a letter, and two marks a message."""
    folder = tmp_path_factory.mktemp("letters")
    tokenizer.from_scratch([], 300, 99).save_pretrained(folder)
    return folder


def with_template(letters: Path, folder: Path, template: str) -> str:
    loaded = trainability.load(str(letters))
    loaded.chat_template = template
    loaded.save_pretrained(folder)
    return str(folder)


# The prompt takes eight tokens of twelve, so four are left for an answer.
WINDOW = [
    ("abc", "abd", None),
    ("abcd", "xyz", "answer_cut"),
    ("abcdefgh", "abcdefgi", "equal_after_truncation"),
    ("abc", "abc", "same_tokens"),
]


@pytest.mark.parametrize(("chosen", "rejected", "reason"), WINDOW)
@pytest.mark.parametrize("kind", ["folder", "bytes"])
def test_answers_that_the_window_cuts_or_makes_equal_are_found(
    kind: str, chosen: str, rejected: str, reason: str | None, letters: Path
) -> None:
    name = str(letters) if kind == "folder" else "bytes"
    assert reasons(table(pair("12345", chosen, rejected)), settings(name)) == [reason]


def test_a_prompt_that_fills_the_window_is_found(letters: Path) -> None:
    rows = table(*(pair("1" * size, "a", "b") for size in (7, 8, 9)))
    for name in (str(letters), "bytes"):
        assert reasons(rows, settings(name)) == [None, "answer_cut", "prompt_fills_window"]


@pytest.mark.parametrize("roles", ["u", "su", "uau", "suauau", "uatau", "uattau", "uat"])
def test_roles_in_turns_pass(roles: str) -> None:
    assert reasons(table(pair(talk(roles), "yes", "no")), settings()) == [None]


@pytest.mark.parametrize("roles", ["uu", "au", "usu", "ssu", "uaau", "uauu", "ut", "ua", "t", "uatu", "s"])
def test_roles_out_of_turn_are_found(roles: str) -> None:
    assert reasons(table(pair(talk(roles), "yes", "no")), settings()) == ["roles_not_alternating"]


def test_an_unknown_role_is_out_of_turn() -> None:
    stray = [{"role": "user", "content": "a"}, {"role": "function", "content": "b"}, {"role": "assistant", "content": "c"}, *talk("u")]
    assert reasons(table(pair(stray, "yes", "no")), settings()) == ["roles_not_alternating"]
    assert reasons(table(pair([*talk("ua"), stray[1], *talk("u")], "yes", "no")), settings()) == ["roles_not_alternating"]


def test_roles_inside_an_answer_count_as_well() -> None:
    rows = [pair("Hello", "yes", "no") for _ in range(3)]
    rows[0]["chosen"] = [
        {"role": "assistant", "content": "call"},
        {"role": "tool", "content": "5"},
        {"role": "assistant", "content": "Five."},
    ]
    rows[1]["rejected"] = [{"role": "assistant", "content": "Wait"}, {"role": "assistant", "content": "Five."}]
    assert reasons(table(*rows), settings()) == [None, "roles_not_alternating", None]


@given(st.lists(st.text("suat", min_size=1, max_size=6), min_size=1, max_size=12), st.integers(0, 12))
def test_each_row_is_judged_by_itself_wherever_it_stands(all_roles: list[str], cut: int) -> None:
    rows = [pair(talk(roles), "yes", "no") for roles in all_roles]
    alone = [reasons(table(row), settings())[0] for row in rows]
    whole = table(*rows)
    assert reasons(pa.concat_tables([whole.slice(0, cut), whole.slice(cut)]), settings()) == alone


def test_findings_are_counted_and_only_dropped_where_the_parameters_say_so(letters: Path) -> None:
    rows = table(pair(talk("uu"), "abc", "abc"), pair("12345", "abcd", "xyz"), pair("12345", "abc", "xyz"))
    given = settings(str(letters), roles_not_alternating="warn", same_tokens="drop", answer_cut="ignore")
    with pytest.warns(UserWarning, match="of 3 pairs") as heard:
        assert trainability.reasons(rows, given).to_pylist() == ["same_tokens", None, None]
    about = f"tokenizer {letters}, 12 tokens"
    assert [str(one.message) for one in heard] == [
        f"roles_not_alternating: 1 of 3 pairs (kept, {about})",
        f"same_tokens: 1 of 3 pairs (dropped, {about})",
    ]


def test_what_is_dropped_already_is_neither_judged_nor_counted(letters: Path) -> None:
    rows = table(pair("12345", "abcd", "xyz"), pair("12345", "abcd", "xyz"), pair("1", "a", "b"))
    marked = rows.append_column("dropped", pa.array(["tie", None, None], pa.large_string()))
    with pytest.warns(UserWarning, match="answer_cut: 1 of 2 pairs"):
        assert trainability.reasons(marked, settings(str(letters))).to_pylist() == [None, "answer_cut", None]


def test_the_most_severe_finding_is_the_reason() -> None:
    assert reasons(table(pair(talk("uu"), "abc", "abc")), settings("bytes")) == ["roles_not_alternating"]


def test_stop_stops_with_one_line() -> None:
    with pytest.raises(UserError, match=r"pair\.trainability\.roles_not_alternating: stop: found .*1 of 1 pairs; expected no such pair"):
        trainability.reasons(table(pair(talk("uu"), "a", "b")), settings(roles_not_alternating="stop"))


def test_without_findings_nothing_is_said(letters: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trainability.reasons(table(pair("1", "a", "b")), settings(str(letters))).null_count == 1
        assert trainability.reasons(table(), settings(str(letters))).to_pylist() == []


# Templates.


def test_a_template_that_renders_the_prompt_otherwise_when_an_answer_follows_is_found(letters: Path, tmp_path: Path) -> None:
    stub = tokenizer.TEMPLATE.replace("'<|assistant|>' }}{% endif %}", "'<|assistant|><think>' }}{% endif %}")
    name = with_template(letters, tmp_path / "stub", stub)
    assert reasons(table(pair("1", "a", "b")), settings(name, 99)) == ["template_not_prefix_stable"]


def test_tokens_that_merge_over_the_start_of_the_answer_are_found(tmp_path: Path) -> None:
    pairs = [training.pair("p", "AB " * 9, "")]
    merging = tokenizer.from_scratch(pairs, 300, 99)
    merging.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}{{ 'A' }}{% endif %}"
    merging.save_pretrained(tmp_path)
    rows = table(pair("q", "AB", "AC"), pair("q", "A x", "A y"))
    assert reasons(rows, settings(str(tmp_path), 99)) == ["template_not_prefix_stable", None]


def test_a_template_that_refuses_roles_is_found_and_the_other_rows_are_judged(letters: Path, tmp_path: Path) -> None:
    strict = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" + tokenizer.TEMPLATE
    name = with_template(letters, tmp_path / "strict", strict)
    rows = table(pair(talk("su"), "a", "b"), pair("123456789", "a", "b"))
    assert reasons(rows, settings(name)) == ["template_refuses", "prompt_fills_window"]


# Tokenizers.


def test_a_tokenizer_file_reads_its_template_from_beside_it(letters: Path) -> None:
    rows = table(*(pair("12345", chosen, rejected) for chosen, rejected, _ in WINDOW))
    assert reasons(rows, settings(str(letters / "tokenizer.json"))) == [reason for *_, reason in WINDOW]


@pytest.mark.parametrize("name", ["no/such/folder/x", "broken", "missing.json"])
def test_a_tokenizer_that_cannot_be_read_is_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "tokenizer.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"pair\.trainability\.tokenizer: {name}: found .*; expected `bytes`") as error:
        trainability.load(name)
    assert "\n" not in str(error.value)


def test_a_tokenizer_without_template_is_refused(letters: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((letters / "tokenizer.json").read_bytes())
    with pytest.raises(UserError, match="a tokenizer without chat template"):
        trainability.load(str(tmp_path / "tokenizer.json"))


# The trainer's own rule.


def test_the_trainer_leaves_out_what_is_found_here_and_nothing_else(letters: Path) -> None:
    rows = releases.planted({"train": 30}) + [pair("12345", chosen, rejected) for chosen, rejected, _ in WINDOW]
    pairs = [release_reader.Pair(**{name: row[name] for name in release_reader.COLUMNS}) for row in rows]
    for window in (12, 300, 400):
        left = encode.encode(pairs, trainability.load(str(letters)), window).reasons
        told = [reason for reason in reasons(table(*rows), settings(str(letters), window)) if reason]
        assert left == {reason: told.count(reason) for reason in sorted(set(told))}


@given(st.lists(st.text(max_size=9), min_size=3, max_size=3))
def test_bytes_are_never_fewer_than_the_tokens_of_a_byte_level_tokenizer(texts: list[str]) -> None:
    sides = tuple([{"role": role, "content": text}] for role, text in zip(("user", "assistant", "assistant"), texts, strict=True))
    prompt, chosen, rejected = sides
    rendered = tokenization.render(MERGING, (prompt, chosen, rejected))
    tokens = tokenization.tokenize(MERGING, [rendered.prompt, rendered.chosen or "", rendered.rejected or ""])
    counted = tokenization.as_bytes((prompt, chosen, rejected))
    for mine, bound in zip(tokens, (counted.prompt, counted.chosen, counted.rejected), strict=True):
        assert len(mine) <= len(bound)


MERGING = tokenizer.from_scratch([training.pair("p", "the cat the cat", "")], 300, 99)
