"""Translates an Anthropic messages request into an OpenAI chat request, for upstreams that only have that API.

Fields that chat cannot express are refused by name. Only fields that do not change the answer are dropped: caching
hints, and the model's own earlier thinking.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

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
    chat[limit_name] = fields.get("max_tokens")
    if chat[limit_name] is None:
        raise MissingField("max_tokens")
    if fields.get("stop_sequences"):
        chat["stop"] = fields["stop_sequences"]
    if fields.get("tools"):
        chat["tools"] = [
            _chat_tool(tool, f"tools.{at}") for at, tool in enumerate(_require_list(fields["tools"], "tools"))
        ]
    chat |= _tool_choice(fields.get("tool_choice"))
    user = _require_object(fields.get("metadata") or {}, "metadata").get("user_id")
    if user:
        chat["user"] = user
    chat |= _output_options(fields)
    if fields.get("stream") is True:
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


def _system_messages(system: Any) -> list[Fields]:
    if not system:
        return []
    if isinstance(system, str):
        return [{"role": "system", "content": system}]
    texts = [_block_text(block, f"system.{at}") for at, block in enumerate(_require_list(system, "system"))]
    return [{"role": "system", "content": "\n\n".join(texts)}]


def _chat_messages(fields: Fields) -> list[Fields]:
    if not fields.get("messages"):
        raise MissingField("messages")
    chat_messages: list[Fields] = []
    for at, message in enumerate(_require_list(fields["messages"], "messages")):
        where = f"messages.{at}"
        turn = TURN_READERS.get(_require_object(message, where).get("role"))
        if turn is None:
            raise InvalidRequest("must be user, assistant or system", param=f"{where}.role")
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        chat_messages += turn(
            [_require_object(b, f"{where}.content") for b in _require_list(blocks, f"{where}.content")], where
        )
    return chat_messages


def _user_turn(blocks: list[Fields], where: str) -> Iterable[Fields]:
    """Tool results come first: chat requires them directly after the calls."""
    shown: list[Fields] = []
    for at, block in enumerate(blocks):
        place = f"{where}.content.{at}"
        if block.get("type") == "tool_result":
            text, pictures = _tool_result(block, place)
            yield {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": text}
            shown += pictures
        else:
            shown += _content_parts(block, place)
    if len(shown) == 1 and shown[0]["type"] == "text":
        yield {"role": "user", "content": shown[0]["text"]}
    elif shown:
        yield {"role": "user", "content": shown}


def _assistant_turn(blocks: list[Fields], where: str) -> Iterable[Fields]:
    texts: list[str] = []
    calls: list[Fields] = []
    for at, block in enumerate(blocks):
        if block.get("type") == "tool_use":
            called = {"name": block.get("name"), "arguments": json.dumps(block.get("input") or {})}
            calls.append({"id": block.get("id"), "type": "function", "function": called})
        elif block.get("type") not in THOUGHTS:
            texts.append(_block_text(block, f"{where}.content.{at}"))
    if texts or calls:
        message: Fields = {"role": "assistant", "content": "".join(texts) or None}
        yield message | ({"tool_calls": calls} if calls else {})


def _system_turn(blocks: list[Fields], where: str) -> Iterable[Fields]:
    return _system_messages(blocks)


TURN_READERS: dict[Any, Callable[[list[Fields], str], Iterable[Fields]]] = {
    "user": _user_turn,
    "assistant": _assistant_turn,
    "system": _system_turn,
}


def _tool_result(block: Fields, where: str) -> tuple[str, list[Fields]]:
    """The text of a tool result, and its pictures: a tool message holds only text, so they go into the user's message."""
    content = block.get("content") or ""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    parts = [
        p
        for at, b in enumerate(_require_list(blocks, where))
        for p in _content_parts(b, f"{where}.content.{at}")
    ]
    text = "\n".join(part["text"] for part in parts if part["type"] == "text")
    if block.get("is_error"):
        text = f"Error: {text}"
    return text, [part for part in parts if part["type"] != "text"]


