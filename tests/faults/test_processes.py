"""`serve --processes 2`: one port, a process that dies, restarts one after the other, and a supervisor that is killed."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.faults.flight import TASKS, all_completed, begin, finish_films
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream

pytestmark = pytest.mark.slow


@pytest.fixture
def gateway(tmp_path: Path, postgres_url: str) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(
        tmp_path / "gateway",
        FILMGATE_PROCESSES="2",
        FILMGATE_DATABASE_URL=postgres_url,
        FILMGATE_HEARTBEAT_SECONDS="2",
        FILMGATE_STUDIO="off",
    )
    yield gateway
    gateway.stop()


def events(gateway: GatewayProcess, name: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in gateway.log.read_text().splitlines() if line.startswith("{"))
    return [line for line in lines if line["event"] == name]


def serving_ids(gateway: GatewayProcess, *, times: int) -> list[int]:
    """The processes, once all of them have come to serve for so many times."""
    ready = until(lambda: len(found := events(gateway, "processes.ready")) >= times and found)
    assert ready
    return [int(pid) for pid in ready[-1]["pids"]]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass
class Callers:
    """Clients that call without pause; some keep their connection, some take a new one for each call."""

    gateway: GatewayProcess
    is_over: threading.Event = field(default_factory=threading.Event)
    statuses: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def calling(cls, gateway: GatewayProcess, *, count: int) -> Iterator["Callers"]:
        callers = cls(gateway)
        threads = [threading.Thread(target=callers._call, args=(number % 2 == 0,)) for number in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield callers
        finally:
            callers.is_over.set()
            for thread in threads:
                thread.join()

    def _call(self, keeps_connection: bool) -> None:
        headers = {} if keeps_connection else {"connection": "close"}
        with self.gateway.client() as client:
            while not self.is_over.is_set():
                for ask in (self._create, self._list):
                    try:
                        self.statuses.append(ask(client, headers))
                    except httpx2.HTTPError as error:
                        self.problems.append(repr(error))

    def _create(self, client: httpx2.Client, headers: dict[str, str]) -> int:
        body = {"model": "sora-2", "prompt": "a kite"}
        return client.post("/v1/videos", json=body, headers=headers).status_code

    def _list(self, client: httpx2.Client, headers: dict[str, str]) -> int:
        return client.get("/v1/models", headers=headers).status_code


def test_a_dead_process_is_replaced_and_restarts_lose_no_request(
    gateway: GatewayProcess, upstream: FakeUpstream
) -> None:
    ledger = begin(gateway, upstream)
    assert "Listening on" not in gateway.greeting  # said once, as its last line
    first, second = serving_ids(gateway, times=1)
    os.kill(first, signal.SIGKILL)
    finish_films(upstream)
    replaced = serving_ids(gateway, times=2)
    with gateway.client() as client:
        ledger.finish(client)
    tally = ledger.tally(upstream.counters(), runs=1, in_flight=TASKS, slots=0, recovery=0.0)
    assert all_completed(tally, ledger), tally
    (death,) = events(gateway, "process.died")
    assert (death["died"], death["code"], second in replaced) == (first, -signal.SIGKILL, True)

    with Callers.calling(gateway, count=4) as callers:
        assert gateway.process
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: events(gateway, "processes.restarted"))
        time.sleep(0.2)  # the last ones meet the new processes
    assert (callers.problems, set(callers.statuses)) == ([], {200})
    renewed = {line["pid"] for line in events(gateway, "serve.started")} - {first, second, *replaced}
    assert len(renewed) == 2
    assert not any(map(is_alive, replaced))
    assert events(gateway, "process.died") == [death]
    assert_counts_are_summed(gateway, at_least=len(callers.statuses))

    assert gateway.stop() == 0
    assert not any(map(is_alive, renewed))


def assert_counts_are_summed(gateway: GatewayProcess, *, at_least: int) -> None:
    """Whichever process is asked, it tells what all have answered, also those that are gone."""
    totals = []
    for _ in range(6):
        text = httpx2.get(f"{gateway.url}/metrics").text
        lines = [line for line in text.splitlines() if line.startswith("filmgate_requests_total{")]
        totals.append(sum(float(line.split()[-1]) for line in lines))
    assert min(totals) >= at_least
    assert totals == sorted(totals)


def test_processes_end_when_their_supervisor_is_killed(gateway: GatewayProcess) -> None:
    gateway.start()
    pids = serving_ids(gateway, times=1)
    gateway.kill()
    until(lambda: not any(map(is_alive, pids)))
    assert {line["pid"] for line in events(gateway, "serve.orphaned")} == set(pids)
    assert {line["pid"] for line in events(gateway, "serve.stopped")} == set(pids)
