"""`/v1/messages`: passed through where the upstream has the Messages API, else translated to chat and back."""

import json
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from app.dialects.anthropic.answer import AnthropicDialect, MessageEvents, error_object, message_object
from app.dialects.anthropic.request import chat_request
from app.dialects.base import DialectRoutes, RelayedRoute
from app.dialects.openapi.schemas import ANY_JSON, EVENT_STREAM
from app.errors import ModelNotFound, UpstreamFailed
from app.keys.key import ClientKey
from app.providers.reading import parse_json, read_error
from app.relay.relay import Relay
from app.relay.request import RelayRequest, read_json_request
from app.relay.routes import JSON_HEADERS, AuthenticatedEndpoint
from app.relay.upstream import UpstreamRefusal

MESSAGES = "messages"
COUNT = "messages/count_tokens"
REQUEST_ID = b"request-id"
KEPT_HEADERS = {b"retry-after", b"retry-after-ms", b"x-should-retry"}


class MessagesEndpoint(AuthenticatedEndpoint):
    """``POST /v1/messages`` or ``/v1/messages/count_tokens``.

    Tokens are counted only where the upstream can count them; an estimate is not returned.
    """

    def __init__(self, relay: Relay, path: str) -> None:
        super().__init__(relay)
        self._path = path

    async def answer(
        self, scope: Scope, receive: Receive, send: Send, *, key: ClientKey, body: bytes
    ) -> None:
        request = read_json_request(body)
        translation = MessagesTranslation(request) if self._path == MESSAGES else None
        if translation is None and not await self._relay.endpoints.serves_path(request.model, COUNT):
            await self._relay.endpoints.usable_endpoints(
                request.model, MESSAGES
            )  # raises if the model itself is unknown
            raise ModelNotFound(
                f"No upstream of {request.model} counts tokens; the usage is in its answers.", param="model"
            )
        await self._relay.relay_call(
            scope,
            receive,
            _with_request_id(scope, send),
            path=self._path,
            request=request,
            key=key,
            translation=translation,
            envelope=AnthropicDialect.error_envelope,
        )


def _with_request_id(scope: Scope, send: Send) -> Send:
    """Adds the request id in the header that Anthropic's SDKs read."""

    async def send_named(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"]
            if not any(name == REQUEST_ID for name, _ in headers):
                headers.append((REQUEST_ID, scope["state"]["request_id"].encode()))
        await send(message)

    return send_named


class MessagesTranslation:
    """One call to ``/v1/messages`` that goes to an upstream with only the chat API."""

    def __init__(self, request: RelayRequest) -> None:
        self._request = request
        self.streams = request.fields.get("stream") is True
        thinking = request.fields.get("thinking")
        self._thinking = isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")

    def translated_request(self, model: str, *, limit_name: str) -> RelayRequest:
        """Raises ``InvalidRequest`` for what chat cannot express."""
        fields = chat_request(self._request.fields, model=model, limit_name=limit_name)
        body = json.dumps(fields, ensure_ascii=False).encode()
        return RelayRequest(body, model, fields, has_one_model_field=False, headers=JSON_HEADERS)

    def translated_answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        if answer.get("error"):  # some servers send an error with status 200
            error = read_error(answer)
            raise UpstreamFailed(error.message if error else "The upstream failed.")
        return message_object(answer, model=self._request.model, thinking=self._thinking)

    def event_translator(self) -> MessageEvents:
        return MessageEvents(model=self._request.model, thinking=self._thinking)

    def translated_refusal(self, refusal: UpstreamRefusal) -> UpstreamRefusal:
        """The upstream's error message and status in Anthropic's envelope."""
        error = read_error(parse_json(refusal.body))
        text = error.message if error and error.message else "The upstream refused the request."
        body = json.dumps(error_object(refusal.status, text)).encode()
        headers = [(name, value) for name, value in refusal.headers if name in KEPT_HEADERS]
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        return UpstreamRefusal(refusal.endpoint, refusal.status, headers, body)


ROUTES = DialectRoutes(
    relayed=(
        RelayedRoute(
            MESSAGES,
            MessagesEndpoint,
            tag="Anthropic Messages",
            summary="Answer messages: passed through where the upstream has this API, else translated to chat and back",
            body="CreateMessage",
            answer=ANY_JSON | EVENT_STREAM,
        ),
        RelayedRoute(
            COUNT,
            MessagesEndpoint,
            tag="Anthropic Messages",
            summary="Count the tokens of a message, where the upstream can",
            body="CountTokens",
            answer=ANY_JSON,
        ),
    )
)
