"""Anthropic's messages said as an OpenAI chat request: for upstreams that speak only that.

What chat has no word for is refused, naming the field; only what changes nothing in the answer is left out:
caching hints, and the model's own earlier thinking.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from app.errors import InvalidRequest, MissingField

Fields = dict[str, Any]
LEFT_OUT = {"cache_control", "context_management", "service_tier", "thinking", "speed", "inference_geo"}
"""Fields of the request that chat does without."""
UNTOLD = ("container", "mcp_servers")
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
    """The chat request for a checked JSON object; ``limit_name`` is what the most tokens are called there.
    Raises ``InvalidRequest``."""
    for name in UNTOLD:
        if fields.get(name):
            raise untold(name)
    said: Fields = {"model": model, "messages": [*_system(fields.get("system")), *_messages(fields)]}
    said[limit_name] = fields.get("max_tokens")
    if said[limit_name] is None:
        raise MissingField("max_tokens")
    if fields.get("stop_sequences"):
        said["stop"] = fields["stop_sequences"]
    if fields.get("tools"):
        said["tools"] = [
            _tool(tool, f"tools.{at}") for at, tool in enumerate(_items(fields["tools"], "tools"))
        ]
    said |= _tool_choice(fields.get("tool_choice"))
    user = _object(fields.get("metadata") or {}, "metadata").get("user_id")
    if user:
        said["user"] = user
    said |= _output(fields)
    if fields.get("stream") is True:
        said |= {"stream": True, "stream_options": {"include_usage": True}}
    # Temperature, top_k and whatever else: the upstream may know it, and says so if not.
    rest = {name: value for name, value in fields.items() if name not in TRANSLATED | LEFT_OUT | set(UNTOLD)}
    return rest | said


def untold(where: str, what: str = "") -> InvalidRequest:
    return InvalidRequest(f"{what or 'this'} can't be told to this model's upstream", param=where)


def _system(system: Any) -> list[Fields]:
    if not system:
        return []
    if isinstance(system, str):
        return [{"role": "system", "content": system}]
    texts = [_text(block, f"system.{at}") for at, block in enumerate(_items(system, "system"))]
    return [{"role": "system", "content": "\n\n".join(texts)}]


def _messages(fields: Fields) -> list[Fields]:
    if not fields.get("messages"):
        raise MissingField("messages")
    said: list[Fields] = []
    for at, message in enumerate(_items(fields["messages"], "messages")):
        where = f"messages.{at}"
        turn = SPEAKERS.get(_object(message, where).get("role"))
        if turn is None:
            raise InvalidRequest("must be user, assistant or system", param=f"{where}.role")
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        said += turn([_object(b, f"{where}.content") for b in _items(blocks, f"{where}.content")], where)
    return said


def _user_turn(blocks: list[Fields], where: str) -> Iterable[Fields]:
    """Results of tools first: chat wants them right behind the calls."""
    shown: list[Fields] = []
    for at, block in enumerate(blocks):
        place = f"{where}.content.{at}"
        if block.get("type") == "tool_result":
            text, pictures = _result(block, place)
            yield {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": text}
            shown += pictures
        else:
            shown += _parts(block, place)
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
            texts.append(_text(block, f"{where}.content.{at}"))
    if texts or calls:
        said: Fields = {"role": "assistant", "content": "".join(texts) or None}
        yield said | ({"tool_calls": calls} if calls else {})


def _system_turn(blocks: list[Fields], where: str) -> Iterable[Fields]:
    return _system(blocks)


SPEAKERS: dict[Any, Callable[[list[Fields], str], Iterable[Fields]]] = {
    "user": _user_turn,
    "assistant": _assistant_turn,
    "system": _system_turn,
}


def _result(block: Fields, where: str) -> tuple[str, list[Fields]]:
    """A tool message holds text only; pictures follow in the user's."""
    content = block.get("content") or ""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    parts = [p for at, b in enumerate(_items(blocks, where)) for p in _parts(b, f"{where}.content.{at}")]
    text = "\n".join(part["text"] for part in parts if part["type"] == "text")
    if block.get("is_error"):
        text = f"Error: {text}"
    return text, [part for part in parts if part["type"] != "text"]


