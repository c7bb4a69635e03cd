"""The gateway as users run it: a real process on a free port, that tests may kill, freeze and start again."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx2
from pydantic import SecretStr

from app.assembly import assemble_components
from app.components import Components
from app.providers.base import Account
from app.settings import Settings
from tests.forked import ForkedCommand
from tests.stores import sqlite_store

ROOT = Path(__file__).parent.parent
KEY = "sk-fg-test-0123456789abcdefghijklmnop"
Answer = TypeVar("Answer")


class GatewayProcess:
    """``with GatewayProcess(folder) as gateway``; ``environment`` is what FILMGATE_… variables hold;
    ``greeting`` is what it printed before it listened."""

    module = "app.cli"

    def __init__(self, folder: Path, *, command: str = "serve", **environment: str) -> None:
        self.folder = folder
        self.url = ""
        self.port = "0"
        self.greeting = ""
        self._command = command
        self.environment = {
            "FILMGATE_DATA_DIR": str(folder),
            "FILMGATE_API_KEY": KEY,
            "FILMGATE_OUTBOUND_ALLOW": "127.0.0.1/32",
            "FILMGATE_STUDIO_TEST_DIRECTIVES": "true",
            "FILMGATE_LOG_FORMAT": "json",
        } | environment
        self.process: ForkedCommand | subprocess.Popen[str] | None = None

    def __enter__(self) -> "GatewayProcess":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def log(self) -> Path:
        return self.folder / f"{self._command}.log"

    def start(self) -> "GatewayProcess":
        self.folder.mkdir(parents=True, exist_ok=True)
        own = self.folder / "filmgate.db"
        if "FILMGATE_DATABASE_URL" not in self.environment and not own.exists():
            sqlite_store(own)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("FILMGATE_")}
        arguments = ["--quiet", "--port", self.port] if self._command == "serve" else []
        self.process = self._open_process([self._command, *arguments], clean | self.environment)
        assert self.process.stdout
        if self._command == "serve":
            self.greeting = line = ""
            while "Listening on" not in line:
                self.greeting += line
                line = self.process.stdout.readline()
                if not line:
                    self.kill()
                    raise RuntimeError(f"the gateway did not start:\n{self.log.read_text()[-4000:]}")
            self.url = line.split()[-1]
        return self

    def _open_process(
        self, arguments: list[str], environment: dict[str, str]
    ) -> "ForkedCommand | subprocess.Popen[str]":
        if "LD_PRELOAD" not in environment:
            return ForkedCommand(self.module, arguments, environment=environment, errors=self.log)
        command = [sys.executable, "-m", self.module, *arguments]
        with self.log.open("a") as log:
            return subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )

    def stop(self) -> int:
        """SIGTERM, and wait for the drain; the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(how)
        if how != signal.SIGKILL:
            self.process.send_signal(signal.SIGCONT)
        code = self.process.wait(timeout=150)
        if self.process.stdout:
            self.process.stdout.close()
        self.process = None
        return code

    def client(self, *, key: str = KEY, timeout: float = 60.0) -> httpx2.Client:
        """A plain HTTP client with the key."""
        return httpx2.Client(base_url=self.url, headers={"authorization": f"Bearer {key}"}, timeout=timeout)

    def prepare(self, work: Callable[[Components], Coroutine[Any, Any, Answer]]) -> Answer:
        """Do something on the store directly, say add an account, while no server needs to run."""
        names = {k.removeprefix("FILMGATE_").lower(): v for k, v in self.environment.items()}
        settings = Settings.model_validate(names | {"api_key": SecretStr(KEY)})

        async def done() -> Answer:
            components = await assemble_components(settings)
            try:
                return await work(components)
            finally:
                await components.close()

        return asyncio.run(done())

    def add_upstream(self, url: str, *, name: str = "upstream", slots: int = 20, **options: Any) -> Account:
        """An OpenAI-compatible account that takes every model name."""
        account = Account(
            id="",
            provider="openai_compatible",
            name=name,
            base_url=url,
            secret="upstream-secret",
            slots=slots,
            options=options,
        )
        return self.prepare(lambda components: components.pool.add(account))


def until(holds: Callable[[], Answer | None], *, timeout: float = 150.0) -> Answer:
    """Wait for what must happen; ``timeout`` in seconds is only there to end a test that hangs."""
    end = time.monotonic() + timeout
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError("it did not happen")
        time.sleep(0.05)
