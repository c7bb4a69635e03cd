"""Several processes on one PostgreSQL database: killed, frozen, stopped, cut off; nothing is bought twice."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.catalog.price import ModelPrice
from app.components import Components
from tests.faults.flight import finish_films, hold_films
from tests.faults.ledger import Ledger, table
from tests.faults.test_kill import Print, say
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream

__all__ = ["say"]
HEARTBEAT = "2"
TASKS = 20


@dataclass
class House:
    """Two replicas that share database, files and root key, and one upstream that outlives them."""

    one: GatewayProcess
    other: GatewayProcess
    upstream: FakeUpstream

    def tally(self, ledger: Ledger, **told: Any) -> Any:
        slots = self.one.prepare(_slots)
        return ledger.tally(self.upstream.counters(), in_flight=TASKS, slots=slots, **told)


async def _slots(components: Components) -> int:
    return (await components.repository.open_counts())["slots"]


@pytest.fixture
def house(tmp_path: Path, postgres_url: str) -> Iterator[House]:
    common = {
        "FILMGATE_DATABASE_URL": postgres_url,
        "FILMGATE_HEARTBEAT_SECONDS": HEARTBEAT,
        "FILMGATE_SECRET_KEY": "0123456789abcdef0123456789abcdef",
        "FILMGATE_STUDIO": "off",
    }
    one, other = GatewayProcess(tmp_path / "one", **common), GatewayProcess(tmp_path / "other", **common)
    for gateway in (one, other):  # one store for both
        gateway.folder.mkdir()
        (tmp_path / "files").mkdir(exist_ok=True)
        (gateway.folder / "files").symlink_to(tmp_path / "files", target_is_directory=True)
    with FakeUpstream(process=True) as upstream:
        one.add_upstream(upstream.url, slots=TASKS)
        try:
            yield House(one, other, upstream)
        finally:
            one.kill()
            other.kill()


def ask_all(house: House, gateway: GatewayProcess, ledger: Ledger) -> None:
    """All of them stay in flight until ``finish_films``."""
    hold_films(house.upstream)
    with gateway.client() as client:
        ledger.ask_more(client, TASKS)
        ledger.until_made(client)


def finish(gateway: GatewayProcess, ledger: Ledger) -> float:
    began = time.monotonic()
    with gateway.client() as client:
        ledger.finish(client)
    return time.monotonic() - began


@pytest.mark.slow
def test_a_killed_replica_is_taken_over(house: House, say: Print) -> None:
    ledger = Ledger()
    house.one.start()
    ask_all(house, house.one, ledger)  # the other is not there yet, so the first runs them all
    house.other.start()
    house.one.kill()
    finish_films(house.upstream)
    recovery = finish(house.other, ledger)
    tally = house.tally(ledger, runs=1, recovery=recovery)
    say(table("kill -9 of one of two replicas", tally))
    assert tally.good, tally
    assert all(one.status == "completed" for one in ledger.asked)


@pytest.mark.slow
def test_killed_in_the_middle_of_submitting(house: House, say: Print) -> None:
    house.upstream.script(job_seconds=1.0, latency=0.3)
    ledger = Ledger()
    house.one.start()
    house.other.start()
    with house.one.client() as client:
        ledger.ask_more(client, TASKS)
    until(lambda: house.upstream.counters().submissions)
    house.one.kill()
    recovery = finish(house.other, ledger)
    tally = house.tally(ledger, runs=1, recovery=recovery)
    say(table("kill -9 of one of two replicas while it submits", tally))
    assert tally.good, tally


@pytest.mark.slow
def test_a_frozen_replica_changes_nothing_when_it_wakes(house: House, say: Print) -> None:
    ledger = Ledger()
    house.one.start()
    ask_all(house, house.one, ledger)
    house.other.start()
    house.one.freeze()
    finish_films(house.upstream)
    recovery = finish(house.other, ledger)
    before = rows(house)
    house.one.thaw()
    time.sleep(3)  # long enough to poll, store and write, if it were let
    assert rows(house) == before
    tally = house.tally(ledger, runs=1, recovery=recovery)
    say(table("one of two replicas frozen past its heartbeat", tally))
    assert tally.good, tally
    assert all(one.status == "completed" for one in ledger.asked)


@pytest.mark.slow
def test_a_short_freeze_in_the_middle_of_submitting_loses_nothing(house: House, postgres_url: str) -> None:
    """The new owner waits for a receipt before it gives a submission up: the old one may only be slow."""
    for gateway in (house.one, house.other):
        gateway.environment["FILMGATE_HEARTBEAT_SECONDS"] = "8"
    house.upstream.script(job_seconds=1.0, latency=0.5)
    ledger = Ledger()
    house.one.start()
    with house.one.client() as client:
        ledger.ask_more(client, TASKS)
        until(lambda: len(house.upstream.counters().submissions) == TASKS)
        house.one.freeze()
    house.other.start()
    until(lambda: asyncio.run(highest_epoch(postgres_url)) > 1)  # what was taken over is not yet given up
    house.one.thaw()
    finish(house.other, ledger)
    assert [one.status for one in ledger.asked] == ["completed"] * TASKS, ledger.asked
    assert house.tally(ledger, runs=1, recovery=0.0).good


LOCKING_WRITES = ("slots", "spending", "receipts")
"""After writing here a process holds what others need: the lock of admission, a key's budget, a task's row."""
DAWDLE = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF current_setting('application_name') = 'victim' THEN PERFORM pg_sleep(3); END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER dawdle AFTER INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION dawdle();
"""
DAWDLING = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'victim' AND wait_event = 'PgSleep'"


