"""`/v1/messages`: passed through where the upstream has the Messages API, else translated to chat and back."""

from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from app.catalog.call_input import measure_input
from app.dialects.anthropic.answer import AnthropicDialect, error_object
from app.dialects.anthropic.events import MessageEvents
from app.dialects.anthropic.messages import AnswerTerms, message_object
from app.dialects.anthropic.request import chat_request
from app.dialects.anthropic.shortening import later_stops, shortened_names
from app.dialects.base import DialectRoutes, RelayedRoute
from app.dialects.openapi.schemas import ANY_JSON, EVENT_STREAM
from app.errors import InvalidRequest, UpstreamFailed
from app.foreign import parse_json, write_json
from app.keys.key import ClientKey
from app.providers.reading import read_error
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

    Where no upstream of the model counts tokens, the answer is an estimate that says so.
    """

    def __init__(self, relay: Relay, path: str) -> None:
        super().__init__(relay)
        self._path = path

    async def answer(
        self, scope: Scope, receive: Receive, send: Send, *, key: ClientKey, body: bytes
    ) -> None:
        request = await read_json_request(body)
        named = _with_request_id(scope, send)
        if self._path == COUNT and not await self._relay.endpoints.serves_path(request.model, COUNT):
            key.require_model(request.model)
            # Raises if the model itself is unknown.
            await self._relay.endpoints.usable_endpoints(request.model, MESSAGES)
            await estimate_answer(request)(scope, receive, named)
            return
        await self._relay.relay_call(
            scope,
            receive,
            named,
            path=self._path,
            request=request,
            key=key,
            translation=MessagesTranslation(request) if self._path == MESSAGES else None,
            envelope=AnthropicDialect.error_envelope,
        )


def estimate_answer(request: RelayRequest) -> JSONResponse:
    """The likely tokens of a messages request, by its bytes and pictures. Raises ``InvalidRequest`` for what is none."""
    chat_request({**request.fields, "max_tokens": 1}, model=request.model, limit_name="max_tokens")
    tokens = max(measure_input(request.fields).likely_tokens, 1)
    return JSONResponse({"input_tokens": tokens, "estimated": True}, headers={"x-token-count": "estimated"})


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
        fields = request.fields
        self._request = request
        self.streams = fields.get("stream") is True
        thinking = fields.get("thinking")
        self._terms = AnswerTerms(
            request.model,
            thinking=isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive"),
            names=shortened_names(fields.get("tools")),
            stops=later_stops(fields.get("stop_sequences")),
        )

    def translated_request(self, model: str, *, limit_name: str) -> RelayRequest:
        """Raises ``InvalidRequest`` for what chat cannot express."""
        try:
            fields = chat_request(self._request.fields, model=model, limit_name=limit_name)
            body = write_json(fields)
        except RecursionError:
            raise InvalidRequest("The body is nested too deeply.") from None
        return RelayRequest(body, model, fields, has_one_model_field=False, headers=JSON_HEADERS)

    def translated_answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        if answer.get("error"):  # some servers send an error with status 200
            error = read_error(answer)
            raise UpstreamFailed(error.message if error else "The upstream failed.")
        return message_object(answer, self._terms)

    def event_translator(self) -> MessageEvents:
        return MessageEvents(self._terms)

    def translated_refusal(self, refusal: UpstreamRefusal) -> UpstreamRefusal:
        """The upstream's error message and status in Anthropic's envelope."""
        error = read_error(parse_json(refusal.body))
        text = error.message if error and error.message else "The upstream refused the request."
        body = write_json(error_object(refusal.status, text))
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
            summary="Count the tokens of a message; an estimate where no upstream can",
            body="CountTokens",
            answer=ANY_JSON,
        ),
    )
)
