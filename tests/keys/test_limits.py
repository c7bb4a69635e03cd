"""Requests a minute: never more in any window, correct headers, over replicas, and without Redis."""

import asyncio
import random
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from app.errors import RateLimited
from app.keys.key import ClientKey
from app.keys.limits import LocalLimiter, RateDecision, RateLimiter, count_request
from app.keys.shared_limits import SharedLimiter
from app.ops.metrics import LIMITS_ALONE
from tests.conftest import leave_out


class Clock:
    """A clock that the test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_never_more_than_the_limit_in_any_minute() -> None:
    clock, chance = Clock(), random.Random(5)
    limiter = LocalLimiter(clock=clock)
    taken: list[float] = []
    for _ in range(2000):
        clock.now += chance.choice([0.0, 0.1, 1.0, 9.0])
        verdict = await limiter.take("k", 7)
        if verdict.wait is None:
            taken.append(clock.now)
        assert verdict.remaining == 7 - sum(one > clock.now - 60 for one in taken)
    assert len(taken) > 100
    assert all(later - earlier >= 60 for earlier, later in zip(taken, taken[7:], strict=False))


async def test_a_request_is_accepted_after_the_wait_and_not_before() -> None:
    clock = Clock()
    limiter = LocalLimiter(clock=clock)
    for _ in range(3):
        await limiter.take("k", 3)
        clock.now += 5
    refused = await limiter.take("k", 3)
    assert (refused.wait, refused.remaining) == (45.0, 0)
    assert (await limiter.take("other", 3)).wait is None
    clock.now += 44.9
    assert (await limiter.take("k", 3)).wait is not None
    clock.now += 0.1
    assert (await limiter.take("k", 3)).wait is None


async def test_a_limit_that_was_lowered_holds_at_once() -> None:
    clock = Clock()
    limiter = LocalLimiter(clock=clock)
    for _ in range(10):
        await limiter.take("k", 10)
        clock.now += 1
    refused = await limiter.take("k", 2)
    assert refused.wait == 58.0
    clock.now += 58
    assert (await limiter.take("k", 2)).wait is None


async def test_reading_is_not_counted_and_headers_have_the_remaining_requests() -> None:
    limiter, key = LocalLimiter(), ClientKey(id="k", name="k", owner="k", rpm=2)
    for method in ("GET", "HEAD", "DELETE"):
        scope: dict[str, Any] = {"method": method}
        for _ in range(5):
            await count_request(limiter, key, scope)
        assert "state" not in scope
    scope = {"method": "POST", "state": {}}
    await count_request(limiter, key, scope)
    told = dict(scope["state"]["headers"])
    assert told[b"x-ratelimit-limit-requests"] == b"2"
    assert told[b"x-ratelimit-remaining-requests"] == b"1"
    await count_request(limiter, key, {"type": "websocket"})
    with pytest.raises(RateLimited) as refused:
        await count_request(limiter, key, scope)
    assert refused.value.retry_after is not None
    assert 59 < refused.value.retry_after <= 60
    assert dict(scope["state"]["headers"])[b"x-ratelimit-remaining-requests"] == b"0"


@pytest_asyncio.fixture
async def replicas(redis_url: str) -> AsyncIterator[list[SharedLimiter]]:
    prefix = f"filmgate-test:{secrets.token_hex(8)}:"
    made = [SharedLimiter(redis_url, prefix=prefix, patience=10) for _ in range(3)]
    yield made
    async with Redis.from_url(redis_url) as client:
        left = [name async for name in client.scan_iter(f"{prefix}*")]
        assert all([await client.pttl(name) > 0 for name in left])  # nothing stays for ever
        await client.delete(*left)
    for limiter in made:
        await limiter.close()


@pytest.mark.redis
async def test_replicas_count_together(replicas: list[SharedLimiter]) -> None:
    done = await asyncio.gather(*(replicas[n % 3].take("k", 100) for n in range(300)))
    assert sum(one.wait is None for one in done) == 100
    assert sorted(one.remaining for one in done if one.wait is None) == list(range(100))
    assert all(59 < one.wait <= 60 for one in done if one.wait is not None)
    assert (await replicas[0].take("another", 100)).remaining == 99
    lowered = await replicas[1].take("k", 40)
    assert lowered.remaining == 0
    assert lowered.wait is not None


@pytest.mark.redis
async def test_a_short_window_opens_again(redis_url: str) -> None:
    prefix = f"filmgate-test:{secrets.token_hex(8)}:"
    limiter = SharedLimiter(redis_url, prefix=prefix, window=2, patience=10)
    assert (await limiter.take("k", 1)).wait is None
    refused = await limiter.take("k", 1)
    assert refused.wait is not None
    await asyncio.sleep(refused.wait)
    assert (await limiter.take("k", 1)).wait is None
    await limiter.close()


class RedisServer:
    """A Redis server of this test, which may be killed and restarted."""

    def __init__(self, folder: Path) -> None:
        with closing(socket.socket()) as found:
            found.bind(("127.0.0.1", 0))
            self.port: int = found.getsockname()[1]
        self._folder = folder
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self._process = subprocess.Popen(
            ["redis-server", *options, "--dir", str(self._folder)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        while "Ready to accept connections" not in (line := self._process.stdout.readline()):
            assert line, "redis-server did not start"

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    if not shutil.which("redis-server"):
        leave_out("redis-server is not installed")
    made = RedisServer(tmp_path)
    yield made
    made.kill()


@pytest.mark.redis
async def test_without_redis_each_process_counts_alone_and_says_so(server: RedisServer) -> None:
    limiter, other = (SharedLimiter(server.url, patience=10) for _ in range(2))
    assert (await limiter.take("k", 1)).wait is None
    assert (await other.take("k", 1)).wait is not None
    server.kill()
    with pytest.raises(OSError, match="Redis does not answer"):
        await limiter.check()
    for alone in (limiter, other):
        assert (await alone.take("k", 2)).wait is None
        assert (await alone.take("k", 2)).wait is None
        assert (await alone.take("k", 2)).wait is not None
    assert LIMITS_ALONE._value.get() == 1
    server.start()
    assert await until_shared([limiter, other])
    assert LIMITS_ALONE._value.get() == 0
    await limiter.close()
    await other.close()


@pytest.mark.redis
async def test_a_redis_that_hangs_delays_one_request_and_refuses_none(server: RedisServer) -> None:
    limiter = SharedLimiter(server.url, patience=1)
    assert (await limiter.take("k", 1)).wait is None
    server.freeze()
    assert (await limiter.take("k", 1)).wait is None
    assert (await limiter.take("k", 1)).wait is not None
    server.thaw()
    assert await until_shared([limiter, limiter])
    await limiter.close()


async def until_shared(limiters: list[RateLimiter]) -> RateDecision:
    """The first decision that counts the requests of both replicas."""
    async with asyncio.timeout(60):
        while True:
            name = secrets.token_hex(4)
            first, second = [await limiter.take(name, 2) for limiter in limiters]
            if (first.remaining, second.remaining) == (1, 0):
                return second
            await asyncio.sleep(0.1)


async def test_an_unreachable_redis_refuses_nothing() -> None:
    limiter = SharedLimiter("redis://127.0.0.1:9/0")
    assert (await limiter.take("k", 1)).wait is None
    assert (await limiter.take("k", 1)).wait is not None
    await limiter.close()
