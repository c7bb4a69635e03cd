"""Hostile clients at every door of the port: what they get, what they cost, and what others notice.

The figures are printed (``pytest -rP``). ``FILMGATE_TEST_HOSTILE_ROUNDS`` repeats the matrix.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.security.hostile_peers import ATTACKS, TARGETS, Outcome
from tests.serving import KEY, GatewayProcess

ROUNDS = int(os.environ.get("FILMGATE_TEST_HOSTILE_ROUNDS", "1"))
MOST_TAKEN = 8 * 1024 * 1024
"""Bytes of an endless request that the kernel's buffers and ours may hold before it is refused."""
MOST_GROWTH = 64 * 1024 * 1024
"""Bytes of memory that all of them together may take."""
IDLE = 400


class StrictGateway(GatewayProcess):
    module = "tests.security.strict_gateway"

    @property
    def own_port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def memory(self) -> int:
        """Resident bytes."""
        assert self.process
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def connections(self) -> int:
        assert self.process
        links = Path(f"/proc/{self.process.pid}/fd").iterdir()
        return sum(1 for link in links if link.is_symlink() and "socket" in str(link.readlink()))


class Neighbour:
    """Another client with a key. It asks again and again, and remembers how long each answer took."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self._ended = threading.Event()
        self.waits: list[float] = []
        self.failed: list[str] = []
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> "Neighbour":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        headers = {"authorization": f"Bearer {KEY}"}
        while not self._ended.is_set():
            began = time.monotonic()
            try:  # a connection of its own each time: it must get in, too
                answer = httpx2.get(f"{self._gateway.url}/v1/models", headers=headers, timeout=60)
                if answer.status_code != 200:
                    self.failed.append(str(answer.status_code))
            except httpx2.HTTPError as error:
                self.failed.append(type(error).__name__)
            self.waits.append(time.monotonic() - began)
            time.sleep(0.02)

    def share(self, part: float) -> float:
        return sorted(self.waits)[min(len(self.waits) - 1, int(len(self.waits) * part))]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[StrictGateway]:
    with StrictGateway(tmp_path, FILMGATE_STUDIO="off", STRICT_FILES="512") as found:
        yield found


def attack_all(port: int) -> dict[tuple[str, str], Outcome]:
    pairs = [(name, target) for name in ATTACKS for target in TARGETS]
    with ThreadPoolExecutor(len(pairs)) as threads:
        running = {(name, target.name): threads.submit(ATTACKS[name], port, target) for name, target in pairs}
        return {pair: future.result() for pair, future in running.items()}


def show(found: dict[tuple[str, str], Outcome]) -> None:
    print(f"{'attack':22}" + "".join(f"{target.name:>22}" for target in TARGETS))
    for name in ATTACKS:
        cells = [found[name, target.name] for target in TARGETS]
        told = (f"{one.status or '-':>4} {one.taken:>9,} B {one.seconds:3.0f} s" for one in cells)
        print(f"{name:22}" + "".join(f"{text:>22}" for text in told))


def test_hostile_clients_are_cut_off_and_others_are_served(gateway: StrictGateway) -> None:
    httpx2.get(f"{gateway.url}/docs/swagger-ui.js", timeout=60)
    before = gateway.memory()
    with Neighbour(gateway) as neighbour:
        for _ in range(ROUNDS):
            found = attack_all(gateway.own_port)
            show(found)
    grown = gateway.memory() - before
    print(f"memory +{grown / 1e6:.0f} MB; another client: {len(neighbour.waits)} answers, ", end="")
    print(
        f"p50 {neighbour.share(0.5):.3f} s, p99 {neighbour.share(0.99):.3f} s, worst {max(neighbour.waits):.3f} s"
    )
    assert neighbour.failed == []
    assert grown < MOST_GROWTH
    assert {pair: one for pair, one in found.items() if not one.closed} == {}
    assert {pair: one for pair, one in found.items() if one.taken > MOST_TAKEN} == {}
    assert {pair: one for pair, one in found.items() if one.status >= 500 and one.status != 503} == {}
    for target in TARGETS:
        assert found["endless header", target.name].status == 431
        assert found["many fields", target.name].status == 431


def test_half_requests_leave_room_for_everybody_else(gateway: StrictGateway) -> None:
    """More of them than there are descriptors: the oldest make room, and after their time none is left."""
    port = gateway.own_port
    with ExitStack() as stack:
        held = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            for _ in range(IDLE)
        ]
        for number, wire in enumerate(held):
            if number % 2:
                try:
                    wire.sendall(b"GET /v1/models HTTP/1.1\r\nX: ")
                except OSError:
                    continue  # it has made room already
        with httpx2.Client(
            base_url=gateway.url, headers={"authorization": f"Bearer {KEY}"}, timeout=60
        ) as http:
            assert {http.get("/v1/models").status_code for _ in range(20)} == {200}
        print(f"{gateway.connections()} sockets of {IDLE} half requests")
        for wire in held:
            try:
                while wire.recv(4096):
                    pass
            except ConnectionResetError:
                continue
    assert httpx2.get(f"{gateway.url}/healthz", timeout=60).status_code == 200


def test_the_soft_limit_of_descriptors_is_raised(gateway: StrictGateway) -> None:
    assert gateway.process
    limits = Path(f"/proc/{gateway.process.pid}/limits").read_text()
    [files] = [line for line in limits.splitlines() if line.startswith("Max open files")]
    assert files.split()[3:5] == ["512", "512"]
