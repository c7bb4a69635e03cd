"""The relayed routes as raw ASGI endpoints: no framework between the client's bytes and the upstream's."""

from abc import ABC, abstractmethod
from typing import Protocol

from starlette.types import Message, Receive, Scope, Send

from app.errors import MissingField
from app.keys.key import ClientKey
from app.relay.relay import Relay
from app.relay.request import ClientGone, RelayRequest, is_form, read_form_request, read_json_request

RELAYED_FORMS = ("audio/transcriptions", "audio/translations")
"""Paths below ``/v1/`` whose body is a form."""
JSON_HEADERS = [(b"content-type", b"application/json")]
DEFAULT_MODELS = {"moderations": "omni-moderation-latest"}
"""What OpenAI takes where a request names no model: https://platform.openai.com/docs/api-reference/moderations/create"""


class AuthenticatedEndpoint(ABC):
    """Base endpoint: authenticates, reads the body, calls ``answer``. A disconnected client gets no response."""

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
    """``POST /v1/<path>``, relayed whatever the model."""

    def __init__(self, relay: Relay, path: str) -> None:
        super().__init__(relay)
        self._path = path

    async def answer(
        self, scope: Scope, receive: Receive, send: Send, *, key: ClientKey, body: bytes
    ) -> None:
        if self._path in RELAYED_FORMS:
            request = await read_request(scope, body)
        else:
            request = await read_json_request(body, default_model=DEFAULT_MODELS.get(self._path, ""))
        await self._relay.relay_call(scope, receive, send, path=self._path, request=request, key=key)


class ChatFallback(Protocol):
    """Answers a chat request for a model that makes no text."""

    async def as_json(self, scope: Scope, *, body: bytes) -> bytes | None:
        """The JSON of a form; None when its model makes no text. Raises ``InvalidRequest``."""
        ...

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, body: bytes, key: ClientKey
    ) -> None: ...


class ChatEndpoint(AuthenticatedEndpoint):
    """``POST /v1/chat/completions``: text is relayed, everything else goes to ``fallback``."""

    path = "chat/completions"

    def __init__(self, relay: Relay, fallback: ChatFallback) -> None:
        super().__init__(relay)
        self._fallback = fallback

    async def answer(
        self, scope: Scope, receive: Receive, send: Send, *, key: ClientKey, body: bytes
    ) -> None:
        request = await self._read_request(scope, body)
        if request is not None and await self._relay.endpoints.kind_of(request.model) == "text":
            await self._relay.relay_call(scope, receive, send, path=self.path, request=request, key=key)
        else:
            await self._fallback(scope, receive, send, body=body, key=key)

    async def _read_request(self, scope: Scope, body: bytes) -> RelayRequest | None:
        if body.startswith(b"{") or not is_form(scope["headers"]):
            return await read_json_request(body)
        text = await self._fallback.as_json(scope, body=body)  # upstream chat APIs take no forms
        if text is None:
            return None
        request = await read_json_request(text)
        request.headers = JSON_HEADERS
        return request


class ImagesFallback(Protocol):
    """Makes images where no upstream speaks OpenAI's images API."""

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, body: bytes, key: ClientKey, path: str
    ) -> None: ...


class ImagesEndpoint(AuthenticatedEndpoint):
    """``POST /v1/images/…``: relayed where an account of the model speaks that API, else made by ``fallback``."""

    def __init__(self, relay: Relay, path: str, fallback: ImagesFallback) -> None:
        super().__init__(relay)
        self._path = path
        self._fallback = fallback

    async def answer(
        self, scope: Scope, receive: Receive, send: Send, *, key: ClientKey, body: bytes
    ) -> None:
        request = await self._relayable_request(scope, body)
        if request is not None and await self._relay.endpoints.serves_images(request.model, self._path):
            await self._relay.relay_call(scope, receive, send, path=self._path, request=request, key=key)
        else:
            await self._fallback(scope, receive, send, body=body, key=key, path=self._path)

    async def _relayable_request(self, scope: Scope, body: bytes) -> RelayRequest | None:
        """None without a model: only ``fallback`` knows the default model."""
        try:
            return await read_request(scope, body)
        except MissingField:
            return None


async def read_request(scope: Scope, body: bytes) -> RelayRequest:
    """A JSON or multipart body. Raises ``InvalidRequest`` or ``MissingField``."""
    if not body.startswith(b"{") and is_form(scope["headers"]):
        return await read_form_request(scope["headers"], body)
    return await read_json_request(body)


def replay_body(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` for an application that reads a body which has been read already."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again
