"""Lets many of one kind (runs of tasks, downloads) make their next steps one after the other, so that a client's request
never waits behind hundreds of them."""

import asyncio
from collections import deque


class StepTurns:
    """One step begins in each turn of the event loop, between what has arrived for everybody else. Nothing is slower for
    it while the loop has nothing else to do, and a step that waits for an upstream holds up no other."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def next_turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            turn.get_loop().call_soon(self._begin_next)
        await turn

    def _begin_next(self) -> None:
        turn = self._waiting.popleft()
        if not turn.done():  # a run that was stopped meanwhile
            turn.set_result(None)
        if self._waiting:
            turn.get_loop().call_soon(self._begin_next)
