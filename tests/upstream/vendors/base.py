"""The base of the vendor simulators: a real server on a free port, jobs that advance at each poll, counters."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from tests.upstream.media import tiny_mp4


@dataclass
class VendorJob:
    """One accepted job; each poll takes the next of ``states``, and the last one for ever."""

    id: str
    fields: dict[str, Any]
    states: list[str]
    polls: int = 0
    cancelled: bool = False

    def next_state(self) -> str:
        state = self.states[min(self.polls, len(self.states) - 1)]
        self.polls += 1
        return state


@dataclass
class SeenRequest:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = field(repr=False)


class VendorServer:
    """``with MyVendor() as vendor``; ``url`` is its origin. Subclasses give ``routes()``.

    ``states`` are the states of new jobs. ``refuse`` is one answer (status, document, headers) to give
    instead of the next submit; ``refuse_poll`` the same for the next poll.
    """

    states: list[str]
    certificate: tuple[str, str] | None = None
    """Files with a certificate and its key, for TLS."""

    def __init__(self) -> None:
        self.url = ""
        self.jobs: dict[str, VendorJob] = {}
        self.seen: list[SeenRequest] = []
        self.counts: Counter[str] = Counter()
        self.refuse: tuple[int, Any, dict[str, str]] | None = None
        self.refuse_poll: tuple[int, Any, dict[str, str]] | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def routes(self) -> list[BaseRoute]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        app = Starlette(routes=self.routes())
        chain, key = self.certificate or (None, None)
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_config=None, lifespan="off", ws="none",
            ssl_certfile=chain, ssl_keyfile=key,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"{'https' if self.certificate else 'http'}://127.0.0.1:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server and self._thread
        self._server.should_exit = True
        self._thread.join()

    async def record_request(self, request: Request) -> SeenRequest:
        """Store a request in ``seen``."""
        seen = SeenRequest(
            request.method,
            request.url.path,
            dict(request.query_params),
            dict(request.headers),
            await request.body(),
        )
        self.seen.append(seen)
        return seen

    def create_job(self, fields: dict[str, Any], *, job_id: str | None = None) -> VendorJob:
        self.counts["submit"] += 1
        job = VendorJob(job_id or f"job-{len(self.jobs) + 1:04d}", fields, list(self.states))
        self.jobs[job.id] = job
        return job

    def take_refusal(self, *, polls: bool = False) -> Response | None:
        """The answer that a test wants instead of the next submit or poll, if any."""
        refusal = self.refuse_poll if polls else self.refuse
        if refusal is None:
            return None
        if polls:
            self.refuse_poll = None
        else:
            self.refuse = None
        status, document, headers = refusal
        if isinstance(document, str | bytes):
            return Response(document, status, headers)
        return JSONResponse(document, status, headers)


async def send_film(request: Request) -> Response:
    """A film of one second, at every link."""
    return Response(tiny_mp4(), media_type="video/mp4")
