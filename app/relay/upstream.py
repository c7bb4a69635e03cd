"""The relay's HTTP client: ranks endpoints by load, sends calls, and records on accounts what upstreams answer."""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import structlog

from app.accounts.pool import AccountPool
from app.catalog.candidates import RankKey, RoundRobin, rank_key
from app.db.session import DATABASE_AWAY
from app.errors import (
    NoAvailableAccount,
    OutcomeUnknown,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelForbidden,
    UpstreamQuotaExhausted,
    UpstreamUnreachable,
)
from app.media.guard import OutboundGuard
from app.providers.http_errors import submit_refused, unreachable_error
from app.providers.reading import clean_text, parse_json, read_error
from app.relay.endpoint_table import UpstreamEndpoint
from app.relay.request import Headers, RelayRequest, forwarded_headers

log = structlog.get_logger()
CONNECT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 600.0
KEEP_ALIVE_SECONDS = 30.0
BUFFER_BYTES = 64 * 1024
HANDSHAKE_SECONDS = 15.0
HEARTBEAT_SECONDS = 20.0
MINUTE = 60.0
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
REFUSAL_BYTES = 64 * 1024
REFUSAL_SECONDS = 5.0
REFUSALS = frozenset({401, 402, 403, 425, 429, 503})
COOLDOWN_ERRORS = UpstreamAuthFailed | UpstreamBusy | UpstreamModelForbidden | UpstreamQuotaExhausted
# aiohttp adds these by itself; only what the client sent is sent.
NOT_ADDED = frozenset({"Accept", "Accept-Encoding", "Content-Type", "User-Agent"})
IDENTITY = ("Accept-Encoding", "identity")


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


