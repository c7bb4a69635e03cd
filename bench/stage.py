"""The processes of one sitting: the upstream, the bare pass-through and the gateway, each on its core."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.film import make_film
from bench.load import Measured, get, load, post
from bench.processes import LOAD_CORE, SERVER_CORE, Process, free_port
from bench.seeding import KEY, environment, prepare, settings
from bench.stores import PostgresServer, Store, StoreName, open_postgres


@dataclass(frozen=True)
class Plan:
    """How long, how often and how much. Times are seconds."""

    seconds: float
    runs: int
    history: int
    flight: int
    """Tasks in flight that are polled every second."""
    downloads: int
    download_bytes: int
    streams: int
    calm_seconds: float
    """So long nothing new comes: before a crowd, before polls are counted, and before idle memory is read."""


@dataclass
class Gateway:
    """A gateway that runs, and the store that it runs on."""

    process: Process
    port: int
    store: Store


class Stage:
    """Made once for a sitting. What it starts ends with ``stack``."""

    def __init__(self, plan: Plan, stack: ExitStack, *, stores: Iterable[StoreName]) -> None:
        self.plan = plan
        self.stack = stack
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="filmgate-bench-")))
        self.film = self.folder / "film.mp4"
        make_film(self.film)
        self.postgres: PostgresServer | None = None
        self.wanted = tuple(stores)
        if "postgresql" in self.wanted:
            self.postgres = open_postgres(stack)
        self.upstream = self.upstream_port = 0

    @property
    def stores(self) -> tuple[StoreName, ...]:
        """Those that are wanted and there."""
        return tuple(name for name in self.wanted if name == "sqlite" or self.postgres is not None)

    @contextmanager
    def open_upstream(self) -> Iterator[int]:
        """A new one, which has counted nothing yet; its port."""
        with Process("bench.upstream", str(self.film), cores=[LOAD_CORE]) as process:
            yield int(process.line())

    @contextmanager
    def open_bare(self, upstream: int) -> Iterator[Gateway]:
        port = free_port()
        with Process("bench.bare", f"http://127.0.0.1:{upstream}", str(port), cores=[SERVER_CORE]) as process:
            process.wait_for(port, "/ready")
            yield Gateway(process, port, Store("sqlite", self.folder))

    @contextmanager
    def new_store(
        self, name: StoreName, upstream: int, *, options: Mapping[str, object] | None = None
    ) -> Iterator[Store]:
        """Migrated, with key, prices and account."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self.folder)))
            url = ""
            if name == "postgresql":
                assert self.postgres
                url = stack.enter_context(self.postgres.database())
            uvloop.run(prepare(settings(folder, database_url=url), upstream, options=options or {}))
            yield Store(name, folder, url)

    @contextmanager
    def open_gateway(
        self, store: Store, *, cores: Iterable[int] = (SERVER_CORE,), arguments: Iterable[str] = ()
    ) -> Iterator[Gateway]:
        """The whole product with its worker, once it answers."""
        port = free_port()
        variables = environment(store.folder, port, worker=True) | store.environment
        log = store.folder / "gateway.log"
        command = ("app.cli", "serve", *arguments)
        with Process(*command, cores=cores, environment=variables, errors=log) as process:
            process.wait_for(port, "/healthz")
            yield Gateway(process, port, store)

    @contextmanager
    def fresh_gateway(self, name: StoreName, upstream: int) -> Iterator[Gateway]:
        with self.new_store(name, upstream) as store, self.open_gateway(store) as gateway:
            yield gateway

    def measure(self, server: Gateway, request: bytes, *, connections: int) -> Measured:
        """One run of the plan's length. Ends the bench if anything was refused."""
        return load_once(server, lambda: request, connections=connections, seconds=self.plan.seconds)


def load_once(server: Gateway, request: Callable[[], bytes], *, connections: int, seconds: float) -> Measured:
    measured = uvloop.run(load(server.port, request, connections=connections, seconds=seconds))
    if measured.failed or not measured.latencies:
        log = server.store.folder / "gateway.log"
        last = log.read_text()[-2000:] if log.exists() else ""
        raise SystemExit(f"{len(measured.latencies)} answers, by status {measured.statuses}\n{last}")
    return measured


def create(model: str) -> bytes:
    body = {"model": model, "prompt": "a long walk through a small town", "seconds": "4"}
    return post("/v1/videos", as_json(body), key=KEY)


def chat(**fields: object) -> bytes:
    """A relayed call of usual size."""
    body = {
        "messages": [{"role": "user", "content": "Tell me something. " * 30}],
        "model": "bench",
        "temperature": 0.7,
    }
    return post("/v1/chat/completions", as_json(body | fields), key=KEY)


def lookup(task_id: str) -> bytes:
    return get(f"/v1/videos/video_{task_id}", key=KEY)


def as_json(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def pin_load() -> None:
    os.sched_setaffinity(0, {LOAD_CORE})
