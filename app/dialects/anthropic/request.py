"""Translates an Anthropic messages request into an OpenAI chat request, for upstreams that only have that API.

Fields that chat cannot express are refused by name. Only fields that do not change the answer are dropped: caching
hints, and the model's own earlier thinking.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from app.dialects.anthropic.checks import (
    require_flag,
    require_list,
    require_object,
    require_text,
    require_whole,
)
from app.dialects.anthropic.shortening import (
    LONGEST_CALL_ID,
    LONGEST_NAME,
    LONGEST_SEQUENCE,
    LONGEST_USER,
    MOST_SEQUENCES,
    MOST_STOPS,
    shorten,
)
from app.errors import InvalidRequest, MissingField

Fields = dict[str, Any]
LEFT_OUT = {"cache_control", "context_management", "service_tier", "thinking", "speed", "inference_geo"}
"""Fields that are dropped."""
UNTRANSLATABLE = ("container", "mcp_servers")
TRANSLATED = {
    "model",
    "messages",
    "max_tokens",
    "system",
    "stop_sequences",
    "stream",
    "tools",
    "tool_choice",
    "metadata",
    "output_config",
    "output_format",
}
EFFORTS = {"max": "xhigh"}
CHOICES: dict[str, Any] = {"auto": "auto", "any": "required", "none": "none"}
THOUGHTS = {"thinking", "redacted_thinking"}
PDF = "application/pdf"


def chat_request(fields: Fields, *, model: str, limit_name: str) -> Fields:
    """The chat request for ``fields``. ``limit_name`` is how the upstream calls its token limit, for example
    ``max_completion_tokens``. Raises ``InvalidRequest``."""
    for name in UNTRANSLATABLE:
        if fields.get(name):
            raise untranslatable(name)
    chat: Fields = {
        "model": model,
        "messages": [*_system_messages(fields.get("system")), *_chat_messages(fields)],
    }
    if fields.get("max_tokens") is None:
        raise MissingField("max_tokens")
    chat[limit_name] = require_whole(fields["max_tokens"], "max_tokens")
    chat |= _stop_options(fields.get("stop_sequences"))
    chat |= _tool_options(fields)
    user = require_object(fields.get("metadata") or {}, "metadata").get("user_id")
    if user not in (None, ""):
        chat["user"] = shorten(require_text(user, "metadata.user_id"), LONGEST_USER)
    chat |= _output_options(fields)
    if require_flag(fields.get("stream"), "stream"):
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    # Temperature, top_k and all others are passed on: the upstream refuses what it does not know.
    rest = {
        name: value
        for name, value in fields.items()
        if name not in TRANSLATED | LEFT_OUT | set(UNTRANSLATABLE)
    }
    return rest | chat


def untranslatable(where: str, what: str = "") -> InvalidRequest:
    return InvalidRequest(f"{what or 'this'} can't be translated for this model's upstream", param=where)


def _stop_options(sequences: Any) -> Fields:
    if sequences is None:
        return {}
    stops = [
        require_text(each, f"stop_sequences.{at}")
        for at, each in enumerate(require_list(sequences, "stop_sequences"))
    ]
    if len(stops) > MOST_SEQUENCES or max(map(len, stops), default=0) > LONGEST_SEQUENCE:
        text = f"may hold {MOST_SEQUENCES} texts of {LONGEST_SEQUENCE} characters at most"
        raise InvalidRequest(text, param="stop_sequences")
    return {"stop": stops[:MOST_STOPS]} if stops else {}


def _system_messages(system: Any) -> list[Fields]:
    if not system:
        return []
    if isinstance(system, str):
        return [{"role": "system", "content": system}]
    texts = [_block_text(block, f"system.{at}") for at, block in enumerate(require_list(system, "system"))]
    return [{"role": "system", "content": "\n\n".join(filter(None, texts))}] if any(texts) else []


def _chat_messages(fields: Fields) -> list[Fields]:
    if not fields.get("messages"):
        raise MissingField("messages")
    chat_messages: list[Fields] = []
    for at, message in enumerate(require_list(fields["messages"], "messages")):
        where = f"messages.{at}"
        turn = TURN_READERS.get(require_text(require_object(message, where).get("role"), f"{where}.role"))
        if turn is None:
            raise InvalidRequest("must be user, assistant or system", param=f"{where}.role")
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        chat_messages += turn(
            [require_object(b, f"{where}.content") for b in require_list(blocks, f"{where}.content")], where
        )
    return chat_messages


def _user_turn(blocks: list[Fields], where: str) -> Iterable[Fields]:
    """Tool results come first: chat requires them directly after the calls."""
    shown: list[Fields] = []
    for at, block in enumerate(blocks):
        place = f"{where}.content.{at}"
        if _kind_of(block, place) == "tool_result":
            text, pictures = _tool_result(block, place)
            call = require_text(block.get("tool_use_id"), f"{place}.tool_use_id")
            yield {"role": "tool", "tool_call_id": shorten(call, LONGEST_CALL_ID), "content": text}
            shown += pictures
        else:
            shown += _content_parts(block, place)
    # Some servers refuse an empty part; a turn of nothing else stays, as its place in the talk matters.
    shown = [part for part in shown if part.get("text") != ""] or shown[:1]
    if len(shown) == 1 and shown[0]["type"] == "text":
        yield {"role": "user", "content": shown[0]["text"]}
    elif shown:
        yield {"role": "user", "content": shown}


def _assistant_turn(blocks: list[Fields], where: str) -> Iterable[Fields]:
    """Nothing for a turn of empty texts, which Claude Code sends and chat servers refuse."""
    texts: list[str] = []
    calls: list[Fields] = []
    for at, block in enumerate(blocks):
        place = f"{where}.content.{at}"
        kind = _kind_of(block, place)
        if kind == "tool_use":
            calls.append(_tool_call(block, place))
        elif kind not in THOUGHTS:
            texts.append(_block_text(block, place))
    if any(texts) or calls:
        message: Fields = {"role": "assistant", "content": "".join(texts) or None}
        yield message | ({"tool_calls": calls} if calls else {})


def _tool_call(block: Fields, where: str) -> Fields:
    given = require_object(block.get("input") or {}, f"{where}.input")
    name = require_text(block.get("name"), f"{where}.name")
    call_id = require_text(block.get("id"), f"{where}.id")
    return {
        "id": shorten(call_id, LONGEST_CALL_ID),
        "type": "function",
        "function": {"name": shorten(name, LONGEST_NAME), "arguments": json.dumps(given)},
    }


def _system_turn(blocks: list[Fields], where: str) -> Iterable[Fields]:
    return _system_messages(blocks)


TURN_READERS: dict[str, Callable[[list[Fields], str], Iterable[Fields]]] = {
    "user": _user_turn,
    "assistant": _assistant_turn,
    "system": _system_turn,
}


def _tool_result(block: Fields, where: str) -> tuple[str, list[Fields]]:
    """The text of a tool result, and its pictures: a tool message holds only text, so they go into the user's message."""
    content = "" if block.get("content") is None else block["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    parts = [
        p
        for at, b in enumerate(require_list(blocks, f"{where}.content"))
        for p in _content_parts(b, f"{where}.content.{at}")
    ]
    text = "\n".join(part["text"] for part in parts if part["type"] == "text")
    if block.get("is_error"):
        text = f"Error: {text}"
    return text, [part for part in parts if part["type"] != "text"]


