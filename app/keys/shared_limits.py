"""Limits the requests of a key over all replicas, counted in Redis; each replica counts alone while Redis is down."""

import time

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.keys.limits import WINDOW_SECONDS, LocalLimiter, RateDecision
from app.ops.metrics import LIMITS_ALONE, LIMITS_COUNTED_ALONE

log = structlog.get_logger()
ANSWER_SECONDS = 0.25
RETRY_SECONDS = 2.0
"""After a failure Redis is not asked for this long, so that not every request waits for it."""
PREFIX = "filmgate:rpm:"
# A list of times, newest first, in microseconds of Redis' clock: the clocks of the replicas may differ.
TAKE_SCRIPT = """
local told = redis.call('TIME')
local now = told[1] * 1000000 + told[2]
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
while true do
  local oldest = redis.call('LINDEX', KEYS[1], -1)
  if not oldest or tonumber(oldest) > now - window then break end
  redis.call('RPOP', KEYS[1])
end
local taken = redis.call('LLEN', KEYS[1])
local allowed = 0
if taken < limit then
  redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
  redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
  allowed, taken = 1, taken + 1
end
local index = math.min(taken, limit) - 1
return {allowed, taken, tonumber(redis.call('LINDEX', KEYS[1], index)) + window - now}
"""


class SharedLimiter:
    """The limit of ``LocalLimiter`` over all replicas. Redis counts as down when it takes longer than ``patience``
    seconds."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str = PREFIX,
        window: float = WINDOW_SECONDS,
        patience: float = ANSWER_SECONDS,
    ) -> None:
        self._prefix = prefix
        self._window = window
        self._alone = LocalLimiter(window=window)
        self._blind_until = 0.0
        self._is_away = False
        # One retry: a connection that was idle while Redis restarted fails at its first use.
        self._redis = Redis.from_url(
            url,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            retry=Retry(NoBackoff(), 1),
        )
        self._script = self._redis.register_script(TAKE_SCRIPT)

    async def take(self, key_id: str, limit: int) -> RateDecision:
        if time.monotonic() >= self._blind_until:
            try:
                verdict = await self._take_shared(key_id, limit)
            except (RedisError, OSError) as error:
                self._report_lost(error)
            else:
                self._report_found()
                return verdict
        LIMITS_COUNTED_ALONE.inc()
        return await self._alone.take(key_id, limit)

    async def check(self) -> None:
        """Raises ``OSError`` when Redis is down."""
        try:
            await self._redis.ping()
        except RedisError as error:
            raise OSError(f"Redis does not answer ({type(error).__name__})") from error

    async def close(self) -> None:
        await self._redis.aclose()

    async def _take_shared(self, key_id: str, limit: int) -> RateDecision:
        result = await self._script(
            keys=[f"{self._prefix}{key_id}"], args=[limit, round(self._window * 1_000_000)]
        )
        allowed, taken, ahead = (int(value) for value in result)
        seconds = max(ahead / 1_000_000, 0.0)
        return RateDecision(limit, max(0, limit - taken), seconds, None if allowed else seconds)

    def _report_lost(self, error: Exception) -> None:
        self._blind_until = time.monotonic() + RETRY_SECONDS
        if not self._is_away:
            self._is_away = True
            LIMITS_ALONE.set(1)
            log.warning("limits.separated", error=type(error).__name__, detail="each process counts alone")

    def _report_found(self) -> None:
        if self._is_away:
            self._is_away = False
            LIMITS_ALONE.set(0)
            log.info("limits.reunited")
