"""One child process, seen from its parent."""

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
        return await self._read_message(seconds=TAKE_SECONDS) is not None

    async def finish_order(self, hear: ReceiveNews, *, seconds: float | None) -> dict[str, Any]:
        """Wait for the answer to the order; ``hear`` receives the news before it. Raises ``ChildLost``."""
        try:
            async with asyncio.timeout(seconds):
                return await self._read_answer(hear)
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

    async def _read_answer(self, hear: ReceiveNews) -> dict[str, Any]:
        while (message := await self._read_message(seconds=None)) is not None:
            if isinstance(answer := message.get("answer"), dict):
                return answer
            hear(message.get("news", {}))
        await self._process.wait()
        raise self._lost_error("ended")

    async def _read_message(self, *, seconds: float | None) -> dict[str, Any] | None:
        """The next message; None when the process has closed its output."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                line = await self._process.stdout.readline()
            return dict(json.loads(line)) if line else None
        except TimeoutError:
            raise self._lost_error("too slow") from None
        except (ValueError, TypeError):
            raise self._lost_error("nonsense") from None

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
