"""The parts of a message besides its text: tool calls, reasoning, images and files; and the tools offered in a conversation.

In: messages in the formats of OpenAI, Anthropic and compatible tools: `tool_calls`, `function_call`, `files`, and `content` as a list of
parts. Out: the calls as one JSON text, the reasoning as one text, and a digest for each image or file; image contents and file names are
never kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from tasks.common.raw_files.files import Unreadable
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import ASSISTANT, ROLES, TOOL, USER
from tasks.core.ids import stable_id
from tasks.ingest.formats.parsed import RESULTS, Utterance, dictionary, name_of, role_of, text_of

CALLERS = ("function_call", "tool_call")  # roles
CALLS = ("tool_use", "tool_call", "function_call", "server_tool_use", "mcp_call")
MEDIA = ("image", "audio", "video", "file", "document", "input_image", "input_audio", "input_file", "input_video", "pdf")
LISTS = ("files", "attachments", "images", "audios", "videos")  # keys next to `content` for them
# What identifies an image or file, most reliable first; a name such as image.png comes last.
IDS = ("id", "file_id", "fileId", "file_uuid", "uuid", "asset_pointer")
PLACES = ("url", "image_url", "video_url", "file_url", "uri")
BODIES = ("data", "content", "extracted_content", "file_data", "bytes", "base64", "image")
NAMES = ("filename", "file_name", "fileName", "name", "path")
# Keys next to `content`, and types of its parts, that hold a model's reasoning.
REASONING = ("reasoning_content", "reasoning", "thinking", "thoughts", "thinking_blocks", "reasoning_details")
THOUGHTS = ("thinking", "reasoning", "think", "thought", "reasoning.text", "reasoning.summary", "summary_text")
THOUGHT_KEYS = ("thinking", "think", "reasoning", "text", "summary", "content", "value")  # keys of the text in such a part
UNSEEN_CHANNELS = ("analysis", "commentary")  # of OpenAI's harmony format: not shown to the user
ANSWERED = ("tool_call_id", "tool_use_id", "call_id", "toolCallId")
SPEAKERS, SAYINGS = ("type", "sender", "author", "speaker", "from"), ("content", "text", "value", "message", "body", "utterance")
OFFERED = ("tools", "functions")
INSIDE = ("file", "image_url", "video_url", "source", "input_audio", "image_file", "image", "document")


def utterance_of(native: dict[str, object]) -> Utterance:
    """A message of `role` and `content` as an utterance; one that holds only tool results has the role tool."""
    native = native if "role" in native else with_role_and_content(native)
    content, who = native.get("content"), native.get("role")
    if (call := utterance_of_call(who, content)) is not None:
        return call
    role = role_of(who)
    parts = content if isinstance(content, list) else []
    results = [part for part in parts if isinstance(part, dict) and part.get("type") in RESULTS]
    if role == USER and results and len(results) == len(parts):
        role = TOOL
    text = text_of(own_parts(content) if role == ASSISTANT else content)
    utterance = Utterance(role, text, calls_of(native), attachments_of(content, *(native.get(name) for name in LISTS)))
    if role == TOOL:
        return utterance._replace(tool_call_id=answered_call(native, results), tool_name=name_of(native.get("name")))
    return with_reasoning(utterance, native) if role == ASSISTANT and len(native) + len(parts) > 2 else utterance


def with_role_and_content(native: dict[str, Any]) -> dict[str, object]:
    """A message without `role` in the spellings of LangChain (`type`, or `id` with `kwargs`) and of help desks (`sender`, `text`)."""
    inner: dict[str, Any] = next((native[key] for key in ("kwargs", "data") if isinstance(native.get(key), dict)), {})
    native_id = native.get("id")
    names = [native.get(key) for key in SPEAKERS] + [
        native_id[-1] if isinstance(native_id, list) and native_id else None,
        inner.get("type"),
    ]
    who = next((name for name in names if isinstance(name, str) and role_of(name) in ROLES), next(filter(None, names[:-2]), None))
    merged = {**native, **inner}
    content = next((merged[key] for key in SAYINGS if isinstance(merged.get(key), str | list)), None)
    return merged | {"role": who} | ({} if content is None else {"content": content})


def answered_call(native: dict[str, object], results: list[dict[str, object]]) -> str | None:
    """The id of the call that a tool's message answers; None where it answers several."""
    ids = {name_of(holder.get(key)) for holder in (native, *results) for key in ANSWERED} - {None}
    return ids.pop() if len(ids) == 1 else None


def with_reasoning(utterance: Utterance, native: dict[str, object]) -> Utterance:
    """An answer's message with the model's reasoning."""
    if native.get("channel") in UNSEEN_CHANNELS and not utterance.tool_calls:
        return utterance._replace(content="", reasoning=utterance.content or None)
    return utterance._replace(reasoning=reasoning_of(native))


def reasoning_of(native: dict[str, object]) -> str | None:
    """A model's reasoning: from the parts of the content, or from the first other key that holds some."""
    content = native.get("content")
    inside = _thought([part for part in content if _is_thought(part)]) if isinstance(content, list) else ""
    return inside or next((text for key in REASONING if (text := _thought(native.get(key)))), None)


def _is_thought(part: object) -> bool:
    return isinstance(part, dict) and (part.get("type") in THOUGHTS or part.get("thought") is True)


