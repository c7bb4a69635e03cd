"""Chat answers that come in chunks: which tool call a piece belongs to, and the whole completion that the chunks make."""

import json
from dataclasses import dataclass, field
from typing import Any

from app.errors import UpstreamFailed
from app.providers.event_stream import EventStreamReader

Fields = dict[str, Any]
COPIED = ("id", "created", "model", "system_fingerprint", "service_tier", "usage")
JOINED = ("content", "refusal", "reasoning_content", "reasoning")
EVENT_STARTS = (b"data:", b"event:", b":", b"id:", b"retry:")
START_BYTES = 4096
"""Servers keep a connection alive with blanks before an answer; more of them are not waited for."""
LONGEST_REPEATED = 16 * 1024
"""Characters of a call's arguments up to which a second call of the same name, without any id, is told from the first."""


def looks_like_events(start: bytes) -> bool:
    """Whether an answer that begins so is an event stream, whatever its type says."""
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(EVENT_STARTS)


@dataclass(slots=True)
class ToolCall:
    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    shown_id: str = ""
    """The id that the client got, also where the upstream gave none."""

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    def is_another(self, call_id: str, name: str, arguments: str) -> bool:
        """Whether a piece with these begins another call."""
        if call_id and self.id:
            return call_id != self.id
        if not name or not self.name:
            return False
        return name != self.name or (arguments.startswith("{") and self._is_whole)

    def add(self, call_id: str, name: str, arguments: str) -> None:
        self.id, self.name = self.id or call_id, self.name or name
        self.pieces.append(arguments)
        self.length += len(arguments)

    @property
    def _is_whole(self) -> bool:
        if self.length > LONGEST_REPEATED:
            return False
        try:
            return isinstance(json.loads(self.arguments), dict)
        except (ValueError, RecursionError):
            return False


class ToolCallReader:
    """Keeps the calls of one answer apart: servers leave out ``index`` or ``id``, or write 0 for every call."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self._by_index: dict[int, int] = {}
        self._by_id: dict[str, int] = {}
        self._last_delta: list[int] = []

    def read_delta(self, pieces: list[Fields]) -> list[tuple[int, Fields]]:
        """Each piece of a delta with the number of its call."""
        numbers: list[int] = []
        taken: set[int] = set()
        for piece in pieces:
            number = self._add_piece(piece, len(numbers), taken)
            numbers.append(number)
            taken.add(number)
        self._last_delta = numbers
        return list(zip(numbers, pieces, strict=True))

    def _add_piece(self, piece: Fields, position: int, taken: set[int]) -> int:
        """``position`` of the piece in its delta, and the calls that earlier pieces of the delta belong to."""
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        call_id, name = text_of(piece.get("id")), text_of(function.get("name"))
        arguments, index = arguments_text(function.get("arguments")), index_of(piece.get("index"))
        if index is not None:
            number = self._by_index.get(index)
        elif call_id in self._by_id:
            number = self._by_id[call_id]
        else:
            number = self._likely_call(position, taken)
        if number is None or self.calls[number].is_another(call_id, name, arguments):
            number = len(self.calls)
            self.calls.append(ToolCall())
        self.calls[number].add(call_id, name, arguments)
        if index is not None:
            self._by_index[index] = number
        if call_id:
            self._by_id[call_id] = number
        return number

    def _likely_call(self, position: int, taken: set[int]) -> int | None:
        """Of a piece without an index: the call at the same place of the delta before, or the last one."""
        number = self._last_delta[position] if position < len(self._last_delta) else len(self.calls) - 1
        return None if number < 0 or number in taken else number


def index_of(value: Any) -> int | None:
    if isinstance(value, str) and value.isdigit() and len(value) < 6:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text_of(value: Any) -> str:
    """Ids are numbers at some servers."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def arguments_text(value: Any) -> str:
    """Some servers write an object where a text belongs."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) and value else ""


class CompletionReader:
    """The chunks of a chat (or text) completion, joined to the answer that the client asked for."""

    def __init__(self) -> None:
        self._whole: Fields = {}
        self._choices: dict[int, Fields] = {}
        self._calls: dict[int, ToolCallReader] = {}
        self.is_over = False

    def read_stream(self, content: bytes) -> Fields:
        """The answer in a whole stream. Raises ``UpstreamFailed`` for an error in it, and for one that breaks off."""
        reader = EventStreamReader()
        for event in [*reader.feed(content), *reader.close()]:
            if event.kind == "done":
                self.is_over = True
            elif event.kind == "data":
                self.add_chunk(event.data)
        if not self._choices or not self.is_over:
            raise UpstreamFailed("The upstream broke off its answer.")
        return self.completion()

    def add_chunk(self, chunk: Fields) -> None:
        if chunk.get("error"):
            error = chunk["error"]
            text = error.get("message") if isinstance(error, dict) else error
            raise UpstreamFailed(text_of(text) or "The upstream failed.")
        self._whole |= {name: chunk[name] for name in COPIED if chunk.get(name) is not None}
        kind = text_of(chunk.get("object")).removesuffix(".chunk")
        self._whole.setdefault("object", kind or "chat.completion")
        for choice in objects_in(chunk.get("choices")):
            self._add_choice(choice)

    def _add_choice(self, choice: Fields) -> None:
        index = index_of(choice.get("index")) or 0
        whole = self._choices.setdefault(index, {"index": index, "finish_reason": None})
        if choice.get("finish_reason"):
            whole["finish_reason"], self.is_over = choice["finish_reason"], True
        if isinstance(choice.get("text"), str):
            whole.setdefault("text", []).append(choice["text"])
        delta = choice["delta"] if "delta" in choice else choice.get("message")
        if not isinstance(delta, dict):
            return
        message = whole.setdefault("message", {"role": "assistant", "content": None})
        for name in JOINED:
            if isinstance(delta.get(name), str):
                message[name] = message.get(name) or []
                message[name].append(delta[name])
        if pieces := objects_in(delta.get("tool_calls")):
            self._calls.setdefault(index, ToolCallReader()).read_delta(pieces)

    def completion(self) -> Fields:
        for index, reader in self._calls.items():
            self._choices[index]["message"]["tool_calls"] = [
                {
                    "id": call.id or f"call_{number}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for number, call in enumerate(reader.calls)
            ]
        for choice in self._choices.values():
            message = choice.get("message") or {}
            choice["finish_reason"] = choice["finish_reason"] or (
                "tool_calls" if "tool_calls" in message else "stop"
            )
            for place, name in ((choice, "text"), *((message, name) for name in JOINED)):
                if isinstance(place.get(name), list):
                    place[name] = "".join(place[name])
        return {**self._whole, "choices": [self._choices[index] for index in sorted(self._choices)]}


def objects_in(value: Any) -> list[Fields]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
