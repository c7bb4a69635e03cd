"""Notices that the client has gone while its answer is still being made."""

import asyncio
from types import TracebackType

from starlette.types import Receive

# Most answers are there sooner, and then no second task is ever made.
GRACE_SECONDS = 0.05


class DisconnectWatcher:
    """``async with DisconnectWatcher(receive) as hangup``: the block ends when the client goes; ``happened`` tells."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watch: asyncio.Task[None] | None = None
        self.disconnected = False

    async def __aenter__(self) -> "DisconnectWatcher":
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(GRACE_SECONDS, self._start_watching)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if not self.disconnected:
            return False
        # Another's cancellation, say the server's on its way down, must go on.
        return self._task.uncancel() == 0 and kind is asyncio.CancelledError

    def _start_watching(self) -> None:
        self._watch = self._loop.create_task(self._wait_for_disconnect())

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.disconnected = True
        self._task.cancel()
