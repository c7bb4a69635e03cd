"""Which files of app/ one film and one relayed chat call enter: `python -m bench.trace_files`.

One process runs the gateway with its worker on SQLite, and the scripted upstream of the tests. A file counts when one
of its functions is called, or goes on, between the request and its outcome. Start-up, imports, child processes,
and the periodic jobs of the worker (`PERIODIC_JOBS`) and of caches (`PERIODIC_CALL`) do not count.
"""

import asyncio
import socket
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import FrameType
from typing import Any

import httpx2
import uvicorn

from app.gateway_app import GatewayApp
from app.main import create_app
from app.ops import logs
from app.providers.base import Account
from app.settings import Settings
from tests.upstream import FakeUpstream

ROOT = Path(__file__).parent.parent
APP = f"{ROOT / 'app'}/"
KEY = "sk-fg-trace-trace-trace-trace-trace"
SECRET = "trace-trace-trace-trace-trace-trace"
PERIODIC_JOBS = frozenset(
    {"accounts", "sweep", "webhooks", "budgets", "backup", "forgetting", "keeper", "usage"}
)
"""Names of the asyncio tasks that run whether or not there is work."""

SETTLE_SECONDS = 1.0
"""For the first rounds of the worker's jobs, which belong to the start."""

PERIODIC_CALL = "refresh"
"""Reads accounts, routes or prices again every few seconds, in whichever request that falls."""

MODEL = "traced"
VIDEO = {"model": MODEL, "prompt": "a long walk on the beach", "seconds": "4", "size": "1280x720"}
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}


class FileTrace:
    """The files of app/ that were entered while it was recording, each with the line numbers executed."""

    def __init__(self) -> None:
        self.lines: dict[str, set[int]] = {}
        self._recording = False

    @contextmanager
    def recording(self) -> Iterator[None]:
        # Threads of the executor may be older than the recording, so the tracer is in place from their start.
        self._recording = True
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(None)
            self._recording = False
            # A coroutine that is resumed only to wait again executes no line.
            self.lines = {name: lines for name, lines in self.lines.items() if lines}

    @contextmanager
    def watching_threads(self) -> Iterator[None]:
        threading.settrace(self._enter)
        try:
            yield
        finally:
            threading.settrace(None)

    def _enter(self, frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        if not self._recording or not code.co_filename.startswith(APP):
            return None
        is_import = not code.co_flags & CO_OPTIMIZED  # the body of a module or a class
        if is_import or _is_periodic(frame):
            return None
        lines = self.lines.setdefault(code.co_filename.removeprefix(APP), set())

        def executed(frame: FrameType, event: str, argument: object) -> Any:
            if event == "line":
                lines.add(frame.f_lineno)
            return executed

        return executed

    def by_folder(self) -> dict[str, list[str]]:
        """The names of the files entered, per folder of app/ (``.`` for the top level)."""
        folders: dict[str, list[str]] = {}
        for name in sorted(self.lines):
            folder, _, rest = name.partition("/")
            folders.setdefault(folder if rest else ".", []).append(rest or folder)
        return dict(sorted(folders.items()))


def _is_periodic(frame: FrameType) -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    if task is not None and task.get_name() in PERIODIC_JOBS:
        return True
    caller: FrameType | None = frame
    while caller is not None:
        if caller.f_code.co_name == PERIODIC_CALL and caller.f_code.co_filename.startswith(APP):
            return True
        caller = caller.f_back
    return False


@asynccontextmanager
async def traced_gateway(folder: Path, upstream: FakeUpstream) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a gateway in this process that has one account, at ``upstream``."""
    settings = Settings.model_validate(
        {
            "data_dir": folder,
            "api_key": KEY,
            "secret_key": SECRET,
            "outbound_allow": "127.0.0.1/32",
            "studio": "off",
            "admin_token": SECRET,
            "log_level": "error",
        }
    )
    logs.set_up(level=settings.log_level, style=settings.log_format)
    async with AsyncExitStack() as stack:
        app = create_app(settings)
        await stack.enter_async_context(app.router.lifespan_context(app))
        app.client_api()
        await _add_account(app, upstream)
        port = await _serve(stack, app)
        client = httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {KEY}"}, timeout=60
        )
        yield await stack.enter_async_context(client)


async def _add_account(app: GatewayApp, upstream: FakeUpstream) -> None:
    pool = app.state.components.pool
    await pool.add(
        Account(
            id="",
            provider="openai_compatible",
            name="traced",
            base_url=f"{upstream.url}/v1",
            secret="upstream-secret",
            models={MODEL: MODEL},
            options={"poll_cap_seconds": 0.5},
        )
    )
    await pool.refresh()


async def _serve(stack: AsyncExitStack, app: GatewayApp) -> int:
    config = uvicorn.Config(app, http="httptools", lifespan="off", log_level="critical", access_log=False)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listener]))

    async def stop() -> None:
        server.should_exit = True
        await serving

    stack.push_async_callback(stop)
    return int(listener.getsockname()[1])


async def make_film(client: httpx2.AsyncClient) -> None:
    """POST /v1/videos, and GET until it is completed."""
    created = (await client.post("/v1/videos", json=VIDEO)).raise_for_status().json()
    while True:
        video = (await client.get(f"/v1/videos/{created['id']}")).raise_for_status().json()
        if video["status"] == "completed":
            return
        if video["status"] == "failed":
            raise SystemExit(f"the film failed: {video['error']}")
        await asyncio.sleep(0.05)


async def relay_chat(client: httpx2.AsyncClient) -> None:
    (await client.post("/v1/chat/completions", json=CHAT)).raise_for_status()


async def trace_film_and_chat() -> tuple[FileTrace, FileTrace]:
    """What a film and a relayed chat call enter, each as the first of its kind in a fresh gateway."""
    film, chat = FileTrace(), FileTrace()
    with FakeUpstream() as upstream:
        upstream.script(job_seconds=0.5)
        for traced, work in ((film, make_film), (chat, relay_chat)):
            with tempfile.TemporaryDirectory() as folder, traced.watching_threads():
                async with traced_gateway(Path(folder), upstream) as client:
                    await asyncio.sleep(SETTLE_SECONDS)
                    with traced.recording():
                        await work(client)
    return film, chat


def print_files(title: str, traced: FileTrace) -> None:
    executed = sum(map(len, traced.lines.values()))
    print(f"{title}: {len(traced.lines)} files, {executed} lines executed")
    for folder, names in traced.by_folder().items():
        counts = Counter(
            {name: len(traced.lines[name if folder == "." else f"{folder}/{name}"]) for name in names}
        )
        print(f"  {folder} ({len(names)}): " + ", ".join(f"{name} {counts[name]}" for name in names))


def main() -> None:
    film, chat = asyncio.run(trace_film_and_chat())
    print_files("POST /v1/videos to a finished film", film)
    print_files("a relayed POST /v1/chat/completions", chat)


if __name__ == "__main__":
    main()
