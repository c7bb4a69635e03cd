"""Relayed calls beside a bare pass-through that does nothing else, in turn."""

from collections.abc import Callable

from bench.figures import Figure, Must
from bench.load import Measured
from bench.stage import Stage, chat
from bench.upstream import CHUNKS


def measure(stage: Stage) -> list[Figure]:
    name = stage.stores[0]
    with (
        stage.open_upstream() as upstream,
        stage.open_bare(upstream) as bare,
        stage.fresh_gateway(name, upstream) as gateway,
    ):

        def in_turn(request: bytes, *, connections: int) -> tuple[list[Measured], list[Measured]]:
            ours, bares = [], []
            for _ in range(stage.plan.runs):
                bares.append(stage.measure(bare, request, connections=connections))
                ours.append(stage.measure(gateway, request, connections=connections))
            return ours, bares

        many = in_turn(chat(), connections=64)
        single = in_turn(chat(), connections=1)
        streams = in_turn(chat(stream=True), connections=64)

    def row(
        what: str,
        runs: tuple[list[Measured], list[Measured]],
        value: Callable[[Measured], float],
        must: Must | None,
        unit: str = "ms",
    ) -> Figure:
        ours, bares = runs
        return Figure(what, name, [value(run) for run in ours], unit, must, [value(run) for run in bares])

    return [
        row("relay c64", many, lambda run: run.rate, Must(0.85, "ratio", least=True), "/s"),
        row("relay c64 p50", many, _p50, None),
        row("relay c64 p99", many, _p99, Must(2, "ratio")),
        row("relay c1 p50", single, _p50, Must(0.05, "added")),
        row("relay c1 p99", single, _p99, None),
        row("SSE c64, chunks", streams, lambda run: run.rate * CHUNKS, Must(0.9, "ratio", least=True), "/s"),
        row("SSE c64, whole stream p99", streams, _p99, None),
    ]


def _p50(run: Measured) -> float:
    return run.percentile(run.latencies, 0.5)


def _p99(run: Measured) -> float:
    return run.percentile(run.latencies, 0.99)
