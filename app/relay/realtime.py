"""``WS /v1/realtime``: a WebSocket to the client and one to the upstream; messages are relayed both ways."""

import asyncio
import json
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl

import aiohttp
import structlog
from starlette.types import Receive, Scope, Send

from app import clock
from app.catalog.call_fields import check_names
from app.errors import FilmgateError, InsufficientQuota, MissingField, UpstreamError
from app.json_bodies import fold_name, keep_repeated_names
from app.keys.key import ClientKey
from app.keys.service import KEY_PROTOCOL
from app.ops.access import REQUEST_ID, RequestNotes, notes_of
from app.ops.envelope import OWN_ENVELOPE, error_headers
from app.relay.endpoint_table import UpstreamEndpoint
from app.relay.forwarding import read_token_counts
from app.relay.relay import BAD_GATEWAY, NOTHING, MeteredCall, Metering, Relay
from app.relay.upstream import NeverSent, UpstreamRefusal
from app.usage.recorder import UsageRow

log = structlog.get_logger()
PATH = "realtime"
SWITCHED = 101
TRY_LATER, FAILED, REFUSED = 1013, 1011, 1008
NO_CODE, NORMAL = 1005, 1000
MAX_REASON_BYTES = 123
PROTOCOL_HEADER = b"sec-websocket-protocol"
ONE_MODEL = "A session keeps the model that it was opened with."
RESPONSE_BEGUN, RESPONSE_DONE = '"response.created"', '"response.done"'
MOST_RESPONSE_TOKENS = 4096
"""https://platform.openai.com/docs/api-reference/realtime-client-events/response/create"""
USAGE_EVENTS = (RESPONSE_DONE, '"conversation.item.input_audio_transcription.completed"')


@dataclass(slots=True)
class RealtimeSession:
    """The state of one client's connection."""

    scope: Scope
    receive: Receive
    send: Send
    key: ClientKey
    model: str
    started_at: float
    metering: Metering
    metered: MeteredCall | None = None
    account_id: str = ""
    upstream_model: str = ""
    status: int = SWITCHED
    input_tokens: int | None = None
    output_tokens: int | None = None
    open_responses: int = 0
    """Answers that have begun and not stated their usage."""

    @property
    def notes(self) -> RequestNotes:
        return notes_of(self.scope)

    async def accept(self, chosen: str | None) -> None:
        headers = [(REQUEST_ID, self.notes.id.encode())]
        await self.send({"type": "websocket.accept", "subprotocol": chosen, "headers": headers})

    async def close(self, code: int, reason: str) -> None:
        with suppress(OSError):  # the client may have disconnected already
            await self.send({"type": "websocket.close", "code": code, "reason": _shorten_reason(reason)})

    @property
    def charged_output(self) -> int:
        """Output tokens that were stated, and the most that an answer under way can have."""
        return (self.output_tokens or 0) + self.open_responses * MOST_RESPONSE_TOKENS

    def count_usage(self, text: str) -> None:
        """Add the token counts of a usage event. Raises ``InsufficientQuota`` when they use up the key's budget."""
        if RESPONSE_BEGUN in text:
            self.open_responses += 1
            self._hold_money()
        if '"usage"' not in text or not any(kind in text for kind in USAGE_EVENTS):
            return
        read, written = read_token_counts(text.encode())
        if read is not None:
            self.input_tokens = (self.input_tokens or 0) + read
        if written is not None:
            self.output_tokens = (self.output_tokens or 0) + written
        if RESPONSE_DONE in text:
            self.open_responses = max(self.open_responses - 1, 0)
        self._hold_money()

    def _hold_money(self) -> None:
        if self.metered is not None:
            self.metering.update_session(self.metered, self.input_tokens, self.charged_output)


