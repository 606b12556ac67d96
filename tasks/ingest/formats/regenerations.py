"""Answers that were asked for again: the one that was kept against each that was not.

In: answers that stand side by side, and the messages of which the log says that they were kept. Out: acts of kind `regenerate`.
Where it says so of none of them, or of two, nothing was preferred.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tasks.ingest.formats.parsed import Act, Conversation


def rolled_again(chat: str, siblings: Iterable[list[str]], kept: Collection[str], who: str | None, when: int | None) -> list[Act]:
    """The acts of one chat; `siblings` are the answers to each question."""
    acts = []
    for turns in siblings:
        stayed = [turn for turn in turns if turn in kept]
        if len(stayed) != 1:
            continue
        for other in turns:
            if other != stayed[0]:  # one id for the two, whoever is kept: a later export corrects an earlier one
                both = "/".join(sorted((stayed[0], other)))
                fact = Act(chat, "regenerate", better=stayed[0], worse=other, annotator=who, created_at=when)
                fact.native_id = f"{chat}/{both}/regenerate"
                acts.append(fact)
    return acts


def rolled_in(conversation: Conversation, kept: Collection[str], who: str | None, when: int | None) -> list[Act]:
    """The same for a conversation whose messages say what they answer; an answer that failed, or only calls a tool, was not chosen from."""
    siblings: dict[str, list[str]] = {}
    for message in conversation.messages:
        if message.role == "assistant" and message.content and not message.status and not message.tool_calls and message.parent_id:
            siblings.setdefault(message.parent_id, []).append(message.turn_id)
    asked = {message.turn_id for message in conversation.messages if message.role == "user"}
    return rolled_again(conversation.native_id, (turns for parent, turns in siblings.items() if parent in asked), kept, who, when)
