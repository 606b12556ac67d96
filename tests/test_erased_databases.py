"""Claims about Prefect's database when a person is forgotten: a file, PostgreSQL, one that does not answer, and one kept elsewhere."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.erasure import database, subject
from tasks.core.errors import UserError
from tests.builders import erasures
from tests.builders.databases import asked, postgres
from tests.builders.served import free_port

ID = 'zoë "z" roe-1988'
VALUES = subject.forms(ID)
URL = "PREFECT_API_DATABASE_CONNECTION_URL"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Prefect home of the test's own, and no server that somebody named."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / ".prefect"))
    for name in (URL, "PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with postgres() as found:
        yield found


def test_a_file_holds_nothing_of_it_any_more_and_the_rest_as_it_was(tmp_path: Path) -> None:
    erasures.log(tmp_path, f"of {ID} and others")
    with sqlite3.connect(tmp_path / ".prefect" / "prefect.db") as connection:
        connection.execute("CREATE TABLE run (parameters TEXT)")
        connection.execute("INSERT INTO run VALUES (?)", [json.dumps({"who": ID, "count": 3})])
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE gone (message TEXT)")
        connection.executemany("INSERT INTO gone VALUES (?)", [[f"{number} {ID}"] for number in range(900)])
    with sqlite3.connect(tmp_path / ".prefect" / "prefect.db") as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("DELETE FROM gone")
    assert ID.encode() in (tmp_path / ".prefect" / "prefect.db").read_bytes()
    assert database.find(VALUES) == [("log", "message", 1), ("run", "parameters", 1)]
    assert database.blank(VALUES) == "Prefect's database: 2 cells blanked"
    assert database.find(VALUES) == []
    held = (tmp_path / ".prefect" / "prefect.db").read_bytes()
    assert not [value for value in VALUES if value in held], "no freed page has it"
    with sqlite3.connect(tmp_path / ".prefect" / "prefect.db") as connection:
        assert connection.execute("SELECT message FROM log").fetchall() == [("of [erased] and others",)]
        assert json.loads(connection.execute("SELECT parameters FROM run").fetchone()[0]) == {"who": "[erased]", "count": 3}


@pytest.mark.slow
def test_postgresql_holds_nothing_of_it_any_more_and_the_rest_as_it_was(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("asyncpg")
    address = f"postgresql+asyncpg://prefect:secret@127.0.0.1:{port}/prefect"
    monkeypatch.setenv(URL, address)
    said = json.dumps({"who": [ID], "count": 3}).replace("'", "''")
    asked(port, "CREATE TABLE run (name varchar(60), parameters jsonb, plain json, tags text[], at int); CREATE TABLE other (note text)")
    asked(port, f"INSERT INTO run VALUES ('of {ID}', '{said}', '{said}', ARRAY['a', '{ID}'], 7), ('of nobody', '{{}}', '{{}}', '{{}}', 8)")
    asked(port, "INSERT INTO other VALUES ('nothing')")
    found = [("run", "name", 1), ("run", "parameters", 1), ("run", "plain", 1), ("run", "tags", 1)]
    assert database.find(VALUES) == found
    assert database.blank(VALUES) == "Prefect's database: 4 cells blanked"
    assert database.find(VALUES) == []
    rows = asked(port, "SELECT name, parameters->'who'->>0, plain->>'count', tags[2], at FROM run ORDER BY at").splitlines()
    assert rows == ["of [erased]|[erased]|3|[erased]|7", "of nobody||||8"]
    place = Path(asked(port, "SHOW data_directory").strip()) / asked(port, "SELECT pg_relation_filepath('run')").strip()
    asked(port, "CHECKPOINT")
    assert b"of [erased]" in place.read_bytes()
    assert ID.encode() not in place.read_bytes(), "no dead row has it"
    assert database.blank(VALUES) == "Prefect's database: 0 cells blanked"


def test_a_database_that_does_not_answer_is_one_line_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("asyncpg")
    monkeypatch.setenv(URL, f"postgresql+asyncpg://prefect:secret@127.0.0.1:{free_port()}/prefect")
    with pytest.raises(UserError, match="expected one that answers; start it, or stop `pairwright serve`") as raised:
        database.find(VALUES)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_server_that_keeps_its_database_elsewhere_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert database.blank(VALUES) == "Prefect's database: none here"
    monkeypatch.setenv("PREFECT_API_URL", "https://prefect.example.org/api")
    assert database.find(VALUES) == []
    assert "kept by the server at https://prefect.example.org/api: not looked into; run this again with" in database.blank(VALUES)
    erasures.log(tmp_path, f"of {ID}")
    assert database.blank(VALUES) == "Prefect's database: 1 cells blanked", "a server of ours keeps it here"
