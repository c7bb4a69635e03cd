"""A simulated vendor of videos with moods: rate limits, failures, bans and quotas that end, all of them counted."""

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httptools

HTML = b"<html><body>Bad gateway</body></html>"
VIDEO = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"\x00" * 512


@dataclass
class Tenant:
    """One account as the vendor sees it. Times are of ``time.monotonic``."""

    secret: str
    slots: int
    seconds: float
    """How long a job takes."""
    idempotent: bool
    left: int | None = None
    """Jobs that it may still start; None: any number."""
    banned_until: float = 0.0
    busy_until: float = 0.0
    broken_until: float = 0.0
    empty_until: float = 0.0
    names_pause: bool = False
    running: dict[str, float] = field(default_factory=dict)
    started: int = 0
    most_running: int = 0
    over_quota: int = 0
    """Submissions refused because nothing was ``left``."""

    def at_work(self, now: float) -> int:
        for name in [name for name, end in self.running.items() if end <= now]:
            del self.running[name]
        return len(self.running)


class Refusal(Exception):
    def __init__(self, status: int, code: str, *, retry_after: int | None = None, html: bool = False) -> None:
        self.status = status
        self.body = HTML if html else json.dumps({"error": {"message": code, "code": code}}).encode()
        self.retry_after = retry_after


class Vendor:
    """All accounts of it, and what was started for which prompt."""

    def __init__(self) -> None:
        self.tenants: dict[str, Tenant] = {}
        self.prompts: Counter[str] = Counter()
        self.refusals: Counter[int] = Counter()
        self._jobs: dict[str, tuple[Tenant, float]] = {}
        self._by_key: dict[tuple[str, str], str] = {}
        self._server: asyncio.Server | None = None

    async def serve(self) -> int:
        """The port it listens on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=4096)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def answer(self, method: str, path: str, headers: dict[str, str], *, body: bytes) -> bytes:
        tenant = self.tenants.get(headers.get("authorization", "").removeprefix("Bearer "))
        if tenant is None:
            return _response(401, b'{"error": {"message": "who?"}}')
        name = path.removeprefix("/v1/videos").strip("/").partition("/")[0]
        try:
            if method == "POST":
                return self._create(tenant, headers.get("idempotency-key", ""), json.loads(body))
            if path.endswith("/content"):
                return _response(200, VIDEO, kind="video/mp4")
            return self._look(name)
        except Refusal as refusal:
            self.refusals[refusal.status] += 1
            return _response(refusal.status, refusal.body, retry_after=refusal.retry_after)

    def _create(self, tenant: Tenant, key: str, wanted: dict[str, Any]) -> bytes:
        now = time.monotonic()
        known = self._by_key.get((tenant.secret, key)) if tenant.idempotent else None
        if known is not None:
            return _job(known, "queued")
        self._refuse(tenant, now)
        name = f"job_{len(self._jobs)}"
        end = now + tenant.seconds * random.uniform(0.7, 1.3)
        self._jobs[name] = (tenant, end)
        self._by_key[tenant.secret, key] = name
        self.prompts[str(wanted["prompt"])] += 1
        tenant.running[name] = end
        tenant.started += 1
        tenant.most_running = max(tenant.most_running, len(tenant.running))
        if tenant.left is not None:
            tenant.left -= 1
        if tenant.idempotent and random.random() < 0.005:
            raise Refusal(502, "", html=True)  # done, but the answer is lost on its way
        return _job(name, "queued")

    def _refuse(self, tenant: Tenant, now: float) -> None:
        if now < tenant.banned_until:
            raise Refusal(401, "account_deactivated")
        if now < tenant.empty_until:
            raise Refusal(402, "insufficient_quota", retry_after=3)
        if tenant.left is not None and tenant.left <= 0:
            tenant.over_quota += 1
            raise Refusal(402, "insufficient_quota", retry_after=3)
        if now < tenant.busy_until or tenant.at_work(now) >= tenant.slots:
            raise Refusal(429, "rate_limit_exceeded", retry_after=2 if tenant.names_pause else None)
        if now < tenant.broken_until:
            raise Refusal(500, "server_error")

    def _look(self, name: str) -> bytes:
        if name not in self._jobs:
            raise Refusal(404, "not_found")
        return _job(name, "completed" if self._jobs[name][1] <= time.monotonic() else "in_progress")


class _Connection(asyncio.Protocol):
    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._path = ""
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        self._path += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        answer = self._vendor.answer(method, self._path, self._headers, body=bytes(self._body))
        self._transport.write(answer)


def _job(name: str, status: str) -> bytes:
    job = {"id": name, "object": "video", "status": status, "model": "film", "created_at": 1, "progress": 10}
    return _response(200, json.dumps(job).encode())


def _response(
    status: int, body: bytes, *, kind: str = "application/json", retry_after: int | None = None
) -> bytes:
    pause = f"retry-after: {retry_after}\r\n" if retry_after is not None else ""
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{pause}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body
