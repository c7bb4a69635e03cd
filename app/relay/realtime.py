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
from app.keys.service import Key
from app.ops.envelope import error_body, error_bytes, error_headers
from app.relay.charging import NOTHING, Charge, Charging
from app.relay.doors import Door
from app.relay.relay import BROKEN, Relay
from app.relay.request import KEY_PROTOCOL
from app.relay.tail import tokens_in
from app.relay.upstream import Answered, NeverSent
from app.usage.recorder import UsageRow

log = structlog.get_logger()
PATH = "realtime"
SWITCHED = 101
TRY_LATER, FAILED, REFUSED = 1013, 1011, 1008
NO_CODE, NORMAL = 1005, 1000
LONGEST_REASON = 123
OFFERED = b"sec-websocket-protocol"
TELLS_USAGE = ('"response.done"', '"conversation.item.input_audio_transcription.completed"')


@dataclass(slots=True)
class Conversation:
    """One client's connection, as far as it has come."""

    scope: Scope
    receive: Receive
    send: Send
    key: Key
    model: str
    began: float
    charging: Charging
    charge: Charge | None = None
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
            await self.send({"type": "websocket.close", "code": code, "reason": _short(reason)})

    def heard(self, text: str) -> None:
        """Adds up what each answer used. Raises ``InsufficientQuota`` when the key's budget is spent by it."""
        if '"usage"' not in text or not any(kind in text for kind in TELLS_USAGE):
            return
        read, written = tokens_in(text.encode())
        if read is not None:
            self.input_tokens = (self.input_tokens or 0) + read
        if written is not None:
            self.output_tokens = (self.output_tokens or 0) + written
        if self.charge is not None:
            self.charging.go_on(self.charge, self.input_tokens, self.output_tokens)


class RealtimeEndpoint:
    """Strangers and bad requests are refused in the handshake; who may come in hears of an upstream's trouble
    as an ``error`` event and a close with its reason, which is all that browsers can see."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            conversation = await self._admit(scope, receive, send)
        except FilmgateError as error:
            await _deny(scope, send, error)
            return
        try:
            await self._hold(conversation)
        except FilmgateError as error:
            conversation.status = error.status
            with suppress(OSError):  # the client may have left before
                await _turn_away(conversation, error)
        finally:
            self._note(conversation)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> Conversation:
        key = await self._relay.identify(scope)
        model = dict(_query(scope)).get("model")
        if not model:
            raise MissingField("model")
        key.require_model(model)
        await self._relay.doors.usable(model, PATH)
        charging = self._relay.charging
        charge = await charging.enter_talk(key, model)
        return Conversation(
            scope,
            receive,
            send,
            key,
            model,
            began=time.perf_counter(),
            charging=charging,
            charge=charge,
        )

    async def _hold(self, conversation: Conversation) -> None:
        upstreams = self._relay.upstreams
        refused: Answered | None = None
        unreached: NeverSent | None = None
        for door in upstreams.order(await self._relay.doors.usable(conversation.model, PATH)):
            conversation.account_id = door.account.id
            upstreams.enter(door)
            try:
                found = await self._dial(conversation, door)
                if not isinstance(found, Answered):
                    await _pass(conversation, found)
                    return
            except NeverSent as error:
                unreached = error
                continue
            finally:
                upstreams.leave(door)
            refused = found
            if not await upstreams.rest(found):
                break
        if refused is not None:
            raise UpstreamError(f"The upstream refused the connection with status {refused.status}.")
        raise unreached or await self._relay.doors.unavailable(conversation.model, PATH)

    async def _dial(
        self, conversation: Conversation, door: Door
    ) -> aiohttp.ClientWebSocketResponse | Answered:
        query = [(n, door.model if n == "model" else v) for n, v in _query(conversation.scope)]
        protocols = [name for name in _offered(conversation.scope) if not name.startswith(KEY_PROTOCOL)]
        headers = conversation.scope["headers"]
        return await self._relay.upstreams.dial(door, headers, query=query, protocols=protocols)

    def _note(self, conversation: Conversation) -> None:
        read, written, cost = conversation.input_tokens, conversation.output_tokens, NOTHING
        if conversation.charge is not None:
            cost = conversation.charging.leave_talk(conversation.charge, read, written)
        self._relay.note(
            UsageRow(
                at=time.time(),
                key_id=conversation.key.id,
                account_id=conversation.account_id,
                model=conversation.model,
                path=f"/v1/{PATH}",
                status=conversation.status,
                milliseconds=(time.perf_counter() - conversation.began) * 1000,
                input_tokens=read,
                output_tokens=written,
                cost=cost,
            )
        )


async def _pass(conversation: Conversation, upstream: aiohttp.ClientWebSocketResponse) -> None:
    """Both ways, until one end closes; then the other is closed with the same word."""
    await conversation.accept(_chosen(conversation.scope, upstream.protocol))
    up = asyncio.create_task(_upwards(conversation, upstream))
    down = asyncio.create_task(_downwards(conversation, upstream))
    try:
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        if down.done():
            code, reason = down.result()
            await conversation.close(code, reason)
        else:
            code, reason = up.result()
            down.cancel()  # or it would take our own close for the upstream's end
            await asyncio.gather(down, return_exceptions=True)
            await upstream.close(code=code, message=_short(reason).encode())
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
        await upstream.close()


async def _upwards(conversation: Conversation, upstream: aiohttp.ClientWebSocketResponse) -> tuple[int, str]:
    """Answers the client's close code and reason."""
    while True:
        message = await conversation.receive()
        if message["type"] == "websocket.disconnect":
            return _sendable(message.get("code")), message.get("reason") or ""
        try:
            if message.get("text") is not None:
                await upstream.send_str(message["text"])
            else:
                await upstream.send_bytes(message["bytes"])
        except (aiohttp.ClientError, OSError):
            # The other direction learns why, and says so.
            await asyncio.Event().wait()


