"""HTTP calls to servers that the operator has configured: limited in time and size, with retries."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2
import structlog

from app.errors import DeliveryFailed, DeliveryRefused, OutboundRefused

log = structlog.get_logger(__name__)
Answer = TypeVar("Answer")
CALL_FAILURES = (httpx2.RequestError, httpx2.InvalidURL, httpx2.StreamError, OutboundRefused, TimeoutError)
FailureCallback = Callable[[int, DeliveryFailed], Awaitable[None]]
"""Called with the number of the attempt, from 1, and its error."""
MAX_ANSWER_BYTES = 256 * 1024
RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0


async def call_endpoint(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    *,
    seconds: float,
    what: str,
    most_bytes: int = MAX_ANSWER_BYTES,
    **request: Any,
) -> httpx2.Response:
    """The answer with its body, whatever its status. Raises ``DeliveryFailed`` when there is none within ``seconds``,
    ``DeliveryRefused`` when it has more than ``most_bytes``."""
    try:
        async with (
            asyncio.timeout(seconds),
            client.stream(method, url, timeout=seconds, **request) as response,
        ):
            body = await _read_body(response, most_bytes=most_bytes, what=what)
    except CALL_FAILURES as error:
        raise DeliveryFailed(f"{what} did not answer ({type(error).__name__}).") from error
    headers = [(n, v) for n, v in response.headers.multi_items() if n.lower() != "content-encoding"]
    return httpx2.Response(response.status_code, headers=headers, content=body)


async def _read_body(response: httpx2.Response, *, most_bytes: int, what: str) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > most_bytes:
            raise DeliveryRefused(f"{what} answered with more than {most_bytes} bytes.")
    return bytes(body)


def check_status(response: httpx2.Response, *, what: str) -> None:
    """Raises ``DeliveryFailed`` for a status that is worth a retry, ``DeliveryRefused`` for any other error."""
    if response.is_success:
        return
    text = f"{what} answered with HTTP {response.status_code}."
    if response.status_code in RETRYABLE_STATUSES:
        raise DeliveryFailed(text, retry_after=retry_after_seconds(response))
    raise DeliveryRefused(text)


def retry_after_seconds(response: httpx2.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value[:6]) if value.isascii() and value.isdigit() else None


async def retry_call(
    work: Callable[[], Awaitable[Answer]], *, tries: int, failed: FailureCallback | None = None
) -> Answer:
    """Call ``work`` up to ``tries`` times while it raises ``DeliveryFailed``. ``failed`` is called after each failed
    attempt that is followed by another."""
    for attempt in range(1, tries):
        try:
            return await work()
        except DeliveryFailed as error:
            if isinstance(error, DeliveryRefused):
                raise
            log.info("delivery.repeated", attempt=attempt, error=error.message)
            if failed is not None:
                await failed(attempt, error)
            await wait_before_retry(attempt, at_least=error.retry_after)
    return await work()


async def wait_before_retry(attempt: int, *, at_least: float | None = None) -> None:
    """Sleep after attempt number ``attempt``, with exponential backoff. ``at_least`` is in seconds."""
    delay = min(FIRST_PAUSE * 2.0 ** (attempt - 1), LONGEST_PAUSE)
    jitter = random.uniform(0.9, 1.1)  # noqa: S311 - not a secret
    await asyncio.sleep(max(delay * jitter, min(at_least or 0.0, LONGEST_PAUSE)))