def _thought(value: object, depth: int = 4) -> str:
    """The text of reasoning, which may be nested in parts."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list) and depth:
        return "\n\n".join(filter(None, (_thought(item, depth - 1) for item in value)))
    if isinstance(value, dict) and depth:
        return next((text for key in THOUGHT_KEYS if (text := _thought(value.get(key), depth - 1))), "")
    return ""


def tools_of(*holders: object) -> str | None:
    """The tools that were offered, as `Turns.tools`, from the first record or request that has some; None where there are none."""
    values = (dictionary(holder).get(key) for holder in holders for key in OFFERED)
    return next((text for value in values if (text := _offered(value))), None)


def _offered(value: object) -> str | None:
    listed = _decoded(value) if isinstance(value, str) else value
    known = [tool for tool in map(_tool, listed if isinstance(listed, list) else []) if tool]
    try:
        return orjson.dumps(known).decode() if known else None
    except TypeError:
        raise Unreadable(why.BAD_TOOLS, "the schema of a tool is nested too deeply, or has a number of more than 64 bits") from None


def _tool(native: object) -> dict[str, object] | None:
    """One tool in OpenAI's format, from OpenAI's, Anthropic's or MCP's; None where no function is named."""
    outer = dictionary(_decoded(native) if isinstance(native, str) else native)
    inner = dictionary(outer.get("function")) or {key: value for key, value in outer.items() if key != "type"}
    if name_of(inner.get("name")) is None:
        return None
    names = {"input_schema": "parameters", "inputSchema": "parameters"}
    return {"type": "function", "function": {names.get(key, key): value for key, value in inner.items() if value is not None}}


def own_parts(content: object) -> object:
    """A content without tool results."""
    if not isinstance(content, list):
        return content
    return [part for part in content if not (isinstance(part, dict) and part.get("type") in RESULTS)]


def calls_of(native: dict[str, object]) -> str | None:
    """The tools that a message calls, as `Turns.tool_calls`."""
    calls, single, content = native.get("tool_calls"), native.get("function_call"), native.get("content")
    parts = [part for part in content if isinstance(part, dict) and part.get("type") in CALLS] if isinstance(content, list) else []
    return calls_as_json([*(calls if isinstance(calls, list) else []), *([single] if isinstance(single, dict) else []), *parts])


def utterance_of_call(who: object, content: object) -> Utterance | None:
    """An utterance from a message whose role is a tool call: its text is the call as JSON, or an answer. None for other roles."""
    if not isinstance(who, str) or who.strip().lower() not in CALLERS:
        return None
    value = _decoded(content) if isinstance(content, str) else content
    calls = calls_as_json(value if isinstance(value, list) else [value])
    return Utterance(ASSISTANT, "" if calls else text_of(content), calls)


def calls_as_json(calls: Iterable[object]) -> str | None:
    """Tool calls as one JSON text; None when there are none."""
    known = [call for call in map(_call, calls) if call is not None]
    if not known:
        return None
    try:
        return orjson.dumps(known, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # deeper nesting or larger numbers than JSON tools accept
        raise Unreadable(
            why.BAD_TOOL_CALL, "the arguments of a call are nested too deeply, or have a number of more than 64 bits"
        ) from None


def _call(native: object) -> dict[str, Any] | None:
    """One call in OpenAI's format; None where no function is named."""
    outer = dictionary(native)
    inner = next((value for name in ("function", "tool_call") if isinstance(value := outer.get(name), dict)), outer)
    name = name_of(inner.get("name"))
    if name is None:
        return None
    arguments: object = next((inner[key] for key in ("arguments", "args", "input", "parameters") if inner.get(key) is not None), {})
    decoded = _decoded(arguments) if isinstance(arguments, str) else arguments
    call = {"type": "function", "function": {"name": name, "arguments": decoded if isinstance(decoded, dict) else arguments or {}}}
    native_id = name_of(outer.get("call_id")) or name_of(outer.get("id")) or name_of(inner.get("id"))
    return call if native_id is None else call | {"id": native_id}


def _decoded(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def attachments_of(content: object, *lists: object) -> tuple[str, ...]:
    """A digest for each image and file in the parts of a content and in the other lists; each once."""
    parts = content if isinstance(content, list) else [content]
    items: list[str | dict[str, object]] = [part for part in parts if isinstance(part, dict) and _is_medium(part)]
    for more in lists:
        items.extend(item for item in (more if isinstance(more, list) else []) if item and isinstance(item, str | dict))
    return tuple(dict.fromkeys(stable_id("attachment", *_identity(item)) for item in items))


def _is_medium(part: dict[str, object]) -> bool:
    kind = part.get("type", part.get("content_type"))
    return isinstance(kind, str) and kind.startswith(MEDIA)


def _identity(item: str | dict[str, Any]) -> tuple[str, ...]:
    """What identifies an image or file: its id, else its URL, its content, its name, or the whole entry."""
    if isinstance(item, str):
        return ("", item)
    levels = [item, *(item[name] for name in INSIDE if isinstance(item.get(name), dict))]
    for keys in (IDS, PLACES, BODIES, NAMES):
        identity = next((value for level in levels for key in keys if (value := name_of(level.get(key)))), None)
        if identity is not None:
            return ("", identity)
    try:
        return ("parts", orjson.dumps(item, option=orjson.OPT_SORT_KEYS).decode())
    except TypeError:  # nested deeper than any identifying value
        return ("parts", *sorted(item))
