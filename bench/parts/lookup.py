"""``GET /v1/videos/{id}`` beside a bare pass-through that asks the upstream for as much."""

from bench.figures import Figure, Must
from bench.parts.films import film_run
from bench.stage import Stage, lookup

CONNECTIONS = 32


def measure(stage: Stage) -> list[Figure]:
    figures: list[Figure] = []
    for name in stage.stores:
        with (
            stage.open_upstream() as upstream,
            stage.open_bare(upstream) as bare,
            stage.fresh_gateway(name, upstream) as gateway,
        ):
            film_run(gateway, seconds=0.2)
            request = lookup(gateway.store.newest_task())
            ours, bares = [], []
            for _ in range(stage.plan.runs):
                bares.append(stage.measure(bare, request, connections=CONNECTIONS))
                ours.append(stage.measure(gateway, request, connections=CONNECTIONS))
        must = Must(0.6, "ratio", least=True)
        rates = [run.rate for run in ours], [run.rate for run in bares]
        slow = [[run.percentile(run.latencies, 0.99) for run in runs] for runs in (ours, bares)]
        what = f"GET /v1/videos/{{id}}, {CONNECTIONS} connections"
        figures.append(Figure(what, name, rates[0], "/s", must, rates[1]))
        figures.append(Figure(f"{what}, p99", name, slow[0], "ms", None, slow[1]))
    return figures
