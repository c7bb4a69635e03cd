"""The operator's own judge: one signed POST through the outbound guard, whose answer is JSON with a verdict."""

import json
import secrets
import time
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx2
from pydantic import SecretStr

from app import USER_AGENT
from app.errors import OutboundRefused, ServiceUnavailable
from app.foreign import parse_json
from app.webhooks.signing import signed_headers

MAX_READ_BYTES = 256 * 1024
"""A prompt of 32,000 characters, with each of them escaped."""
FAILURES = (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError)
HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": USER_AGENT}


class GateWebhook:
    """Follows no redirects and keeps no cookies. Whoever calls it bounds its time."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._client = httpx2.AsyncClient(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            timeout=None,
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, url: str, body: Mapping[str, Any], *, secret: SecretStr) -> Mapping[str, Any]:
        """Raises ``ServiceUnavailable`` for whatever is no JSON object with status 200."""
        content = json.dumps(body).encode()
        valid = [secret.get_secret_value()] if secret.get_secret_value() else []
        headers = HEADERS | signed_headers(
            f"gate_{secrets.token_hex(16)}", content, valid=valid, now=time.time()
        )
        try:
            async with self._client.stream("POST", url, content=content, headers=headers) as response:
                if response.status_code != 200:
                    raise ServiceUnavailable(f"It answered {response.status_code}.")
                answer = parse_json(await _read_bounded(response))
        except OutboundRefused as error:
            raise ServiceUnavailable(f"Its address may not be called: {error.message}") from error
        except FAILURES as error:
            raise ServiceUnavailable(f"It could not be reached ({type(error).__name__}).") from error
        if not isinstance(answer, dict):
            raise ServiceUnavailable("Its answer is no JSON object.")
        return answer


async def _read_bounded(response: httpx2.Response) -> bytes:
    received = bytearray()
    async for piece in response.aiter_raw():
        received += piece
        if len(received) > MAX_READ_BYTES:
            raise ServiceUnavailable("Its answer is too long.")
    return bytes(received)