class RealtimeEndpoint:
    """Invalid keys and requests are rejected during the handshake. Upstream failures after that are sent as an ``error``
    event and a close reason, because browsers can't see anything else."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            session = await self._open_session(scope, receive, send)
        except FilmgateError as error:
            await _reject_handshake(scope, send, error)
            return
        try:
            await self._connect_upstream(session)
        except FilmgateError as error:
            session.status = error.status
            with suppress(OSError):  # the client may have disconnected already
                await _close_with_error(session, error)
        finally:
            self._record_session(session)

    async def _open_session(self, scope: Scope, receive: Receive, send: Send) -> RealtimeSession:
        key = await self._relay.authenticate(scope)
        fields = keep_repeated_names(list(_query_items(scope)))
        check_names(fields)
        model = notes_of(scope).model = fields.get("model", "")
        if not model:
            raise MissingField("model")
        key.require_model(model)
        await self._relay.endpoints.usable_endpoints(model, PATH)
        metering = self._relay.metering
        metered = await metering.begin_session(key, model)
        return RealtimeSession(
            scope,
            receive,
            send,
            key,
            model,
            started_at=time.perf_counter(),
            metering=metering,
            metered=metered,
        )

    async def _connect_upstream(self, session: RealtimeSession) -> None:
        upstreams, endpoints = self._relay.upstreams, self._relay.endpoints
        refusal: UpstreamRefusal | None = None
        unreached: NeverSent | None = None
        usable = await endpoints.usable_endpoints(session.model, PATH)
        cause, blocked = endpoints.cause_for(session.key.id, session.model, PATH), 0
        for endpoint in upstreams.sort_endpoints(usable, key_id=session.key.id):
            session.account_id, session.upstream_model = endpoint.account.id, endpoint.model
            session.notes.note_upstream(endpoint.account, endpoint.model)
            upstreams.call_started(endpoint)
            try:
                opened = await self._open_websocket(session, endpoint)
                if not isinstance(opened, UpstreamRefusal):
                    await _relay_messages(session, opened)
                    return
            except NeverSent as error:
                unreached = error
                continue
            finally:
                upstreams.call_ended(endpoint)
            refusal = opened
            onward = await upstreams.record_refusal(refusal, cause=cause)
            blocked += onward == "one"
            if onward == "none" or blocked > 1:
                break
        if refusal is not None:
            raise UpstreamError(f"The upstream refused the connection with status {refusal.status}.")
        raise unreached or await endpoints.unavailable_error(session.model, PATH)

    async def _open_websocket(
        self, session: RealtimeSession, endpoint: UpstreamEndpoint
    ) -> aiohttp.ClientWebSocketResponse | UpstreamRefusal:
        query = [
            (name, endpoint.model if name == "model" else value)
            for name, value in _query_items(session.scope)
        ]
        protocols = [name for name in _offered_protocols(session.scope) if not name.startswith(KEY_PROTOCOL)]
        headers = session.scope["headers"]
        return await self._relay.upstreams.open_websocket(endpoint, headers, query=query, protocols=protocols)

    def _record_session(self, session: RealtimeSession) -> None:
        read, written, cost = session.input_tokens, session.output_tokens, NOTHING
        if session.metered is not None:
            cost = session.metering.end_session(session.metered, read, session.charged_output)
        self._relay.record_usage(
            UsageRow(
                at=clock.now(),
                key_id=session.key.id,
                account_id=session.account_id,
                model=session.model,
                path=f"/v1/{PATH}",
                status=session.status,
                milliseconds=(time.perf_counter() - session.started_at) * 1000,
                input_tokens=read,
                output_tokens=written,
                cost=cost,
                request_id=session.notes.id,
                project_id=session.key.project_id,
                tags=session.notes.tags,
            )
        )


async def _relay_messages(session: RealtimeSession, upstream: aiohttp.ClientWebSocketResponse) -> None:
    """Relay both ways until one side closes; then close the other with the same code and reason."""
    await session.accept(_chosen_protocol(session.scope, upstream.protocol))
    up = asyncio.create_task(_client_to_upstream(session, upstream))
    down = asyncio.create_task(_upstream_to_client(session, upstream))
    try:
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        if down.done():
            code, reason = down.result()
            await session.close(code, reason)
        else:
            code, reason = up.result()
            down.cancel()  # or it would take our own close for the upstream's
            await asyncio.gather(down, return_exceptions=True)
            await upstream.close(code=code, message=_shorten_reason(reason).encode())
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
        await upstream.close()


async def _client_to_upstream(
    session: RealtimeSession, upstream: aiohttp.ClientWebSocketResponse
) -> tuple[int, str]:
    """Relay until the client closes. Returns its close code and reason."""
    while True:
        message = await session.receive()
        if message["type"] == "websocket.disconnect":
            return _valid_close_code(message.get("code")), message.get("reason") or ""
        text = message.get("text")
        if text is not None and _names_other_model(text, {session.model, session.upstream_model}):
            await session.close(REFUSED, ONE_MODEL)
            return REFUSED, ONE_MODEL
        try:
            if message.get("text") is not None:
                await upstream.send_str(message["text"])
            else:
                await upstream.send_bytes(message["bytes"])
        except (aiohttp.ClientError, OSError):
            # The other direction receives the close code and ends the session.
            await asyncio.Event().wait()


def _names_other_model(text: str, known: set[str]) -> bool:
    """Whether an event asks for another model than the one that was checked and is paid, however its name is written."""
    if '"model"' not in text.lower() and "\\u00" not in text:
        return False
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return False
    objects = (
        [event, *(event.get(name) for name in ("session", "response"))] if isinstance(event, dict) else []
    )
    named = (
        value
        for found in objects
        if isinstance(found, dict)
        for name, value in found.items()
        if fold_name(name) == "model"
    )
    return any(value not in known for value in named)


async def _upstream_to_client(
    session: RealtimeSession, upstream: aiohttp.ClientWebSocketResponse
) -> tuple[int, str]:
    """Relay until the upstream closes. Returns its close code and reason."""
    while True:
        message = await upstream.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            await _send_to_client(session, {"text": message.data})
            try:
                session.count_usage(message.data)
            except InsufficientQuota as error:
                return REFUSED, error.message
        elif message.type is aiohttp.WSMsgType.BINARY:
            await _send_to_client(session, {"bytes": message.data})
        elif message.type is aiohttp.WSMsgType.CLOSE:
            return _valid_close_code(message.data), message.extra or ""
        else:
            log.warning("relay.broken", account=session.account_id, error=message.type.name)
            session.status = BAD_GATEWAY
            return FAILED, "The upstream broke off the connection."


async def _send_to_client(session: RealtimeSession, content: dict[str, str | bytes]) -> None:
    try:
        await session.send({"type": "websocket.send", **content})
    except OSError:
        # The client has disconnected; the other direction receives the close code and ends the session.
        await asyncio.Event().wait()


def _valid_close_code(code: int | None) -> int:
    """A code that may be sent: RFC 6455, 7.4.1 reserves those for "no code" and "connection lost"."""
    if code is None or code == NO_CODE:
        return NORMAL
    return code if 3000 <= code < 5000 or (1000 <= code < 1015 and code not in (1004, 1006)) else FAILED


def _shorten_reason(reason: str) -> str:
    return reason.encode()[:MAX_REASON_BYTES].decode("utf-8", "ignore")


def _query_items(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _offered_protocols(scope: Scope) -> list[str]:
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == PROTOCOL_HEADER]
    return [name.strip() for line in lines for name in line.split(",") if name.strip()]


def _chosen_protocol(scope: Scope, upstream_protocol: str | None) -> str | None:
    """A browser that offers subprotocols must get one of them, but never the one that carries its key."""
    offered = [name for name in _offered_protocols(scope) if not name.startswith(KEY_PROTOCOL)]
    return upstream_protocol if upstream_protocol in offered else next(iter(offered), None)


async def _close_with_error(session: RealtimeSession, error: FilmgateError) -> None:
    """As OpenAI does: an ``error`` event, then a close."""
    await session.accept(_chosen_protocol(session.scope, None))
    event = {"type": "error", "event_id": f"event_{secrets.token_hex(8)}", **OWN_ENVELOPE.error_body(error)}
    await session.send({"type": "websocket.send", "text": json.dumps(event)})
    code = TRY_LATER if error.status == 503 else FAILED if error.status >= 500 else REFUSED
    await session.close(code, error.message)


async def _reject_handshake(scope: Scope, send: Send, error: FilmgateError) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": REFUSED, "reason": _shorten_reason(error.message)})
        return
    fields = {"content-type": "application/json", "x-request-id": notes_of(scope).id}
    headers = [(n.encode(), v.encode()) for n, v in (fields | error_headers(error)).items()]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": OWN_ENVELOPE.error_bytes(error)})
