"""Anthropic's messages API: passed through where the upstream speaks it, else said as chat and back."""

import json
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from app.dialects.anthropic_answer import MessageEvents, message
from app.dialects.anthropic_request import chat_request
from app.errors import ModelNotFound, UpstreamFailed
from app.keys.service import Key
from app.ops.envelope import ANTHROPIC_TYPES
from app.providers.http_errors import complaint_in, parsed
from app.relay.endpoint import JSON_TYPE, Admitting
from app.relay.relay import Relay
from app.relay.request import Wish, read_wish
from app.relay.upstream import Answered

MESSAGES = "messages"
COUNT = "messages/count_tokens"
REQUEST_ID = b"request-id"
KEPT = {b"retry-after", b"retry-after-ms", b"x-should-retry"}


class MessagesEndpoint(Admitting):
    """``POST /v1/messages`` or ``/v1/messages/count_tokens``.

    Tokens are counted only where the upstream can: a guess would look like a count.
    """

    def __init__(self, relay: Relay, path: str) -> None:
        super().__init__(relay)
        self._path = path

    async def answer(self, scope: Scope, receive: Receive, send: Send, *, key: Key, body: bytes) -> None:
        wish = read_wish(body)
        translation = MessagesTranslation(wish) if self._path == MESSAGES else None
        if translation is None and not await self._relay.doors.speaks(wish.model, COUNT):
            await self._relay.doors.usable(wish.model, MESSAGES)  # says if it is the model that is unknown
            raise ModelNotFound(
                f"No upstream of {wish.model} counts tokens; its answers say what they used.", param="model"
            )
        await self._relay.relay(
            scope, receive, _named(scope, send), path=self._path, wish=wish, key=key, translation=translation
        )


def _named(scope: Scope, send: Send) -> Send:
    """Anthropic's SDKs look for the request's id in a header of their own."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"]
            if not any(name == REQUEST_ID for name, _ in headers):
                headers.append((REQUEST_ID, scope["state"]["request_id"].encode()))
        await send(message)

    return sending


class MessagesTranslation:
    """One call to ``/v1/messages`` on its way to an upstream that speaks chat only."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self.streams = wish.fields.get("stream") is True
        thinking = wish.fields.get("thinking")
        self._thinking = isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")

    def request(self, model: str, *, limit_name: str) -> Wish:
        """Raises ``InvalidRequest`` for what chat has no word for."""
        fields = chat_request(self._wish.fields, model=model, limit_name=limit_name)
        body = json.dumps(fields, ensure_ascii=False).encode()
        return Wish(body, model, fields, named_once=False, headers=JSON_TYPE)

    def whole(self, answer: dict[str, Any]) -> dict[str, Any]:
        if answer.get("error"):  # some servers fail with a 200
            told = complaint_in(answer)
            raise UpstreamFailed(told.message if told else "The upstream failed.")
        return message(answer, model=self._wish.model, thinking=self._thinking)

    def events(self) -> MessageEvents:
        return MessageEvents(model=self._wish.model, thinking=self._thinking)

    def refusal(self, refusal: Answered) -> Answered:
        """The upstream's words in Anthropic's envelope, under its own status."""
        told = complaint_in(parsed(refusal.body))
        default = "api_error" if refusal.status >= 500 else "invalid_request_error"
        kind = ANTHROPIC_TYPES.get(refusal.status, default)
        text = told.message if told and told.message else "The upstream refused the request."
        body = json.dumps({"type": "error", "error": {"type": kind, "message": text}}).encode()
        headers = [(name, value) for name, value in refusal.headers if name in KEPT]
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        return Answered(refusal.door, refusal.status, headers, body)
