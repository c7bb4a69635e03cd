"""A killed process of a seeded world (``bench/world``) is over at once, as after kill -9: whatever its code still wanted to do."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from bench.world.clock import Clock, WorldLoop
from bench.world.edges import Dead, Edges, Killed


async def tidies_up(edges: Edges) -> None:
    try:
        await edges.wait("send")
    finally:
        await edges.wait("hand back")


async def hides_its_end(edges: Edges) -> None:
    with suppress(BaseException):
        await edges.wait("send")


@pytest.mark.parametrize("part", [tidies_up, hides_its_end])
def test_a_killed_process_does_nothing_more(part: Callable[[Edges], Coroutine[Any, Any, None]]) -> None:
    clock = Clock()
    edges = Edges(clock, random.Random(1), pauses=0.0, longest_pause=0.0, trace=lambda _text: None, kill_in=1)
    loop = WorldLoop(clock, edges.check_alive)

    async def live() -> None:
        killed = asyncio.create_task(part(edges))
        await asyncio.sleep(60.0)
        await asyncio.wait([killed])

    with pytest.raises(Killed):
        loop.run_until_complete(live())
    assert clock.now < 1.0
    with pytest.raises(Dead):
        edges.cross("anything more")
    loop.close()
