"""The texts in tool calls and tool schemas: extracted from their JSON for redaction, and put back.

In: the column `Turns.tool_calls` or `Turns.tools`. Out: a column of every name, key and value in them; and the same column with other
texts. A number is a text too, since it may be a phone number; it stays a number where nothing is redacted. Arguments are code: their spaces
and entities are unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import replaced, strings
from tasks.core.tables import TEXT

Change = Callable[[str], str]
LANGUAGE = "$schema"  # an identifier in the form of a URL
MARKS = str.maketrans("", "", "\x02\x03\x1f")  # delimiters of redaction's marks: texts must not contain them


class Calls:
    """The calls of a column: their `texts`, and the row of each text."""

    _OPTIONS = orjson.OPT_SORT_KEYS

    def __init__(self, column: pa.Array[Any]) -> None:
        self._column, self._mask = column, pc.is_valid(column)
        self._values = [orjson.loads(text) for text in strings(column.filter(self._mask))]
        texts, rows = list[str](), list[int]()

        def take(text: str) -> str:
            texts.append(text)
            return text

        for row, value in zip(cast("list[int]", pc.indices_nonzero(self._mask).to_pylist()), self._values, strict=True):
            self._changed(value, take)
            rows += [row] * (len(texts) - len(rows))
        self.ids = pa.array([call.get("id") for value in self._values for call in value], TEXT)
        self.texts, self.rows = pa.array(texts, TEXT), pa.array(rows, pa.int64())

    def put(self, texts: pa.Array[Any], ids: pa.Array[Any] | None = None) -> pa.Array[Any]:
        """The column with these texts in place of `texts`, and these ids in place of `ids`."""
        fresh: Iterator[str] = iter(strings(texts))
        names: Iterator[str | None] = iter((self.ids if ids is None else ids).to_pylist())
        calls = [
            [call if (name := next(names)) is None else call | {"id": name} for call in self._changed(value, lambda _: next(fresh))]
            for value in self._values
        ]
        written = [orjson.dumps(call, option=self._OPTIONS).decode() for call in calls]
        return replaced(self._column, self._mask, pa.array(written, TEXT))

    def _changed(self, calls: list[dict[str, Any]], change: Change) -> list[dict[str, object]]:
        """The calls of a message with every name, key and value changed, always in the same order."""
        return [call | {"function": _function(call["function"], change)} for call in calls]


class Tools(Calls):
    """The tool schemas of a column; keys keep their order, and the name of the schema language is unchanged."""

    _OPTIONS = 0

    def _changed(self, calls: list[dict[str, object]], change: Change) -> list[dict[str, object]]:
        return [tool | {"function": _inside(tool["function"], "", change)} for tool in calls]


def _function(function: dict[str, Any], change: Change) -> dict[str, object]:
    return {"name": change(_clean(function["name"])), "arguments": _inside(function["arguments"], "", change)}


def _inside(value: object, key: str, change: Change) -> object:
    if isinstance(value, dict):
        return {change(_clean(name)): inner if name == LANGUAGE else _inside(inner, _clean(name), change) for name, inner in value.items()}
    if isinstance(value, list):
        return [_inside(inner, key, change) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    # The key is put before its value, so that `password: ...` is recognised.
    before = f"{key}: {_clean(str(value))}"
    after = change(before)
    return value if after == before and not isinstance(value, str) else after.removeprefix(f"{key}: ")


def _clean(text: str) -> str:
    return text.translate(MARKS)
