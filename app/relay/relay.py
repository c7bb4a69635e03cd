"""One relayed call: authenticate, rank the endpoints, forward the first answer byte for byte, record its cost."""

import time
from dataclasses import dataclass
from decimal import Decimal

import aiohttp
from starlette.types import Receive, Scope, Send

from app.catalog.catalog import Catalog
from app.catalog.price import BYTES_PER_TOKEN, ModelPrice
from app.catalog.prices import PriceRepository
from app.errors import FilmgateError, UpstreamModelForbidden
from app.keys.key import ClientKey
from app.keys.service import KeyRing, key_in_headers
from app.ops.envelope import OWN_ENVELOPE, ErrorEnvelope
from app.relay.endpoint_table import EndpointTable, UpstreamEndpoint
from app.relay.forwarding import DisconnectWatcher, ResponseForwarder, send_refusal
from app.relay.request import RelayRequest, read_body
from app.relay.translating import CallTranslation, TranslatingForwarder
from app.relay.upstream import NeverSent, UpstreamClient, UpstreamRefusal
from app.usage.budgets import BudgetTracker
from app.usage.recorder import UsageRecorder, UsageRow

NOTHING = Decimal(0)
CLIENT_CLOSED_REQUEST = 499
"""The status recorded for a client that disconnected, as nginx does."""
BAD_GATEWAY = 502
PASSED_REFUSALS = frozenset({425, 429, 503})
EVENT_BYTES_PER_TOKEN = 200
"""A streamed event carries about one token in about this many bytes."""


# ---- what calls cost ----------------------------------------------------------------------------


@dataclass(slots=True)
class MeteredCall:
    """One priced call under way."""

    key: ClientKey
    price: ModelPrice
    base: Decimal
    request_bytes: int
    estimate: Decimal
    """US dollars that ``BudgetTracker`` holds for it."""


class Metering:
    """Holds a call's estimated cost in memory while it is under way, and computes the cost from its answer.

    Costs no time for models without a price.
    """

    def __init__(self, prices: PriceRepository, budgets: BudgetTracker) -> None:
        self._prices = prices
        self._budgets = budgets

    async def begin_call(self, key: ClientKey, request: RelayRequest, path: str) -> MeteredCall | None:
        """None when the model has no price. Raises ``InsufficientQuota``. Pass the call to ``end_call``."""
        price = await self._prices.recent_price(request.model)
        if price is None:
            return None
        size, base = len(request.body), price.base_of_call(path, request.fields)
        if not key.has_budget:
            return MeteredCall(key, price, base, size, NOTHING)
        estimate = base + price.quote_tokens(request.fields, size)
        await self._budgets.hold_estimate(key, estimate)
        return MeteredCall(key, price, base, size, estimate)

    def end_call(self, call: MeteredCall, answer: ResponseForwarder | None) -> Decimal:
        """The cost in US dollars: nothing without an answer (None)."""
        return self._release_hold(call, _cost_of_call(call, answer) if answer is not None else NOTHING)

    async def begin_session(self, key: ClientKey, model: str) -> MeteredCall | None:
        """A realtime session, whose cost can't be estimated: what it has used is held as it goes on.

        None when the model has no price. Raises ``InsufficientQuota``. Pass the session to ``end_session``.
        """
        price = await self._prices.recent_price(model)
        if price is None:
            return None
        if key.has_budget:
            await self._budgets.hold_estimate(key, price.per_call)
        return MeteredCall(key, price, price.per_call, 0, price.per_call)

    def update_session(self, call: MeteredCall, read: int | None, written: int | None) -> None:
        """Hold what a session has used so far. Raises ``InsufficientQuota`` when the budget is used up."""
        if call.key.has_budget:
            more = _cost_of_session(call, read, written) - call.estimate
            call.estimate += more
            self._budgets.raise_hold(call.key, more)

    def end_session(self, call: MeteredCall, read: int | None, written: int | None) -> Decimal:
        """The cost in US dollars."""
        return self._release_hold(call, _cost_of_session(call, read, written))

    def _release_hold(self, call: MeteredCall, cost: Decimal) -> Decimal:
        if call.key.has_budget:
            self._budgets.release_hold(call.key.id, estimate=call.estimate, cost=cost)
        return cost


def _cost_of_session(call: MeteredCall, read: int | None, written: int | None) -> Decimal:
    return call.base + call.price.cost_of_tokens(read or 0, written or 0)


def _cost_of_call(call: MeteredCall, answer: ResponseForwarder) -> Decimal:
    price, usage = call.price, answer.usage_reader
    read, written = usage.token_counts() if price.counts_tokens else (0, 0)
    # A stream states its usage only on request, and not to a client that disconnects: neither makes it free.
    if read is None:
        read = call.request_bytes // BYTES_PER_TOKEN
    if written is None:
        written = usage.total_bytes // (EVENT_BYTES_PER_TOKEN if answer.is_event_stream else BYTES_PER_TOKEN)
    return call.base + price.cost_of_tokens(read, written)


# ---- calls --------------------------------------------------------------------------------------


@dataclass(slots=True)
class RelayedCall:
    """The state of one client's call. With a ``translation`` it can go to endpoints that speak another API."""

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

    def request_for(self, endpoint: UpstreamEndpoint) -> RelayRequest:
        """The request for this endpoint, translated if it speaks another API. Raises ``InvalidRequest`` if it cannot be."""
        if endpoint.path == self.path or self.translation is None:
            return self.request
        return self.translation.translated_request(endpoint.model, limit_name=endpoint.limit_name)

    def forwarder_for(
        self, endpoint: UpstreamEndpoint, response: aiohttp.ClientResponse
    ) -> ResponseForwarder:
        account_id = endpoint.account.id
        if endpoint.path == self.path or self.translation is None:
            return ResponseForwarder(response, account_id=account_id, path=self.path, envelope=self.envelope)
        return TranslatingForwarder(
            response,
            account_id=account_id,
            path=self.path,
            envelope=self.envelope,
            translation=self.translation,
        )

    def refusal_for(self, refusal: UpstreamRefusal) -> UpstreamRefusal:
        """The refusal in the words of the client's API."""
        if refusal.endpoint.path == self.path or self.translation is None:
            return refusal
        return self.translation.translated_refusal(refusal)


