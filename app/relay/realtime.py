"""``WS /v1/realtime``: a WebSocket on each side, every message passed on, both ends closed together."""

import asyncio
import json
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import aiohttp
import structlog
from starlette.types import Receive, Scope, Send

from app.errors import FilmgateError, InsufficientQuota, MissingField, UpstreamError
from app.keys.key import ClientKey
from app.keys.service import KEY_PROTOCOL
from app.ops.envelope import OWN_ENVELOPE, error_headers
from app.relay.endpoint_table import UpstreamEndpoint
from app.relay.metering import NOTHING, MeteredCall, Metering
from app.relay.relay import BAD_GATEWAY, Relay
from app.relay.upstream import NeverSent, UpstreamRefusal
from app.relay.usage_reader import read_token_counts
from app.usage.recorder import UsageRow

log = structlog.get_logger()
PATH = "realtime"
SWITCHED = 101
TRY_LATER, FAILED, REFUSED = 1013, 1011, 1008
NO_CODE, NORMAL = 1005, 1000
MAX_REASON_BYTES = 123
PROTOCOL_HEADER = b"sec-websocket-protocol"
USAGE_EVENTS = ('"response.done"', '"conversation.item.input_audio_transcription.completed"')


@dataclass(slots=True)
class RealtimeSession:
    """One client's connection, as far as it has come."""

    scope: Scope
    receive: Receive
    send: Send
    key: ClientKey
    model: str
    started_at: float
    metering: Metering
    metered: MeteredCall | None = None
    account_id: str = ""
    status: int = SWITCHED
    input_tokens: int | None = None
    output_tokens: int | None = None
    request_id: str = field(default_factory=lambda: f"req_{secrets.token_hex(16)}")

    async def accept(self, chosen: str | None) -> None:
        headers = [(b"x-request-id", self.request_id.encode())]
        await self.send({"type": "websocket.accept", "subprotocol": chosen, "headers": headers})

    async def close(self, code: int, reason: str) -> None:
        with suppress(OSError):  # the client may have left before
            await self.send({"type": "websocket.close", "code": code, "reason": _shorten_reason(reason)})

    def count_usage(self, text: str) -> None:
        """Adds up what each answer used. Raises ``InsufficientQuota`` when the key's budget is spent by it."""
        if '"usage"' not in text or not any(kind in text for kind in USAGE_EVENTS):
            return
        read, written = read_token_counts(text.encode())
        if read is not None:
            self.input_tokens = (self.input_tokens or 0) + read
        if written is not None:
            self.output_tokens = (self.output_tokens or 0) + written
        if self.metered is not None:
            self.metering.update_session(self.metered, self.input_tokens, self.output_tokens)


