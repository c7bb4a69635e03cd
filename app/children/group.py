"""A few children of one kind: started when there is work, replaced when they die."""

import asyncio
from collections.abc import Mapping
from typing import Any

from app.children.process import Child, ChildLost, Hear


class Children:
    """Up to ``size`` processes that run ``module`` with ``arguments``; orders wait their turn, first come
    first served."""

    def __init__(
        self, module: str, *arguments: str, size: int, environment: Mapping[str, str] | None = None
    ) -> None:
        self._module = module
        self._arguments = arguments
        self._environment = environment or {}
        self._size = size
        self._turn = asyncio.Semaphore(size)
        self._idle: list[Child] = []
        self._living: set[Child] = set()
        self._closed = False

    @property
    def process_ids(self) -> list[int]:
        """The processes that live now."""
        return [child.pid for child in self._living if child.alive]

    async def ask(
        self, order: dict[str, Any], *, hear: Hear = lambda news: None, seconds: float | None = None
    ) -> dict[str, Any]:
        """The answer to ``order``; who stops waiting for it kills the process that is at it.

        ``seconds`` count from when a process has taken it. Raises ``ChildLost``, or ``OSError`` when no
        process can be started.
        """
        async with self._turn:
            answer = None
            while self._idle and answer is None:  # one that died while it was idle takes no order with it
                answer = await self._have_done(self._idle.pop(), order, hear=hear, seconds=seconds)
            if answer is None:
                answer = await self._have_done(await self._start(), order, hear=hear, seconds=seconds)
        if answer is None:
            raise ChildLost("not started")
        return answer

    async def close(self) -> None:
        """End every process; orders that wait for an answer fail."""
        self._closed = True
        for child in self._living:
            child.kill()
        for _ in range(self._size):  # who was served by a process buries it before giving up the turn
            await self._turn.acquire()
        for child in list(self._living):
            await self._bury(child)
        for _ in range(self._size):
            self._turn.release()

    async def _start(self) -> Child:
        if self._closed:
            raise ChildLost("closed")
        child = await Child.start(self._module, *self._arguments, environment=self._environment)
        self._living.add(child)
        if self._closed:
            child.kill()
        return child

    async def _have_done(
        self, child: Child, order: dict[str, Any], *, hear: Hear, seconds: float | None
    ) -> dict[str, Any] | None:
        """None when ``child`` ended before it took the order."""
        intact = False
        try:
            if not await child.take(order):
                return None
            answer = await child.finish(hear, seconds=seconds)
            intact = True
            return answer
        finally:
            if intact and not self._closed:
                self._idle.append(child)
            else:
                await self._bury(child)

    async def _bury(self, child: Child) -> None:
        await child.end()
        self._living.discard(child)
