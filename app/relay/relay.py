"""One relayed call: authenticate, find accounts, open the first that answers, pass raw bytes."""

import time
from dataclasses import dataclass
from decimal import Decimal

import aiohttp
from starlette.types import Receive, Scope, Send

from app.catalog.catalog import Catalog
from app.errors import FilmgateError, UpstreamModelForbidden
from app.keys.key import ClientKey
from app.keys.service import KeyRing, key_in_headers
from app.ops.envelope import OWN_ENVELOPE, ErrorEnvelope
from app.relay.disconnect import DisconnectWatcher
from app.relay.endpoint_table import EndpointTable, UpstreamEndpoint
from app.relay.forwarding import ResponseForwarder, send_refusal
from app.relay.metering import MeteredCall, Metering
from app.relay.request import RelayRequest, read_body
from app.relay.translating import CallTranslation, TranslatingForwarder
from app.relay.upstream import NeverSent, UpstreamClient, UpstreamRefusal
from app.usage.recorder import UsageRecorder, UsageRow

NOTHING = Decimal(0)
CLIENT_CLOSED_REQUEST = 499
"""The status kept for a client that left, as nginx has it."""
BAD_GATEWAY = 502
PASSED_REFUSALS = frozenset({425, 429, 503})


@dataclass(slots=True)
class RelayedCall:
    """One client's request, as far as it has come. With a ``translation`` it can go where another API is spoken."""

    scope: Scope
    key: ClientKey
    request: RelayRequest
    path: str
    started_at: float
    envelope: ErrorEnvelope = OWN_ENVELOPE
    account_id: str = ""
    status: int = CLIENT_CLOSED_REQUEST
    forwarder: ResponseForwarder | None = None
    metered: MeteredCall | None = None
    translation: CallTranslation | None = None

    def request_for(self, door: UpstreamEndpoint) -> RelayRequest:
        """What ``door`` is asked. Raises ``InvalidRequest`` for what can't be said there."""
        if door.path == self.path or self.translation is None:
            return self.request
        return self.translation.translated_request(door.model, limit_name=door.limit_name)

    def forwarder_for(self, door: UpstreamEndpoint, response: aiohttp.ClientResponse) -> ResponseForwarder:
        account_id = door.account.id
        if door.path == self.path or self.translation is None:
            return ResponseForwarder(response, account_id=account_id, path=self.path, envelope=self.envelope)
        return TranslatingForwarder(
            response,
            account_id=account_id,
            path=self.path,
            envelope=self.envelope,
            translation=self.translation,
        )

    def refusal_for(self, refusal: UpstreamRefusal) -> UpstreamRefusal:
        if refusal.endpoint.path == self.path or self.translation is None:
            return refusal
        return self.translation.translated_refusal(refusal)


class Relay:
    """Finds accounts, passes bytes both ways, notes what was used.

    ``max_body_bytes`` bounds a request. Errors before the first byte are raised (``FilmgateError``) for the
    outermost layer to answer.
    """

    def __init__(
        self,
        *,
        keys: KeyRing,
        catalog: Catalog,
        upstreams: UpstreamClient,
        recorder: UsageRecorder,
        charging: Metering,
        max_body_bytes: int,
    ) -> None:
        self.endpoints = EndpointTable(catalog)
        self._keys = keys
        self._upstreams = upstreams
        self._recorder = recorder
        self.metering = charging
        self._max_body_bytes = max_body_bytes

    async def authenticate(self, scope: Scope) -> ClientKey:
        """The client's key. Raises 401, 403 and 429."""
        return await self._keys.admit(key_in_headers(scope["headers"]), scope)

    async def authenticate_and_read(self, scope: Scope, receive: Receive) -> tuple[ClientKey, bytes]:
        """The client's key, then its body: a stranger's body is never read. Raises ``ClientGone`` too."""
        key = await self.authenticate(scope)
        return key, await read_body(receive, limit=self._max_body_bytes)

    async def relay_call(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        path: str,
        wish: RelayRequest,
        key: ClientKey,
        translation: CallTranslation | None = None,
        envelope: ErrorEnvelope = OWN_ENVELOPE,
    ) -> None:
        """Pass ``wish`` to ``/v1/<path>`` of the first account that answers, and its answer back. Errors inside
        a stream are written in ``envelope``."""
        call = RelayedCall(
            scope, key, wish, path, started_at=time.perf_counter(), translation=translation, envelope=envelope
        )
        key.require_model(wish.model)
        doors = await self.endpoints.usable_endpoints(wish.model, path)
        call.metered = await self.metering.begin_call(key, wish, path)
        hangup = DisconnectWatcher(receive)
        try:
            async with hangup:
                # Put in order only now: between this and the first account's call nothing may wait.
                await self._try_endpoints(call, self._upstreams.sort_endpoints(doors), send)
        except FilmgateError as error:
            call.status = error.status
            raise
        finally:
            self._record_call(call, gone=hangup.disconnected)

    @property
    def upstreams(self) -> UpstreamClient:
        return self._upstreams

    def record_usage(self, row: UsageRow) -> None:
        """Of a call that went its own way."""
        self._recorder.add_row(row)

    async def _try_endpoints(self, call: RelayedCall, doors: list[UpstreamEndpoint], send: Send) -> None:
        answers: list[UpstreamRefusal] = []
        unreached: NeverSent | None = None
        for door in doors:
            call.account_id = door.account.id
            self._upstreams.call_started(door)
            try:
                found = await self._upstreams.send_request(
                    door, call.request_for(door), call.scope["headers"]
                )
                if not isinstance(found, UpstreamRefusal):
                    call.status = found.status
                    call.forwarder = call.forwarder_for(door, found)
                    await call.forwarder.forward(send)
                    return
            except NeverSent as error:
                unreached = error
                continue
            finally:
                self._upstreams.call_ended(door)
            if not await self._upstreams.record_refusal(found):
                await self._send_refusal(call, found, send)
                return
            answers.append(found)
        await self._answer_without_success(call, answers, unreached=unreached, send=send)

    async def _send_refusal(self, call: RelayedCall, refusal: UpstreamRefusal, send: Send) -> None:
        call.status = refusal.status
        await send_refusal(call.refusal_for(refusal), send)

    async def _answer_without_success(
        self, call: RelayedCall, answers: list[UpstreamRefusal], *, unreached: NeverSent | None, send: Send
    ) -> None:
        """An upstream's own "not now" or "not this model" says most; "your key is bad" was said to us, not to the
        client."""
        for answer in reversed(answers):
            if answer.status in PASSED_REFUSALS or isinstance(answer.upstream_error, UpstreamModelForbidden):
                await self._send_refusal(call, answer, send)
                return
        if unreached is not None and not answers:
            raise unreached
        raise await self.endpoints.unavailable_error(call.request.model, call.path)

    def _record_call(self, call: RelayedCall, *, gone: bool) -> None:
        passing, status = call.forwarder, call.status
        input_tokens = output_tokens = None
        cost = NOTHING
        if passing is not None:
            input_tokens, output_tokens = passing.usage_reader.token_counts()
            status = status if passing.is_complete else BAD_GATEWAY
        if call.metered is not None:
            cost = self.metering.end_call(call.metered, passing if gone or status < BAD_GATEWAY else None)
        self._recorder.add_row(
            UsageRow(
                at=time.time(),
                key_id=call.key.id,
                account_id=call.account_id,
                model=call.request.model,
                path=f"/v1/{call.path}",
                status=CLIENT_CLOSED_REQUEST if gone else status,
                milliseconds=(time.perf_counter() - call.started_at) * 1000,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                cost=cost,
            )
        )