def _parts(block: Any, where: str) -> list[Fields]:
    kind = _object(block, where).get("type")
    if kind == "text":
        return [{"type": "text", "text": _text(block, where)}]
    if kind == "image":
        return [{"type": "image_url", "image_url": {"url": _picture(block, where)}}]
    if kind == "document":
        return _document(block, where)
    if kind == "search_result":
        found = [_text(each, where) for each in _items(block.get("content"), f"{where}.content")]
        return [
            {"type": "text", "text": "\n".join([f"{block.get('title')} ({block.get('source')})", *found])}
        ]
    raise untold(where, f"a block of type {kind}")


def _picture(block: Fields, where: str) -> str:
    source = _object(block.get("source"), f"{where}.source")
    if source.get("type") == "url":
        return str(source.get("url"))
    if source.get("type") == "base64":
        return f"data:{source.get('media_type')};base64,{source.get('data')}"
    raise untold(f"{where}.source", f"an image as {source.get('type')}")


def _document(block: Fields, where: str) -> list[Fields]:
    source = _object(block.get("source"), f"{where}.source")
    kind, data = source.get("type"), source.get("data")
    if kind == "text":
        return [{"type": "text", "text": str(data)}]
    if kind == "content":
        content = source.get("content")
        if isinstance(content, str):
            return [{"type": "text", "text": content}]
        place = f"{where}.source.content"
        return [p for at, b in enumerate(_items(content, place)) for p in _parts(b, f"{place}.{at}")]
    if kind == "base64" and source.get("media_type") == PDF:
        name = block.get("title") or "document.pdf"
        return [{"type": "file", "file": {"filename": name, "file_data": f"data:{PDF};base64,{data}"}}]
    raise untold(f"{where}.source", f"a document as {kind}")


def _tool(tool: Any, where: str) -> Fields:
    if _object(tool, where).get("type") not in (None, "custom"):
        raise untold(f"{where}.type", f"a tool of type {tool['type']}")
    function: Fields = {
        "name": tool.get("name"),
        "parameters": tool.get("input_schema") or {"type": "object"},
    }
    function |= {name: tool[name] for name in ("description", "strict") if tool.get(name) is not None}
    return {"type": "function", "function": function}


def _tool_choice(choice: Any) -> Fields:
    if choice is None:
        return {}
    kind = _object(choice, "tool_choice").get("type")
    if kind == "tool":
        said: Fields = {"tool_choice": {"type": "function", "function": {"name": choice.get("name")}}}
    elif kind in CHOICES:
        said = {"tool_choice": CHOICES[kind]}
    else:
        raise InvalidRequest("must be auto, any, tool or none", param="tool_choice.type")
    if choice.get("disable_parallel_tool_use"):
        said["parallel_tool_calls"] = False
    return said


def _output(fields: Fields) -> Fields:
    wished = _object(fields.get("output_config") or {}, "output_config")
    said: Fields = {}
    if effort := wished.get("effort"):
        said["reasoning_effort"] = EFFORTS.get(effort, effort)
    form = wished.get("format") or fields.get("output_format")
    if form:
        schema = _object(form, "output_config.format").get("schema")
        named = {"name": "answer", "schema": schema, "strict": True}
        said["response_format"] = {"type": "json_schema", "json_schema": named}
    return said


def _text(block: Any, where: str) -> str:
    if _object(block, where).get("type") != "text":
        raise untold(where, f"a block of type {block.get('type')}")
    if not isinstance(block.get("text"), str):
        raise InvalidRequest("must be a string", param=f"{where}.text")
    return str(block["text"])


def _items(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRequest("must be a list", param=where)
    return value


def _object(value: Any, where: str) -> Fields:
    if not isinstance(value, dict):
        raise InvalidRequest("must be an object", param=where)
    return value
