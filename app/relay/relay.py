"""One relayed call: authenticate, rank the endpoints, forward the first answer byte for byte, record its cost."""

import time
from dataclasses import dataclass
from decimal import Decimal

from starlette.types import Receive, Scope, Send

from app import clock
from app.accounts.refusals import RefusalCause
from app.catalog.call_fields import asks_for_other_models
from app.catalog.call_price import CallDemand, cost_of_left_call, final_cost, most_cost, read_demand
from app.catalog.catalog import Catalog
from app.catalog.price import BYTES_PER_TOKEN, ModelPrice
from app.catalog.prices import PriceRepository
from app.errors import FilmgateError, InvalidRequest, RequestBlocked, UpstreamModelForbidden
from app.json_bodies import run_for_body
from app.keys.key import ClientKey
from app.keys.service import KeyRing, key_in_headers
from app.keys.spender import end_user_of
from app.ops.access import notes_of
from app.ops.envelope import OWN_ENVELOPE, ErrorEnvelope
from app.relay.endpoint_table import EndpointTable, UpstreamEndpoint
from app.relay.forwarding import DisconnectWatcher, ResponseForwarder, YoungCalls, send_refusal
from app.relay.repairing import plain_forwarder
from app.relay.request import RelayRequest, read_body
from app.relay.translating import CallTranslation, TranslatingForwarder
from app.relay.upstream import UNKNOWN_FIELD_STATUSES, NeverSent, UpstreamClient, UpstreamRefusal
from app.relay.upstream_answer import UpstreamAnswer
from app.usage.budgets import BudgetTracker
from app.usage.recorder import UsageRecorder, UsageRow

NOTHING = Decimal(0)
CLIENT_CLOSED_REQUEST = 499
"""The status recorded for a client that disconnected, as nginx does."""
PASSED_PAGES = frozenset({400, 403, 404, 405})
TOO_MANY_REQUESTS = 429
BAD_GATEWAY = 502
PASSED_REFUSALS = frozenset({425, 429, 503, 529})
MEDIA_PATHS = ("images/", "audio/speech")
USAGE_ON_REQUEST = ("chat/completions", "completions")
"""The APIs whose streams state their usage only when ``stream_options`` ask for it."""
EVENT_BYTES_PER_TOKEN = 200
"""A streamed event carries about one token in about this many bytes."""


# ---- what calls cost ----------------------------------------------------------------------------


@dataclass(slots=True)
class MeteredCall:
    """One priced call under way."""

    key: ClientKey
    price: ModelPrice
    demand: CallDemand
    estimate: Decimal
    """The most it can cost, in US dollars: ``BudgetTracker`` holds it for a key and a project with a budget."""


class Metering:
    """Holds a call's estimated cost in memory while it is under way, and computes the cost from its answer.

    Costs no time for models without a price.
    """

    def __init__(self, prices: PriceRepository, budgets: BudgetTracker) -> None:
        self._prices = prices
        self._budgets = budgets

    async def begin_call(self, key: ClientKey, request: RelayRequest, path: str) -> MeteredCall | None:
        """None when the model has no price. Raises ``InsufficientQuota``, and ``InvalidRequest`` for a number that can't be
        read or a price that does not count here. Pass the call to ``end_call``."""
        price = await self._prices.recent_price(request.model)
        other = asks_for_other_models(request.fields) if price is not None or key.models else None
        if other is not None:
            raise InvalidRequest(f"{other} is not allowed: name one model in model", param=other)
        if price is None:
            return None
        demand = await run_for_body(len(request.body), lambda: read_demand(price, path, request.priced_body))
        estimate = most_cost(price, demand)
        await self._budgets.hold_for_all(key.budget_holders, estimate)
        return MeteredCall(key, price, demand, estimate)

    def end_call(self, call: MeteredCall, answer: ResponseForwarder | None, *, is_sent: bool) -> Decimal:
        """The cost in US dollars. Without an answer (None): nothing if the call was not sent or was refused, else what was
        held for it, because the upstream may have done all of it."""
        if answer is not None:
            return self._release_hold(call, _cost_of_call(call, answer))
        return self._release_hold(call, call.estimate if is_sent else NOTHING)

    async def begin_session(self, key: ClientKey, model: str) -> MeteredCall | None:
        """A realtime session, whose cost can't be estimated: what it has used is held as it goes on.

        None when the model has no price. Raises ``InsufficientQuota``. Pass the session to ``end_session``.
        """
        price = await self._prices.recent_price(model)
        if price is None:
            return None
        await self._budgets.hold_for_all(key.budget_holders, price.per_call)
        return MeteredCall(key, price, CallDemand("realtime"), price.per_call)

    def update_session(self, call: MeteredCall, read: int | None, written: int | None) -> None:
        """Hold what a session has used so far. Raises ``InsufficientQuota`` when a budget is used up."""
        if holders := call.key.budget_holders:
            more = _cost_of_session(call, read, written) - call.estimate
            call.estimate += more
            self._budgets.raise_holds(holders, more)

    def end_session(self, call: MeteredCall, read: int | None, written: int | None) -> Decimal:
        """The cost in US dollars."""
        return self._release_hold(call, _cost_of_session(call, read, written))

    def _release_hold(self, call: MeteredCall, cost: Decimal) -> Decimal:
        for holder in call.key.budget_holders:
            self._budgets.release_hold(holder.id, estimate=call.estimate, cost=cost)
        return cost


