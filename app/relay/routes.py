"""The relayed routes: raw ASGI, with nothing between the client's bytes and the upstream's but routing."""

from abc import ABC, abstractmethod
from typing import Protocol

from starlette.types import Message, Receive, Scope, Send

from app.errors import MissingField
from app.keys.key import ClientKey
from app.relay.multipart import read_form_request
from app.relay.relay import Relay
from app.relay.request import ClientGone, RelayRequest, is_form, read_json_request

RELAYED = ("completions", "embeddings", "moderations", "responses", "rerank", "audio/speech")
"""Paths below ``/v1/`` that take JSON and are relayed whatever the model."""
RELAYED_FORMS = ("audio/transcriptions", "audio/translations")
"""Those that take a form."""
IMAGES = ("images/generations", "images/edits", "images/variations")


class AuthenticatedEndpoint(ABC):
    """An endpoint for clients that are known and whose body has come; one that has left gets no answer."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            key, body = await self._relay.authenticate_and_read(scope, receive)
        except ClientGone:
            return
        await self.answer(scope, receive, send, key=key, body=body)

    @abstractmethod
    async def answer(
        self, scope: Scope, receive: Receive, send: Send, *, key: ClientKey, body: bytes
    ) -> None: ...


class RelayEndpoint(AuthenticatedEndpoint):
    """``POST /v1/<path>``, one of ``RELAYED`` or ``RELAYED_FORMS``."""

    def __init__(self, relay: Relay, path: str) -> None:
        super().__init__(relay)
        self._path = path

    async def answer(
        self, scope: Scope, receive: Receive, send: Send, *, key: ClientKey, body: bytes
    ) -> None:
        wish = read_request(scope, body) if self._path in RELAYED_FORMS else read_json_request(body)
        await self._relay.relay_call(scope, receive, send, path=self._path, wish=wish, key=key)


class ChatFallback(Protocol):
    """Answers a chat request for a model that makes no text."""

    async def as_json(self, scope: Scope, *, body: bytes) -> bytes | None:
        """The JSON that a form stands for; None when its model makes no text. Raises ``InvalidRequest``."""
        ...

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, body: bytes, key: ClientKey
    ) -> None: ...


class ChatEndpoint(AuthenticatedEndpoint):
    """``POST /v1/chat/completions``: text is relayed, everything else is for ``other``."""

    path = "chat/completions"

    def __init__(self, relay: Relay, other: ChatFallback) -> None:
        super().__init__(relay)
        self._fallback = other

    async def answer(
        self, scope: Scope, receive: Receive, send: Send, *, key: ClientKey, body: bytes
    ) -> None:
        wish = await self._read_request(scope, body)
        if wish is not None and await self._relay.endpoints.kind_of(wish.model) == "text":
            await self._relay.relay_call(scope, receive, send, path=self.path, wish=wish, key=key)
        else:
            await self._fallback(scope, receive, send, body=body, key=key)

    async def _read_request(self, scope: Scope, body: bytes) -> RelayRequest | None:
        if body.startswith(b"{") or not is_form(scope["headers"]):
            return read_json_request(body)
        told = await self._fallback.as_json(scope, body=body)  # no upstream's chat takes forms
        if told is None:
            return None
        wish = read_json_request(told)
        wish.headers = JSON_HEADERS
        return wish


class ImagesFallback(Protocol):
    """Makes images where no upstream speaks OpenAI's images API."""

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, body: bytes, key: ClientKey, path: str
    ) -> None: ...


class ImagesEndpoint(AuthenticatedEndpoint):
    """``POST /v1/images/…``: relayed where an account of the model speaks it, else made by ``other``."""

    def __init__(self, relay: Relay, path: str, other: ImagesFallback) -> None:
        super().__init__(relay)
        self._path = path
        self._fallback = other

    async def answer(
        self, scope: Scope, receive: Receive, send: Send, *, key: ClientKey, body: bytes
    ) -> None:
        wish = self._relayable_request(scope, body)
        if wish is not None and await self._relay.endpoints.serves_images(wish.model, self._path):
            await self._relay.relay_call(scope, receive, send, path=self._path, wish=wish, key=key)
        else:
            await self._fallback(scope, receive, send, body=body, key=key, path=self._path)

    def _relayable_request(self, scope: Scope, body: bytes) -> RelayRequest | None:
        """None without a model: then it is the default one, of which only ``other`` knows."""
        try:
            return read_request(scope, body)
        except MissingField:
            return None


JSON_HEADERS = (("Content-Type", "application/json"),)


def read_request(scope: Scope, body: bytes) -> RelayRequest:
    """JSON or multipart. Raises ``InvalidRequest`` or ``MissingField``."""
    if not body.startswith(b"{") and is_form(scope["headers"]):
        return read_form_request(scope["headers"], body)
    return read_json_request(body)


def replay_body(body: bytes, receive: Receive) -> Receive:
    """``receive`` for an application that wants to read a body which was read already."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again