class RealtimeEndpoint:
    """Strangers and bad requests are refused in the handshake; who may come in hears of an upstream's trouble
    as an ``error`` event and a close with its reason, which is all that browsers can see."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            conversation = await self._open_session(scope, receive, send)
        except FilmgateError as error:
            await _reject_handshake(scope, send, error)
            return
        try:
            await self._connect_upstream(conversation)
        except FilmgateError as error:
            conversation.status = error.status
            with suppress(OSError):  # the client may have left before
                await _close_with_error(conversation, error)
        finally:
            self._record_session(conversation)

    async def _open_session(self, scope: Scope, receive: Receive, send: Send) -> RealtimeSession:
        key = await self._relay.authenticate(scope)
        model = dict(_query_items(scope)).get("model")
        if not model:
            raise MissingField("model")
        key.require_model(model)
        await self._relay.endpoints.usable_endpoints(model, PATH)
        charging = self._relay.metering
        charge = await charging.begin_session(key, model)
        return RealtimeSession(
            scope,
            receive,
            send,
            key,
            model,
            started_at=time.perf_counter(),
            metering=charging,
            metered=charge,
        )

    async def _connect_upstream(self, conversation: RealtimeSession) -> None:
        upstreams = self._relay.upstreams
        refused: UpstreamRefusal | None = None
        unreached: NeverSent | None = None
        for door in upstreams.sort_endpoints(
            await self._relay.endpoints.usable_endpoints(conversation.model, PATH)
        ):
            conversation.account_id = door.account.id
            upstreams.call_started(door)
            try:
                found = await self._open_websocket(conversation, door)
                if not isinstance(found, UpstreamRefusal):
                    await _relay_messages(conversation, found)
                    return
            except NeverSent as error:
                unreached = error
                continue
            finally:
                upstreams.call_ended(door)
            refused = found
            if not await upstreams.record_refusal(found):
                break
        if refused is not None:
            raise UpstreamError(f"The upstream refused the connection with status {refused.status}.")
        raise unreached or await self._relay.endpoints.unavailable_error(conversation.model, PATH)

    async def _open_websocket(
        self, conversation: RealtimeSession, door: UpstreamEndpoint
    ) -> aiohttp.ClientWebSocketResponse | UpstreamRefusal:
        query = [(n, door.model if n == "model" else v) for n, v in _query_items(conversation.scope)]
        protocols = [
            name for name in _offered_protocols(conversation.scope) if not name.startswith(KEY_PROTOCOL)
        ]
        headers = conversation.scope["headers"]
        return await self._relay.upstreams.open_websocket(door, headers, query=query, protocols=protocols)

    def _record_session(self, conversation: RealtimeSession) -> None:
        read, written, cost = conversation.input_tokens, conversation.output_tokens, NOTHING
        if conversation.metered is not None:
            cost = conversation.metering.end_session(conversation.metered, read, written)
        self._relay.record_usage(
            UsageRow(
                at=time.time(),
                key_id=conversation.key.id,
                account_id=conversation.account_id,
                model=conversation.model,
                path=f"/v1/{PATH}",
                status=conversation.status,
                milliseconds=(time.perf_counter() - conversation.started_at) * 1000,
                input_tokens=read,
                output_tokens=written,
                cost=cost,
            )
        )


async def _relay_messages(conversation: RealtimeSession, upstream: aiohttp.ClientWebSocketResponse) -> None:
    """Both ways, until one end closes; then the other is closed with the same word."""
    await conversation.accept(_chosen_protocol(conversation.scope, upstream.protocol))
    up = asyncio.create_task(_client_to_upstream(conversation, upstream))
    down = asyncio.create_task(_upstream_to_client(conversation, upstream))
    try:
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        if down.done():
            code, reason = down.result()
            await conversation.close(code, reason)
        else:
            code, reason = up.result()
            down.cancel()  # or it would take our own close for the upstream's end
            await asyncio.gather(down, return_exceptions=True)
            await upstream.close(code=code, message=_shorten_reason(reason).encode())
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
        await upstream.close()


async def _client_to_upstream(
    conversation: RealtimeSession, upstream: aiohttp.ClientWebSocketResponse
) -> tuple[int, str]:
    """Answers the client's close code and reason."""
    while True:
        message = await conversation.receive()
        if message["type"] == "websocket.disconnect":
            return _valid_close_code(message.get("code")), message.get("reason") or ""
        try:
            if message.get("text") is not None:
                await upstream.send_str(message["text"])
            else:
                await upstream.send_bytes(message["bytes"])
        except (aiohttp.ClientError, OSError):
            # The other direction learns why, and says so.
            await asyncio.Event().wait()


async def _upstream_to_client(
    conversation: RealtimeSession, upstream: aiohttp.ClientWebSocketResponse
) -> tuple[int, str]:
    """Answers the upstream's close code and reason."""
    while True:
        message = await upstream.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            await _send_to_client(conversation, {"text": message.data})
            try:
                conversation.count_usage(message.data)
            except InsufficientQuota as spent:
                return REFUSED, spent.message
        elif message.type is aiohttp.WSMsgType.BINARY:
            await _send_to_client(conversation, {"bytes": message.data})
        elif message.type is aiohttp.WSMsgType.CLOSE:
            return _valid_close_code(message.data), message.extra or ""
        else:
            log.warning("relay.broken", account=conversation.account_id, error=message.type.name)
            conversation.status = BAD_GATEWAY
            return FAILED, "The upstream broke off the connection."


async def _send_to_client(conversation: RealtimeSession, content: dict[str, str | bytes]) -> None:
    try:
        await conversation.send({"type": "websocket.send", **content})
    except OSError:
        # The client has left; the other direction hears with which code.
        await asyncio.Event().wait()


def _valid_close_code(code: int | None) -> int:
    """Codes that say "there was none" or "the line broke" may not be sent themselves."""
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


def _chosen_protocol(scope: Scope, spoken: str | None) -> str | None:
    """A browser that offered some must be given one of them, never the one that holds its key."""
    offered = [name for name in _offered_protocols(scope) if not name.startswith(KEY_PROTOCOL)]
    return spoken if spoken in offered else next(iter(offered), None)


async def _close_with_error(conversation: RealtimeSession, error: FilmgateError) -> None:
    """As OpenAI does: an ``error`` event, then the end."""
    await conversation.accept(_chosen_protocol(conversation.scope, None))
    event = {"type": "error", "event_id": f"event_{secrets.token_hex(8)}", **OWN_ENVELOPE.error_body(error)}
    await conversation.send({"type": "websocket.send", "text": json.dumps(event)})
    code = TRY_LATER if error.status == 503 else FAILED if error.status >= 500 else REFUSED
    await conversation.close(code, error.message)


async def _reject_handshake(scope: Scope, send: Send, error: FilmgateError) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": REFUSED, "reason": _shorten_reason(error.message)})
        return
    told = {"content-type": "application/json", "x-request-id": f"req_{secrets.token_hex(16)}"}
    headers = [(n.encode(), v.encode()) for n, v in (told | error_headers(error)).items()]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": OWN_ENVELOPE.error_bytes(error)})
