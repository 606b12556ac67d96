"""Spans: where a value stands in a text, as every finder of `tasks.text` gives it."""

from __future__ import annotations

from collections.abc import Iterator

Span = tuple[int, int, str]  # start, end, and the value in the form in which equal values are equal
Spans = Iterator[Span]
