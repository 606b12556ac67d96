"""OpenAI's training lines: `{"messages": [...]}` without an id, and `{"input", "preferred_output", "non_preferred_output"}`.

Also what was sent to a chat API and what came back, `{"request": {"messages"}, "response": {"choices"}}` and the like (see
`tasks.ingest.formats.replies`). A judgement may stand beside the messages (see `tasks.ingest.formats.labelled_messages`). The
conversation's id is a hash of what it says, so the same line in two files is one conversation.
"""

from __future__ import annotations

from typing import Any

from tasks.common.raw_files.files import Unreadable
from tasks.ingest.formats.answers import in_one_piece
from tasks.ingest.formats.comparisons import Line, two_answers
from tasks.ingest.formats.feedback_lines import CONVERSATION, conversation_of
from tasks.ingest.formats.inline_votes import votes_on
from tasks.ingest.formats.labelled_messages import judged
from tasks.ingest.formats.message_parts import said_of, tools_of
from tasks.ingest.formats.parsed import Conversation, Facts, chain, content_id, dictionary, moment, name_of
from tasks.ingest.formats.replies import Exchange, exchange, put_behind, replies

FOREIGN = ("id", "conversationId", "chat")  # a record with one of these is another format's


def recognise(record: dict[str, Any]) -> bool:
    """True for a line of messages without an id, and for a preference line."""
    if "preferred_output" in record and "non_preferred_output" in record:
        return isinstance(record.get("input"), dict)
    if "messages" not in record:
        return exchange(record) is not None
    return isinstance(record.get("messages"), list) and record.keys().isdisjoint(FOREIGN) and conversation_of(record, CONVERSATION) is None


def read(record: dict[str, Any]) -> Facts:
    """One conversation; from a preference line with two answers and the choice between them."""
    if "preferred_output" in record and "non_preferred_output" in record:
        prompt = line_of(dictionary(record.get("input")).get("messages"))
        chosen, rejected = (line_of(record[key]) for key in ("preferred_output", "non_preferred_output"))
        return two_answers(prompt + chosen, prompt + rejected, "a", (None, None), tools=tools_of(record.get("input"), record))
    if (told := None if "messages" in record else exchange(record)) is not None:
        return _exchanged(told, record)
    line = line_of(record.get("messages"))
    if (facts := judged(record, line)) is not None:
        return facts
    model, tools = record.get("model"), tools_of(record)
    messages = chain(line, model if isinstance(model, str) else None)
    answers = replies(record, record["messages"])
    whole = Conversation(content_id(line, answers, tools=tools) if answers else content_id(line, tools=tools), messages, tools=tools)
    put_behind(whole, answers, model if isinstance(model, str) else None)
    return Facts([in_one_piece(whole)], list(votes_on(record["messages"], range(len(line)), whole.native_id, None)))


def _exchanged(told: Exchange, record: dict[str, Any]) -> Facts:
    """A request with the answers to it."""
    line, tools = line_of(told.request["messages"]), tools_of(told.request, record)
    system = told.request.get("system")  # Anthropic's stands beside the messages
    if system and line[0].role != "system":
        line = [said_of({"role": "system", "content": system}), *line]
    whole = Conversation(told.native_id or content_id(line, told.answers, tools=tools), chain(line, told.model), tools=tools)
    whole.user, whole.created_at = name_of(record.get("user_id")), moment(record.get("created_at", record.get("created")))
    put_behind(whole, told.answers, told.model)
    return Facts([in_one_piece(whole)])


def line_of(messages: object) -> Line:
    """What each message of a list in OpenAI's shape says."""
    if not isinstance(messages, list) or not messages:
        raise Unreadable("no_messages", "expected a list of messages")
    if not all(isinstance(message, dict) for message in messages):
        raise Unreadable("bad_message", "expected every message to be an object")
    return [said_of(message) for message in messages]