def _cost_of_session(call: MeteredCall, read: int | None, written: int | None) -> Decimal:
    return call.price.per_call + call.price.cost_of_tokens(read or 0, written or 0)


def _cost_of_call(call: MeteredCall, answer: ResponseForwarder) -> Decimal:
    told = answer.usage_reader.told_usage(is_complete=answer.is_complete)
    if not answer.is_complete:
        return cost_of_left_call(call.price, call.demand, told)
    return final_cost(call.price, call.demand, told, measured_output=_measured_output(call.demand, answer))


def _measured_output(demand: CallDemand, answer: ResponseForwarder) -> int:
    """Output tokens by the bytes of an answer that is text; media are worth what was held for them."""
    if demand.path.startswith(MEDIA_PATHS):
        return demand.output_tokens
    size = EVENT_BYTES_PER_TOKEN if answer.is_event_stream else BYTES_PER_TOKEN
    return min(answer.usage_reader.total_bytes // size, demand.output_tokens)


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
    cause: RefusalCause | None = None
    blocked: UpstreamRefusal | None = None
    """A refusal that may be the request's own fault: one more account is asked after it, and no third."""
    translation: CallTranslation | None = None
    is_sent: bool = False
    """Whether an upstream may be working on it, or has."""
    hides_usage: bool = False
    """Whether we asked for the stream's usage, and the client did not."""

    def note_sent(self) -> None:
        self.is_sent = True

    @property
    def needs_usage(self) -> bool:
        """Whether its stream would be charged by a guess if nobody asked for its usage."""
        if self.metered is None or self.path not in USAGE_ON_REQUEST or not self.metered.price.counts_tokens:
            return False
        return self.request.streams_without_usage

    def request_for(self, endpoint: UpstreamEndpoint) -> RelayRequest:
        """The request for this endpoint, translated if it speaks another API. Raises ``InvalidRequest`` if it cannot be."""
        if endpoint.path == self.path or self.translation is None:
            return self.request
        return self.translation.translated_request(endpoint.model, limit_name=endpoint.limit_name)

    def forwarder_for(self, endpoint: UpstreamEndpoint, response: UpstreamAnswer) -> ResponseForwarder:
        if endpoint.path == self.path or self.translation is None:
            return plain_forwarder(
                response,
                account_id=endpoint.account.id,
                path=self.path,
                envelope=self.envelope,
                streams=self.request.fields.get("stream") is True,
                hides_usage=self.hides_usage,
            )
        return TranslatingForwarder(
            response,
            account_id=endpoint.account.id,
            path=endpoint.path,
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
        self._young_calls = YoungCalls()

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
        began = time.perf_counter()
        call = RelayedCall(
            scope, key, request, path, started_at=began, translation=translation, envelope=envelope
        )
        (notes := notes_of(scope)).model, notes.end_user = request.model, end_user_of(request.fields)
        key.require_model(request.model)
        endpoints = await self._endpoints_for(call)
        watcher = DisconnectWatcher(receive, self._young_calls)
        try:
            with watcher:
                # Ranked only now: between this and the first request nothing may wait, or loads would be stale.
                await self._try_endpoints(call, self.upstreams.sort_endpoints(endpoints, key_id=key.id), send)
        except FilmgateError as error:
            call.status = error.status
            raise
        finally:
            self._record_call(call, gone=watcher.disconnected)

    async def _endpoints_for(self, call: RelayedCall) -> list[UpstreamEndpoint]:
        """The endpoints to try, once what the call may cost is held. A wrong request is no failed call: it names anything."""
        try:
            endpoints = await self.endpoints.usable_endpoints(call.request.model, call.path)
            call.cause = self.endpoints.cause_for(call.key.id, call.request.model, call.path)
            call.metered = await self.metering.begin_call(call.key, call.request, call.path)
        except FilmgateError as error:
            call.status = error.status
            if error.status >= TOO_MANY_REQUESTS:
                self._record_call(call, gone=False)
            raise
        return endpoints

    def record_usage(self, row: UsageRow) -> None:
        """Record a call that did not go through ``relay_call``."""
        self._recorder.add_row(row)

    async def _try_endpoints(self, call: RelayedCall, endpoints: list[UpstreamEndpoint], send: Send) -> None:
        refusals: list[UpstreamRefusal] = []
        unreached: NeverSent | None = None
        for endpoint in endpoints:
            call.account_id = endpoint.account.id
            notes_of(call.scope).note_upstream(endpoint.account, endpoint.model)
            self.upstreams.call_started(endpoint)
            try:
                answer = await self._ask_endpoint(call, endpoint)
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
            call.is_sent = answer.may_have_worked
            onward = await self.upstreams.record_refusal(answer, cause=call.cause)
            if onward == "none":
                await self._send_refusal(call, answer, send)
                return
            refusals.append(answer)
            if onward == "one":
                was_blocked, call.blocked = call.blocked, answer
                if was_blocked is not None:
                    break
        await self._answer_without_success(call, refusals, unreached=unreached, send=send)

    async def _ask_endpoint(
        self, call: RelayedCall, endpoint: UpstreamEndpoint
    ) -> UpstreamAnswer | UpstreamRefusal:
        """Send the call, and ask for the usage of a stream that is charged by it.

        A server that knows no ``stream_options`` refuses, having done nothing: then it gets the request as the client wrote
        it. Its answer to that decides whether it is asked again.
        """
        request = call.request_for(endpoint)
        asks = call.hides_usage = call.needs_usage and self.upstreams.states_usage(endpoint)
        answer = await self._send(call, endpoint, request.with_stated_usage() if asks else request)
        if not asks or not isinstance(answer, UpstreamRefusal) or answer.status not in UNKNOWN_FIELD_STATUSES:
            return answer
        call.is_sent = call.hides_usage = False
        answer = await self._send(call, endpoint, request)
        if not isinstance(answer, UpstreamRefusal):
            self.upstreams.remember_usage_refused(endpoint)
        return answer

    async def _send(
        self, call: RelayedCall, endpoint: UpstreamEndpoint, request: RelayRequest
    ) -> UpstreamAnswer | UpstreamRefusal:
        return await self.upstreams.send_request(
            endpoint, request, call.scope["headers"], cause=call.cause, on_sent=call.note_sent
        )

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
        if call.blocked is not None:
            # Any other would speak of the client's own key, purse or proxy.
            if call.blocked.status not in PASSED_PAGES:
                raise RequestBlocked(f"The upstream refused this request with status {call.blocked.status}.")
            await self._send_refusal(call, call.blocked, send)
            return
        if unreached is not None and not refusals:
            raise unreached
        raise await self.endpoints.unavailable_error(call.request.model, call.path)

    def _record_call(self, call: RelayedCall, *, gone: bool) -> None:
        """Write the usage row. A call that was sent and whose end is not known costs what was held for it."""
        forwarder, status = call.forwarder, call.status
        read = written = None
        cost = NOTHING
        if forwarder is not None:
            read, written = forwarder.usage_reader.token_counts()
            status = status if forwarder.is_complete else BAD_GATEWAY
        if call.metered is not None:
            cost = self.metering.end_call(call.metered, forwarder, is_sent=call.is_sent)
        notes = notes_of(call.scope)
        self._recorder.add_row(
            UsageRow(
                at=clock.now(),
                key_id=call.key.id,
                account_id=call.account_id,
                model=call.request.model,
                path=f"/v1/{call.path}",
                status=CLIENT_CLOSED_REQUEST if gone else status,
                milliseconds=(time.perf_counter() - call.started_at) * 1000,
                input_tokens=read,
                output_tokens=written,
                cost=cost,
                request_id=notes.id,
                project_id=call.key.project_id,
                end_user=notes.end_user,
                tags=notes.tags,
            )
        )
