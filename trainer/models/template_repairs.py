"""Chat templates made fit for training: each repair is laid around a template where it is needed, and only where it helps.

In: a tokenizer, and what the parameters say of its template. Out: the same tokenizer with a template by which a prompt is the beginning of
prompt and answer, an answer has an end, and a system message a place; a line for each repair. The template that comes out is saved with
every model, so training, evaluation, a chat and whatever serves the model render alike.

The repairs wrap the text of the template in Jinja's own means (https://jinja.palletsprojects.com/templates/), so they hold for any.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core.errors import UserError
from trainer.data import chat_templates
from trainer.data.chat_templates import ANSWER, PROMPT
from trainer.settings import ChatTemplate

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SETTING = "{%- set enable_thinking = %s -%}"
# Templates of models that also see read a message as a list of parts.
PARTS = (
    "{%- set parted = namespace(messages=[]) -%}{%- for message in messages -%}{%- if message['content'] is string -%}"
    "{%- set parted.messages = parted.messages + [dict(message, content=[{'type': 'text', 'text': message['content']}])] -%}"
    "{%- else -%}{%- set parted.messages = parted.messages + [message] -%}{%- endif -%}{%- endfor -%}"
    "{%- set messages = parted.messages -%}"
)
FOLDED = (
    "{%- if messages and messages[0]['role'] == 'system' -%}{%- if messages | length > 1 and messages[1]['role'] == 'user' -%}"
    "{%- set messages = [dict(messages[1], content=messages[0]['content'] + '\\n\\n' + messages[1]['content'])] + messages[2:] -%}"
    "{%- else -%}{%- set messages = [{'role': 'user', 'content': messages[0]['content']}] + messages[1:] -%}{%- endif -%}{%- endif -%}"
)
STUB = re.compile(r"\s*<[|]?(think|thinking|thought|reasoning)[|]?>\s*")  # opens thoughts that no answer of a log has


@dataclass(frozen=True)
class Repair:
    """What is wrong with a template, and how it is mended."""

    what: str
    needed: Callable[[PreTrainedTokenizerBase], bool]
    mended: Callable[[PreTrainedTokenizerBase, str], str]


def fit(tokenizer: PreTrainedTokenizerBase, wanted: ChatTemplate, source: str) -> list[str]:
    """Give the tokenizer the template that the parameters ask for, repaired; a line for all that was changed. UserError: no template."""
    told = list(_own(tokenizer, wanted))
    text = tokenizer.chat_template
    if isinstance(text, dict):  # named variants, of which `default` is the one for chats
        text = text.get("default")
    if not text:
        remedy = "take the model's instruct or chat version, or name a template in start.chat_template.file"
        raise UserError(f"start.model.source: {source}", "a tokenizer without chat template", "a chat model", remedy)
    tokenizer.chat_template = text
    told += _thinking(tokenizer, wanted)
    for repair in repairs(wanted):
        told += _repaired(tokenizer, repair)
    return told


def _own(tokenizer: PreTrainedTokenizerBase, wanted: ChatTemplate) -> Iterator[str]:
    """Read a template of the user's own."""
    if not wanted.file:
        return
    path, where = Path(wanted.file).expanduser(), f"start.chat_template.file: {wanted.file}"
    try:
        tokenizer.chat_template = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        found = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "no text"
        raise UserError(where, found, "a Jinja template", "correct the path") from error
    yield f"the file {wanted.file}"


def _thinking(tokenizer: PreTrainedTokenizerBase, wanted: ChatTemplate) -> list[str]:
    """Let the template always see what the parameters say of thinking."""
    if wanted.enable_thinking is None:
        return []
    text, word = tokenizer.chat_template, json.dumps(wanted.enable_thinking)
    if not isinstance(text, str) or "enable_thinking" not in text:
        where = f"start.chat_template.enable_thinking: {word}"
        raise UserError(where, "a chat template that does not read it", "null", "set start.chat_template.enable_thinking to null")
    setting = SETTING.replace("%s", word)
    tokenizer.chat_template = text if text.startswith(setting) else setting + text
    return [f"enable_thinking is {word}"]


def repairs(wanted: ChatTemplate) -> list[Repair]:
    """The repairs in the order in which they are tried."""
    found = [Repair("messages in parts", _says_nothing, lambda _, text: PARTS + text)]
    if wanted.enable_thinking is None:
        found.append(Repair("enable_thinking is false", _opens_thoughts, lambda _, text: SETTING.replace("%s", "false") + text))
    found.append(Repair("no opened thoughts before an answer", _opens_thoughts, _without_stub))
    found.append(Repair("an end behind the answer", _closes_nothing, _ended))
    if wanted.system == "fold":
        found.append(Repair("a system message is part of the first question", _no_system, lambda _, text: FOLDED + text))
    return found


def _repaired(tokenizer: PreTrainedTokenizerBase, repair: Repair) -> list[str]:
    """Its line, where the repair was needed and helped; else the template stays as it was."""
    if not repair.needed(tokenizer):
        return []
    before = tokenizer.chat_template
    assert isinstance(before, str)
    tokenizer.chat_template = repair.mended(tokenizer, before)
    if not repair.needed(tokenizer):
        return [repair.what]
    tokenizer.chat_template = before
    return []


def _says_nothing(tokenizer: PreTrainedTokenizerBase) -> bool:
    return not chat_templates.shows(tokenizer, PROMPT)


def _opens_thoughts(tokenizer: PreTrainedTokenizerBase) -> bool:
    return not _says_nothing(tokenizer) and not chat_templates.stable(tokenizer, PROMPT)


def _closes_nothing(tokenizer: PreTrainedTokenizerBase) -> bool:
    return chat_templates.stable(tokenizer, PROMPT) and not chat_templates.closes(tokenizer)


def _no_system(tokenizer: PreTrainedTokenizerBase) -> bool:
    return not chat_templates.takes_system(tokenizer)


def _without_stub(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """The template without the stub that it puts before an answer, so that the answer begins where answers of logs begin."""
    try:
        before, whole = chat_templates.both(tokenizer, PROMPT)
    except chat_templates.errors():
        return text
    same = next((at for at, (one, other) in enumerate(zip(before, whole, strict=False)) if one != other), len(whole))
    stub = before[same:]
    if ANSWER[0]["content"] not in whole or not STUB.fullmatch(stub):
        return text
    condition = f"{{%- if add_generation_prompt and opened.endswith({json.dumps(stub)}) -%}}"
    cut = f"{{%- set opened = opened[:-{len(stub)}] -%}}"
    return _captured("opened", text) + condition + cut + "{%- endif -%}{{- opened -}}"


def _ended(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """The template with the tokenizer's own end behind a last answer."""
    end = "{%- if messages and messages[-1]['role'] == 'assistant' and not add_generation_prompt -%}{{- eos_token -}}{%- endif -%}"
    return _captured("closed", text) + "{{- closed -}}" + end


def _captured(name: str, text: str) -> str:
    """What a template writes, as the value of a name."""
    whole = text.removesuffix("\n")  # as Jinja does at the end of a file
    return f"{{%- set {name} -%}}{{{{- '' }}}}{whole}{{{{ '' -}}}}{{%- endset -%}}"  # empty values keep the text's own spaces