def _content_parts(block: Any, where: str) -> list[Fields]:
    kind = _require_object(block, where).get("type")
    if kind == "text":
        return [{"type": "text", "text": _block_text(block, where)}]
    if kind == "image":
        return [{"type": "image_url", "image_url": {"url": _image_url(block, where)}}]
    if kind == "document":
        return _document_parts(block, where)
    if kind == "search_result":
        found = [_block_text(each, where) for each in _require_list(block.get("content"), f"{where}.content")]
        return [
            {"type": "text", "text": "\n".join([f"{block.get('title')} ({block.get('source')})", *found])}
        ]
    raise untranslatable(where, f"a block of type {kind}")


def _image_url(block: Fields, where: str) -> str:
    source = _require_object(block.get("source"), f"{where}.source")
    if source.get("type") == "url":
        return str(source.get("url"))
    if source.get("type") == "base64":
        return f"data:{source.get('media_type')};base64,{source.get('data')}"
    raise untranslatable(f"{where}.source", f"an image as {source.get('type')}")


def _document_parts(block: Fields, where: str) -> list[Fields]:
    source = _require_object(block.get("source"), f"{where}.source")
    kind, data = source.get("type"), source.get("data")
    if kind == "text":
        return [{"type": "text", "text": str(data)}]
    if kind == "content":
        content = source.get("content")
        if isinstance(content, str):
            return [{"type": "text", "text": content}]
        place = f"{where}.source.content"
        return [
            p
            for at, b in enumerate(_require_list(content, place))
            for p in _content_parts(b, f"{place}.{at}")
        ]
    if kind == "base64" and source.get("media_type") == PDF:
        name = block.get("title") or "document.pdf"
        return [{"type": "file", "file": {"filename": name, "file_data": f"data:{PDF};base64,{data}"}}]
    raise untranslatable(f"{where}.source", f"a document as {kind}")


def _chat_tool(tool: Any, where: str) -> Fields:
    if _require_object(tool, where).get("type") not in (None, "custom"):
        raise untranslatable(f"{where}.type", f"a tool of type {tool['type']}")
    function: Fields = {
        "name": tool.get("name"),
        "parameters": tool.get("input_schema") or {"type": "object"},
    }
    function |= {name: tool[name] for name in ("description", "strict") if tool.get(name) is not None}
    return {"type": "function", "function": function}


def _tool_choice(choice: Any) -> Fields:
    if choice is None:
        return {}
    kind = _require_object(choice, "tool_choice").get("type")
    if kind == "tool":
        options: Fields = {"tool_choice": {"type": "function", "function": {"name": choice.get("name")}}}
    elif kind in CHOICES:
        options = {"tool_choice": CHOICES[kind]}
    else:
        raise InvalidRequest("must be auto, any, tool or none", param="tool_choice.type")
    if choice.get("disable_parallel_tool_use"):
        options["parallel_tool_calls"] = False
    return options


def _output_options(fields: Fields) -> Fields:
    config = _require_object(fields.get("output_config") or {}, "output_config")
    options: Fields = {}
    if effort := config.get("effort"):
        options["reasoning_effort"] = EFFORTS.get(effort, effort)
    output_format = config.get("format") or fields.get("output_format")
    if output_format:
        schema = _require_object(output_format, "output_config.format").get("schema")
        named = {"name": "answer", "schema": schema, "strict": True}
        options["response_format"] = {"type": "json_schema", "json_schema": named}
    return options


def _block_text(block: Any, where: str) -> str:
    if _require_object(block, where).get("type") != "text":
        raise untranslatable(where, f"a block of type {block.get('type')}")
    if not isinstance(block.get("text"), str):
        raise InvalidRequest("must be a string", param=f"{where}.text")
    return str(block["text"])


def _require_list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRequest("must be a list", param=where)
    return value


def _require_object(value: Any, where: str) -> Fields:
    if not isinstance(value, dict):
        raise InvalidRequest("must be an object", param=where)
    return value