async def _downwards(
    conversation: Conversation, upstream: aiohttp.ClientWebSocketResponse
) -> tuple[int, str]:
    """Answers the upstream's close code and reason."""
    while True:
        message = await upstream.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            await _forward(conversation, {"text": message.data})
            try:
                conversation.heard(message.data)
            except InsufficientQuota as spent:
                return REFUSED, spent.message
        elif message.type is aiohttp.WSMsgType.BINARY:
            await _forward(conversation, {"bytes": message.data})
        elif message.type is aiohttp.WSMsgType.CLOSE:
            return _sendable(message.data), message.extra or ""
        else:
            log.warning("relay.broken", account=conversation.account_id, error=message.type.name)
            conversation.status = BROKEN
            return FAILED, "The upstream broke off the connection."


async def _forward(conversation: Conversation, content: dict[str, str | bytes]) -> None:
    try:
        await conversation.send({"type": "websocket.send", **content})
    except OSError:
        # The client has left; the other direction hears with which code.
        await asyncio.Event().wait()


def _sendable(code: int | None) -> int:
    """Codes that say "there was none" or "the line broke" may not be sent themselves."""
    if code is None or code == NO_CODE:
        return NORMAL
    return code if 3000 <= code < 5000 or (1000 <= code < 1015 and code not in (1004, 1006)) else FAILED


def _short(reason: str) -> str:
    return reason.encode()[:LONGEST_REASON].decode("utf-8", "ignore")


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _offered(scope: Scope) -> list[str]:
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == OFFERED]
    return [name.strip() for line in lines for name in line.split(",") if name.strip()]


def _chosen(scope: Scope, spoken: str | None) -> str | None:
    """A browser that offered some must be given one of them, never the one that holds its key."""
    offered = [name for name in _offered(scope) if not name.startswith(KEY_PROTOCOL)]
    return spoken if spoken in offered else next(iter(offered), None)


async def _turn_away(conversation: Conversation, error: FilmgateError) -> None:
    """As OpenAI does: an ``error`` event, then the end."""
    await conversation.accept(_chosen(conversation.scope, None))
    event = {"type": "error", "event_id": f"event_{secrets.token_hex(8)}", **error_body(error)}
    await conversation.send({"type": "websocket.send", "text": json.dumps(event)})
    code = TRY_LATER if error.status == 503 else FAILED if error.status >= 500 else REFUSED
    await conversation.close(code, error.message)


async def _deny(scope: Scope, send: Send, error: FilmgateError) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": REFUSED, "reason": _short(error.message)})
        return
    told = {"content-type": "application/json", "x-request-id": f"req_{secrets.token_hex(16)}"}
    headers = [(n.encode(), v.encode()) for n, v in (told | error_headers(error)).items()]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": error_bytes(error)})
