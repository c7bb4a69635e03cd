"""Many tasks in flight that never end: what polling each of them every second costs, and whether the pace is kept."""

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import uvloop

from bench.figures import Figure, Must
from bench.load import send_all
from bench.stage import Gateway, Stage, create
from bench.stores import StoreName

INTERVAL = 1.0
FEW = 1_000
KEPT = 0.95
"""Of the polls that are due; a pace that is kept on average is kept."""


@dataclass(frozen=True)
class Watch:
    """Some seconds of looking on. ``lag``: what lay between two polls of a task beyond the interval, in seconds."""

    polls_per_second: float
    lag_p99: float
    share: float
    rss: float


def measure(stage: Stage) -> list[Figure]:
    figures: list[Figure] = []
    for name in stage.stores:
        figures += _measure_store(stage, name)
    return figures


def _measure_store(stage: Stage, name: StoreName) -> list[Figure]:
    few = min(FEW, stage.plan.flight)
    with (
        stage.open_upstream() as upstream,
        stage.new_store(name, upstream, options={"poll_cap_seconds": INTERVAL}) as store,
        stage.open_gateway(store) as gateway,
    ):
        start_tasks(gateway, upstream, few)
        small = _watch_runs(stage, gateway, upstream)
        start_tasks(gateway, upstream, stage.plan.flight)
        large = _watch_runs(stage, gateway, upstream)
    what = f"polling {stage.plan.flight:,} tasks at {INTERVAL:g} s"
    due = stage.plan.flight / INTERVAL
    return [
        Figure(
            f"polling, {few:,} tasks at {INTERVAL:g} s: share of a core",
            name,
            # Where fewer polls were made than were due, those that are missing are charged too.
            [watch.share * (few / INTERVAL) / watch.polls_per_second * 100 for watch in small],
            "%",
            Must(25),
        ),
        Figure(
            f"{what}: polls",
            name,
            [watch.polls_per_second for watch in large],
            "/s",
            Must(due * KEPT, least=True),
        ),
        Figure(f"{what}: lag p99", name, [watch.lag_p99 for watch in large], "s", Must(2)),
        Figure(f"{what}: share of a core", name, [watch.share * 100 for watch in large], "%"),
        Figure(f"{what}: memory", name, [watch.rss for watch in large], "MB", Must(250)),
    ]


def start_tasks(gateway: Gateway, upstream: int, wanted: int) -> None:
    """Create until ``wanted`` tasks run at the upstream."""
    missing = wanted - int(_stats(upstream)["seen"])
    if missing > 0:
        request = create("bench-video")
        sent = uvloop.run(send_all(gateway.port, request, count=missing, connections=16))
        if sent.failed:
            raise SystemExit(f"tasks were refused: {sent.statuses}")
    _wait(lambda: _stats(upstream)["seen"] >= wanted)


def _watch_runs(stage: Stage, gateway: Gateway, upstream: int) -> list[Watch]:
    time.sleep(stage.plan.calm_seconds)
    _stats(upstream)
    return [_watch(gateway, upstream, seconds=stage.plan.seconds + INTERVAL) for _ in range(stage.plan.runs)]


def _watch(gateway: Gateway, upstream: int, *, seconds: float) -> Watch:
    spent, began = gateway.process.cpu(), time.perf_counter()
    time.sleep(seconds)
    took = time.perf_counter() - began
    cpu = gateway.process.cpu() - spent
    polls = _stats(upstream)
    lag = max(0.0, float(polls.get("p99", took)) - INTERVAL)
    return Watch(polls["polls"] / took, lag, (cpu.own + cpu.children) / took, gateway.process.rss())


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
        counted: dict[str, Any] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return counted
