"""The Messages API as a dialect, and OpenAI chat answers translated into its messages, whole or streamed."""

import json
from typing import Any

from app.dialects.anthropic.schemas import EXAMPLES, SCHEMAS, TAGS
from app.dialects.base import Dialect
from app.errors import FilmgateError, UpstreamFailed
from app.ops.envelope import ErrorEnvelope

Fields = dict[str, Any]
STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
THINKING_FIELDS = ("reasoning_content", "reasoning")
"""Fields in which servers return a model's thinking. OpenAI's chat API has none."""

ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicEnvelope(ErrorEnvelope):
    """https://docs.anthropic.com/en/api/errors. It has no ``param``, so the message names the field."""

    event_name = "error"
    """Anthropic's SDKs drop events without a name."""
    request_id_header = "request-id"

    def error_body(self, error: FilmgateError, *, request_id: str = "") -> dict[str, Any]:
        text = f"{error.param}: {error.message}" if error.param else error.message
        body = error_object(error.status, text)
        return body | {"request_id": request_id} if request_id else body


class AnthropicDialect(Dialect):
    """The Messages API: text only, so it creates no tasks."""

    name = "anthropic"
    error_envelope = AnthropicEnvelope()
    error_schema = "AnthropicError"
    error_prefixes = ("/v1/messages",)
    tags = TAGS
    schemas = SCHEMAS
    examples = EXAMPLES


def error_object(status: int, message: str) -> Fields:
    """An error in Anthropic's form, without a request id."""
    kind = ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def message_object(answer: Fields, *, model: str, thinking: bool) -> Fields:
    """A whole answer as a message. ``thinking`` is whether the client asked for the model's thinking. Raises
    ``UpstreamFailed`` for an answer without a choice."""
    choice = next(iter(_list_objects(answer.get("choices"))), None)
    if choice is None:
        raise UpstreamFailed("The upstream answered without a message.")
    message = _object_or_empty(choice.get("message"))
    content: list[Fields] = []
    thought = _thinking_text(message) if thinking else ""
    if thought:
        content.append({"type": "thinking", "thinking": thought, "signature": ""})
    text = _answer_text(message)
    if text:
        content.append({"type": "text", "text": text})
    content += [_tool_use_block(call) for call in _list_objects(message.get("tool_calls"))]
    return {
        "id": message_id(answer),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        **stop_fields(choice, refused=bool(message.get("refusal"))),
        "usage": usage_object(answer.get("usage")),
    }


def message_id(answer: Fields) -> str:
    own = str(answer.get("id") or "0").removeprefix("chatcmpl-")
    return own if own.startswith("msg_") else f"msg_{own}"


def stop_fields(choice: Fields, *, refused: bool = False) -> Fields:
    """``stop_reason`` and ``stop_sequence``. vLLM and SGLang return the matched stop sequence beside the finish reason."""
    reason = "refusal" if refused else STOP_REASONS.get(str(choice.get("finish_reason")), "end_turn")
    sequence = choice.get("stop_reason") or choice.get("matched_stop")
    if reason == "end_turn" and isinstance(sequence, str):
        return {"stop_reason": "stop_sequence", "stop_sequence": sequence}
    return {"stop_reason": reason, "stop_sequence": None}


def usage_object(value: Any) -> Fields:
    """Anthropic counts cached tokens separately; OpenAI counts them among the prompt tokens."""
    chat_usage = _object_or_empty(value)
    cached = _object_or_empty(chat_usage.get("prompt_tokens_details")).get("cached_tokens") or 0
    return {
        "input_tokens": max((chat_usage.get("prompt_tokens") or 0) - cached, 0),
        "output_tokens": chat_usage.get("completion_tokens") or 0,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
    }


def _object_or_empty(value: Any) -> Fields:
    """Servers omit empty objects or send null for them."""
    return value if isinstance(value, dict) else {}


def _list_objects(value: Any) -> list[Fields]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _answer_text(message: Fields) -> str:
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in _list_objects(content))
    return str(content or "") + str(message.get("refusal") or "")


def _thinking_text(message: Fields) -> str:
    return next((message[name] for name in THINKING_FIELDS if isinstance(message.get(name), str)), "")


def _tool_use_block(call: Fields) -> Fields:
    function = _object_or_empty(call.get("function"))
    return {
        "type": "tool_use",
        "id": call.get("id"),
        "name": function.get("name"),
        "input": _parse_arguments(function.get("arguments")),
    }


