"""A pool of child processes, started when there is work and replaced when they die."""

import asyncio
from collections.abc import Mapping
from typing import Any

from app.children.process import ChildLost, ChildProcess, ReceiveNews


class ChildPool:
    """Up to ``size`` processes that run ``module`` with ``arguments``; waiting orders are served in order."""

    def __init__(
        self, module: str, *arguments: str, size: int, environment: Mapping[str, str] | None = None
    ) -> None:
        self._module = module
        self._arguments = arguments
        self._environment = environment or {}
        self._size = size
        self._free_slots = asyncio.Semaphore(size)
        self._idle: list[ChildProcess] = []
        self._living: set[ChildProcess] = set()
        self._closed = False

    @property
    def process_ids(self) -> list[int]:
        """The ids of the running processes."""
        return [child.pid for child in self._living if child.is_alive]

    async def run_order(
        self, order: dict[str, Any], *, hear: ReceiveNews = lambda news: None, seconds: float | None = None
    ) -> dict[str, Any]:
        """The answer to ``order``. Cancelling the call kills the process that runs the order.

        ``seconds``: the time limit from when a process has taken the order; ``hear`` receives its news. Raises
        ``ChildLost``, or ``OSError`` when no process can be started.
        """
        async with self._free_slots:
            answer = None
            while self._idle and answer is None:  # an idle process that has died takes no order
                answer = await self._run_order_on(self._idle.pop(), order, hear=hear, seconds=seconds)
            if answer is None:
                answer = await self._run_order_on(
                    await self._start_child(), order, hear=hear, seconds=seconds
                )
        if answer is None:
            raise ChildLost("not started")
        return answer

    async def close(self) -> None:
        """End every process; orders that wait for an answer fail."""
        self._closed = True
        for child in self._living:
            child.kill()
        for _ in range(self._size):  # running orders end their process before they release the slot
            await self._free_slots.acquire()
        for child in list(self._living):
            await self._end_child(child)
        for _ in range(self._size):
            self._free_slots.release()

    async def _start_child(self) -> ChildProcess:
        if self._closed:
            raise ChildLost("closed")
        child = await ChildProcess.start(self._module, *self._arguments, environment=self._environment)
        self._living.add(child)
        if self._closed:
            child.kill()
        return child

    async def _run_order_on(
        self, child: ChildProcess, order: dict[str, Any], *, hear: ReceiveNews, seconds: float | None
    ) -> dict[str, Any] | None:
        """The answer, or None when ``child`` ended before it took the order."""
        intact = False
        try:
            if not await child.take_order(order):
                return None
            answer = await child.finish_order(hear, seconds=seconds)
            intact = True
            return answer
        finally:
            if intact and not self._closed:
                self._idle.append(child)
            else:
                await self._end_child(child)

    async def _end_child(self, child: ChildProcess) -> None:
        await child.end()
        self._living.discard(child)
