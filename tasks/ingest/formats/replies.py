"""Answers that stand beside the messages they answer: logs of requests to chat APIs, and of servers that keep both.

In: a record. Out: the object that holds the messages, and the answers: `choices` of OpenAI's API (several are siblings), a message of
OpenAI's or Anthropic's, or a text; perhaps as JSON text. The request may be an object of its own beside the response.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from tasks.ingest.formats.message_parts import said_of
from tasks.ingest.formats.parsed import Conversation, Message, Said, dictionary, name_of, place, put_beside

REQUESTS = ("request", "request_body", "requestBody", "body", "input", "inputs", "kwargs", "payload")
REPLIES = ("response", "response_body", "responseBody", "choices", "completion", "output", "outputs", "reply", "result")
DEPTH = 6  # levels of a response: the message in a choice of a list in a body in a response


class Exchange(NamedTuple):
    """Messages, what was answered to them, by which model, and the exchange's own id."""

    request: dict[str, Any]
    answers: list[Said]
    model: str | None
    native_id: str | None


def exchange(record: dict[str, Any]) -> Exchange | None:
    """A request and the response beside it; None for other records."""
    request = next((told for key in REQUESTS if isinstance((told := _decoded(record.get(key))).get("messages"), list)), None)
    response = next((key for key in REPLIES if key in record), None)
    if request is None or response is None or "preferred_output" in record:
        return None
    inner = _decoded(record[response])
    model = next(filter(None, (name_of(told.get("model")) for told in (inner, dictionary(inner.get("body")), request, record))), None)
    native_id = next((name for told in (record, inner, request) if (name := name_of(told.get("id")))), None)
    return Exchange(request, replies(record, request["messages"]), model, native_id)


def replies(record: dict[str, Any], messages: list[Any]) -> list[Said]:
    """The answers beside messages that end without one; none where these end with an answer, which is the same or says more."""
    last = dictionary(messages[-1]) if messages else {}
    if last.get("role") == "assistant":
        return []
    return next((found for key in REPLIES if key in record and (found := _answers(record[key]))), [])


def _answers(value: object, depth: int = DEPTH) -> list[Said]:
    """The answers that a response holds, each once."""
    if isinstance(value, str):
        decoded = _decoded(value)
        return _answers(decoded, depth) if decoded else [Said("assistant", value)] if value.strip() else []
    if isinstance(value, list):
        return list(dict.fromkeys(said for one in value for said in (_answers(one, depth - 1) if depth else ())))
    told = dictionary(value)
    if isinstance(told.get("message"), dict) and depth:
        return _answers(told["message"], depth - 1)
    if "role" in told or (told.get("content") is not None and "choices" not in told):
        one = said_of({**told, "role": told.get("role", "assistant")})
        return [one] if one.role == "assistant" and (one.content or one.tool_calls or one.reasoning) else []
    if isinstance(told.get("text"), str):
        return [Said("assistant", told["text"])]
    return next((found for key in ("choices", "body", "output", "response") if depth and (found := _answers(told.get(key), depth - 1))), [])


def put_behind(conversation: Conversation, answers: list[Said], model: str | None) -> None:
    """Give a conversation the answers to its last message, as siblings."""
    parent = conversation.messages[-1].turn_id if conversation.messages else None
    first = place(len(conversation.messages))
    for number, said in enumerate(answers):
        message = Message(f"{first}.{number}" if number else first, parent, said.role, said.content, model)
        put_beside(message, said)
        conversation.messages.append(message)


def _decoded(value: object) -> dict[str, Any]:
    """An object, also as JSON text."""
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {}
    return dictionary(value)
