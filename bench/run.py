"""``make bench``: the gateway and a bare pass-through in turn, on one pinned core, load and upstream on the other."""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop
from rich.console import Console

from bench.flight import Flight, fly
from bench.load import Measured, get, load, post
from bench.processes import Process, free_port
from bench.report import Row, show
from bench.seeding import KEY, add_history, environment, prepare
from bench.upstream import CHUNKS

LOAD_CORE, SERVER_CORE = 0, 1
CHAT = {
    "messages": [{"role": "user", "content": "Tell me something. " * 30}],
    "model": "bench",
    "temperature": 0.7,
}
VIDEO = {"model": "bench-video", "prompt": "a long walk through a small town", "seconds": "4"}
FEW = 10
HISTORY_ID = f"video_{5:032x}"


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    seconds: float
    rounds: int
    history: int
    flights: tuple[tuple[int, float], ...]
    """How many tasks at once, and how often each is looked at, in seconds."""


class Bench:
    """The processes of one run, and what was measured on them."""

    def __init__(self, plan: Plan, stack: ExitStack) -> None:
        self.plan = plan
        self.stack = stack
        self.rows: list[Row] = []
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="filmgate-bench-")))
        self.ports: dict[str, int] = {}
        self.servers: dict[str, Process] = {}
        self.start_upstream()

    def start_upstream(self) -> None:
        """A new one, that has counted nothing yet."""
        process = self.stack.enter_context(Process("bench.upstream", core=LOAD_CORE))
        self.upstream_port = int(process.line())

    def start_bare(self) -> None:
        origin, port = f"http://127.0.0.1:{self.upstream_port}", free_port()
        process = self.stack.enter_context(Process("bench.bare", origin, str(port), core=SERVER_CORE))
        process.wait_for(port, "/ready")
        self.ports["bare"], self.servers["bare"] = port, process

    def start_gateway(
        self, *, worker: bool, history: int, options: Mapping[str, object] | None = None
    ) -> tuple[float, float]:
        """Seconds until the first answer, and megabytes then; takes the place of a gateway that runs."""
        if "gateway" in self.servers:
            self.servers["gateway"].stop()
        data_dir = Path(tempfile.mkdtemp(dir=self.folder))
        uvloop.run(prepare(data_dir, self.upstream_port, options=options or {}))
        uvloop.run(add_history(data_dir, history))
        port = free_port()
        environ = environment(data_dir, port, worker=worker)
        process = self.stack.enter_context(Process("app.cli", "serve", core=SERVER_CORE, environment=environ))
        seconds = process.wait_for(port, "/health")
        self.ports["gateway"], self.servers["gateway"] = port, process
        return seconds, process.rss()

    def measure(
        self, server: str, request: Callable[[], bytes], *, connections: int, seconds: float | None = None
    ) -> tuple[Measured, float]:
        """What the load saw, and milliseconds of CPU per request."""
        process, spent = self.servers[server], [0.0, 0.0]
        measured = uvloop.run(
            load(
                self.ports[server],
                request,
                connections=connections,
                seconds=seconds or self.plan.seconds,
                at_start=lambda: spent.__setitem__(0, process.cpu()),
                at_end=lambda: spent.__setitem__(1, process.cpu()),
            )
        )
        if measured.failed or not measured.latencies:
            raise SystemExit(f"{server}: {len(measured.latencies)} answers, {measured.statuses}")
        return measured, (spent[1] - spent[0]) * 1000 / len(measured.latencies)

    def note(
        self, what: str, server: str, *, runs: list[tuple[Measured, float]], per_request: int = 1
    ) -> Row:
        """A row of medians over ``runs``."""

        def middle(value: Callable[[Measured], float]) -> float:
            return statistics.median(value(measured) for measured, _ in runs)

        row = Row(
            what,
            server,
            rate=middle(lambda m: m.rate) * per_request,
            p50=middle(lambda m: m.percentile(m.latencies, 0.5)),
            p99=middle(lambda m: m.percentile(m.latencies, 0.99)),
            first_p50=middle(lambda m: m.percentile(m.first_chunks, 0.5)),
            first_p99=middle(lambda m: m.percentile(m.first_chunks, 0.99)),
            cpu=statistics.median(cpu for _, cpu in runs),
            rss=self.servers[server].rss(),
        )
        self.rows.append(row)
        return row

    def in_turn(
        self, what: str, request: Callable[[], bytes], *, connections: int, per_request: int = 1
    ) -> None:
        """Bare and gateway alternately, so that both meet the same weather."""
        runs: dict[str, list[tuple[Measured, float]]] = {"bare": [], "gateway": []}
        for _ in range(self.plan.rounds):
            for server, found in runs.items():
                found.append(self.measure(server, request, connections=connections))
        for server, found in runs.items():
            self.note(what, server, runs=found, per_request=per_request)

    def alone(self, what: str, request: Callable[[], bytes], *, connections: int) -> None:
        runs = [self.measure("gateway", request, connections=connections) for _ in range(self.plan.rounds)]
        self.note(what, "gateway", runs=runs)


