"""What vendors themselves tell of their models: asked before the first submission, remembered by the account's provider."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

import structlog

from app.errors import UpstreamError

log = structlog.get_logger()
KEEP_SECONDS = 3600.0
AGAIN_SECONDS = 60.0
"""How long a vendor that did not tell is left alone."""
TEST_SECONDS = 4.0
"""How long the test of an account may take for this: less than any look at it."""

Fact = TypeVar("Fact")


class LearnedFacts(Generic[Fact]):
    """One vendor's facts by name. A fact that is an hour old stays true until a newer one comes."""

    def __init__(self, ask: Callable[[str], Awaitable[Fact]], *, provider: str) -> None:
        """``ask`` raises ``UpstreamError`` when the vendor does not tell."""
        self._ask = ask
        self._provider = provider
        self._known: dict[str, Fact] = {}
        self._ask_at: dict[str, float] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._asking: set[asyncio.Task[Fact | None]] = set()

    def find(self, name: str) -> Fact | None:
        """What was told earlier; sends nothing."""
        return self._known.get(name)

    async def learn(self, name: str) -> Fact | None:
        """Asks unless it was told within the hour. A vendor that does not tell leaves what is known."""
        async with self._locks[name]:
            if time.monotonic() >= self._ask_at.get(name, 0.0):
                await self._ask_now(name)
        return self._known.get(name)

    async def learn_all(self, names: Iterable[str]) -> None:
        """All at once, for some seconds; what was not told by then is asked again later."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TEST_SECONDS):
                await asyncio.gather(*(self.learn(name) for name in names))

    def learn_soon(self, name: str) -> None:
        """``learn``, beside whatever goes on; returns at once."""
        task = asyncio.create_task(self.learn(name))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def close(self) -> None:
        """Nothing is asked any more."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def _ask_now(self, name: str) -> None:
        pause = KEEP_SECONDS
        try:
            self._known[name] = await self._ask(name)
        except UpstreamError as error:
            pause = AGAIN_SECONDS
            log.info("model.not_learned", provider=self._provider, model=name, error=type(error).__name__)
        self._ask_at[name] = time.monotonic() + pause
