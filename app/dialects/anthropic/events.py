"""OpenAI chat chunks translated into the events of a streamed message."""

from typing import Any

from app.dialects.anthropic.messages import (
    NO_TEXT,
    AnswerTerms,
    Fields,
    answer_text,
    delta_usage,
    message_start,
    object_or_empty,
    stop_fields,
    thinking_text,
    tool_block,
)
from app.dialects.anthropic.shortening import StopSearch
from app.errors import UpstreamFailed
from app.foreign import write_json
from app.providers.event_stream import write_event
from app.relay.chat_chunks import ToolCallReader, arguments_text, objects_in

PING = write_event(b'{"type": "ping"}', name="ping")


class MessageEvents:
    """The events of one streamed answer.

    One content block is open at a time, as Anthropic's clients expect. Of parallel tool calls, the first is streamed as
    it arrives; pieces of the others are queued and sent when the first is closed.
    """

    def __init__(self, terms: AnswerTerms) -> None:
        self._terms = terms
        self._calls = ToolCallReader()
        self._search = StopSearch(terms.stops)
        self._next_index = 0
        self._open_block: str | None = None
        self._queued_pieces: dict[str, list[tuple[Fields, Fields]]] = {}
        self._begun = False
        self._last_choice: Fields | None = None
        self._is_over = False
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
        for choice in objects_in(event.get("choices"))[:1]:
            events += self._delta_events(object_or_empty(choice.get("delta", choice.get("message"))))
            self._last_choice = choice
            self._is_over = self._is_over or bool(choice.get("finish_reason"))
        return b"".join(events)

    def keep_alive(self) -> bytes:
        return PING if self._begun else b""

    def note_end(self) -> None:
        """The upstream said ``[DONE]``: some say no reason before it."""
        self._is_over = True

    def closing_events(self) -> bytes | None:
        if not self._is_over or not self._begun:
            return None
        events = self._text_events(self._search.close())
        events += self._close_block()
        for key, pieces in self._queued_pieces.items():
            for block, delta in pieces:
                events += self._block_events(key, block, delta)
            events += self._close_block()
        stop = stop_fields(
            self._last_choice or {},
            refused=self._refused,
            calls_tools=bool(self._calls.calls),
            found=self._search.found,
        )
        events.append(_sse_event("message_delta", delta=stop, usage=delta_usage(self._usage)))
        events.append(_sse_event("message_stop"))
        return b"".join(events)

    def _message_start(self, event: Fields) -> bytes:
        self._begun = True
        return _sse_event("message_start", message=message_start(event, self._terms))

    def _delta_events(self, delta: Fields) -> list[bytes]:
        if self._search.found is not None:
            return []
        events: list[bytes] = []
        thought = thinking_text(delta) if self._terms.thinking else ""
        if thought:
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            events += self._send_or_queue("thinking", empty, {"type": "thinking_delta", "thinking": thought})
        self._refused = self._refused or bool(delta.get("refusal"))
        events += self._text_events(self._search.feed(answer_text(delta)))
        if calls := objects_in(delta.get("tool_calls")):
            events += self._text_events(self._search.close())
            for number, piece in self._calls.read_delta(calls):
                events += self._tool_events(number, piece)
        return events

    def _text_events(self, text: str) -> list[bytes]:
        if not text:
            return []
        return self._send_or_queue("text", NO_TEXT, {"type": "text_delta", "text": text})

    def _tool_events(self, number: int, piece: Fields) -> list[bytes]:
        arguments = arguments_text(object_or_empty(piece.get("function")).get("arguments"))
        block = tool_block(self._calls.calls[number], self._terms)
        return self._send_or_queue(
            f"tool {number}", block, {"type": "input_json_delta", "partial_json": arguments}
        )

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
    return write_event(write_json({"type": kind, **fields}), name=kind)