class Relay:
    """Relays calls to upstream endpoints and records what they used.

    ``max_body_bytes`` bounds a request's body. Errors before the first byte of an answer are raised as ``FilmgateError``;
    the outermost layer answers them.
    """

    def __init__(
        self,
        *,
        keys: KeyRing,
        catalog: Catalog,
        upstreams: UpstreamClient,
        recorder: UsageRecorder,
        metering: Metering,
        max_body_bytes: int,
    ) -> None:
        self.endpoints = EndpointTable(catalog)
        self.metering = metering
        self.upstreams = upstreams
        self._keys = keys
        self._recorder = recorder
        self._max_body_bytes = max_body_bytes

    async def authenticate(self, scope: Scope) -> ClientKey:
        """The client's key. Raises the errors of 401, 403 and 429."""
        return await self._keys.admit(key_in_headers(scope["headers"]), scope)

    async def authenticate_and_read(self, scope: Scope, receive: Receive) -> tuple[ClientKey, bytes]:
        """The client's key, then its body: the body of an unknown client is never read. Also raises ``ClientGone``."""
        key = await self.authenticate(scope)
        return key, await read_body(receive, limit=self._max_body_bytes)

    async def relay_call(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        path: str,
        request: RelayRequest,
        key: ClientKey,
        translation: CallTranslation | None = None,
        envelope: ErrorEnvelope = OWN_ENVELOPE,
    ) -> None:
        """Send ``request`` to ``/v1/<path>`` of the first account that answers, and forward the answer.

        Errors inside a stream are written in ``envelope``.
        """
        call = RelayedCall(
            scope,
            key,
            request,
            path,
            started_at=time.perf_counter(),
            translation=translation,
            envelope=envelope,
        )
        key.require_model(request.model)
        endpoints = await self.endpoints.usable_endpoints(request.model, path)
        call.metered = await self.metering.begin_call(key, request, path)
        watcher = DisconnectWatcher(receive)
        try:
            async with watcher:
                # Ranked only now: between this and the first request nothing may wait, or loads would be stale.
                await self._try_endpoints(call, self.upstreams.sort_endpoints(endpoints), send)
        except FilmgateError as error:
            call.status = error.status
            raise
        finally:
            self._record_call(call, gone=watcher.disconnected)

    def record_usage(self, row: UsageRow) -> None:
        """Record a call that did not go through ``relay_call``."""
        self._recorder.add_row(row)

    async def _try_endpoints(self, call: RelayedCall, endpoints: list[UpstreamEndpoint], send: Send) -> None:
        refusals: list[UpstreamRefusal] = []
        unreached: NeverSent | None = None
        for endpoint in endpoints:
            call.account_id = endpoint.account.id
            self.upstreams.call_started(endpoint)
            try:
                answer = await self.upstreams.send_request(
                    endpoint, call.request_for(endpoint), call.scope["headers"]
                )
                if not isinstance(answer, UpstreamRefusal):
                    call.status = answer.status
                    call.forwarder = call.forwarder_for(endpoint, answer)
                    await call.forwarder.forward(send)
                    return
            except NeverSent as error:
                unreached = error
                continue
            finally:
                self.upstreams.call_ended(endpoint)
            if not await self.upstreams.record_refusal(answer):
                await self._send_refusal(call, answer, send)
                return
            refusals.append(answer)
        await self._answer_without_success(call, refusals, unreached=unreached, send=send)

    async def _send_refusal(self, call: RelayedCall, refusal: UpstreamRefusal, send: Send) -> None:
        call.status = refusal.status
        await send_refusal(call.refusal_for(refusal), send)

    async def _answer_without_success(
        self, call: RelayedCall, refusals: list[UpstreamRefusal], *, unreached: NeverSent | None, send: Send
    ) -> None:
        """Forward an upstream's "not now" or "not this model"; "your key is bad" concerns our key, not the client's."""
        for refusal in reversed(refusals):
            if refusal.status in PASSED_REFUSALS or isinstance(
                refusal.upstream_error, UpstreamModelForbidden
            ):
                await self._send_refusal(call, refusal, send)
                return
        if unreached is not None and not refusals:
            raise unreached
        raise await self.endpoints.unavailable_error(call.request.model, call.path)

    def _record_call(self, call: RelayedCall, *, gone: bool) -> None:
        """Write the usage row. A broken answer costs nothing, one that the client left costs what it used."""
        forwarder, status = call.forwarder, call.status
        read = written = None
        cost = NOTHING
        if forwarder is not None:
            read, written = forwarder.usage_reader.token_counts()
            status = status if forwarder.is_complete else BAD_GATEWAY
        if call.metered is not None:
            cost = self.metering.end_call(call.metered, forwarder if gone or status < BAD_GATEWAY else None)
        self._recorder.add_row(
            UsageRow(
                at=time.time(),
                key_id=call.key.id,
                account_id=call.account_id,
                model=call.request.model,
                path=f"/v1/{call.path}",
                status=CLIENT_CLOSED_REQUEST if gone else status,
                milliseconds=(time.perf_counter() - call.started_at) * 1000,
                input_tokens=read,
                output_tokens=written,
                cost=cost,
            )
        )
