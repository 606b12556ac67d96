"""Logs of a product in JSON Lines: made-up prose, questions, thumbs and choices."""

from __future__ import annotations

import random

from tests.builders.real_sets import Line

SYLLABLES = [start + vowel for start in ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t"] for vowel in "aeiou"]


def prose(seed: str, words: int) -> str:
    """Sentences of made-up words, the same for the same seed."""
    draw = random.Random(seed)
    made = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(words)]
    return " ".join(word + "." * (at % 12 == 11) for at, word in enumerate(made))


def asked(name: str, question: str, *answers: str, user: str = "", **more: object) -> Line:
    """A conversation: a question and one answer, or several side by side (ids a0, a1, ...)."""
    replies = [{"id": f"a{at}", "parent_id": "q", "role": "assistant", "content": text} for at, text in enumerate(answers)]
    return {"id": name, "user_id": user or f"u-{name}", "messages": [{"id": "q", "role": "user", "content": question, **more}, *replies]}


def thumb(name: str, value: int | None, answer: str = "a0", user: str = "", **more: object) -> Line:
    who = user or f"u-{name}"
    return {"conversation_id": name, "kind": "thumb", "message_id": answer, "value": value, "user_id": who, **more}


def choice(name: str, better: str, worse: str, user: str = "", **more: object) -> Line:
    who = user or f"u-{name}"
    return {"conversation_id": name, "kind": "choice", "better": better, "worse": worse, "user_id": who, **more}