def _content_parts(block: Any, where: str) -> list[Fields]:
    kind = _kind_of(require_object(block, where), where)
    if kind == "text":
        return [{"type": "text", "text": _block_text(block, where)}]
    if kind == "image":
        return [{"type": "image_url", "image_url": {"url": _image_url(block, where)}}]
    if kind == "document":
        return _document_parts(block, where)
    if kind == "search_result":
        found = [
            _block_text(each, f"{where}.content.{at}")
            for at, each in enumerate(require_list(block.get("content"), f"{where}.content"))
        ]
        return [
            {"type": "text", "text": "\n".join([f"{block.get('title')} ({block.get('source')})", *found])}
        ]
    raise untranslatable(where, f"a block of type {kind[:100]}")


def _image_url(block: Fields, where: str) -> str:
    place = f"{where}.source"
    source = require_object(block.get("source"), place)
    kind = _kind_of(source, place)
    if kind == "url":
        return require_text(source.get("url"), f"{place}.url")
    if kind == "base64":
        data = require_text(source.get("data"), f"{place}.data")
        return f"data:{require_text(source.get('media_type'), f'{place}.media_type')};base64,{data}"
    raise untranslatable(place, f"an image as {kind[:100]}")


def _document_parts(block: Fields, where: str) -> list[Fields]:
    place = f"{where}.source"
    source = require_object(block.get("source"), place)
    kind = _kind_of(source, place)
    if kind == "text":
        return [{"type": "text", "text": require_text(source.get("data"), f"{place}.data")}]
    if kind == "content":
        content = source.get("content")
        if isinstance(content, str):
            return [{"type": "text", "text": content}]
        return [
            p
            for at, b in enumerate(require_list(content, f"{place}.content"))
            for p in _content_parts(b, f"{place}.content.{at}")
        ]
    if kind == "base64" and source.get("media_type") == PDF:
        name = block.get("title") or "document.pdf"
        data = require_text(source.get("data"), f"{place}.data")
        return [{"type": "file", "file": {"filename": name, "file_data": f"data:{PDF};base64,{data}"}}]
    raise untranslatable(place, f"a document as {kind[:100]}")


