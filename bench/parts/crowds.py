"""Many at once, and what that does to memory and to a client that has nothing to do with it."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvloop

from bench.figures import Figure, Must
from bench.load import Measured, probe
from bench.processes import LOAD_CORE, Process
from bench.seeding import FILE_ID, add_file
from bench.stage import Gateway, Stage, chat, lookup

MOST_MEMORY = Must(150)
NOT_DOUBLED = Must(2, "ratio")
PROBE_CLIENTS = 4
PROBE_PAUSE = 0.02
STREAM_SECONDS = 10.0


@dataclass
class Memory:
    """The most megabytes beyond those at the beginning."""

    process: Process
    before: float
    most: float = 0.0
    is_over: threading.Event = field(default_factory=threading.Event)

    @classmethod
    @contextmanager
    def watch(cls, process: Process) -> Iterator["Memory"]:
        memory = cls(process, process.rss())
        watching = threading.Thread(target=memory._look)
        watching.start()
        try:
            yield memory
        finally:
            memory.is_over.set()
            watching.join()

    def _look(self) -> None:
        while not self.is_over.wait(0.2):
            self.most = max(self.most, self.process.rss())

    @property
    def growth(self) -> float:
        return max(0.0, self.most - self.before)


def measure_downloads(stage: Stage) -> list[Figure]:
    plan = stage.plan
    command = ("downloads", str(plan.downloads), "--bytes", str(plan.download_bytes))
    what = f"{plan.downloads:,} downloads of {plan.download_bytes / 1e6:g} MB at once"
    figures, seen = _measure(stage, what, *command)
    if seen["done"] != plan.downloads:
        raise SystemExit(f"{seen['done']} of {plan.downloads} downloads came to their end")
    megabytes = float(seen["bytes"]) / 1e6 / float(seen["seconds"])
    return [*figures, Figure(f"{what}: together", stage.stores[0], [megabytes], "MB/s")]


def measure_streams(stage: Stage) -> list[Figure]:
    count = stage.plan.streams
    seconds = min(STREAM_SECONDS, stage.plan.calm_seconds * 2)
    what = f"{count:,} open SSE streams, half of them slow readers"
    figures, seen = _measure(stage, what, "streams", str(count), "--seconds", str(seconds))
    if seen["done"]:
        raise SystemExit(f"{seen['done']} of {count} streams ended early")
    return figures


def _measure(stage: Stage, what: str, *command: str) -> tuple[list[Figure], dict[str, float]]:
    name = stage.stores[0]
    with (
        stage.open_upstream() as upstream,
        stage.new_store(name, upstream) as store,
        stage.open_gateway(store) as gateway,
    ):
        add_file(store, stage.plan.download_bytes)
        # No film is made here: a decoder that draws its pictures meanwhile would be taken for the crowd's memory.
        requests = [lookup(FILE_ID), chat()] * (PROBE_CLIENTS // 2)
        end = time.monotonic() + stage.plan.calm_seconds
        calm = uvloop.run(
            probe(gateway.port, requests, pause=PROBE_PAUSE, until=lambda: time.monotonic() > end)
        )
        busy, growth, seen = _with_crowd(gateway, requests, *command)
    p99 = [[Measured.percentile(latencies, 0.99)] for latencies in (busy, calm)]
    p50 = [[Measured.percentile(latencies, 0.5)] for latencies in (busy, calm)]
    return [
        Figure(f"{what}: memory growth", name, [growth], "MB", MOST_MEMORY),
        Figure(f"{what}: another client's p50", name, p50[0], "ms", None, p50[1], "before"),
        Figure(f"{what}: another client's p99", name, p99[0], "ms", NOT_DOUBLED, p99[1], "before"),
    ], seen


def _with_crowd(
    gateway: Gateway, requests: list[bytes], kind: str, *arguments: str
) -> tuple[list[float], float, dict[str, float]]:
    """The latencies of the unconcerned from when all of the crowd are there, and the growth of memory all the while."""
    with (
        Memory.watch(gateway.process) as memory,
        Process("bench.crowd", kind, str(gateway.port), *arguments, cores=[LOAD_CORE]) as crowd,
    ):
        if crowd.line() != "open":
            raise SystemExit("the crowd did not come together")
        ended = crowd.child.poll
        latencies = uvloop.run(
            probe(gateway.port, requests, pause=PROBE_PAUSE, until=lambda: ended() is not None)
        )
        return latencies, memory.growth, json.loads(crowd.line())
