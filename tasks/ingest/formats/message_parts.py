"""What a message holds besides its text: calls of tools, reasoning, pictures and files; and the tools that a conversation was offered.

In: messages in the shapes of OpenAI, Anthropic and those who copy them: `tool_calls`, `function_call`, `files`, and `content` as a list of
parts. Out: the calls as one JSON text, the reasoning as one text, and a digest for each picture or file; what a picture shows and how a
file is called is never kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from tasks.common.raw_files.files import Unreadable
from tasks.core.ids import stable_id
from tasks.ingest.formats.parsed import RESULTS, ROLES, Said, dictionary, name_of, role_of, text_of

CALLERS = ("function_call", "tool_call")  # roles
CALLS = ("tool_use", "tool_call", "function_call", "server_tool_use", "mcp_call")
MEDIA = ("image", "audio", "video", "file", "document", "input_image", "input_audio", "input_file", "input_video", "pdf")
LISTS = ("files", "attachments", "images", "audios", "videos")  # keys beside `content` under which front ends keep them
# What tells a picture or a file from others, the surest first; a name such as image.png is the last resort.
IDS = ("id", "file_id", "fileId", "file_uuid", "uuid", "asset_pointer")
PLACES = ("url", "image_url", "video_url", "file_url", "uri")
BODIES = ("data", "content", "extracted_content", "file_data", "bytes", "base64", "image")
NAMES = ("filename", "file_name", "fileName", "name", "path")
# Keys beside `content`, and types of its parts, under which servers keep what a model thought before it answered.
REASONING = ("reasoning_content", "reasoning", "thinking", "thoughts", "thinking_blocks", "reasoning_details")
THOUGHTS = ("thinking", "reasoning", "think", "thought", "reasoning.text", "reasoning.summary", "summary_text")
THOUGHT_KEYS = ("thinking", "think", "reasoning", "text", "summary", "content", "value")  # of such a part, what holds the text
UNSEEN_CHANNELS = ("analysis", "commentary")  # of harmony: what is in them was not for the user
ANSWERED = ("tool_call_id", "tool_use_id", "call_id", "toolCallId")
SPEAKERS, SAYINGS = ("type", "sender", "author", "speaker", "from"), ("content", "text", "value", "message", "body", "utterance")
OFFERED = ("tools", "functions")
INSIDE = ("file", "image_url", "video_url", "source", "input_audio", "image_file", "image", "document")


def said_of(native: dict[str, Any]) -> Said:
    """What a message of `role` and `content` says; one that holds nothing but a tool's results is the tool's, whatever its role."""
    native = native if "role" in native else respelled(native)
    content, who = native.get("content"), native.get("role")
    if (call := called(who, content)) is not None:
        return call
    role = role_of(who)
    parts = content if isinstance(content, list) else []
    results = [part for part in parts if isinstance(part, dict) and part.get("type") in RESULTS]
    if role == "user" and results and len(results) == len(parts):
        role = "tool"
    text = text_of(own_parts(content) if role == "assistant" else content)
    told = Said(role, text, calls_of(native), attachments_of(content, *(native.get(name) for name in LISTS)))
    if role == "tool":
        return told._replace(tool_call_id=answered(native, results), tool_name=name_of(native.get("name")))
    return with_reasoning(told, native) if role == "assistant" and len(native) + len(parts) > 2 else told


def respelled(native: dict[str, Any]) -> dict[str, Any]:
    """A message without `role` in the spellings of LangChain (`type`, or `id` with `kwargs`) and of help desks (`sender`, `text`)."""
    inner: dict[str, Any] = next((native[key] for key in ("kwargs", "data") if isinstance(native.get(key), dict)), {})
    named = native.get("id")
    names = [native.get(key) for key in SPEAKERS] + [named[-1] if isinstance(named, list) and named else None, inner.get("type")]
    who = next((name for name in names if isinstance(name, str) and role_of(name) in ROLES), next(filter(None, names[:-2]), None))
    told = {**native, **inner}
    said = next((told[key] for key in SAYINGS if isinstance(told.get(key), str | list)), None)
    return told | {"role": who} | ({} if said is None else {"content": said})


def answered(native: dict[str, Any], results: list[dict[str, Any]]) -> str | None:
    """The id of the call that a tool's message answers; None where it answers several."""
    ids = {name_of(told.get(key)) for told in (native, *results) for key in ANSWERED} - {None}
    return ids.pop() if len(ids) == 1 else None


def with_reasoning(said: Said, native: dict[str, Any]) -> Said:
    """An answer's message with what its model thought before."""
    if native.get("channel") in UNSEEN_CHANNELS and not said.tool_calls:
        return said._replace(content="", reasoning=said.content or None)
    return said._replace(reasoning=reasoning_of(native))


def reasoning_of(native: dict[str, Any]) -> str | None:
    """What a model thought: in the parts of a content, or else under the first key beside it that holds some."""
    content = native.get("content")
    inside = _thought([part for part in content if _is_thought(part)]) if isinstance(content, list) else ""
    return inside or next((text for key in REASONING if (text := _thought(native.get(key)))), None)


def _is_thought(part: object) -> bool:
    return isinstance(part, dict) and (part.get("type") in THOUGHTS or part.get("thought") is True)


