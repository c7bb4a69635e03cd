"""The store goes away in the middle of the work: restarted, frozen, silent, failed over, locked by another. Nothing is
lost or bought twice."""

import signal
import sqlite3
import time

import pytest

from tests.faults.flight import all_completed, begin, finish, finish_films
from tests.faults.ledger import table
from tests.faults.own_postgres import (
    OwnPostgres,
    StartServer,
    Wire,
    database_url,
    postgres,
    start_postgres,
    wire,
)
from tests.faults.test_kill import Print, say
from tests.serving import GatewayProcess
from tests.upstream import FakeUpstream

__all__ = ["postgres", "say", "start_postgres", "wire"]
FROZEN_SECONDS = 30.0
LOCKED_SECONDS = 8.0


@pytest.mark.slow
@pytest.mark.postgres
def test_postgres_is_restarted(
    gateway: GatewayProcess, upstream: FakeUpstream, postgres: OwnPostgres, say: Print
) -> None:
    gateway.environment["FILMGATE_DATABASE_URL"] = postgres.url
    ledger = begin(gateway, upstream)
    postgres.control("stop")
    finish_films(upstream)
    with gateway.client() as client:
        refused = client.get(f"/v1/videos/{ledger.asked[0].task_id}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
        assert "retry-after" in refused.headers
        metrics = client.get("/metrics")
        assert metrics.status_code == 200
        assert "filmgate_database_up 0.0" in metrics.text
        assert "filmgate_slots_used NaN" in metrics.text
        assert 'filmgate_requests_total{method="POST",route="/v1/videos",status="200"}' in metrics.text
        assert 'filmgate_tasks_open{state="' not in metrics.text
    postgres.control("start")
    tally = finish(gateway, upstream, ledger)
    say(table("PostgreSQL restarted", tally))
    assert all_completed(tally, ledger), tally


@pytest.mark.slow
@pytest.mark.postgres
def test_postgres_freezes(
    gateway: GatewayProcess, upstream: FakeUpstream, postgres: OwnPostgres, say: Print
) -> None:
    gateway.environment["FILMGATE_DATABASE_URL"] = postgres.url
    ledger = begin(gateway, upstream)
    postgres.signal_all(signal.SIGSTOP)
    finish_films(upstream)
    time.sleep(FROZEN_SECONDS)
    postgres.signal_all(signal.SIGCONT)
    tally = finish(gateway, upstream, ledger)
    say(table(f"PostgreSQL frozen for {FROZEN_SECONDS:.0f} s", tally))
    assert all_completed(tally, ledger), tally


@pytest.mark.slow
def test_another_process_locks_the_store(gateway: GatewayProcess, upstream: FakeUpstream, say: Print) -> None:
    ledger = begin(gateway, upstream)
    other = sqlite3.connect(gateway.folder / "filmgate.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    finish_films(upstream)
    time.sleep(LOCKED_SECONDS)
    other.execute("COMMIT")
    other.close()
    tally = finish(gateway, upstream, ledger)
    say(table(f"SQLite locked by another for {LOCKED_SECONDS:.0f} s", tally))
    assert all_completed(tally, ledger), tally


@pytest.mark.slow
@pytest.mark.postgres
def test_connections_that_go_silent_are_given_up(
    gateway: GatewayProcess, upstream: FakeUpstream, postgres: OwnPostgres, wire: Wire, say: Print
) -> None:
    """As behind a load balancer whose server is gone: the old connections stay open, and only new ones work."""
    gateway.environment["FILMGATE_DATABASE_URL"] = database_url(wire.port)
    ledger = begin(gateway, upstream)
    wire.lead_to(postgres.port)
    finish_films(upstream)
    began = time.monotonic()
    with gateway.client() as client:
        ledger.ask_until_taken(client)
    say(f"\na create works again {time.monotonic() - began:.1f} s after all connections have gone silent")
    tally = finish(gateway, upstream, ledger)
    say(table("PostgreSQL's connections go silent", tally))
    assert all_completed(tally, ledger), tally


@pytest.mark.slow
@pytest.mark.postgres
def test_the_standby_takes_over(
    gateway: GatewayProcess,
    upstream: FakeUpstream,
    start_postgres: StartServer,
    postgres: OwnPostgres,
    wire: Wire,
    say: Print,
) -> None:
    """A failover: the first server dies without a word, the standby is promoted behind the same address."""
    gateway.environment["FILMGATE_DATABASE_URL"] = database_url(wire.port)
    standby = start_postgres(copy_of=postgres)
    postgres.require_standby()
    ledger = begin(gateway, upstream)
    postgres.signal_all(signal.SIGSTOP)
    finish_films(upstream)
    standby.control("promote")
    wire.lead_to(standby.port)
    tally = finish(gateway, upstream, ledger)
    say(table("PostgreSQL fails over to its standby", tally))
    assert all_completed(tally, ledger), tally