def _parse_arguments(text: Any) -> Fields:
    """Models sometimes write invalid JSON. It is passed on as text rather than dropped."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, TypeError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"arguments": text}


class MessageEvents:
    """The events of one streamed answer.

    One content block is open at a time, as Anthropic's clients expect. Of parallel tool calls, the first is streamed as
    it arrives; pieces of the others are queued and sent when the first is closed.
    """

    def __init__(self, *, model: str, thinking: bool) -> None:
        self._model = model
        self._thinking = thinking
        self._next_index = 0
        self._open_block: str | None = None
        self._queued_pieces: dict[str, list[tuple[Fields, Fields]]] = {}
        self._begun = False
        self._stop: Fields | None = None
        self._refused = False
        self._usage: Fields | None = None

    def opening_events(self) -> bytes:
        """Empty: the first event needs the upstream's id, so it is sent with the first chunk."""
        return b""

    def translate_event(self, event: Fields) -> bytes:
        """The events for one chunk. Raises ``UpstreamFailed`` for an error chunk."""
        if event.get("error"):
            found = event["error"]
            text = found.get("message") if isinstance(found, dict) else found
            raise UpstreamFailed(str(text or "The upstream failed."))
        events = [] if self._begun else [self._message_start(event)]
        if isinstance(event.get("usage"), dict):
            self._usage = event["usage"]
        for choice in _list_objects(event.get("choices")):
            events += self._delta_events(_object_or_empty(choice.get("delta")))
            if choice.get("finish_reason"):
                self._stop = stop_fields(choice, refused=self._refused)
        return b"".join(events)

    def keep_alive(self) -> bytes:
        return PING if self._begun else b""

    def closing_events(self) -> bytes | None:
        if self._stop is None:
            return None
        events = self._close_block()
        for key, pieces in self._queued_pieces.items():
            for block, delta in pieces:
                events += self._block_events(key, block, delta)
            events += self._close_block()
        events.append(_sse_event("message_delta", delta=self._stop, usage=usage_object(self._usage)))
        events.append(_sse_event("message_stop"))
        return b"".join(events)

    def _message_start(self, event: Fields) -> bytes:
        self._begun = True
        begun: Fields = {
            "id": message_id(event),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_object(event.get("usage")),
        }
        return _sse_event("message_start", message=begun)

    def _delta_events(self, delta: Fields) -> list[bytes]:
        events: list[bytes] = []
        thought = _thinking_text(delta) if self._thinking else ""
        if thought:
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            events += self._send_or_queue("thinking", empty, {"type": "thinking_delta", "thinking": thought})
        self._refused = self._refused or bool(delta.get("refusal"))
        text = _answer_text(delta)
        if text:
            events += self._send_or_queue(
                "text", {"type": "text", "text": ""}, {"type": "text_delta", "text": text}
            )
        for at, call in enumerate(_list_objects(delta.get("tool_calls"))):
            function = _object_or_empty(call.get("function"))
            block: Fields = {
                "type": "tool_use",
                "id": call.get("id"),
                "name": function.get("name"),
                "input": {},
            }
            piece = {"type": "input_json_delta", "partial_json": function.get("arguments") or ""}
            events += self._send_or_queue(f"tool {call.get('index', at)}", block, piece)
        return events

    def _send_or_queue(self, key: str, block: Fields, delta: Fields) -> list[bytes]:
        busy = (
            self._open_block is not None and self._open_block != key and self._open_block.startswith("tool ")
        )
        if busy:
            self._queued_pieces.setdefault(key, []).append((block, delta))
            return []
        return self._block_events(key, block, delta)

    def _block_events(self, key: str, block: Fields, delta: Fields) -> list[bytes]:
        events: list[bytes] = []
        if self._open_block != key:
            events += self._close_block()
            events.append(_sse_event("content_block_start", index=self._next_index, content_block=block))
            self._open_block = key
            self._next_index += 1
        if delta.get("partial_json") != "":
            events.append(_sse_event("content_block_delta", index=self._next_index - 1, delta=delta))
        return events

    def _close_block(self) -> list[bytes]:
        if self._open_block is None:
            return []
        self._open_block = None
        return [_sse_event("content_block_stop", index=self._next_index - 1)]


def _sse_event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()