def _tool_options(fields: Fields) -> Fields:
    tools = [] if fields.get("tools") is None else require_list(fields["tools"], "tools")
    choice = _tool_choice(fields.get("tool_choice"))
    if tools:
        return {"tools": [_chat_tool(tool, f"tools.{at}") for at, tool in enumerate(tools)], **choice}
    if choice.get("tool_choice") not in (None, "auto", "none"):
        raise InvalidRequest("needs tools", param="tool_choice")
    return {}  # chat servers refuse even "auto" without tools


def _chat_tool(tool: Any, where: str) -> Fields:
    kind = require_object(tool, where).get("type")
    if kind not in (None, "custom"):
        raise untranslatable(f"{where}.type", f"a tool of type {require_text(kind, f'{where}.type')[:100]}")
    function: Fields = {
        "name": shorten(require_text(tool.get("name"), f"{where}.name"), LONGEST_NAME),
        "parameters": require_object(tool.get("input_schema") or {"type": "object"}, f"{where}.input_schema"),
    }
    if tool.get("description") is not None:
        function["description"] = require_text(tool["description"], f"{where}.description", empty=True)
    if tool.get("strict") is not None:
        function["strict"] = require_flag(tool["strict"], f"{where}.strict")
    return {"type": "function", "function": function}


def _tool_choice(choice: Any) -> Fields:
    if choice is None:
        return {}
    kind = require_text(require_object(choice, "tool_choice").get("type"), "tool_choice.type")
    if kind == "tool":
        name = shorten(require_text(choice.get("name"), "tool_choice.name"), LONGEST_NAME)
        options: Fields = {"tool_choice": {"type": "function", "function": {"name": name}}}
    elif kind in CHOICES:
        options = {"tool_choice": CHOICES[kind]}
    else:
        raise InvalidRequest("must be auto, any, tool or none", param="tool_choice.type")
    if choice.get("disable_parallel_tool_use"):
        options["parallel_tool_calls"] = False
    return options


def _output_options(fields: Fields) -> Fields:
    config = require_object(fields.get("output_config") or {}, "output_config")
    options: Fields = {}
    if config.get("effort") is not None:
        effort = require_text(config["effort"], "output_config.effort")
        options["reasoning_effort"] = EFFORTS.get(effort, effort)
    output_format = config.get("format") or fields.get("output_format")
    if output_format:
        where = "output_config.format" if config.get("format") else "output_format"
        schema = require_object(require_object(output_format, where).get("schema"), f"{where}.schema")
        named = {"name": "answer", "schema": schema, "strict": True}
        options["response_format"] = {"type": "json_schema", "json_schema": named}
    return options


def _kind_of(block: Fields, where: str) -> str:
    return require_text(block.get("type"), f"{where}.type")


def _block_text(block: Any, where: str) -> str:
    kind = _kind_of(require_object(block, where), where)
    if kind != "text":
        raise untranslatable(where, f"a block of type {kind[:100]}")
    return require_text(block.get("text"), f"{where}.text", empty=True)
