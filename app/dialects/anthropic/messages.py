"""OpenAI chat answers translated into messages."""

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from app.dialects.anthropic.shortening import StopSearch
from app.errors import UpstreamFailed
from app.foreign import clean_integer
from app.relay.chat_chunks import ToolCall, ToolCallReader, objects_in

Fields = dict[str, Any]
STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
    # Of servers that pass on the words of another API.
    **dict.fromkeys(("max_tokens", "model_length", "max_output_tokens"), "max_tokens"),
    "tool_use": "tool_use",
    **dict.fromkeys(("safety", "recitation", "sensitive", "blocklist", "prohibited_content"), "refusal"),
}
THINKING_FIELDS = ("reasoning_content", "reasoning")
"""Fields in which servers return a model's thinking. OpenAI's chat API has none."""
NO_TEXT: Fields = {"type": "text", "text": "", "citations": None}


@dataclass(frozen=True, slots=True)
class AnswerTerms:
    """What a request decides about its answer. ``names``: the client's own names of the tools that were renamed for the
    upstream; ``stops``: stop sequences that the upstream was not told."""

    model: str
    thinking: bool = False
    names: dict[str, str] = field(default_factory=dict)
    stops: tuple[str, ...] = ()


def message_object(answer: Fields, terms: AnswerTerms) -> Fields:
    """A whole answer as a message. Raises ``UpstreamFailed`` for an answer without a choice."""
    choice = next(iter(objects_in(answer.get("choices"))), None)
    if choice is None:
        raise UpstreamFailed("The upstream answered without a message.")
    message = object_or_empty(choice.get("message"))
    content: list[Fields] = []
    thought = thinking_text(message) if terms.thinking else ""
    if thought:
        content.append({"type": "thinking", "thinking": thought, "signature": ""})
    search = StopSearch(terms.stops)
    text = search.feed(answer_text(message))
    text += search.close()
    if text:
        content.append(NO_TEXT | {"text": text})
    reader = ToolCallReader()
    reader.read_delta(objects_in(message.get("tool_calls")) if search.found is None else [])
    content += [
        tool_block(call, terms) | {"input": _parse_arguments(call.arguments)} for call in reader.calls
    ]
    stop = stop_fields(
        choice, refused=bool(message.get("refusal")), calls_tools=bool(reader.calls), found=search.found
    )
    return message_start(answer, terms) | {
        "content": content,
        **stop,
        "usage": usage_object(answer.get("usage")),
    }


def message_start(answer: Fields, terms: AnswerTerms) -> Fields:
    """Every key of a message: those that may be null are required too, and strict clients miss them."""
    return {
        "id": _message_id(answer),
        "type": "message",
        "role": "assistant",
        "model": terms.model,
        "content": [],
        **NO_STOP,
        "usage": usage_object(answer.get("usage")),
    }


NO_STOP: Fields = {"stop_reason": None, "stop_sequence": None, "stop_details": None, "container": None}


def _message_id(answer: Fields) -> str:
    own = str(answer.get("id") or "").removeprefix("chatcmpl-")[:200]
    return own if own.startswith("msg_") else f"msg_{own or secrets.token_hex(12)}"


def stop_fields(
    choice: Fields, *, refused: bool = False, calls_tools: bool = False, found: str | None = None
) -> Fields:
    """Why it ended. vLLM and SGLang return the matched stop sequence beside the finish reason; ``found`` is one that we
    found. Some servers say ``stop`` beside tool calls."""
    reason = "refusal" if refused else STOP_REASONS.get(str(choice.get("finish_reason")).lower(), "end_turn")
    if reason == "end_turn" and calls_tools:
        reason = "tool_use"
    sequence = found or choice.get("stop_reason") or choice.get("matched_stop")
    if found is not None or (reason == "end_turn" and isinstance(sequence, str)):
        return NO_STOP | {"stop_reason": "stop_sequence", "stop_sequence": sequence}
    return NO_STOP | {"stop_reason": reason}


def usage_object(value: Any) -> Fields:
    """Anthropic counts cached tokens separately; OpenAI counts them among the prompt tokens."""
    chat_usage = object_or_empty(value)
    cached = _tokens(object_or_empty(chat_usage.get("prompt_tokens_details")).get("cached_tokens"))
    return {
        "input_tokens": max(_tokens(chat_usage.get("prompt_tokens")) - cached, 0),
        "output_tokens": _tokens(chat_usage.get("completion_tokens")),
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
        "cache_creation": None,
        "server_tool_use": None,
        "service_tier": None,
        "inference_geo": None,
    }


def delta_usage(value: Any) -> Fields:
    """The usage at the end of a stream, which has fewer keys."""
    usage = usage_object(value)
    return {name: usage[name] for name in usage if name.endswith("tokens") or name == "server_tool_use"}


def tool_block(call: ToolCall, terms: AnswerTerms) -> Fields:
    """Without its input. Some servers give calls no id; clients need one to name the result."""
    call.shown_id = call.shown_id or call.id or f"toolu_{secrets.token_hex(12)}"
    return {
        "type": "tool_use",
        "id": call.shown_id,
        "name": terms.names.get(call.name, call.name),
        "input": {},
    }


def object_or_empty(value: Any) -> Fields:
    """Servers omit empty objects or send null for them."""
    return value if isinstance(value, dict) else {}


def answer_text(message: Fields) -> str:
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in objects_in(content))
    return str(content or "") + str(message.get("refusal") or "")


def thinking_text(message: Fields) -> str:
    return next((message[name] for name in THINKING_FIELDS if isinstance(message.get(name), str)), "")


def _tokens(value: Any) -> int:
    return clean_integer(value) or 0


def _parse_arguments(text: str) -> Fields:
    """Models sometimes write invalid JSON. It is passed on as text rather than dropped."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"arguments": text}
