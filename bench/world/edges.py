"""The edges between the product and its world: where it may be slow, frozen or killed, and the trace of a run."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.world.clock import STEP, Clock


class Killed(KeyboardInterrupt):
    """Ends the process here and now. asyncio hands exceptions of this class straight to whoever runs the loop."""


class Dead(Killed):
    """What a killed process gets from every edge: no ``finally`` of it may take the place of its end."""


@dataclass
class Edges:
    """One process's edges. ``kill_in``: it dies at this edge, counted from now; ``freeze_in`` likewise."""

    clock: Clock
    chance: random.Random
    pauses: float
    """Share of the calls that are slow."""
    longest_pause: float
    trace: Callable[[str], None]
    kill_in: int | None = None
    freezes: list[tuple[int, float]] = field(default_factory=list)
    """How many edges from the one before, and for how many seconds."""
    dead: bool = False
    on_kill: Callable[[], None] = lambda: None
    count: int = 0

    def cross(self, what: object) -> float:
        """Count an edge; returns for how many seconds to pause. Raises ``Killed`` and ``Dead``."""
        self.check_alive()
        self.count += 1
        self.clock.now += STEP
        if self.kill_in is not None:
            self.kill_in -= 1
            if self.kill_in <= 0:
                self.kill(what)
        if self.freezes:
            left, seconds = self.freezes[0]
            self.freezes[0] = (left - 1, seconds)
            if left <= 1:
                self.freezes.pop(0)
                self.trace(f"frozen for {seconds:.1f} s at {str(what)[:100]}")
                self.clock.now += seconds
        if self.pauses and self.chance.random() < self.pauses:
            return self.chance.random() ** 3 * self.longest_pause
        return 0.0

    async def wait(self, what: object) -> None:
        pause = self.cross(what)
        if pause:
            await self.pass_time(pause)

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.check_alive()

    def check_alive(self) -> None:
        if self.dead:
            raise Dead

    def kill(self, what: object) -> None:
        self.trace(f"killed at {str(what)[:100]}")
        self.dead = True
        self.on_kill()
        raise Killed
