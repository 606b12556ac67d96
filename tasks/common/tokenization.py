"""How a pair becomes tokens, and whether it fits a window: one rule for the stage that counts beforehand and for the trainer.

In: message lists and a tokenizer of transformers, or none: then a token is a byte. Out: `Tokens`, and a word for what is wrong with them.

The prompt is rendered alone, as a chat will render it, and the rest of the rendering with the answer is the answer: so the tokens
before an answer are those that the model will see when it is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from tasks.common.vocabulary.roles import ASSISTANT, SYSTEM, TOOL, USER
from tasks.common.vocabulary.window import ANSWER_CUT as ANSWER_CUT
from tasks.common.vocabulary.window import EQUAL_AFTER_TRUNCATION, SAME_TOKENS
from tasks.common.vocabulary.window import PROMPT_FILLS_WINDOW as PROMPT_FILLS_WINDOW

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# `role` and `content`; where a message calls tools, `tool_calls`; of a tool's perhaps `tool_call_id` and `name`; in a prompt's first
# message perhaps `tools`, which are no part of it: the template gets them apart.
Messages = list[dict[str, Any]]
Sides = tuple[Messages, Messages, Messages]  # prompt, chosen, rejected

# Bytes that no UTF-8 text holds, in place of the marks that a template writes.
MARKS = {SYSTEM: b"\xf8", USER: b"\xf9", ASSISTANT: b"\xfa", TOOL: b"\xfb"}
END = b"\xff"


@dataclass(frozen=True)
class Tokens:
    """A pair's tokens: the prompt up to where the answer begins, and each answer with its end."""

    prompt: Sequence[int]
    chosen: Sequence[int]
    rejected: Sequence[int]


@dataclass(frozen=True)
class Rendered:
    """A pair as the template writes it: the prompt, and what each answer adds to it (None: the prompt reads otherwise then)."""

    prompt: str
    chosen: str | None
    rejected: str | None


def spoken(messages: Sequence[Mapping[str, Any]], tools: str | None = None) -> Messages:
    """Messages as chat templates read them: tool calls and tools as objects, and no field that says nothing.

    Calls come as one JSON text with their list, as tables hold them, or as a list of JSON texts, as a release does. `tools` is what a
    release has in a column of its own, and tables in the first message.
    """
    rendered = []
    for message in messages:
        calls = message.get("tool_calls")
        bare = {name: value for name, value in message.items() if name not in ("tool_calls", "tools") and value is not None}
        parsed = json.loads(calls) if isinstance(calls, str) else [json.loads(call) for call in calls or ()]
        rendered.append(bare | {"tool_calls": parsed} if parsed else bare)
    offered = tools or next((message["tools"] for message in messages if message.get("tools")), None)
    if offered and rendered:
        rendered[0]["tools"] = json.loads(offered)
    return rendered


def render(tokenizer: PreTrainedTokenizerBase, sides: Sides) -> Rendered:
    """The text of one pair, by the tokenizer's chat template."""
    prompt, chosen, rejected = sides
    before = _text(tokenizer, prompt, True)
    return Rendered(before, *(_rest(_text(tokenizer, prompt + answer, False), before) for answer in (chosen, rejected)))


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Tokens of texts that a template wrote: it has written every special token, and a second first one would be wrong."""
    ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
    return ids


def as_bytes(sides: Sides) -> Tokens:
    """One token a byte and two a message: at least as many as a byte-level tokenizer makes with a template of two marks a message."""
    prompt, chosen, rejected = sides
    return Tokens(_bytes(prompt) + MARKS[ASSISTANT], *(_bytes(answer)[1:] for answer in (chosen, rejected)))


def verdict(tokens: Tokens, window: int) -> str | None:
    """What is wrong with the pair in a window that keeps the first so many tokens of prompt and answer; None if nothing is."""
    if tokens.chosen == tokens.rejected:
        return SAME_TOKENS
    room = window - len(tokens.prompt)
    if max(len(tokens.chosen), len(tokens.rejected)) <= room:
        return None
    if room <= 0:
        return PROMPT_FILLS_WINDOW
    return EQUAL_AFTER_TRUNCATION if tokens.chosen[:room] == tokens.rejected[:room] else ANSWER_CUT


def _text(tokenizer: PreTrainedTokenizerBase, messages: Messages, prompt: bool) -> str:
    return written(tokenizer, messages, prompt=prompt)


def written(tokenizer: PreTrainedTokenizerBase, messages: Messages, *, prompt: bool) -> str:
    """The messages as the chat template writes them, with the tools that they were offered; a prompt ends where an answer begins."""
    tools = messages[0].get("tools") if messages else None
    more: dict[str, Any] = {"tools": tools} if tools else {}
    said = [{name: value for name, value in messages[0].items() if name != "tools"}, *messages[1:]] if tools else messages
    return cast("str", tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=prompt, **more))


def _rest(whole: str, before: str) -> str | None:
    return whole[len(before) :] if whole.startswith(before) else None


def _bytes(messages: Messages) -> bytes:
    return b"".join(MARKS[message["role"]] + message["content"].encode("utf-8", "surrogatepass") + END for message in messages)
