"""The same rates with a million finished tasks in the store, in turn with a store that has none."""

from collections import defaultdict
from contextlib import ExitStack

from bench.figures import Figure, Must
from bench.parts.films import film_run
from bench.parts.lookup import CONNECTIONS
from bench.seeding import add_history
from bench.stage import Stage, lookup
from bench.stores import Store, StoreName

OLD_TASK = f"{5:032x}"
ALIKE = 0.9


def measure(stage: Stage) -> list[Figure]:
    return [figure for name in stage.stores for figure in _measure_store(stage, name)]


def _measure_store(stage: Stage, name: StoreName) -> list[Figure]:
    full: dict[str, list[float]] = defaultdict(list)
    empty: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        upstream = stack.enter_context(stage.open_upstream())
        stores = [stack.enter_context(stage.new_store(name, upstream)) for _ in range(2)]
        for store, count in zip(stores, (stage.plan.history, 10), strict=True):
            add_history(store, count)
        for _ in range(stage.plan.runs):
            for store, found in zip(stores, (full, empty), strict=True):
                for what, value in _rates(stage, store).items():
                    found[what].append(value)
    many = f"{stage.plan.history:,} finished tasks"
    alike, no_dearer = Must(ALIKE, "ratio", least=True), Must(1 / ALIKE, "ratio")
    return [
        Figure(
            f"{what}, {many}",
            name,
            full[what],
            "ms" if "CPU" in what else "/s",
            no_dearer if "CPU" in what else alike,
            empty[what],
            "empty",
        )
        for what in full
    ]


def _rates(stage: Stage, store: Store) -> dict[str, float]:
    """With a gateway of their own, as two at once would disturb one another."""
    with stage.open_gateway(store) as gateway:
        looks = stage.measure(gateway, lookup(OLD_TASK), connections=CONNECTIONS)
        run = film_run(gateway, seconds=stage.plan.seconds / 2)
    return {
        "GET /v1/videos/{id}": looks.rate,
        "POST /v1/videos": run.load.rate,
        "films finished": run.finished_in_all,
        "CPU a task": run.cpu,
    }
