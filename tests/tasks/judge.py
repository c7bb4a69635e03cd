"""An operator's own judge on 127.0.0.1: answers what it is told, and remembers what it was asked."""

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass
class Judge:
    """``with Judge() as judge``. ``answer`` is sent as JSON, bytes as they are; it answers after ``delay`` seconds."""

    answer: Any = field(default_factory=lambda: {"verdict": "allow"})
    status: int = 200
    delay: float = 0.0
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def __enter__(self) -> "Judge":
        judge = self

        class Requests(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                judge.take(self.rfile.read(int(self.headers["content-length"])), dict(self.headers))
                time.sleep(judge.delay)
                raw = judge.answer if isinstance(judge.answer, bytes) else json.dumps(judge.answer).encode()
                with suppress(BrokenPipeError):  # who waits no longer has gone
                    self.send_response(judge.status)
                    self.send_header("content-length", str(len(raw)))
                    self.end_headers()
                    self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        self.bodies.append(body)
        self.headers.append({name.lower(): value for name, value in headers.items()})
        self.asked.append(json.loads(body))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/judge"
