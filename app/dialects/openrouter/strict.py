"""Relayed answers as OpenRouter's SDKs want them: keys that others leave out, and errors with a number as their code."""

from typing import TYPE_CHECKING

from app.foreign import parse_json, write_json
from app.providers.reading import read_error

if TYPE_CHECKING:  # a worker imports it
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

FINGERPRINT = b'"system_fingerprint"'
IS_COMPLETION = b'"chat.completion"'
MOST_BYTES = 16 * 1024 * 1024
"""A longer answer passes as it is."""


class StrictAnswers:
    """Around a relayed endpoint. Streams pass as they come; only JSON answers are read whole."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        await self._app(scope, receive, StrictSend(send).send)


class StrictSend:
    """Holds an answer's head back until its body is whole, where the body may be changed."""

    def __init__(self, send: "Send") -> None:
        self._send = send
        self._start: Message | None = None
        self._pieces: list[bytes] = []
        self._length = 0

    async def send(self, message: "Message") -> None:
        if message["type"] == "http.response.start" and _is_json(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            await self._add_piece(self._start, message)

    async def _add_piece(self, start: "Message", message: "Message") -> None:
        self._pieces.append(message.get("body", b""))
        self._length += len(self._pieces[-1])
        more = bool(message.get("more_body"))
        if more and self._length <= MOST_BYTES:
            return
        body = b"".join(self._pieces)
        self._start, self._pieces = None, []
        if not more:
            body = strict_body(body, start["status"])
            others = [each for each in start["headers"] if each[0] != b"content-length"]
            start["headers"] = [*others, (b"content-length", b"%d" % len(body))]
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


def strict_body(body: bytes, status: int) -> bytes:
    """A completion with every key that must be there; an error with its HTTP status as its code."""
    if status < 400:
        lacks = IS_COMPLETION in body and FINGERPRINT not in body and body.startswith(b"{")
        return b'{"system_fingerprint":null,' + body[1:] if lacks else body
    document = parse_json(body)
    error = read_error(document)
    inner = document.get("error") if isinstance(document, dict) else None
    if error is None or (isinstance(inner, dict) and isinstance(inner.get("code"), int)):
        return body
    return write_json(
        {
            "error": {
                "code": status,
                "message": error.message,
                "metadata": {"code": error.code, "param": error.param},
            }
        }
    )


def _is_json(start: "Message") -> bool:
    kinds = [value for name, value in start["headers"] if name == b"content-type"]
    return any(kind.lower().startswith(b"application/json") for kind in kinds)
