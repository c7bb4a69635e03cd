"""The relay's HTTP client: ranks endpoints by load, sends calls, and records on accounts what upstreams answer."""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp
import structlog

from app import clock
from app.accounts.pool import AccountPool
from app.accounts.refusals import NextAccounts, RefusalCause
from app.catalog.candidates import RankKey, RoundRobin, rank_key
from app.db.session import DATABASE_AWAY
from app.errors import (
    NoAvailableAccount,
    OutcomeUnknown,
    RequestBlocked,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelForbidden,
    UpstreamQuotaExhausted,
    UpstreamUnreachable,
)
from app.foreign import parse_json
from app.media.guard import OutboundGuard
from app.ops.metrics import count_answer
from app.providers.http_errors import NOT_THERE, submit_refused, unreachable_error
from app.providers.reading import read_error, redact_text
from app.providers.transport import NotConnected
from app.relay.decoding import collect_start, is_compressed, plain_chunks
from app.relay.endpoint_table import UpstreamEndpoint
from app.relay.request import Headers, RelayRequest
from app.relay.upstream_answer import UpstreamAnswer
from app.relay.upstream_connections import LINE_BYTES, RelayHandler, UpstreamConnections

log = structlog.get_logger()
CONNECT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 600.0
KEEP_ALIVE_SECONDS = 30.0
HANDSHAKE_SECONDS = 15.0
HEARTBEAT_SECONDS = 20.0
MINUTE = 60.0
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
REFUSAL_BYTES = 64 * 1024
REFUSAL_SECONDS = 5.0
NOT_ADDED = frozenset({"Accept", "Accept-Encoding", "Content-Type", "User-Agent"})
"""aiohttp adds these by itself; only what the client sent is sent."""
TIMED_OUT = frozenset({408, 504, 522, 524})
BROKEN_OFF = frozenset({502, 520})
UNKNOWN_FIELD_STATUSES = frozenset({400, 422})
USAGE_REFUSAL_SECONDS = 3600.0
"""After this long, an upstream that refused to state the usage of a stream is asked again."""
MAX_REMEMBERED = 4096
COOLDOWN_ERRORS = (
    UpstreamAuthFailed | RequestBlocked | UpstreamBusy | UpstreamModelForbidden | UpstreamQuotaExhausted
)
NextEndpoints = NextAccounts | Literal["none"]
"""How many more endpoints a refused call may be sent to; ``none`` when the refusal is about the request."""
NEVER_SENT = (NotConnected, aiohttp.InvalidURL)


class NeverSent(UpstreamUnreachable):
    """No connection was made; the next account may be tried."""


@dataclass(frozen=True, slots=True)
class UpstreamRefusal:
    """An upstream's refusal with its whole body. The client gets it when no other account gives a better answer."""

    endpoint: UpstreamEndpoint
    status: int
    headers: Headers
    body: bytes = field(repr=False)

    @property
    def upstream_error(self) -> UpstreamError:
        """What the refusal means for its account."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers}
        return submit_refused(self.status, headers, read_error(parse_json(self.body)))

    @property
    def may_have_worked(self) -> bool:
        """Whether a server in front says that it did not wait for the upstream's end: the upstream may finish the work."""
        if self.status in TIMED_OUT:
            return True
        return self.status in BROKEN_OFF and read_error(parse_json(self.body)) is None