@pytest.mark.slow
@pytest.mark.parametrize("written", LOCKING_WRITES)
def test_a_process_frozen_with_a_lock_stops_no_other(
    house: House, postgres_url: str, say: Print, *, written: str
) -> None:
    house.upstream.script(job_seconds=0.5)
    house.one.prepare(lambda one: one.money.prices.set_price("sora-2", ModelPrice(per_call=Decimal("0.1"))))
    asyncio.run(execute(postgres_url, DAWDLE.format(written)))
    house.one.environment["FILMGATE_DATABASE_URL"] = f"{postgres_url}?application_name=victim"
    house.one.start()
    ledger, others = Ledger(), Ledger(name="another film")
    asking = threading.Thread(target=ask_one, args=(house.one, ledger))
    asking.start()
    until(lambda: asyncio.run(execute(postgres_url, DAWDLING)))
    house.one.freeze()
    time.sleep(3)  # the sleep inside the transaction ends, and the frozen process holds its locks
    house.other.start()
    began = time.monotonic()
    ask_one(house.other, others)
    finish(house.other, others)
    say(f"\nfrozen after a write to {written}: another film took {time.monotonic() - began:.1f} s meanwhile")
    assert not others.open
    house.one.thaw()
    asking.join()
    recovery = finish(house.other, ledger)
    ledger.asked += others.asked
    tally = house.tally(ledger, runs=1, recovery=recovery)
    say(table(f"frozen after a write to {written}", tally))
    assert tally.good, tally


def ask_one(gateway: GatewayProcess, ledger: Ledger) -> None:
    with gateway.client() as client:
        ledger.ask_until_taken(client)


async def execute(url: str, statement: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return (
            await connection.fetch(statement)
            if statement.startswith("SELECT")
            else await connection.execute(statement)
        )
    finally:
        await connection.close()


async def highest_epoch(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT max(epoch) FROM tasks"))
    finally:
        await connection.close()


def rows(house: House) -> list[Any]:
    async def read(components: Components) -> list[Any]:
        async with components.database.read() as connection:
            query = (
                "SELECT id, state, epoch, account_id, progress, result, finished_at FROM tasks ORDER BY id"
            )
            found = (await connection.exec_driver_sql(query)).all()
            count = (await connection.exec_driver_sql("SELECT count(*) FROM timeline")).scalar_one()
        return [*(tuple(row) for row in found), count]

    return house.other.prepare(read)


@pytest.mark.slow
def test_sigterm_hands_tasks_over_at_once(house: House, say: Print) -> None:
    for gateway in (house.one, house.other):
        gateway.environment["FILMGATE_HEARTBEAT_SECONDS"] = "600"
    ledger = Ledger()
    house.one.start()
    ask_all(house, house.one, ledger)
    house.other.start()
    assert house.one.stop() == 0
    finish_films(house.upstream)
    recovery = finish(house.other, ledger)  # a heartbeat would take longer than this waits
    tally = house.tally(ledger, runs=1, recovery=recovery)
    say(table("SIGTERM of one of two replicas", tally))
    assert tally.good, tally
    assert tally.submission_unknown == 0


@pytest.mark.slow
def test_a_task_taken_in_without_a_worker_runs_on_the_other_and_its_progress_is_heard(house: House) -> None:
    house.upstream.script(job_seconds=2.5)
    house.one.environment["FILMGATE_WORKER"] = "false"
    house.one.start()
    house.other.start()
    lines: list[str] = []
    with house.one.client() as client:
        body = {"model": "sora-2", "stream": True, "messages": [{"role": "user", "content": "a kite"}]}
        with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            assert answer.status_code == 200
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    delta = json.loads(line[6:])["choices"][0]["delta"]
                    lines.append(delta.get("content") or "")
    text = "".join(lines)
    assert "%" in text
    assert "<video" in text or "http" in text
    assert house.upstream.counters().jobs == 1


@pytest.mark.slow
def test_all_connections_cut_in_mid_run(house: House, postgres_url: str, say: Print) -> None:
    house.one.environment["FILMGATE_HEARTBEAT_SECONDS"] = "10"
    house.upstream.script(job_seconds=2.0, latency=0.05)
    ledger = Ledger()
    house.one.start()
    cutter = threading.Thread(target=cut_often, args=(house, 5))
    with house.one.client() as client:
        ledger.ask_more(client, TASKS)
        cutter.start()
        cutter.join()
    recovery = finish(house.one, ledger)
    tally = house.tally(ledger, runs=5, recovery=recovery)
    say(table("all PostgreSQL connections cut", tally))
    assert tally.good, tally
    assert tally.submission_unknown == 0


def cut_often(house: House, times: int) -> None:
    async def cut(components: Components) -> None:
        async with components.database.read() as connection:
            await connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    for _ in range(times):
        house.other.prepare(cut)
