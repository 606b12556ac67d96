"""OpenAI's training lines: `{"messages": [...]}` without an id, and `{"input", "preferred_output", "non_preferred_output"}`.

Also logged requests to a chat API with their responses, `{"request": {"messages"}, "response": {"choices"}}` and the like (see
`tasks.ingest.formats.replies`). A judgement may be next to the messages (see `tasks.ingest.formats.labelled_messages`). The
conversation's id is a hash of its content, so the same line in two files is one conversation.
"""

from __future__ import annotations

from typing import Any

from tasks.common.raw_files.files import Unreadable
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import SYSTEM
from tasks.ingest.formats.answers import join_pieces
from tasks.ingest.formats.comparisons import Line, two_answers
from tasks.ingest.formats.feedback_lines import CONVERSATION, conversation_of
from tasks.ingest.formats.inline_votes import votes_on
from tasks.ingest.formats.labelled_messages import read_judgement
from tasks.ingest.formats.message_parts import tools_of, utterance_of
from tasks.ingest.formats.parsed import Conversation, ParsedRecord, chain, content_id, dictionary, moment, name_of
from tasks.ingest.formats.replies import Exchange, append_answers, exchange, replies

FOREIGN = ("id", "conversationId", "chat")  # a record with one of these is another format's


def recognise(record: dict[str, object]) -> bool:
    """True for a line of messages without an id, and for a preference line."""
    if "preferred_output" in record and "non_preferred_output" in record:
        return isinstance(record.get("input"), dict)
    if "messages" not in record:
        return exchange(record) is not None
    return isinstance(record.get("messages"), list) and record.keys().isdisjoint(FOREIGN) and conversation_of(record, CONVERSATION) is None


def read(record: dict[str, Any]) -> ParsedRecord:
    """One conversation; from a preference line with two answers and the choice between them."""
    if "preferred_output" in record and "non_preferred_output" in record:
        prompt = line_of(dictionary(record.get("input")).get("messages"))
        chosen, rejected = (line_of(record[key]) for key in ("preferred_output", "non_preferred_output"))
        return two_answers(prompt + chosen, prompt + rejected, "a", (None, None), tools=tools_of(record.get("input"), record))
    if (request := None if "messages" in record else exchange(record)) is not None:
        return _exchanged(request, record)
    line = line_of(record.get("messages"))
    if (parsed := read_judgement(record, line)) is not None:
        return parsed
    model, tools = record.get("model"), tools_of(record)
    messages = chain(line, model if isinstance(model, str) else None)
    answers = replies(record, record["messages"])
    whole = Conversation(content_id(line, answers, tools=tools) if answers else content_id(line, tools=tools), messages, tools=tools)
    append_answers(whole, answers, model if isinstance(model, str) else None)
    return ParsedRecord([join_pieces(whole)], list(votes_on(record["messages"], range(len(line)), whole.native_id, None)))


def _exchanged(request: Exchange, record: dict[str, object]) -> ParsedRecord:
    """A request with the answers to it."""
    line, tools = line_of(request.request["messages"]), tools_of(request.request, record)
    system = request.request.get("system")  # Anthropic's system prompt is next to the messages
    if system and line[0].role != SYSTEM:
        line = [utterance_of({"role": SYSTEM, "content": system}), *line]
    whole = Conversation(request.native_id or content_id(line, request.answers, tools=tools), chain(line, request.model), tools=tools)
    whole.user, whole.created_at = name_of(record.get("user_id")), moment(record.get("created_at", record.get("created")))
    append_answers(whole, request.answers, request.model)
    return ParsedRecord([join_pieces(whole)])


def line_of(messages: object) -> Line:
    """The utterances of a list of messages in OpenAI's format."""
    if not isinstance(messages, list) or not messages:
        raise Unreadable(why.NO_MESSAGES, "expected a list of messages")
    if not all(isinstance(message, dict) for message in messages):
        raise Unreadable(why.BAD_MESSAGE, "expected every message to be an object")
    return [utterance_of(message) for message in messages]
