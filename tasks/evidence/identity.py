"""What makes two prompts, or two answers, the same: their text as `dedupe` compares it, without case, spacing and Unicode spelling.

This is no finer than the release's own check (lower case, white space folded), so what has two ids here
can be neither a copy nor the reverse of each other there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from tasks.core.ids import stable_id
from tasks.similar.text import fold

Digest = Any  # hashlib's digest objects have no public type
START: Digest = hashlib.blake2b(digest_size=8)


def extend(above: Digest, role: str, content: str) -> Digest:
    """The digest of a history with one more message; histories that share a beginning share its digest."""
    digest = above.copy()
    digest.update(f"{role}:{fold(content)}\n".encode("utf-8", "surrogatepass"))
    return digest


def prompt_id(messages: Iterable[Mapping[str, str]]) -> str:
    """The id of a list of messages: 16 hex digits over roles and folded contents."""
    digest = START
    for message in messages:
        digest = extend(digest, message["role"], message["content"])
    return str(digest.hexdigest())


def response_id(prompt: str, content: str) -> str:
    """The id of an answer to the prompt with this id."""
    return stable_id(prompt, fold(content))
