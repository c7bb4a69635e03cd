"""Many tasks in flight at once: what looking at each of them costs the process that runs them."""

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import uvloop

from bench.load import load
from bench.processes import Process

SETTLE_SECONDS = 10.0


@dataclass(frozen=True)
class Flight:
    """``gap`` is the time between two looks at one task, in seconds; ``share`` of one core."""

    tasks: int
    asked_seconds: float
    looks_per_second: float
    gap_p50: float
    gap_p99: float
    share: float
    rss: float

    def told(self) -> str:
        return (
            f"{self.tasks:,} tasks in flight, each looked at every {self.asked_seconds:g} s: "
            f"{self.looks_per_second:,.0f} looks/s, gap p50 {self.gap_p50:.2f} s, p99 {self.gap_p99:.2f} s, "
            f"{self.share:.0%} of one core, {self.rss:.0f} MB"
        )


def fly(
    gateway: Process, *, port: int, upstream: int, request: bytes, tasks: int, interval: float, seconds: float
) -> Flight:
    """Start ``tasks`` that never end, let them settle, and watch for ``seconds``."""
    made = 0

    def one() -> bytes:
        nonlocal made
        made += 1
        return request

    while made < tasks:
        uvloop.run(load(port, one, connections=16, seconds=1.0, at_start=_nothing, at_end=_nothing))
    _wait(lambda: _stats(upstream)["seen"] >= tasks)
    time.sleep(SETTLE_SECONDS)
    _stats(upstream)
    spent, began = gateway.cpu(), time.perf_counter()
    time.sleep(seconds)
    took = time.perf_counter() - began
    share = (gateway.cpu() - spent) / took
    told = _stats(upstream)
    rate = told["looks"] / took
    return Flight(told["jobs"], interval, rate, told["p50"], told["p99"], share, gateway.rss())


def _nothing() -> None:
    return None


def _wait(holds: Callable[[], bool], *, timeout: float = 300.0) -> None:
    end = time.perf_counter() + timeout
    while not holds():
        if time.perf_counter() > end:
            raise SystemExit("the tasks did not come into flight")
        time.sleep(0.5)


def _stats(port: int) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/stats")
        told: dict[str, Any] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return told
