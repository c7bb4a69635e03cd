"""Places that are shared out between peers."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from app.media.peer_shares import PeerShares


class Visitors:
    """Each enters and stays until it is told to leave; ``inside`` names them in the order in which they entered."""

    def __init__(self, shares: PeerShares) -> None:
        self.shares = shares
        self.inside: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.leaving: dict[str, asyncio.Event] = {}

    async def arrive(self, *names: str) -> None:
        """``a1`` is of peer ``a``."""
        for name in names:
            self.leaving[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._stay(name))
        await self.settle()

    async def leave(self, name: str) -> None:
        self.leaving[name].set()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def _stay(self, name: str) -> None:
        async with self.shares.place(name[0]):
            self.inside.append(name)
            await self.leaving[name].wait()


async def test_nobody_holds_more_than_a_share_and_peers_take_turns() -> None:
    visitors = Visitors(PeerShares(4, per_peer=3))
    await visitors.arrive("a1", "a2", "a3", "a4", "a5", "a6", "b1", "b2", "b3", "c1")
    # "c" has no place yet, so it does not wait until one is free.
    assert visitors.inside == ["a1", "a2", "a3", "b1", "c1"]
    await visitors.leave("c1")
    await visitors.leave("a1")
    await visitors.leave("a2")
    assert visitors.inside[5:] == ["a4", "b2"]
    await visitors.leave("a3")
    assert visitors.inside[7:] == ["a5"]
    for name in visitors.leaving:
        await visitors.leave(name)
    await asyncio.gather(*visitors.tasks.values())
    assert sorted(visitors.inside) == sorted(visitors.leaving)
    assert visitors.shares.taken == 0


async def test_who_gives_up_leaves_no_trace() -> None:
    shares = PeerShares(1, per_peer=1)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(shares.place("a"))
        waiting = asyncio.create_task(stack.enter_async_context(shares.place("a")))
        given = asyncio.create_task(stack.enter_async_context(shares.place("a")))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert shares.taken == 1
    given.cancel()  # its place was given when the stack was left
    with pytest.raises(asyncio.CancelledError):
        await given
    assert shares.taken == 0
    async with shares.place("a"):
        assert shares.taken == 1
