"""Virtual time: the clocks that the product sees, and an event loop that jumps to its next timer."""

import asyncio
import random
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from app.clock import CLOCK

EPOCH = 1_790_000_000.0
STEP = 0.00005
"""Every call across an edge takes so many seconds, so that no two moments are the same."""


@dataclass
class Clock:
    """``now`` is the true time in seconds since the world began. The wall clock may be wrong by ``wall_error``."""

    now: float = 0.0
    wall_error: float = 0.0

    def wall(self) -> float:
        return EPOCH + self.now + self.wall_error

    def monotonic(self) -> float:
        return 1000.0 + self.now


class Asleep(Exception):
    """Nothing is ready and no timer is set: the process would sleep for ever."""


class WorldLoop(asyncio.BaseEventLoop):
    """One process's event loop. It has no sockets and no threads, so its order is the same every time.
    ``check_alive`` raises once the process is dead: the loop ends then, whatever became of the exception that killed it."""

    def __init__(self, clock: Clock, check_alive: Callable[[], None]) -> None:
        super().__init__()
        self._clock = clock
        self._check_alive = check_alive
        self._selector = self  # what asyncio's own loop asks for events and for the passing of time

    def time(self) -> float:
        return self._clock.now

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Asleep
        if timeout > 0:
            self._clock.now += timeout
        return []

    def run_in_executor(self, _executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """At once and here: a thread would finish at a moment of its own choice."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
            done.set_exception(error)
        return done

    def _run_once(self) -> None:
        super()._run_once()  # type: ignore[misc]
        self._check_alive()

    def _process_events(self, _events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken."""


@contextmanager
def replaced(place: Any, name: str, value: object) -> Iterator[None]:
    """``unittest.mock`` does the same, and takes as long as a write to the store."""
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)


def start_clock(clock: Clock) -> None:
    """A new process knows nothing of jumps that an earlier one saw."""
    CLOCK.__init__(wall=clock.wall, monotonic=clock.monotonic, sleep=lambda: 0.0)  # type: ignore[misc]


@contextmanager
def unreal_time(clock: Clock, chance: random.Random) -> Iterator[None]:
    """The product's clocks, identifiers and jitter come from the world while this is open."""
    random.seed(chance.getrandbits(64))
    own = random.Random(chance.getrandbits(64))
    with (
        replaced(time, "time", clock.wall),
        replaced(time, "monotonic", clock.monotonic),
        replaced(secrets, "randbits", own.getrandbits),
        replaced(secrets, "token_hex", lambda size=32: own.randbytes(size).hex()),
        replaced(secrets, "token_bytes", lambda size=32: own.randbytes(size)),
        replaced(uuid, "uuid4", lambda: uuid.UUID(bytes=own.randbytes(16), version=4)),
    ):
        yield
