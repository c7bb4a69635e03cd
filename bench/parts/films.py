"""Tasks from create to completed: sixteen clients that create without pause, and an upstream that is done at once."""

import time
from dataclasses import dataclass

from bench.figures import Figure, Must
from bench.load import Measured
from bench.processes import Spent
from bench.stage import Gateway, Stage, create, load_once
from bench.stores import StoreName

CLIENTS = 16
DRAIN_SECONDS = 600.0
CREATES = {"sqlite": 200.0, "postgresql": 150.0}


@dataclass(frozen=True)
class FilmRun:
    """``tasks`` were created, and all are completed. Rates per second, CPU in milliseconds a task."""

    load: Measured
    tasks: int
    finished_while_creating: float
    finished_in_all: float
    cpu: float
    children_cpu: float


def measure(stage: Stage) -> list[Figure]:
    figures: list[Figure] = []
    for name in stage.stores:
        with stage.open_upstream() as upstream, stage.fresh_gateway(name, upstream) as gateway:
            runs = [film_run(gateway, seconds=stage.plan.seconds) for _ in range(stage.plan.runs)]
        figures += _figures(name, runs)
    return figures


def film_run(gateway: Gateway, *, seconds: float) -> FilmRun:
    """Create for ``seconds``, then wait for the last film: what is put off is counted too."""
    newest, before = gateway.store.newest_task(), gateway.process.cpu()
    began = time.time()
    load = load_once(gateway, lambda: create("bench-film"), connections=CLIENTS, seconds=seconds)
    # The clock of the rows; a little warming lies before the time that ``load`` measured.
    creating_ended = time.time()
    spent = _drain(gateway, newest, before)
    counts = gateway.store.task_counts(newest, until=creating_ended)
    if counts.by_state.keys() != {"completed"}:
        raise SystemExit(f"not every film was made: {counts.by_state}")
    return FilmRun(
        load,
        counts.all,
        counts.in_time / (creating_ended - began),
        counts.all / (counts.last_end - began),
        spent.own * 1000 / counts.all,
        spent.children * 1000 / counts.all,
    )


def _drain(gateway: Gateway, newest: str, before: Spent) -> Spent:
    end = time.perf_counter() + DRAIN_SECONDS
    while time.perf_counter() < end:
        counts = gateway.store.task_counts(newest)
        if counts.ended == counts.all:
            return gateway.process.cpu() - before
        time.sleep(0.25)
    raise SystemExit(f"the films were not made within {DRAIN_SECONDS:.0f} s: {counts.by_state}")


def _figures(name: StoreName, runs: list[FilmRun]) -> list[Figure]:
    def row(what: str, values: list[float], unit: str, must: Must | None = None) -> Figure:
        return Figure(what, name, values, unit, must)

    finished, least = "films finished, instant upstream", Must(80, least=True)
    loads = [run.load for run in runs]
    return [
        row(
            f"POST /v1/videos, {CLIENTS} clients",
            [load.rate for load in loads],
            "/s",
            Must(CREATES[name], least=True),
        ),
        row("POST /v1/videos p50", [load.percentile(load.latencies, 0.5) for load in loads], "ms"),
        row(
            "POST /v1/videos p99", [load.percentile(load.latencies, 0.99) for load in loads], "ms", Must(100)
        ),
        row(f"{finished}, while they create", [run.finished_while_creating for run in runs], "/s", least),
        row(f"{finished}, first create to last film", [run.finished_in_all for run in runs], "/s", least),
        row("gateway CPU a task, create to completed", [run.cpu for run in runs], "ms", Must(8)),
        row("CPU a task of the gateway's children", [run.children_cpu for run in runs], "ms"),
    ]
