"""The fake upstream's faults (resets, drips, redirects …) in front of a vendor's simulator."""

import asyncio
import http.client
import re
from typing import Any
from urllib.parse import urlsplit

from tests.upstream.api import Api, _add, _go_wrong
from tests.upstream.client import FakeUpstream
from tests.upstream.script import Call
from tests.upstream.server import Connection, Reply, Request
from tests.upstream.vendors.base import VendorServer

Routes = list[tuple[str, str, Call]]


class ScriptedServer(VendorServer):
    """A simulator whose jobs the contract suite scripts; ``done`` is the vendor's state of success."""

    done: Any

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        self.jobs.clear()
        self.seen.clear()
        self.counts.clear()
        self.states = [self.done]
        self.refuse = self.refuse_poll = None
        self.keys: list[str] | None = None
        """The accepted keys; None: any."""
        self.failure: dict[str, Any] = {}
        """The code and message of jobs that fail."""


class FaultyFront(FakeUpstream):
    """Passes requests on to ``vendor``; ``routes`` tell submits from polls."""

    def __init__(self, vendor: ScriptedServer, routes: Routes) -> None:
        super().__init__()
        self.vendor, self.routes = vendor, routes

    async def _serve(self, ready: Any) -> None:
        loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._loop = loop
        api = FrontApi(self.vendor, self.routes)
        server = await loop.create_server(lambda: Connection(api), "127.0.0.1", 0, backlog=64)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await self._stopping.wait()
        server.close()
        for connection in list(api.connections):
            connection.close()
        await asyncio.sleep(0)


class FrontApi(Api):
    def __init__(self, vendor: ScriptedServer, routes: Routes) -> None:
        self.vendor, self.routes = vendor, routes
        super().__init__()

    def _route(self, request: Request) -> tuple[Call, list[str]]:
        for method, pattern, call in self.routes:
            # Some vendors have one path; the action is in the query.
            where = request.target if r"\?" in pattern else request.path
            if method == request.method and re.fullmatch(pattern, where):
                return call, []
        return "other", []

    def _control(self, request: Request) -> Reply:
        reply = super()._control(request)
        if request.path.endswith("/script"):
            script, vendor = self.script, self.vendor
            ends = vendor.done if script.final == "completed" else script.final
            vendor.states = list(script.statuses or [ends])
            vendor.failure, vendor.keys = script.error or {}, script.keys
        return reply

    async def _answer(self, request: Request, connection: Connection) -> None:
        call, _ = self._route(request)
        self._count(call, request)
        fault = self._fault(call, request.key, "")
        reply = Reply()
        if fault is None or fault.accepts or fault.do in {"cut", "drip"}:
            reply = await asyncio.to_thread(self._passed_on, request)
            self.counters.jobs = self.vendor.counts["submit"]
        if fault is None:
            await connection.send(reply)
        else:
            await _go_wrong(fault, reply, connection)

    def _passed_on(self, request: Request) -> Reply:
        _add(self.counters.polls, request.path)
        where = urlsplit(self.vendor.url)
        behind = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
        try:
            # With the original host, because signatures cover it.
            behind.request(request.method, request.target, bytes(request.body), request.headers)
            answer = behind.getresponse()
            kept = {"content-type": answer.headers.get("content-type", "application/json")}
            kept |= {
                name.lower(): value for name, value in answer.getheaders() if name.lower().startswith("x-")
            }
            return Reply(answer.status, answer.read(), kept)
        finally:
            behind.close()
