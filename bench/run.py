"""``make bench``: the table of what must be reached. The gateway with its worker, whole, has one core; load and upstream
have the other; a bare pass-through stands beside it. Every figure is the median of five runs in one sitting."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from app.ops import logs
from bench.figures import Figure, as_markdown, machine, show
from bench.parts import crowds, films, history, lookup, polling, relay, scaling, startup
from bench.processes import ROOT, raise_file_limit
from bench.stage import Plan, Stage, pin_load
from bench.stores import SERVER_VARIABLE, StoreName

FULL = Plan(
    seconds=4.0,
    runs=5,
    history=1_000_000,
    flight=5_000,
    downloads=500,
    download_bytes=50_000_000,
    streams=2_000,
    calm_seconds=5.0,
)
QUICK = Plan(
    seconds=0.5,
    runs=1,
    history=2_000,
    flight=60,
    downloads=10,
    download_bytes=2_000_000,
    streams=20,
    calm_seconds=0.5,
)
PARTS: dict[str, Callable[[Stage], list[Figure]]] = {
    "films": films.measure,
    "relay": relay.measure,
    "polling": polling.measure,
    "lookup": lookup.measure,
    "start": startup.measure,
    "history": history.measure,
    "downloads": crowds.measure_downloads,
    "streams": crowds.measure_streams,
    "scaling": scaling.measure,
}
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
STORES: dict[str, tuple[StoreName, ...]] = {
    "both": ("sqlite", "postgresql"),
    "sqlite": ("sqlite",),
    "postgresql": ("postgresql",),
}


def run(plan: Plan, console: Console, *, parts: list[str], stores: tuple[StoreName, ...]) -> list[Figure]:
    """Measure the ``parts``, each in processes of its own, and say how far it is."""
    pin_load()
    raise_file_limit()
    logs.set_up(level="error", style="console")  # stdout is for the table
    figures: list[Figure] = []
    with ExitStack() as stack:
        stage = Stage(plan, stack, stores=stores)
        if stage.postgres is not None:
            console.print(f"PostgreSQL: {stage.postgres.origin}")
        elif "postgresql" in stores:
            console.print(f"PostgreSQL: not measured, as none is installed and {SERVER_VARIABLE} is not set")
        if not stage.stores:
            sys.exit("There is no store to measure.")
        for name in parts:
            began = time.perf_counter()
            figures += PARTS[name](stage)
            console.print(f"{name}: measured in {time.perf_counter() - began:.0f} s")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.run", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, help="these parts alone", default=list(PARTS))
    parser.add_argument("--store", choices=STORES, default="both")
    parser.add_argument("--quick", action="store_true", help="one short run of each, to see that it works")
    parser.add_argument("--markdown", action="store_true", help="print the table as the README shows it")
    parser.add_argument("--readme", action="store_true", help="write it into the README")
    given = parser.parse_args()
    if not {0, 1} <= os.sched_getaffinity(0):
        sys.exit("The benchmark needs the cores 0 and 1: one for the gateway, one for everything else.")
    progress = Console(stderr=True)
    plan = QUICK if given.quick else FULL
    figures = run(plan, progress, parts=given.only, stores=STORES[given.store])
    written = f"Measured {machine()}, medians of {plan.runs} runs:\n\n{as_markdown(figures)}\n"
    if given.readme:
        write_figures(ROOT / "README.md", written)
    if given.markdown:
        print(written)
        return
    console = Console(width=170)
    console.print(f"{machine()}; medians of {plan.runs} runs")
    show(console, figures)


def write_figures(page: Path, written: str) -> None:
    """Put them between the two marks of the page."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{page} has no place for figures: {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{written}\n{END}{after}")


if __name__ == "__main__":
    main()
