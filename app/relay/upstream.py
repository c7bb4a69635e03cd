"""Opens the first account that answers; whoever refuses rests, and the next one is asked."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import structlog

from app.accounts.pool import AccountPool
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
from app.relay.balancing import LeastLoadedBalancer
from app.relay.call_rates import CallRates
from app.relay.endpoint_table import UpstreamEndpoint
from app.relay.request import Headers, RelayRequest, forwarded_headers

log = structlog.get_logger()
CONNECT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 600.0
KEEP_ALIVE_SECONDS = 30.0
BUFFER_BYTES = 64 * 1024
HANDSHAKE_SECONDS = 15.0
HEARTBEAT_SECONDS = 20.0
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
REFUSAL_BYTES = 64 * 1024
REFUSAL_SECONDS = 5.0
REFUSALS = frozenset({401, 402, 403, 425, 429, 503})
COOLDOWN_ERRORS = UpstreamAuthFailed | UpstreamBusy | UpstreamModelForbidden | UpstreamQuotaExhausted
# aiohttp would add these on its own; what the client did not say is not said.
NOT_ADDED = frozenset({"Accept", "Accept-Encoding", "Content-Type", "User-Agent"})
IDENTITY = ("Accept-Encoding", "identity")


class NeverSent(UpstreamUnreachable):
    """No connection came about; the next account may be tried."""


@dataclass(frozen=True, slots=True)
class UpstreamRefusal:
    """An upstream's refusal, read whole: the client gets it when nobody does better."""

    endpoint: UpstreamEndpoint
    status: int
    headers: Headers
    body: bytes = field(repr=False)

    @property
    def upstream_error(self) -> UpstreamError:
        """What it means for its account."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers}
        return submit_refused(self.status, headers, read_error(parse_json(self.body)))


def open_session(
    guard: OutboundGuard, *, silence_seconds: float = READ_TIMEOUT_SECONDS
) -> aiohttp.ClientSession:
    """The relay's one HTTP client; its opener closes it. An answer may pause for ``silence_seconds``."""
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


