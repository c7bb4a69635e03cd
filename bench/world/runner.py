"""Runs many worlds, in several processes, and says how to replay those in which something was wrong."""

import argparse
import gc
import logging
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog

from bench.world.store import Engines
from bench.world.template import make_template
from bench.world.world import World

MEMORY = Path("/dev/shm")
TOGETHER = 20
"""So many seeds are handed to a process at once, and its garbage is collected after them."""
SHOWN = 6


class Outcome(NamedTuple):
    """``trace``: what must be the same whenever the seed is replayed. ``seconds``: of the processor."""

    seed: int
    violations: tuple[str, ...]
    trace: str
    seconds: float


@dataclass(frozen=True)
class Setting:
    """What all worlds of a run have in common."""

    template: bytes
    root: Path

    def play(self, seed: int, engines: Engines, say: Callable[[str], None] | None = None) -> Outcome:
        began = time.process_time()
        world = World(seed, engines=engines, template=self.template, root=self.root / str(seed), say=say)
        try:
            world.run()
            found, trace = tuple(world.violations), world.summary()
        except Exception as error:  # noqa: BLE001 - one world that falls over is a finding, and the others go on
            engines.end()
            found, trace = (f"the simulation fell over: {error!r}",), traceback.format_exc()
        return Outcome(seed, found, trace, time.process_time() - began)

    def play_several(self, seeds: Sequence[int]) -> list[Outcome]:
        """In a process of its own, whose garbage is collected now and then only; what is left then stays, and is not looked at
        again."""
        gc.disable()
        gc.freeze()
        outcomes = [self.play(seed, _engines()) for seed in seeds]
        gc.collect()
        return outcomes


_kept: list[Engines] = []


def _engines() -> Engines:
    """The compiled statements of this process."""
    if not _kept:
        _kept.append(Engines())
    return _kept[0]


@contextmanager
def setting() -> Iterator[Setting]:
    root = Path(tempfile.mkdtemp(prefix="filmgate-world-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        yield Setting(make_template(), root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def run_seeds(seeds: Sequence[int], *, processes: int) -> Iterator[Outcome]:
    chunks = [seeds[at : at + TOGETHER] for at in range(0, len(seeds), TOGETHER)]
    with setting() as common, multiprocessing.get_context("fork").Pool(processes) as pool:
        for outcomes in pool.imap_unordered(partial(Setting.play_several, common), chunks):
            yield from outcomes


def set_up_logs(level: int) -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.world", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("-v", "--verbose", action="store_true", help="print the trace of a replay")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is a part of the world
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, "-m", "bench.world", *sys.argv[1:]], environment)
    set_up_logs(logging.INFO if given.verbose else logging.CRITICAL)
    if given.seed is not None:
        return _replay(given.seed, verbose=given.verbose)
    return _run_all(range(given.first, given.first + given.seeds), processes=given.processes)


def _replay(seed: int, *, verbose: bool) -> int:
    with setting() as common:
        outcome = common.play(seed, Engines(), print if verbose else None)
    print(outcome.trace)
    for what in outcome.violations:
        print(what)
    return 1 if outcome.violations else 0


def _run_all(seeds: range, *, processes: int) -> int:
    began, used = time.perf_counter(), 0.0
    found: dict[str, list[int]] = defaultdict(list)
    for outcome in run_seeds(seeds, processes=processes):
        used += outcome.seconds
        for what in outcome.violations:
            found[what].append(outcome.seed)
            print(f"{what}: python -m bench.world --seed {outcome.seed} -v", flush=True)
    wrong = len({seed for which in found.values() for seed in which})
    print(
        f"{len(seeds):,} worlds, {wrong:,} with something wrong; {time.perf_counter() - began:.0f} s, "
        f"{used / len(seeds) * 1000:.0f} ms of a processor each"
    )
    for what, which in sorted(found.items(), key=lambda entry: -len(entry[1])):
        print(f"{len(which):6,} {what}: {', '.join(map(str, sorted(which)[:SHOWN]))}")
    return 1 if found else 0
