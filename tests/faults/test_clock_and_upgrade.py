"""The clock jumps, or a new version takes over an old store, while tasks are in flight."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from app.db import migrate
from tests.conftest import leave_out
from tests.faults.flight import all_completed, begin, finish
from tests.faults.ledger import table
from tests.faults.test_kill import Print, say
from tests.serving import GatewayProcess
from tests.upstream import FakeUpstream

__all__ = ["say"]
OLDEST_IN_USE = "0004"
"""The store of the version before accounts had tiers and keys had budgets."""


class Clock:
    """The wall clock of one process, which the test sets; ``clock.c`` says how."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if not compiler:
            leave_out("no C compiler (apt packages gcc, libc6-dev)")
        assert compiler
        library, self._offset = folder / "clock.so", folder / "offset"
        source = Path(__file__).with_name("clock.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
        self._offset.write_bytes(struct.pack("q", 0))
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(self._offset)}

    def set(self, seconds: int) -> None:
        with self._offset.open("r+b") as file:
            file.write(struct.pack("q", seconds))


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [300, -300])
def test_the_clock_jumps_five_minutes(
    gateway: GatewayProcess, upstream: FakeUpstream, tmp_path: Path, say: Print, *, seconds: int
) -> None:
    clock = Clock(tmp_path)
    gateway.environment |= clock.environment
    ledger = begin(gateway, upstream)
    clock.set(seconds)
    tally = finish(gateway, upstream, ledger)
    say(table(f"the clock jumps {seconds:+} s", tally))
    assert all_completed(tally, ledger), tally


@pytest.mark.slow
def test_an_older_store_is_taken_over_in_mid_flight(
    gateway: GatewayProcess, upstream: FakeUpstream, say: Print
) -> None:
    ledger = begin(gateway, upstream)
    gateway.kill()
    migrate.downgrade(f"sqlite+aiosqlite:///{gateway.folder}/filmgate.db", revision=OLDEST_IN_USE)
    gateway.start()
    tally = finish(gateway, upstream, ledger)
    say(table(f"a store of revision {OLDEST_IN_USE} with tasks in flight is brought up", tally))
    assert all_completed(tally, ledger), tally
