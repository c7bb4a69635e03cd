"""A webhook receiver: a real server in a thread with scripted answers that records its requests."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Seen:
    """One request; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """``hold``: the answer comes when the receiver is told to ``let_go``; ``hang_up``: never."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    hold: bool = False
    hang_up: bool = False


class Receiver:
    """``with Receiver() as receiver``; ``reply`` answers everything, after ``replies`` have been used up."""

    def __init__(self, *replies: Reply, port: int = 0) -> None:
        self.seen: list[Seen] = []
        self.reply = Reply()
        self.replies = list(replies)
        self._free = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._answers())
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._free.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def let_go(self) -> None:
        self._free.set()

    def _answers(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Answers(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = receiver.replies.pop(0) if receiver.replies else receiver.reply
                receiver.seen.append(Seen(self.path, headers, body))
                if reply.hold:
                    receiver._free.wait()
                if reply.hang_up:
                    self.close_connection = True
                    return
                self._write(reply)

            def _write(self, reply: Reply) -> None:
                try:
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(reply.body)))
                    self.end_headers()
                    self.wfile.write(reply.body)
                except OSError:
                    self.close_connection = True  # the sender has had enough

            def log_message(self, text: str, *args: Any) -> None:
                """Tests print nothing."""

        return Answers
