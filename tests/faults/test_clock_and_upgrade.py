"""The clock jumps, or a new version takes over an old store, while tasks are in flight."""

import struct
import time
from pathlib import Path

import pytest

from app.db import migrate
from tests.faults.flight import all_completed, begin, finish, finish_films, hold_films
from tests.faults.ledger import Ledger, table
from tests.faults.preloaded import compile_library
from tests.faults.test_kill import Print, say
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream

__all__ = ["say"]
FILMS = 30
TWO_DAYS = 2 * 86_400
OLDEST_IN_USE = "0004"
"""The store of the version before accounts had tiers and keys had budgets."""


class Clock:
    """The wall clock of one process, which the test sets; ``clock.c`` says how."""

    def __init__(self, folder: Path) -> None:
        library, self._offset = compile_library("clock", folder), folder / "offset"
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
def test_a_jump_of_two_days_deletes_no_film_and_fails_no_task(
    gateway: GatewayProcess, upstream: FakeUpstream, tmp_path: Path, say: Print
) -> None:
    """Six seconds two days ahead, in mid-flight and at a start: what can't be undone waits for a time that stands."""
    clock = Clock(tmp_path)
    gateway.environment |= clock.environment
    upstream.script(job_seconds=0.2)
    gateway.add_upstream(upstream.url, slots=FILMS)
    gateway.start()
    kept, in_flight = Ledger(), Ledger()
    with gateway.client() as client:
        kept.ask_more(client, FILMS)
        kept.finish(client)
        hold_films(upstream)
        in_flight.ask_more(client, 10)
        in_flight.until_made(client)
        clock.set(TWO_DAYS)
        until(lambda: "clock.jumped" in gateway.log.read_text())
        time.sleep(6)
        clock.set(0)
        finish_films(upstream)
        in_flight.finish(client)
    gateway.stop()
    assert [one.status for one in in_flight.asked] == ["completed"] * 10
    clock.set(TWO_DAYS)
    gateway.start()
    until(lambda: "clock.unconfirmed" in gateway.log.read_text())
    time.sleep(3)
    clock.set(0)
    with gateway.client() as client:
        found = [client.get(f"/v1/videos/{one.task_id}/content").status_code for one in kept.asked]
    say(
        f"\ntwo days ahead for 6 s, then a start two days ahead: {found.count(200)} of {FILMS} films are there"
    )
    assert found == [200] * FILMS


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
