"""Chat templates: what one does with a few short chats, which says whether a model can be trained with it.

In: a tokenizer with a template. Out: whether a prompt is rendered the same way when an answer follows (else the model learns in a context
that it never meets again), whether the template knows a system message, and with which tokens it ends an answer.

Traps: a template may raise at a system message (Gemma, Mistral 0.1), or put it where an answer moves it (Mistral 0.3 writes it before the
last message only); it may close no answer at all (GLM 4), or close it with a space before the token that ends it (Llama 2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.common.tokenization import Messages, written

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SYSTEM: Messages = [{"role": "system", "content": "You are brief."}]
PROMPT: Messages = [{"role": "user", "content": "How long do I boil rice?"}]
ANSWER: Messages = [{"role": "assistant", "content": "About 12 minutes."}]
MORE: Messages = [{"role": "user", "content": "And brown rice?"}]


def errors() -> tuple[type[Exception], ...]:
    """What a chat template raises that cannot be rendered: jinja's own errors, and whatever its expressions do."""
    from jinja2 import TemplateError

    return TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError


def shows(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> bool:
    """Whether the template renders these messages with all that they say."""
    try:
        text = written(tokenizer, messages, prompt=True)
    except errors():
        return False
    return all(message["content"] in text for message in messages)


def both(tokenizer: PreTrainedTokenizerBase, prompt: Messages) -> tuple[str, str]:
    """The prompt as it is rendered alone, ready for an answer, and as it is rendered with one."""
    return written(tokenizer, prompt, prompt=True), written(tokenizer, prompt + ANSWER, prompt=False)


def stable(tokenizer: PreTrainedTokenizerBase, prompt: Messages) -> bool:
    """Whether prompt and answer are rendered as the prompt's own rendering and then the answer."""
    try:
        before, whole = both(tokenizer, prompt)
    except errors():
        return False
    return whole.startswith(before) and ANSWER[0]["content"] in whole[len(before) :]


def takes_system(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the template has a place for a system message."""
    return shows(tokenizer, SYSTEM + PROMPT) and stable(tokenizer, SYSTEM + PROMPT)


def closing_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids with which the template closes an answer; none where it does not."""
    whole = written(tokenizer, PROMPT + ANSWER, prompt=False)
    content = ANSWER[0]["content"]
    ids: list[int] = tokenizer(whole[whole.rindex(content) + len(content) :], add_special_tokens=False)["input_ids"]
    return ids


def end_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids of tokens that end an answer: the tokenizer's own, and the first special one with which the template closes an answer."""
    added = tokenizer.added_tokens_decoder
    special = {*tokenizer.all_special_ids, *(number for number, token in added.items() if token.special)}
    first = next((number for number in closing_tokens(tokenizer) if number in special), None)
    return [number for number in dict.fromkeys((tokenizer.eos_token_id, first)) if number is not None]


def closes(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a token that ends an answer stands behind it."""
    return bool(set(closing_tokens(tokenizer)) & set(end_tokens(tokenizer)))