def relayed(bench: Bench) -> None:
    chat = post("/v1/chat/completions", _body(CHAT), key=KEY)
    stream = post("/v1/chat/completions", _body({**CHAT, "stream": True}), key=KEY)
    bench.in_turn("chat, 64 connections", lambda: chat, connections=64)
    bench.in_turn("chat, 1 connection", lambda: chat, connections=1)
    bench.in_turn(
        "chat stream, 64 connections (chunks/s)", lambda: stream, connections=64, per_request=CHUNKS
    )
    bench.in_turn("chat stream, 1 connection (chunks/s)", lambda: stream, connections=1, per_request=CHUNKS)


def videos(bench: Bench, where: str) -> None:
    """Without a worker: the cost of the rows, not of what is done with them."""
    create = post("/v1/videos", _body(VIDEO), key=KEY)
    look = get(f"/v1/videos/{HISTORY_ID}", key=KEY)
    bench.alone(f"GET /v1/videos/{{id}}, {where}", lambda: look, connections=32)
    bench.alone(f"POST /v1/videos, {where}", lambda: create, connections=32)


def run(plan: Plan, only: str, console: Console) -> None:
    os.sched_setaffinity(0, {LOAD_CORE})
    with ExitStack() as stack:
        bench = Bench(plan, stack)
        bench.start_bare()
        start, idle = bench.start_gateway(worker=True, history=0)
        if only in ("all", "relay"):
            relayed(bench)
        if only in ("all", "videos"):
            for count in (FEW, plan.history):
                bench.start_gateway(worker=False, history=count)
                videos(bench, f"{count:,} finished tasks")
        show(console, bench.rows, start=start, idle=idle)
        if only in ("all", "flight"):
            for tasks, interval in plan.flights:
                console.print(flight(bench, tasks, interval).told())


def flight(bench: Bench, tasks: int, interval: float) -> Flight:
    bench.start_upstream()
    bench.start_gateway(worker=True, history=0, options={"poll_cap_seconds": interval})
    return fly(
        bench.servers["gateway"],
        port=bench.ports["gateway"],
        upstream=bench.upstream_port,
        request=post("/v1/videos", _body(VIDEO), key=KEY),
        tasks=tasks,
        interval=interval,
        seconds=10.0,
    )


def _body(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.run", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="short runs and little history, to see that it works"
    )
    parser.add_argument("--only", choices=("all", "relay", "videos", "flight"), default="all")
    given = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("The benchmark needs two cores: one for the server under test, one for everything else.")
    plan = (
        Plan(1.0, 1, 5_000, ((500, 1.0),))
        if given.quick
        else Plan(4.0, 3, 100_000, ((1_000, 1.0), (5_000, 30.0)))
    )
    run(plan, given.only, Console(width=150))


if __name__ == "__main__":
    main()
