"""Roles: who speaks in a message. They stand in `role` of turns and of released messages."""

from __future__ import annotations

from typing import Final, Literal, get_args

Role = Literal["system", "user", "assistant", "tool"]
SYSTEM: Final = "system"
USER: Final = "user"
ASSISTANT: Final = "assistant"
TOOL: Final = "tool"

MEANINGS: dict[str, str] = {
    SYSTEM: "instructions to the model, before the conversation",
    USER: "the person who chats",
    ASSISTANT: "the model that answers",
    TOOL: "what a tool gave back that the model called",
}
ROLES: tuple[str, ...] = get_args(Role)
PROMPT_ENDS = (USER, TOOL)  # whose message may stand before an answer
# What may follow what; a conversation begins (the last entry) with at most one system message, then a user's.
FOLLOWS: dict[str, tuple[str, ...]] = {
    SYSTEM: (USER,),
    USER: (ASSISTANT,),
    ASSISTANT: (USER, TOOL),
    TOOL: (TOOL, ASSISTANT),
    "": (SYSTEM, USER),
}
