"""The relayed routes: raw ASGI, with nothing between the client's bytes and the upstream's but routing."""

from abc import ABC, abstractmethod
from typing import Protocol

from starlette.types import Message, Receive, Scope, Send

from app.errors import MissingField
from app.keys.service import Key
from app.relay.form import read_form
from app.relay.relay import Relay
from app.relay.request import ClientGone, Wish, is_form, read_wish

RELAYED = ("completions", "embeddings", "moderations", "responses", "rerank", "audio/speech")
"""Paths below ``/v1/`` that take JSON and are relayed whatever the model."""
RELAYED_FORMS = ("audio/transcriptions", "audio/translations")
"""Those that take a form."""
IMAGES = ("images/generations", "images/edits", "images/variations")


class Admitting(ABC):
    """An endpoint for clients that are known and whose body has come; one that has left gets no answer."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            key, body = await self._relay.admit(scope, receive)
        except ClientGone:
            return
        await self.answer(scope, receive, send, key=key, body=body)

    @abstractmethod
    async def answer(self, scope: Scope, receive: Receive, send: Send, *, key: Key, body: bytes) -> None: ...


class RelayEndpoint(Admitting):
    """``POST /v1/<path>``, one of ``RELAYED`` or ``RELAYED_FORMS``."""

    def __init__(self, relay: Relay, path: str) -> None:
        super().__init__(relay)
        self._path = path

    async def answer(self, scope: Scope, receive: Receive, send: Send, *, key: Key, body: bytes) -> None:
        wish = read_either(scope, body) if self._path in RELAYED_FORMS else read_wish(body)
        await self._relay.relay(scope, receive, send, path=self._path, wish=wish, key=key)


class OtherChat(Protocol):
    """Answers a chat request for a model that makes no text."""

    async def as_json(self, scope: Scope, *, body: bytes) -> bytes | None:
        """The JSON that a form stands for; None when its model makes no text. Raises ``InvalidRequest``."""
        ...

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, body: bytes, key: Key
    ) -> None: ...


class ChatEndpoint(Admitting):
    """``POST /v1/chat/completions``: text is relayed, everything else is for ``other``."""

    path = "chat/completions"

    def __init__(self, relay: Relay, other: OtherChat) -> None:
        super().__init__(relay)
        self._other = other

    async def answer(self, scope: Scope, receive: Receive, send: Send, *, key: Key, body: bytes) -> None:
        wish = await self._wish(scope, body)
        if wish is not None and await self._relay.doors.kind_of(wish.model) == "text":
            await self._relay.relay(scope, receive, send, path=self.path, wish=wish, key=key)
        else:
            await self._other(scope, receive, send, body=body, key=key)

    async def _wish(self, scope: Scope, body: bytes) -> Wish | None:
        if body.startswith(b"{") or not is_form(scope["headers"]):
            return read_wish(body)
        told = await self._other.as_json(scope, body=body)  # no upstream's chat takes forms
        if told is None:
            return None
        wish = read_wish(told)
        wish.headers = JSON_TYPE
        return wish


class OtherImages(Protocol):
    """Makes images where no upstream speaks OpenAI's images API."""

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, body: bytes, key: Key, path: str
    ) -> None: ...


class ImagesEndpoint(Admitting):
    """``POST /v1/images/…``: relayed where an account of the model speaks it, else made by ``other``."""

    def __init__(self, relay: Relay, path: str, other: OtherImages) -> None:
        super().__init__(relay)
        self._path = path
        self._other = other

    async def answer(self, scope: Scope, receive: Receive, send: Send, *, key: Key, body: bytes) -> None:
        wish = self._relayable(scope, body)
        if wish is not None and await self._relay.doors.draws(wish.model, self._path):
            await self._relay.relay(scope, receive, send, path=self._path, wish=wish, key=key)
        else:
            await self._other(scope, receive, send, body=body, key=key, path=self._path)

    def _relayable(self, scope: Scope, body: bytes) -> Wish | None:
        """None without a model: then it is the default one, of which only ``other`` knows."""
        try:
            return read_either(scope, body)
        except MissingField:
            return None


JSON_TYPE = (("Content-Type", "application/json"),)


def read_either(scope: Scope, body: bytes) -> Wish:
    """JSON or multipart. Raises ``InvalidRequest`` or ``MissingField``."""
    if not body.startswith(b"{") and is_form(scope["headers"]):
        return read_form(scope["headers"], body)
    return read_wish(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """``receive`` for an application that wants to read a body which was read already."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
