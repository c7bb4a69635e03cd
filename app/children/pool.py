"""A pool of child processes, started when there is work and replaced when they die."""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

ROOT = Path(__file__).parents[2]
MAX_LINE_BYTES = 16 * 1024 * 1024
"""The longest line of JSON that a child may send, in bytes."""
TAKE_SECONDS = 60.0
"""How long a child may take to start and accept an order."""
# A child reads untrusted files, so it gets none of the gateway's credentials.
WITHHELD = ("FILMGATE_", "AWS_")

log = structlog.get_logger(__name__)
ReceiveNews = Callable[[dict[str, Any]], None]


class ChildLost(Exception):
    """The process ended, was too slow or sent invalid data; its order was not done."""


class ChildProcess:
    """A process that runs ``module``, one order at a time."""

    def __init__(self, module: str, process: Process) -> None:
        self._module = module
        self._process = process

    @classmethod
    async def start(cls, module: str, *arguments: str, environment: Mapping[str, str]) -> "ChildProcess":
        """Start a new interpreter that loads only ``module``. Raises ``OSError``."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            module,
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            limit=MAX_LINE_BYTES,
            env={**_child_environment(), **environment},
            start_new_session=True,
        )
        log.debug("child.started", module=module, pid=process.pid)
        return cls(module, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def take_order(self, order: dict[str, Any]) -> bool:
        """Send an order; False when the process had ended already. Raises ``ChildLost``."""
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            await self._process.stdin.drain()
        try:
            async with asyncio.timeout(TAKE_SECONDS):
                return await self._read_message() is not None
        except TimeoutError:
            raise self._lost_error("too slow") from None

    async def finish_order(self, on_news: ReceiveNews, *, seconds: float | None) -> dict[str, Any]:
        """Wait for the answer to the order; ``on_news`` receives the news before it. Raises ``ChildLost``."""
        try:
            async with asyncio.timeout(seconds):
                return await self._read_answer(on_news)
        except TimeoutError:
            raise self._lost_error("too slow") from None

    def kill(self) -> None:
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def end(self) -> None:
        """Kill the process and wait until it has ended."""
        self.kill()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        while await self._process.stdout.read(MAX_LINE_BYTES):
            pass
        await self._process.wait()

    async def _read_answer(self, on_news: ReceiveNews) -> dict[str, Any]:
        while (message := await self._read_message()) is not None:
            if isinstance(answer := message.get("answer"), dict):
                return answer
            on_news(message.get("news", {}))
        await self._process.wait()
        raise self._lost_error("ended")

    async def _read_message(self) -> dict[str, Any] | None:
        """The next message; None when the process has closed its output."""
        assert self._process.stdout is not None
        try:
            line = await self._process.stdout.readline()
            return dict(json.loads(line)) if line else None
        except (ValueError, TypeError):
            raise self._lost_error("invalid message") from None

    def _lost_error(self, reason: str) -> ChildLost:
        status = self._process.returncode
        log.warning(
            "child.lost", module=self._module, pid=self._process.pid, reason=reason, exit_status=status
        )
        return ChildLost(reason)


def _child_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(WITHHELD)}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH", "")]))
    return kept


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
        self._running: set[ChildProcess] = set()
        self._closed = False

    @property
    def process_ids(self) -> list[int]:
        """The ids of the running processes."""
        return [child.pid for child in self._running if child.is_alive]

    @property
    def is_closed(self) -> bool:
        return self._closed

    async def run_order(
        self, order: dict[str, Any], *, on_news: ReceiveNews = lambda news: None, seconds: float | None = None
    ) -> dict[str, Any]:
        """The answer to ``order``. Cancelling the call kills the process that runs the order.

        ``seconds``: the time limit from when a process has taken the order; ``on_news`` receives its news. Raises
        ``ChildLost``, or ``OSError`` when no process can be started.
        """
        async with self._free_slots:
            answer = None
            while self._idle and answer is None:  # an idle process that has died takes no order
                answer = await self._run_order_on(self._idle.pop(), order, on_news=on_news, seconds=seconds)
            if answer is None:
                answer = await self._run_order_on(
                    await self._start_child(), order, on_news=on_news, seconds=seconds
                )
        if answer is None:
            raise ChildLost("not started")
        return answer

    async def close(self) -> None:
        """End every process; orders that wait for an answer fail."""
        self._closed = True
        for child in self._running:
            child.kill()
        for _ in range(self._size):  # running orders end their process before they release the slot
            await self._free_slots.acquire()
        for child in list(self._running):
            await self._end_child(child)
        for _ in range(self._size):
            self._free_slots.release()

    async def _start_child(self) -> ChildProcess:
        if self._closed:
            raise ChildLost("closed")
        starting = asyncio.ensure_future(
            ChildProcess.start(self._module, *self._arguments, environment=self._environment)
        )
        try:
            child = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # A start that is cancelled half-way leaves its pipes open: https://github.com/python/cpython/issues/103847
            with contextlib.suppress(OSError):
                await (await starting).end()
            raise
        self._running.add(child)
        if self._closed:
            child.kill()
        return child

    async def _run_order_on(
        self, child: ChildProcess, order: dict[str, Any], *, on_news: ReceiveNews, seconds: float | None
    ) -> dict[str, Any] | None:
        """The answer, or None when ``child`` ended before it took the order."""
        intact = False
        try:
            if not await child.take_order(order):
                return None
            answer = await child.finish_order(on_news, seconds=seconds)
            intact = True
            return answer
        finally:
            if intact and not self._closed:
                self._idle.append(child)
            else:
                await self._end_child(child)

    async def _end_child(self, child: ChildProcess) -> None:
        await child.end()
        self._running.discard(child)
