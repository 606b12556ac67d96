"""Spans: where a value stands in a text, as every finder of `tasks.clean` gives it."""

from __future__ import annotations

from collections.abc import Iterator

Span = tuple[int, int, str]  # start, end, and the value in the form in which equal values are equal
Spans = Iterator[Span]


def lower(text: str) -> str:
    """The text in lower case, every letter in its place."""
    small = text.lower()
    return small if len(small) == len(text) else "".join(letter if len(letter.lower()) > 1 else letter.lower() for letter in text)