def _thought(value: object, depth: int = 4) -> str:
    """The text of reasoning, which may stand in parts of parts."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list) and depth:
        return "\n\n".join(filter(None, (_thought(item, depth - 1) for item in value)))
    if isinstance(value, dict) and depth:
        return next((text for key in THOUGHT_KEYS if (text := _thought(value.get(key), depth - 1))), "")
    return ""


def tools_of(*holders: object) -> str | None:
    """The tools that were offered, as `Turns.tools`, from the first record or request that tells some; None where there are none."""
    told = (dictionary(holder).get(key) for holder in holders for key in OFFERED)
    return next((text for value in told if (text := _offered(value))), None)


def _offered(value: object) -> str | None:
    listed = _decoded(value) if isinstance(value, str) else value
    known = [tool for tool in map(_tool, listed if isinstance(listed, list) else []) if tool]
    try:
        return orjson.dumps(known).decode() if known else None
    except TypeError:
        raise Unreadable("bad_tools", "the schema of a tool is nested too deep, or holds a number of more than 64 bits") from None


def _tool(native: object) -> dict[str, Any] | None:
    """One tool in OpenAI's shape, from those of OpenAI, Anthropic and MCP; None for what names no function."""
    outer = dictionary(_decoded(native) if isinstance(native, str) else native)
    inner = dictionary(outer.get("function")) or {key: value for key, value in outer.items() if key != "type"}
    if name_of(inner.get("name")) is None:
        return None
    names = {"input_schema": "parameters", "inputSchema": "parameters"}
    return {"type": "function", "function": {names.get(key, key): value for key, value in inner.items() if value is not None}}


def own_parts(content: object) -> object:
    """A content without what tools gave back."""
    if not isinstance(content, list):
        return content
    return [part for part in content if not (isinstance(part, dict) and part.get("type") in RESULTS)]


def calls_of(native: dict[str, Any]) -> str | None:
    """The tools that a message calls, as `Turns.tool_calls`."""
    told, single, content = native.get("tool_calls"), native.get("function_call"), native.get("content")
    parts = [part for part in content if isinstance(part, dict) and part.get("type") in CALLS] if isinstance(content, list) else []
    return written([*(told if isinstance(told, list) else []), *([single] if isinstance(single, dict) else []), *parts])


def called(who: object, content: object) -> Said | None:
    """What a message says whose role is the call itself: its text is the call as JSON, or else an answer's. None for other roles."""
    if not isinstance(who, str) or who.strip().lower() not in CALLERS:
        return None
    value = _decoded(content) if isinstance(content, str) else content
    calls = written(value if isinstance(value, list) else [value])
    return Said("assistant", "" if calls else text_of(content), calls)


def written(calls: Iterable[object]) -> str | None:
    """Calls of tools as one JSON text; None when there are none."""
    known = [call for call in map(_call, calls) if call is not None]
    if not known:
        return None
    try:
        return orjson.dumps(known, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # deeper, or with a larger number, than any tool takes
        raise Unreadable("bad_tool_call", "the arguments of a call are nested too deep, or hold a number of more than 64 bits") from None


def _call(native: object) -> dict[str, Any] | None:
    """One call in OpenAI's shape; None for what names no function."""
    outer = dictionary(native)
    inner = next((outer[name] for name in ("function", "tool_call") if isinstance(outer.get(name), dict)), outer)
    name = name_of(inner.get("name"))
    if name is None:
        return None
    told: object = next((inner[key] for key in ("arguments", "args", "input", "parameters") if inner.get(key) is not None), {})
    decoded = _decoded(told) if isinstance(told, str) else told
    call = {"type": "function", "function": {"name": name, "arguments": decoded if isinstance(decoded, dict) else told or {}}}
    native_id = name_of(outer.get("call_id")) or name_of(outer.get("id")) or name_of(inner.get("id"))
    return call if native_id is None else call | {"id": native_id}


def _decoded(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def attachments_of(content: object, *lists: object) -> tuple[str, ...]:
    """A digest for each picture and file among the parts of a content and in the lists beside it; each once."""
    parts = content if isinstance(content, list) else [content]
    found: list[str | dict[str, Any]] = [part for part in parts if isinstance(part, dict) and _is_medium(part)]
    for more in lists:
        found.extend(item for item in (more if isinstance(more, list) else []) if item and isinstance(item, str | dict))
    return tuple(dict.fromkeys(stable_id("attachment", *_identity(item)) for item in found))


def _is_medium(part: dict[str, Any]) -> bool:
    kind = part.get("type", part.get("content_type"))
    return isinstance(kind, str) and kind.startswith(MEDIA)


def _identity(item: str | dict[str, Any]) -> tuple[str, ...]:
    """What tells a picture or file from others: its id, or else its address, its content, its name; or else all that is said of it."""
    if isinstance(item, str):
        return ("", item)
    levels = [item, *(item[name] for name in INSIDE if isinstance(item.get(name), dict))]
    for keys in (IDS, PLACES, BODIES, NAMES):
        found = next((value for level in levels for key in keys if (value := name_of(level.get(key)))), None)
        if found is not None:
            return ("", found)
    try:
        return ("parts", orjson.dumps(item, option=orjson.OPT_SORT_KEYS).decode())
    except TypeError:  # nested deeper than anything that tells one file from another
        return ("parts", *sorted(item))