def open_session(
    guard: OutboundGuard, *, silence_seconds: float = READ_TIMEOUT_SECONDS
) -> aiohttp.ClientSession:
    """The relay's only HTTP session; the caller closes it. An answer may pause for ``silence_seconds``."""
    return aiohttp.ClientSession(
        connector=guard.aiohttp_connector(ports=None, limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence_seconds),
        auto_decompress=False,
        skip_auto_headers=NOT_ADDED,
        read_bufsize=BUFFER_BYTES,
        max_line_size=32 * 1024,
        max_field_size=32 * 1024,
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
        return endpoints if len(endpoints) < 2 else sorted(endpoints, key=self._sort_key)

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
        self._pool = pool
        self._balancer = LeastLoadedBalancer()
        self._rates = CallRates()
        self._writes: set[asyncio.Future[None]] = set()

    def call_started(self, endpoint: UpstreamEndpoint) -> None:
        """Count a call as open on its account, until ``call_ended``."""
        now = time.time()
        self._balancer.call_started(endpoint)
        self._rates.record_call(endpoint, now)
        if endpoint.is_trial(now):
            self._pool.mark_trial(endpoint.account.id, endpoint.model)

    def call_ended(self, endpoint: UpstreamEndpoint) -> None:
        self._balancer.call_ended(endpoint)

    def sort_endpoints(self, endpoints: list[UpstreamEndpoint]) -> list[UpstreamEndpoint]:
        """By the route's order, then the account's tier, then fewest open calls by share; equals take turns.

        Raises ``NoAvailableAccount`` when every account is at its limit of calls.
        """
        now = time.time()
        free = [
            endpoint
            for endpoint in endpoints
            if self._rates.has_capacity(endpoint, now, opened=self._balancer.open_calls(endpoint))
        ]
        if not free:
            raise NoAvailableAccount(
                f"No available tokens for chat generation. {len(endpoints)} at their limit.", retry_after=1.0
            )
        return self._balancer.sort_endpoints(free)

    async def wait_for_writes(self) -> None:
        """Wait for writes about accounts that are still under way."""
        await asyncio.gather(*self._writes, return_exceptions=True)

    async def send_request(
        self, endpoint: UpstreamEndpoint, request: RelayRequest, headers: Headers
    ) -> aiohttp.ClientResponse | UpstreamRefusal:
        """Send a call to one endpoint: its answer with the body still to be read, or its refusal.

        Raises ``NeverSent``, or ``OutcomeUnknown`` when no answer came after the request was sent.
        """
        try:
            response = await self._session.post(
                endpoint.url,
                data=request.body_for_model(endpoint.model),
                headers=forwarded_headers(
                    headers, (IDENTITY, *endpoint.headers, *request.headers), defaults=endpoint.defaults
                ),
                allow_redirects=False,
                proxy=endpoint.account.proxy,
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            log.warning("relay.unreachable", account=endpoint.account.id, error=type(error).__name__)
            self._write_in_background(
                self._pool.record_refusal(endpoint.account.id, endpoint.model, unreachable_error(error))
            )
            raise NeverSent("The upstream can't be reached.") from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # Once a byte was written, the upstream may have done the work and billed it.
            log.warning("relay.unanswered", account=endpoint.account.id, error=type(error).__name__)
            silent = OutcomeUnknown("Sent, but no answer came from the upstream.")
            self._write_in_background(self._pool.record_refusal(endpoint.account.id, endpoint.model, silent))
            raise silent from error
        if response.status < 500 and response.status not in REFUSALS:
            self._pool.note_answer()
            if self._pool.has_failures(endpoint.account.id, endpoint.model):
                self._write_in_background(self._pool.record_answer(endpoint.account.id, endpoint.model))
        if response.status < 400:
            return response
        return await _read_refusal(endpoint, response)

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
                    headers=forwarded_headers(headers, endpoint.headers, defaults=endpoint.defaults),
                    heartbeat=self._heartbeat,
                    max_msg_size=MAX_MESSAGE_BYTES,
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

    async def record_refusal(self, refusal: UpstreamRefusal) -> bool:
        """Start the cooldown that a refusal asks for; False when the refusal is about the request, not the account."""
        endpoint = refusal.endpoint
        if refusal.status not in REFUSALS:
            if refusal.status >= 500:
                failed = UpstreamFailed(f"upstream answered {refusal.status}")
                self._write_in_background(
                    self._pool.record_refusal(endpoint.account.id, endpoint.model, failed)
                )
            return False
        error = refusal.upstream_error
        if not isinstance(error, COOLDOWN_ERRORS):
            return False
        secret = endpoint.account.secret
        error.message = clean_text(error.message, [secret] if secret else [])
        try:
            await self._pool.record_refusal(endpoint.account.id, endpoint.model, error)
        except DATABASE_AWAY as away:
            log.warning("account.unrested", account=endpoint.account.id, error=type(away).__name__)
        return True

    def _write_in_background(self, write: Coroutine[Any, Any, None]) -> None:
        """The call does not wait for the database."""
        task = asyncio.ensure_future(_log_if_database_away(write))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)


async def _log_if_database_away(write: Coroutine[Any, Any, None]) -> None:
    try:
        await write
    except DATABASE_AWAY as away:
        log.warning("account.unnoted", error=type(away).__name__)


async def _read_refusal(endpoint: UpstreamEndpoint, response: aiohttp.ClientResponse) -> UpstreamRefusal:
    body = b""
    try:
        async with asyncio.timeout(REFUSAL_SECONDS):
            while len(body) < REFUSAL_BYTES and not response.content.at_eof():
                body += await response.content.readany()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        log.info("relay.refusal_cut", account=endpoint.account.id, error=type(error).__name__)
    finally:
        response.close()
    headers = [
        (name.lower(), value) for name, value in response.raw_headers if name.lower() != b"content-length"
    ]
    if secret := endpoint.account.secret.encode():
        body = body.replace(secret, b"*" * len(secret))  # some upstreams repeat the key they did not like
    return UpstreamRefusal(
        endpoint, response.status, [*headers, (b"content-length", b"%d" % len(body))], body
    )
