"""``FakeUpstream``: starts the fake upstream, on a thread or as a process, and speaks to its control."""

import asyncio
import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.upstream.api import serve
from tests.upstream.script import Counters, Fault, Script

ROOT = Path(__file__).parent.parent.parent


class FakeUpstream:
    """``with FakeUpstream() as upstream``; ``url`` is its origin, without ``/v1``."""

    def __init__(self, *, process: bool = False, port: int = 0) -> None:
        self.url = ""
        self.port = port
        self._as_process = process
        self._process: subprocess.Popen[str] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "FakeUpstream":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> "FakeUpstream":
        if self._as_process:
            self._start_process()
        else:
            self._start_thread()
        self.port = int(self.url.rsplit(":", 1)[1])
        return self

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()
            if self._process.stdout:
                self._process.stdout.close()
            self._process = None
        if self._loop and self._thread:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._loop = self._thread = None

    def script(self, **told: Any) -> None:
        """Replace the script; the words are ``Script``'s."""
        self._tell("script", Script.model_validate(told).model_dump_json())

    def fault(self, on: str = "any", **told: Any) -> None:
        """Add one fault to the script; the words are ``Fault``'s."""
        self._tell("fault", Fault.model_validate({"on": on, **told}).model_dump_json())

    def counters(self) -> Counters:
        return Counters.model_validate(self._tell("counters", None))

    def reset(self) -> None:
        self._tell("reset", "")

    async def until(self, holds: Callable[[Counters], bool], *, timeout: float = 120.0) -> Counters:
        """Wait for what must happen; ``timeout`` in seconds is only there to end a test that hangs."""
        end = time.monotonic() + timeout
        while True:
            counters = await asyncio.to_thread(self.counters)
            if holds(counters):
                return counters
            if time.monotonic() > end:
                raise AssertionError(f"did not happen: {counters}")
            await asyncio.sleep(0.02)

    def _tell(self, what: str, body: str | None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET" if body is None else "POST", f"/_control/{what}", body)
            answer = connection.getresponse()
            content = answer.read()
        if answer.status != 200:
            raise ValueError(content.decode())
        return json.loads(content)

    def _start_process(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.upstream", "--port", str(self.port)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError("the fake upstream did not start")

    def _start_thread(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        ready.wait()
        if not self.url:
            raise RuntimeError("the fake upstream did not start")

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        try:
            server, api = await serve(self.port)
            self.url = api.url
        finally:
            ready.set()
        await self._stopping.wait()
        server.close()
        for connection in list(api.connections):
            connection.close()
        await asyncio.sleep(0)


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word: with https a connect that never ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as once:
        once.bind(("127.0.0.1", 0))
        port: int = once.getsockname()[1]
        return port
