"""Regenerated answers: the one that was kept against each that was not.

In: sibling answers, and the messages that the log marks as kept. Out: votes of kind `regenerate`. Where none or two of the siblings were
kept, there is no preference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tasks.common.vocabulary.kinds import REGENERATE
from tasks.common.vocabulary.roles import ASSISTANT, USER
from tasks.ingest.formats.parsed import Act, Conversation


def rolled_again(chat: str, siblings: Iterable[list[str]], kept: Collection[str], who: str | None, when: int | None) -> list[Act]:
    """The acts of one chat; `siblings` are the answers to each question."""
    acts = []
    for turns in siblings:
        stayed = [turn for turn in turns if turn in kept]
        if len(stayed) != 1:
            continue
        for other in turns:
            if other != stayed[0]:  # one id per pair, whichever is kept: a later export corrects an earlier one
                both = "/".join(sorted((stayed[0], other)))
                fact = Act(chat, REGENERATE, better=stayed[0], worse=other, annotator=who, created_at=when)
                fact.native_id = f"{chat}/{both}/regenerate"
                acts.append(fact)
    return acts


def rolled_in(conversation: Conversation, kept: Collection[str], who: str | None, when: int | None) -> list[Act]:
    """The same for a conversation whose messages name their parents; failed answers and mere tool calls are not candidates."""
    siblings: dict[str, list[str]] = {}
    for message in conversation.messages:
        if message.role == ASSISTANT and message.content and not message.status and not message.tool_calls and message.parent_id:
            siblings.setdefault(message.parent_id, []).append(message.turn_id)
    questions = {message.turn_id for message in conversation.messages if message.role == USER}
    return rolled_again(conversation.native_id, (turns for parent, turns in siblings.items() if parent in questions), kept, who, when)
