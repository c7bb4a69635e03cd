"""Whole answers of the text APIs as the events of their streams, and the other way round."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import UpstreamFailed
from app.foreign import parse_json, write_json
from app.providers.event_stream import DONE, EventStreamReader, write_event
from app.relay.chat_chunks import CompletionReader, Fields, objects_in, text_of
from app.relay.decoding import BROKEN_OFF, UNREADABLE

JOINED_DELTAS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
"""The field of a delta, by its type; that of a block has the same name, but for a tool's input."""
ENDS_OF_RESPONSES = frozenset({"response.completed", "response.incomplete"})


@dataclass(frozen=True, slots=True)
class AnswerForms:
    """Both raise ``UpstreamFailed`` for what is no whole answer. ``as_events`` gets whether the usage is left out."""

    as_whole: Callable[[bytes], bytes]
    as_events: Callable[[bytes, bool], bytes] | None = None


# ---- chat ---------------------------------------------------------------------------------------


def completion_from_events(content: bytes) -> bytes:
    return write_json(CompletionReader().read_stream(content))


def completion_as_events(whole: bytes, hides_usage: bool) -> bytes:
    answer = _answer_in(whole)
    if not objects_in(answer.get("choices")):
        raise UpstreamFailed(UNREADABLE)
    kind = str(answer.get("object") or "chat.completion").removesuffix(".chunk")
    head: Fields = {**answer, "object": f"{kind}.chunk" if kind.startswith("chat") else kind}
    usage = head.pop("usage", None)
    events = [{**head, "choices": [_as_delta(choice) for choice in objects_in(answer["choices"])]}]
    if isinstance(usage, dict) and not hides_usage:
        events.append({**head, "choices": [], "usage": usage})
    return b"".join(write_event(write_json(event)) for event in events) + DONE


def _as_delta(choice: Fields) -> Fields:
    message = choice.get("message")
    if not isinstance(message, dict):
        return choice
    calls = [{"index": at, **call} for at, call in enumerate(objects_in(message.get("tool_calls")))]
    delta = {**message, "tool_calls": calls} if calls else message
    return {**{name: value for name, value in choice.items() if name != "message"}, "delta": delta}


# ---- messages -----------------------------------------------------------------------------------


def message_from_events(content: bytes) -> bytes:
    """https://docs.anthropic.com/en/api/messages-streaming"""
    message: Fields = {}
    blocks: dict[Any, tuple[Fields, dict[str, list[str]]]] = {}
    for event in _events_in(content):
        kind = event.get("type")
        if kind == "message_start" and isinstance(event.get("message"), dict):
            message = event["message"]
        elif kind == "content_block_start" and isinstance(event.get("content_block"), dict):
            blocks[text_of(event.get("index"))] = (event["content_block"], {})
        elif kind == "content_block_delta" and text_of(event.get("index")) in blocks:
            _add_delta(blocks[text_of(event.get("index"))][1], event.get("delta"))
        elif kind == "message_delta":
            message |= event["delta"] if isinstance(event.get("delta"), dict) else {}
            used = event["usage"] if isinstance(event.get("usage"), dict) else {}
            message["usage"] = {**(message.get("usage") or {}), **used}
        elif kind == "message_stop" and message:
            return write_json({**message, "content": [_whole_block(*each) for each in blocks.values()]})
    raise UpstreamFailed(BROKEN_OFF)


def message_as_events(whole: bytes, hides_usage: bool) -> bytes:
    message = _answer_in(whole)
    if not isinstance(message.get("content"), list):
        raise UpstreamFailed(UNREADABLE)
    ends = {name: message.get(name) for name in ("stop_reason", "stop_sequence")}
    start = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    events: list[Fields] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(objects_in(message["content"])):
        given = block.get("input")
        opened = {**block, "input": {}} if isinstance(given, dict) else block
        events.append({"type": "content_block_start", "index": index, "content_block": opened})
        if isinstance(given, dict):
            delta = {"type": "input_json_delta", "partial_json": json.dumps(given)}
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    events.append(
        {"type": "message_delta", "delta": ends, "usage": message.get("usage") or {"output_tokens": 0}}
    )
    events.append({"type": "message_stop"})
    return b"".join(write_event(write_json(event), name=event["type"]) for event in events)


def _add_delta(pieces: dict[str, list[str]], delta: Any) -> None:
    if not isinstance(delta, dict):
        return
    name = JOINED_DELTAS.get(text_of(delta.get("type")), "")
    if isinstance(delta.get(name), str):
        pieces.setdefault(name, []).append(delta[name])


def _whole_block(block: Fields, pieces: Mapping[str, list[str]]) -> Fields:
    joined: Fields = {name: text_of(block.get(name)) + "".join(texts) for name, texts in pieces.items()}
    given = joined.pop("partial_json", None)
    if given is not None:
        found = parse_json(given or "{}")
        joined["input"] = found if isinstance(found, dict) else {"arguments": given}
    return {**block, **joined}


# ---- responses ----------------------------------------------------------------------------------


def response_from_events(content: bytes) -> bytes:
    """Its last event holds the whole: https://platform.openai.com/docs/api-reference/responses-streaming"""
    for event in _events_in(content):
        if event.get("type") in ENDS_OF_RESPONSES and isinstance(event.get("response"), dict):
            return write_json(event["response"])
    raise UpstreamFailed(BROKEN_OFF)


FORMS: Mapping[str, AnswerForms] = {
    "chat/completions": AnswerForms(completion_from_events, completion_as_events),
    "completions": AnswerForms(completion_from_events, completion_as_events),
    "messages": AnswerForms(message_from_events, message_as_events),
    "responses": AnswerForms(response_from_events),
}
"""By the path of the API, those that stream where their clients ask for it."""


def _answer_in(whole: bytes) -> Fields:
    answer = parse_json(whole)
    if not isinstance(answer, dict) or answer.get("error"):
        raise UpstreamFailed(UNREADABLE)
    return answer


def _events_in(content: bytes) -> list[Fields]:
    reader = EventStreamReader()
    found = [event.data for event in [*reader.feed(content), *reader.close()] if event.kind == "data"]
    for event in found:
        if event.get("type") == "error" or event.get("error"):
            error = event.get("error")
            inner = error if isinstance(error, dict) else event
            raise UpstreamFailed(text_of(inner.get("message")) or "The upstream failed.")
    return found