def open_session(
    guard: OutboundGuard, *, silence_seconds: float = READ_TIMEOUT_SECONDS
) -> aiohttp.ClientSession:
    """The relay's only HTTP session; the caller closes it. An answer may pause for ``silence_seconds``."""
    return aiohttp.ClientSession(
        connector=guard.aiohttp_connector(
            ports=None, handler=RelayHandler, limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(
            total=None, connect=2 * CONNECT_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=silence_seconds
        ),
        auto_decompress=False,
        skip_auto_headers=NOT_ADDED,
        max_line_size=LINE_BYTES,
        max_field_size=LINE_BYTES,
    )


class CallRates:
    """Calls per minute and calls at once of limited accounts, counted in this process's memory.

    Several processes each allow an account's whole rate.
    """

    def __init__(self) -> None:
        self._calls: dict[str, deque[float]] = defaultdict(deque)

    def has_capacity(self, endpoint: UpstreamEndpoint, now: float, *, opened: int) -> bool:
        """Whether the account may take another call beside ``opened`` ones."""
        account = endpoint.account
        if account.limits and opened >= account.limits.get("text", opened + 1):
            return False
        if account.rpm is None:
            return True
        calls = self._calls[account.id]
        while calls and calls[0] <= now - MINUTE:
            calls.popleft()
        return len(calls) < account.rpm

    def record_call(self, endpoint: UpstreamEndpoint, now: float) -> None:
        if endpoint.account.rpm is not None:
            self._calls[endpoint.account.id].append(now)


class LeastLoadedBalancer:
    """Ranks endpoints by the open calls of their accounts; accounts with equal load take turns by their shares."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._turns = RoundRobin()

    def call_started(self, endpoint: UpstreamEndpoint) -> None:
        account_id = endpoint.account.id
        self._open[account_id] += 1
        self._turns.take_turn(account_id, endpoint.candidate.share)

    def call_ended(self, endpoint: UpstreamEndpoint) -> None:
        account_id = endpoint.account.id
        self._open[account_id] -= 1
        if not self._open[account_id]:
            del self._open[account_id]

    def open_calls(self, endpoint: UpstreamEndpoint) -> int:
        return self._open[endpoint.account.id]

    def sort_endpoints(self, endpoints: list[UpstreamEndpoint]) -> list[UpstreamEndpoint]:
        return list(endpoints) if len(endpoints) < 2 else sorted(endpoints, key=self._sort_key)

    def _sort_key(self, endpoint: UpstreamEndpoint) -> RankKey:
        return rank_key(endpoint.candidate, self._open[endpoint.account.id], self._turns)


class UpstreamClient:
    """Sends calls to upstream endpoints and balances them over accounts."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        pool: AccountPool,
        *,
        handshake_seconds: float = HANDSHAKE_SECONDS,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        """A WebSocket that does not answer a ping within half of ``heartbeat_seconds`` is closed."""
        self._handshake = handshake_seconds
        self._heartbeat = heartbeat_seconds
        self._session = session
        self._connections = UpstreamConnections(session)
        self._pool = pool
        self._balancer = LeastLoadedBalancer()
        self._rates = CallRates()
        self._writes: set[asyncio.Future[None]] = set()
        self._usage_refused_until: dict[tuple[str, str], float] = {}

    def call_started(self, endpoint: UpstreamEndpoint) -> None:
        """Count a call as open on its account, until ``call_ended``."""
        now = clock.now()
        self._balancer.call_started(endpoint)
        self._rates.record_call(endpoint, now)
        if endpoint.is_trial(now):
            self._pool.mark_trial(endpoint.account.id, endpoint.model)

    def call_ended(self, endpoint: UpstreamEndpoint) -> None:
        self._balancer.call_ended(endpoint)

    def sort_endpoints(
        self, endpoints: list[UpstreamEndpoint], *, key_id: str = ""
    ) -> list[UpstreamEndpoint]:
        """By the route's order, then the account's tier, then fewest open calls by share; equals take turns. Accounts that
        rest for this client key come last.

        Raises ``NoAvailableAccount`` when every account is at its limit of calls.
        """
        now = clock.now()
        free = [
            endpoint
            for endpoint in endpoints
            if self._rates.has_capacity(endpoint, now, opened=self._balancer.open_calls(endpoint))
        ]
        if not free:
            raise NoAvailableAccount(
                f"No available tokens for chat generation. {len(endpoints)} at their limit.", retry_after=1.0
            )
        ranked, rests = self._balancer.sort_endpoints(free), self._pool.refusals.key_rests
        if rests and len(ranked) > 1:
            ranked.sort(key=lambda each: rests.is_resting(key_id, each.account.id, each.model))
        return ranked

    async def wait_for_writes(self) -> None:
        """Wait for writes about accounts that are still under way."""
        await asyncio.gather(*self._writes, return_exceptions=True)

    async def send_request(
        self,
        endpoint: UpstreamEndpoint,
        request: RelayRequest,
        headers: Headers,
        *,
        cause: RefusalCause | None = None,
        on_sent: Callable[[], None] | None = None,
    ) -> UpstreamAnswer | UpstreamRefusal:
        """Send a call to one endpoint: its answer with the body still to be read, or its refusal. ``on_sent`` is called when
        the request is on its way.

        Raises ``NeverSent``, or ``OutcomeUnknown`` when no answer came after the request was sent.
        """
        began, outcome = time.perf_counter(), ""
        try:
            answer = await self._post_request(endpoint, request, headers, cause=cause, on_sent=on_sent)
            outcome = (
                "accepted" if isinstance(answer, UpstreamAnswer) else type(answer.upstream_error).__name__
            )
        except UpstreamError as error:
            outcome = (UpstreamUnreachable if isinstance(error, NeverSent) else type(error)).__name__
            raise
        finally:
            if outcome:  # else the client is gone
                count_answer(endpoint.account, endpoint.model, outcome, seconds=time.perf_counter() - began)
        return answer

    async def _post_request(
        self,
        endpoint: UpstreamEndpoint,
        request: RelayRequest,
        headers: Headers,
        *,
        cause: RefusalCause | None,
        on_sent: Callable[[], None] | None,
    ) -> UpstreamAnswer | UpstreamRefusal:
        """See ``send_request``."""
        try:
            response = await self._connections.post(
                self._connections.destination(endpoint.url, endpoint.account.proxy),
                endpoint.headers.with_passed(request.replaced_headers(headers)),
                request.body_for_model(endpoint.model),
                on_sent=on_sent,
            )
        except NEVER_SENT as error:
            log.warning("relay.unreachable", account=endpoint.account.id, error=type(error).__name__)
            self._write_in_background(
                self._pool.record_refusal(endpoint.account.id, endpoint.model, unreachable_error(error))
            )
            raise NeverSent("The upstream can't be reached.") from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # Once a byte was written, the upstream may have done the work and billed it.
            log.warning("relay.unanswered", account=endpoint.account.id, error=type(error).__name__)
            silent = OutcomeUnknown("Sent, but no answer came from the upstream.")
            self._write_in_background(
                self._pool.record_refusal(endpoint.account.id, endpoint.model, silent, cause=cause)
            )
            raise silent from error
        if response.status >= 400:
            return await _read_refusal(endpoint, response)
        self._note_answer(endpoint)
        return response

    def _note_answer(self, endpoint: UpstreamEndpoint) -> None:
        """The account works: it answered, if only that the request is wrong."""
        self._pool.refusals.network.note_answer()
        if self._pool.has_failures(endpoint.account.id, endpoint.model):
            self._write_in_background(self._pool.record_answer(endpoint.account.id, endpoint.model))

    def states_usage(self, endpoint: UpstreamEndpoint) -> bool:
        """Whether the upstream may be asked for the usage of a stream: older servers refuse ``stream_options``."""
        until = self._usage_refused_until.get((endpoint.account.id, endpoint.model))
        return until is None or until <= time.monotonic()

    def remember_usage_refused(self, endpoint: UpstreamEndpoint) -> None:
        if len(self._usage_refused_until) >= MAX_REMEMBERED:
            self._usage_refused_until.clear()
        until = time.monotonic() + USAGE_REFUSAL_SECONDS
        self._usage_refused_until[(endpoint.account.id, endpoint.model)] = until

    async def open_websocket(
        self,
        endpoint: UpstreamEndpoint,
        headers: Headers,
        *,
        query: list[tuple[str, str]],
        protocols: list[str],
    ) -> aiohttp.ClientWebSocketResponse | UpstreamRefusal:
        """Open a WebSocket to one endpoint. Raises ``NeverSent``, also when the handshake takes too long: nothing has
        been requested by then."""
        try:
            async with asyncio.timeout(self._handshake):
                return await self._session.ws_connect(
                    endpoint.url.extend_query(query),
                    protocols=protocols,
                    headers=[
                        (name.decode(), value.decode("utf-8", "replace"))
                        for name, value in endpoint.headers.with_passed(headers)
                    ],
                    heartbeat=self._heartbeat,
                    max_msg_size=MAX_MESSAGE_BYTES,
                    proxy=endpoint.account.proxy,
                )
        except aiohttp.WSServerHandshakeError as error:
            raw_headers = [
                (name.encode().lower(), value.encode("utf-8", "replace"))
                for name, value in (error.headers or {}).items()
            ]
            return UpstreamRefusal(endpoint, error.status if error.status >= 400 else 502, raw_headers, b"")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            log.warning("relay.unreachable", account=endpoint.account.id, error=type(error).__name__)
            raise NeverSent("The upstream can't be reached.") from error

    async def record_refusal(
        self, refusal: UpstreamRefusal, *, cause: RefusalCause | None = None
    ) -> NextEndpoints:
        """Start the cooldown that a refusal asks for. What it means is read as on the path of tasks."""
        endpoint, error = refusal.endpoint, refusal.upstream_error
        if not isinstance(error, COOLDOWN_ERRORS):
            if refusal.status >= 500:
                failed = UpstreamFailed(f"upstream answered {refusal.status}")
                self._write_in_background(
                    self._pool.record_refusal(endpoint.account.id, endpoint.model, failed, cause=cause)
                )
            else:
                self._note_answer(endpoint)
            return "none"
        if refusal.status in NOT_THERE and isinstance(error, RequestBlocked):
            return "one"  # servers lack some of the paths that clients ask for: no word about the model
        secret = endpoint.account.secret
        error.message = redact_text(error.message, [secret] if secret else [])
        try:
            return await self._pool.record_refusal(endpoint.account.id, endpoint.model, error, cause=cause)
        except DATABASE_AWAY as away:
            log.warning("account.unrested", account=endpoint.account.id, error=type(away).__name__)
        return "one" if isinstance(error, UpstreamAuthFailed | RequestBlocked) else "any"

    def _write_in_background(self, write: Coroutine[Any, Any, object]) -> None:
        """The call does not wait for the database."""
        task = asyncio.ensure_future(_log_if_database_away(write))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)


async def _log_if_database_away(write: Coroutine[Any, Any, object]) -> None:
    try:
        await write
    except DATABASE_AWAY as away:
        log.warning("account.unnoted", error=type(away).__name__)


async def _read_refusal(endpoint: UpstreamEndpoint, response: UpstreamAnswer) -> UpstreamRefusal:
    pieces: list[bytes] = []
    try:
        async with asyncio.timeout(REFUSAL_SECONDS):
            await collect_start(plain_chunks(response), pieces, most=REFUSAL_BYTES)
    except (aiohttp.ClientError, OSError, TimeoutError, UpstreamFailed) as error:
        log.info("relay.refusal_cut", account=endpoint.account.id, error=type(error).__name__)
    finally:
        response.close()
    dropped = {b"content-length", b"content-encoding"} if is_compressed(response) else {b"content-length"}
    headers = [(name.lower(), value) for name, value in response.raw_headers if name.lower() not in dropped]
    body = b"".join(pieces)
    if secret := endpoint.account.secret.encode():
        body = body.replace(secret, b"*" * len(secret))  # some upstreams repeat the key they did not like
    return UpstreamRefusal(
        endpoint, response.status, [*headers, (b"content-length", b"%d" % len(body))], body
    )
