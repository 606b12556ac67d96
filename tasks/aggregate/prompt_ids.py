"""Ids of prompts and answers: equal where these are, as `tasks.common.text_identity` means it.

A prompt is the messages up to an answer: their roles and texts, what redaction took out of them, their attachments and tool calls, and the
tools that were offered. So two
prompts that read alike only because a link in each became [URL_1], or because neither shows its picture, have two ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from tasks.common.text_identity import same_answer, same_message
from tasks.core.ids import stable_id

Digest = hashlib.blake2b
START: Digest = hashlib.blake2b(digest_size=8)


def extend(
    above: Digest,
    role: str,
    content: str | None,
    redacted: str | None = None,
    attachments: Sequence[str] | None = None,
    calls: str | None = None,
    tools: str | None = None,
) -> Digest:
    """The digest of a history with one more message; histories that share a beginning share its digest."""
    digest = above.copy()
    digest.update(f"{same_message(role, content, redacted, attachments, calls, tools)}\x1d".encode("utf-8", "surrogatepass"))
    return digest


def prompt_id(messages: Iterable[Mapping[str, str | None]]) -> str:
    """The id of a list of messages without attachments, from which nothing was redacted: 16 hex digits."""
    digest = START
    for message in messages:
        digest = extend(digest, message["role"] or "", message["content"], calls=message.get("tool_calls"), tools=message.get("tools"))
    return digest.hexdigest()


def response_id(prompt: str, content: str) -> str:
    """The id of an answer to the prompt with this id."""
    return stable_id(prompt, same_answer(content))