class UpstreamClient:
    """Spreads calls over accounts, fewest open ones first."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        pool: AccountPool,
        *,
        handshake_seconds: float = HANDSHAKE_SECONDS,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        """A WebSocket that does not answer a ping in half of ``heartbeat_seconds`` is given up."""
        self._handshake = handshake_seconds
        self._heartbeat = heartbeat_seconds
        self._session = session
        self._pool = pool
        self._balancer = LeastLoadedBalancer()
        self._rates = CallRates()
        self._writes: set[asyncio.Future[None]] = set()

    def call_started(self, door: UpstreamEndpoint) -> None:
        """Count a call as open on its account, until ``leave``."""
        now = time.time()
        self._balancer.call_started(door)
        self._rates.record_call(door, now)
        if door.is_trial(now):
            self._pool.mark_trial(door.account.id, door.model)

    def call_ended(self, door: UpstreamEndpoint) -> None:
        self._balancer.call_ended(door)

    def sort_endpoints(self, doors: list[UpstreamEndpoint]) -> list[UpstreamEndpoint]:
        """By the route's order, then the account's tier, then fewest open calls by share; equals take turns.
        Raises ``NoAvailableAccount`` when all have as many calls as they may."""
        now = time.time()
        free = [
            door
            for door in doors
            if self._rates.has_capacity(door, now, opened=self._balancer.open_calls(door))
        ]
        if not free:
            raise NoAvailableAccount(
                f"No available tokens for chat generation. {len(doors)} at their limit.", retry_after=1.0
            )
        return self._balancer.sort_endpoints(free)

    async def wait_for_writes(self) -> None:
        """Wait for what is still being written about accounts."""
        await asyncio.gather(*self._writes, return_exceptions=True)

    async def send_request(
        self, door: UpstreamEndpoint, wish: RelayRequest, headers: Headers
    ) -> aiohttp.ClientResponse | UpstreamRefusal:
        """Ask one account; an answer's body is still to come, a refusal is read whole. Raises ``NeverSent``, or ``OutcomeUnknown`` when it went silent after the request."""
        try:
            response = await self._session.post(
                door.url,
                data=wish.body_for_model(door.model),
                headers=forwarded_headers(
                    headers, (IDENTITY, *door.headers, *wish.headers), defaults=door.defaults
                ),
                allow_redirects=False,
                proxy=door.account.proxy,
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            log.warning("relay.unreachable", account=door.account.id, error=type(error).__name__)
            self._write_in_background(
                self._pool.record_refusal(door.account.id, door.model, unreachable_error(error))
            )
            raise NeverSent("The upstream can't be reached.") from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # From the first written byte on, a silence proves nothing: the upstream may have done it, and billed.
            log.warning("relay.unanswered", account=door.account.id, error=type(error).__name__)
            silent = OutcomeUnknown("Sent, but no answer came from the upstream.")
            self._write_in_background(self._pool.record_refusal(door.account.id, door.model, silent))
            raise silent from error
        if response.status < 500 and response.status not in REFUSALS:
            self._pool.network.record_answer()
            if self._pool.has_failures(door.account.id, door.model):
                self._write_in_background(self._pool.record_answer(door.account.id, door.model))
        if response.status < 400:
            return response
        return await _read_refusal(door, response)

    async def open_websocket(
        self, door: UpstreamEndpoint, headers: Headers, *, query: list[tuple[str, str]], protocols: list[str]
    ) -> aiohttp.ClientWebSocketResponse | UpstreamRefusal:
        """A WebSocket to one account. Raises ``NeverSent``, also when the handshake does not end: nothing was
        asked for yet."""
        try:
            async with asyncio.timeout(self._handshake):
                return await self._session.ws_connect(
                    door.url.extend_query(query),
                    protocols=protocols,
                    headers=forwarded_headers(headers, door.headers, defaults=door.defaults),
                    heartbeat=self._heartbeat,
                    max_msg_size=MAX_MESSAGE_BYTES,
                )
        except aiohttp.WSServerHandshakeError as error:
            said = [
                (n.encode().lower(), v.encode("utf-8", "replace")) for n, v in (error.headers or {}).items()
            ]
            return UpstreamRefusal(door, error.status if error.status >= 400 else 502, said, b"")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            log.warning("relay.unreachable", account=door.account.id, error=type(error).__name__)
            raise NeverSent("The upstream can't be reached.") from error

    async def record_refusal(self, refusal: UpstreamRefusal) -> bool:
        """Let the account rest as its refusal asks; False when the refusal is about the request instead."""
        door = refusal.endpoint
        if refusal.status not in REFUSALS:
            if refusal.status >= 500:
                failed = UpstreamFailed(f"upstream answered {refusal.status}")
                self._write_in_background(self._pool.record_refusal(door.account.id, door.model, failed))
            return False
        error = refusal.upstream_error
        if not isinstance(error, COOLDOWN_ERRORS):
            return False
        secret = door.account.secret
        error.message = clean_text(error.message, [secret] if secret else [])
        try:
            await self._pool.record_refusal(door.account.id, door.model, error)
        except DATABASE_AWAY as away:
            log.warning("account.unrested", account=door.account.id, error=type(away).__name__)
        return True

    def _write_in_background(self, write: Coroutine[Any, Any, None]) -> None:
        """Beside the call, which does not wait for the store."""
        task = asyncio.ensure_future(_log_if_database_away(write))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)


async def _log_if_database_away(write: Coroutine[Any, Any, None]) -> None:
    try:
        await write
    except DATABASE_AWAY as away:
        log.warning("account.unnoted", error=type(away).__name__)


async def _read_refusal(door: UpstreamEndpoint, response: aiohttp.ClientResponse) -> UpstreamRefusal:
    body = b""
    try:
        async with asyncio.timeout(REFUSAL_SECONDS):
            while len(body) < REFUSAL_BYTES and not response.content.at_eof():
                body += await response.content.readany()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        log.info("relay.refusal_cut", account=door.account.id, error=type(error).__name__)
    finally:
        response.close()
    headers = [
        (name.lower(), value) for name, value in response.raw_headers if name.lower() != b"content-length"
    ]
    if secret := door.account.secret.encode():
        body = body.replace(secret, b"*" * len(secret))  # some upstreams repeat the key they did not like
    return UpstreamRefusal(door, response.status, [*headers, (b"content-length", b"%d" % len(body))], body)
