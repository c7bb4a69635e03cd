"""One signed POST to a URL that a client named, through the outbound guard, and when a failed one is repeated."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Literal

import httpx2

from app import USER_AGENT
from app.webhooks.signing import signed_headers

DELAYS: tuple[float, ...] = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before each attempt, about three days together."""
MAX_RETRY_AFTER_SECONDS = 86_400.0
ASKS_FOR_TIME = {429, 502, 503, 504}
GONE = 410
DeliveryState = Literal["pending", "delivered", "failed"]
TIMEOUT_SECONDS = 15.0
MAX_READ_BYTES = 1024
"""Of an answer's body. Only chat services say something in it; reading it to its end lets the connection be used again."""
MAX_READ_SECONDS = 1.0
"""The status has come by then, so who drips its body only loses the connection."""
FAILURES = (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, UnicodeError)
HEADERS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": USER_AGENT}


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """``id`` is the same at every attempt. ``valid``: secrets that sign it, newest first. ``headers``: further
    headers for this receiver. ``refusal`` says why the answer (status, beginning of the body) is one, for receivers that
    refuse with a 200."""

    id: str
    url: str
    body: bytes
    valid: Sequence[str]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    refusal: Callable[[int, bytes], str | None] | None = None


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """The outcome of one attempt. ``error``: why there is no ``status``, or why it was refused all the same. ``final``:
    further attempts can't help."""

    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    milliseconds: float = 0.0
    final: bool = False

    @property
    def is_delivered(self) -> bool:
        return self.error is None and self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """The state of a delivery after an attempt; ``next_at`` (UTC seconds) applies while pending."""

    state: DeliveryState
    next_at: float


class WebhookSender:
    """Sends messages without following redirects or keeping cookies. ``seconds``: time limit of one attempt."""

    def __init__(self, transport: httpx2.AsyncBaseTransport, *, seconds: float = TIMEOUT_SECONDS) -> None:
        self._seconds = seconds
        self._client = httpx2.AsyncClient(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            timeout=seconds,
            # Receivers of several clients may share one host: no cookie of one may reach another.
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, message: WebhookMessage) -> AttemptOutcome:
        """Never raises for failures of the receiver or the network."""
        signed = signed_headers(message.id, message.body, valid=message.valid, now=time.time())
        began = time.monotonic()
        status: int | None = None
        error: str | None = None
        asked: float | None = None
        content = b""
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.stream(
                    "POST",
                    message.url,
                    content=message.body,
                    headers={**HEADERS, **message.headers, **signed},
                ) as response,
            ):
                status = response.status_code
                asked = retry_after(response.headers.get("retry-after"), now=time.time())
                content = await _read_a_little(response)
        except FAILURES as failure:
            # Once the status has arrived the attempt counts, even if the body is cut off.
            error = self._failure_text(failure) if status is None else None
        if status is not None and message.refusal is not None:
            error = message.refusal(status, content)
        return AttemptOutcome(status, error, asked, (time.monotonic() - began) * 1000)

    def _failure_text(self, failure: Exception) -> str:
        if isinstance(failure, httpx2.ConnectError | httpx2.ConnectTimeout):
            return "The address could not be reached."
        if isinstance(failure, TimeoutError | httpx2.TimeoutException):
            return f"No answer within {self._seconds:g} seconds."
        return f"The connection failed ({type(failure).__name__})."


def decide_retry(
    outcome: AttemptOutcome, made: int, *, now: float, delays: Sequence[float] = DELAYS
) -> RetryDecision:
    """``made``: attempts so far, including this one. ``Retry-After`` of the receiver is honoured."""
    if outcome.is_delivered:
        return RetryDecision("delivered", now)
    if outcome.final or outcome.status == GONE or made >= len(delays):
        return RetryDecision("failed", now)
    asked = outcome.retry_after if outcome.status in ASKS_FOR_TIME else None
    delay = delays[made] * random.uniform(1.0, 1.1)  # noqa: S311 - jitter, not a secret
    return RetryDecision("pending", now + max(delay, min(asked or 0.0, MAX_RETRY_AFTER_SECONDS)))


def retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds, from a number or a date; None for anything else."""
    if not value:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value[:12])
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, aware.timestamp() - datetime.fromtimestamp(now, UTC).timestamp())


async def _read_a_little(response: httpx2.Response) -> bytes:
    """Read short bodies to their end, so that the connection can be reused, and stop early in long ones."""
    received = b""
    async with asyncio.timeout(MAX_READ_SECONDS):
        async for piece in response.aiter_raw(MAX_READ_BYTES):
            received += piece
            if len(received) >= MAX_READ_BYTES:
                break
    return received
