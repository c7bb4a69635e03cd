"""`Filmgate` and `AsyncFilmgate`: the connection to a gateway, and what is sent again."""

import asyncio
import os
import random
import time
from typing import Any, Generic, TypeVar

import httpx2

from .calls import Call, make_call, read_pause
from .errors import ClientError, connection_error, status_error
from .videos import AsyncVideos, Videos, run_blocking

__all__ = ["AsyncFilmgate", "Filmgate"]
NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
FIRST_PAUSE, LONGEST_PAUSE, LONGEST_ASKED_PAUSE = 0.5, 8.0, 60.0
"""In seconds. A gateway that asks for a longer silence gets no repetition."""
Connection = TypeVar("Connection", httpx2.Client, httpx2.AsyncClient)


class BaseClient(Generic[Connection]):
    """``base_url`` and ``api_key`` come from FILMGATE_… or OPENAI_BASE_URL and OPENAI_API_KEY when left out."""

    connection_class: type[Connection]

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | httpx2.URL | None = None,
        timeout: float | httpx2.Timeout | None = 600.0,
        max_retries: int = 2,
        http_client: Connection | None = None,
    ) -> None:
        key = api_key or os.environ.get("FILMGATE_API_KEY") or os.environ.get("OPENAI_API_KEY")
        if not key:
            raise ClientError("api_key is missing: give it, or set FILMGATE_API_KEY or OPENAI_API_KEY")
        named = os.environ.get("FILMGATE_BASE_URL") or os.environ.get("OPENAI_BASE_URL")
        self.base_url, self.max_retries = (
            str(base_url or named or "http://127.0.0.1:8000/v1").rstrip("/"),
            max_retries,
        )
        self._defaults = {"authorization": f"Bearer {key}"}, timeout
        self.connection: Connection = http_client or self.connection_class(follow_redirects=True)

    async def send(self, call: Call) -> httpx2.Response:
        """The answer. Raises ``APIStatusError`` or ``APIConnectionError`` when the last repetition fails too."""
        for tried in range(self.max_retries + 1):
            pause = min(FIRST_PAUSE * 2**tried, LONGEST_PAUSE) * random.uniform(0.75, 1)  # noqa: S311
            is_last = tried >= self.max_retries
            try:
                response = await self._exchange(self._build_request(call))
            except httpx2.TransportError as error:
                if is_last or not (call.repeatable or isinstance(error, NOT_SENT)):
                    raise connection_error(error) from error
            else:
                if response.is_success:
                    return response
                pause = read_pause(response, {"retry-after-ms": 1000, "retry-after": 1}, default=pause)
                if is_last or pause > LONGEST_ASKED_PAUSE or not _may_repeat(call, response):
                    raise status_error(response)
            await self.pause(pause)
        raise ValueError("max_retries must not be negative")

    def _build_request(self, call: Call) -> httpx2.Request:
        headers, timeout = self._defaults
        arguments = {"timeout": timeout, **call.arguments, "headers": {**headers, **call.headers}}
        return self.connection.build_request(call.method, self.base_url + call.path, **arguments)

    async def _exchange(self, request: httpx2.Request) -> httpx2.Response:
        raise NotImplementedError

    async def pause(self, seconds: float) -> None:
        raise NotImplementedError


def _may_repeat(call: Call, response: httpx2.Response) -> bool:
    said, status = response.headers.get("x-should-retry"), response.status_code
    if said in ("true", "false"):
        return bool(said == "true")
    return status == 429 or (call.repeatable and (status == 408 or status >= 500))


class Filmgate(BaseClient[httpx2.Client]):
    """Blocks until the answer is there."""

    connection_class = httpx2.Client

    @property
    def videos(self) -> Videos:
        return Videos(self)

    def request(self, method: str, path: str) -> Any:
        """The JSON of any other call, like ``("GET", "/tasks")``. A POST is not sent twice."""
        return run_blocking(self.send(make_call(method, path, {}, once=False))).json()

    async def _exchange(self, request: httpx2.Request) -> httpx2.Response:
        return self.connection.send(request)

    async def pause(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> "Filmgate":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncFilmgate(BaseClient[httpx2.AsyncClient]):
    """The same for asyncio."""

    connection_class = httpx2.AsyncClient

    @property
    def videos(self) -> AsyncVideos:
        return AsyncVideos(self)

    async def _exchange(self, request: httpx2.Request) -> httpx2.Response:
        return await self.connection.send(request)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        await self.connection.aclose()

    async def __aenter__(self) -> "AsyncFilmgate":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
