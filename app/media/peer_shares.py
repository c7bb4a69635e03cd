"""Places for work on behalf of others, shared out so that nobody's slow work stops everybody else's."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class PeerShares:
    """``at_once`` places together, at most ``per_peer`` of one peer. Peers that wait take turns.

    A peer without a place never waits for others: so many slow ones can't fill all places, and there is at most one
    place more for each peer.
    """

    def __init__(self, at_once: int, *, per_peer: int) -> None:
        self._at_once = at_once
        self._per_peer = per_peer
        self._taken: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @property
    def taken(self) -> int:
        """Places that are taken now."""
        return self._taken.total()

    @asynccontextmanager
    async def place(self, peer: str) -> AsyncIterator[None]:
        """Wait for a place of ``peer``, and hold it."""
        if peer in self._waiting or not self._has_room(peer):
            await self._wait(peer)
        else:
            self._taken[peer] += 1
        try:
            yield
        finally:
            self._leave(peer)

    def _has_room(self, peer: str) -> bool:
        mine = self._taken[peer]
        return not mine or (mine < self._per_peer and self.taken < self._at_once)

    async def _wait(self, peer: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(peer, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._forget(peer, turn)
            else:  # the place was given in the same moment
                self._leave(peer)
            raise

    def _forget(self, peer: str, turn: asyncio.Future[None]) -> None:
        self._waiting[peer].remove(turn)
        if not self._waiting[peer]:
            del self._waiting[peer]

    def _leave(self, peer: str) -> None:
        self._taken[peer] -= 1
        if not self._taken[peer]:
            del self._taken[peer]
        for other in list(self._waiting):
            if self._has_room(other):
                self._admit_one(other)

    def _admit_one(self, peer: str) -> None:
        turns = self._waiting.pop(peer)
        turns.popleft().set_result(None)
        self._taken[peer] += 1
        if turns:
            self._waiting[peer] = turns  # behind the others
