"""Answers stored next to their messages: logs of requests to chat APIs, and of servers that keep both.

In: a record. Out: the object that holds the messages, and the answers: `choices` of OpenAI's API (several are siblings), a message of
OpenAI's or Anthropic's, or a text; possibly as JSON text. The request may be a separate object next to the response.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from tasks.common.vocabulary.roles import ASSISTANT
from tasks.ingest.formats.message_parts import utterance_of
from tasks.ingest.formats.parsed import Conversation, Message, Utterance, copy_details, dictionary, name_of, place

REQUESTS = ("request", "request_body", "requestBody", "body", "input", "inputs", "kwargs", "payload")
REPLIES = ("response", "response_body", "responseBody", "choices", "completion", "output", "outputs", "reply", "result")
DEPTH = 6  # levels of a response: the message in a choice of a list in a body in a response


class Exchange(NamedTuple):
    """Messages, the answers to them, the model, and the exchange's id."""

    request: dict[str, object]
    answers: list[Utterance]
    model: str | None
    native_id: str | None


def exchange(record: dict[str, Any]) -> Exchange | None:
    """A request and its response; None for other records."""
    request = next((holder for key in REQUESTS if isinstance((holder := _decoded(record.get(key))).get("messages"), list)), None)
    response = next((key for key in REPLIES if key in record), None)
    if request is None or response is None or "preferred_output" in record:
        return None
    inner = _decoded(record[response])
    model = next(filter(None, (name_of(holder.get("model")) for holder in (inner, dictionary(inner.get("body")), request, record))), None)
    native_id = next((name for holder in (record, inner, request) if (name := name_of(holder.get("id")))), None)
    return Exchange(request, replies(record, request["messages"]), model, native_id)


def replies(record: dict[str, object], messages: list[object]) -> list[Utterance]:
    """The answers to messages that end without one; empty where the messages include the answer."""
    last = dictionary(messages[-1]) if messages else {}
    if last.get("role") == "assistant":
        return []
    return next((answers for key in REPLIES if key in record and (answers := _answers(record[key]))), [])


def _answers(value: object, depth: int = DEPTH) -> list[Utterance]:
    """The answers that a response holds, each once."""
    if isinstance(value, str):
        decoded = _decoded(value)
        return _answers(decoded, depth) if decoded else [Utterance(ASSISTANT, value)] if value.strip() else []
    if isinstance(value, list):
        return list(dict.fromkeys(answer for one in value for answer in (_answers(one, depth - 1) if depth else ())))
    response = dictionary(value)
    if isinstance(response.get("message"), dict) and depth:
        return _answers(response["message"], depth - 1)
    if "role" in response or (response.get("content") is not None and "choices" not in response):
        one = utterance_of({**response, "role": response.get("role", "assistant")})
        return [one] if one.role == ASSISTANT and (one.content or one.tool_calls or one.reasoning) else []
    if isinstance(text := response.get("text"), str):
        return [Utterance(ASSISTANT, text)]
    return next(
        (answers for key in ("choices", "body", "output", "response") if depth and (answers := _answers(response.get(key), depth - 1))), []
    )


def append_answers(conversation: Conversation, answers: list[Utterance], model: str | None) -> None:
    """Append the answers to the last message of a conversation, as siblings."""
    parent = conversation.messages[-1].turn_id if conversation.messages else None
    first = place(len(conversation.messages))
    for number, answer in enumerate(answers):
        message = Message(f"{first}.{number}" if number else first, parent, answer.role, answer.content, model)
        copy_details(message, answer)
        conversation.messages.append(message)


def _decoded(value: object) -> dict[str, Any]:
    """An object, also as JSON text."""
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {}
    return dictionary(value)
