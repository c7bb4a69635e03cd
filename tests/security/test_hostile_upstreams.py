"""Every peer that we dial, and everything that it can do wrong: memory, pauses of the loop and other clients' service
stay within bounds. ``FILMGATE_TEST_HOSTILE=cells`` tries one peer at a time, so that the figures are of one cell.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel
from websockets.exceptions import WebSocketException

from app.backup import places
from app.errors import FilmgateError
from app.media.delivery.chain import DeliveryChain, GeneratedFile
from app.media.delivery.options import LinkResolver
from app.media.fetch import MediaFetcher
from app.media.guard import OutboundGuard
from app.providers import registry
from app.providers.base import Account
from app.providers.google_token import AccessTokens, read_service_account, sample_service_account
from app.providers.http import UpstreamClient
from app.providers.http_messages import DownloadPace, UpstreamTimeouts
from app.webhooks.sender import WebhookMessage, WebhookSender
from tests.relay.gateway import RelayGateway, running_gateway
from tests.relay.test_realtime import dial
from tests.security.hostile_peer import BEHAVIOURS, hostile_peer
from tests.upstream import FakeUpstream

pytestmark = pytest.mark.slow

CELLS = os.environ.get("FILMGATE_TEST_HOSTILE") == "cells"
SECONDS = 0.3
"""The limits of time that the parts get here: whatever the peer does, each attempt ends after a few of these."""
MOST_MB = 500.0
"""Growth of this process while all peers misbehave in one way at the same time: five answers of an API of at most 32 MB,
which are held twice while they are read, and a backup of 64 MB."""
MOST_PAUSE = 2.0
"""CPU seconds of the loop's thread between two ticks: other clients wait so long. Not wall time, as machines differ."""
MOST_READ = 8 * 1024 * 1024
TIMEOUTS = UpstreamTimeouts(
    connect=SECONDS, submit=SECONDS, poll=SECONDS, download=DownloadPace(1e6, SECONDS, whole_seconds=1.0)
)
Dial = Callable[[str], Awaitable[object]]


class Read(BaseModel):
    id: str


@dataclass
class Watch:
    """``worst`` CPU seconds between two ticks; ``peak`` of resident memory in MB; healthy calls meanwhile."""

    worst: float = 0.0
    base: float = field(default_factory=lambda: resident())
    peak: float = 0.0
    healthy: int = 0
    served: asyncio.Event = field(default_factory=asyncio.Event)

    async def tick(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0.005)
            now = time.thread_time()
            self.worst, before = max(self.worst, now - before), now
            self.peak = max(self.peak, resident())

    async def ask(self, gateway: RelayGateway) -> None:
        while True:
            answer = await gateway.send_chat(model="healthy")
            assert answer.status_code == 200, answer.text
            self.healthy += 1
            self.served.set()
            await asyncio.sleep(0.01)


def resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@asynccontextmanager
async def watched(gateway: RelayGateway) -> AsyncIterator[Watch]:
    watch = Watch()
    tasks = [asyncio.create_task(watch.tick()), asyncio.create_task(watch.ask(gateway))]
    try:
        yield watch
        async with asyncio.timeout(60):  # a machine that is busy elsewhere
            await watch.served.wait()
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended


async def outcome_of(dialling: Awaitable[object]) -> str:
    """What became of it. Anything but our own errors and a client's broken connection fails the test."""
    try:
        return str(await dialling)
    except (FilmgateError, httpx2.HTTPError, WebSocketException) as error:
        return type(error).__name__


class Dialler:
    """Every part that opens connections, with short limits; each method takes the origin of a peer."""

    def __init__(self, gateway: RelayGateway, folder: Path) -> None:
        self.gateway = gateway
        self.guard = OutboundGuard(("127.0.0.1",))
        self.transport = self.guard.upstream_transport()
        self.fetcher = MediaFetcher(self.guard, seconds=SECONDS, result_seconds=2 * SECONDS)
        self.sender = WebhookSender(self.guard.http_transport(), seconds=SECONDS)
        self.chain = DeliveryChain(options=None, store=None, guard=self.guard)  # type: ignore[arg-type]
        self.folder = folder

    async def close(self) -> None:
        await self.fetcher.close()
        await self.sender.close()
        await self.chain.close()
        await self.transport.aclose()

    def peers(self) -> dict[str, Dial]:
        return {
            "submit": self.submit,
            "poll": self.poll,
            "cancel": self.cancel,
            "result behind a key": self.result,
            "result at a link": self.result_link,
            "input at a link": self.input_link,
            "account check": self.check,
            "token": self.token,
            "webhook": self.webhook,
            "resolver": self.resolver,
            "backup": self.backup,
            "relayed JSON": lambda origin: self.relayed(origin, stream=False),
            "relayed stream": lambda origin: self.relayed(origin, stream=True),
            "realtime": self.realtime,
        }

    def client(self, origin: str) -> UpstreamClient:
        return UpstreamClient(self.transport, base_url=origin, headers={"X-Key": "k"}, timeouts=TIMEOUTS)

    async def submit(self, origin: str) -> str:
        answer = await self.client(origin).post_json("/v1/videos", {"prompt": "A kite"}, answer=Read)
        return type(answer).__name__

    async def poll(self, origin: str) -> str:
        return type(await self.client(origin).get("/v1/videos/1", answer=Read)).__name__

    async def cancel(self, origin: str) -> str:
        return f"cancelled: {await self.client(origin).delete('/v1/videos/1')}"

    async def result(self, origin: str) -> str:
        async with self.client(origin).open_download("/v1/videos/1/content") as download:
            return await bytes_of(download.chunks)

    async def result_link(self, origin: str) -> str:
        async with self.fetcher.stream(f"{origin}/film.mp4", limit=MOST_READ) as pieces:
            return await bytes_of(pieces)

    async def input_link(self, origin: str) -> str:
        accept = ("image/", "application/json")
        content, _ = await self.fetcher.fetch_bytes(
            f"{origin}/a.png", limit=MOST_READ, accept=accept, param="image_url"
        )
        return f"{len(content)} bytes"

    async def check(self, origin: str) -> str:
        account = Account(id="a", provider="openai_compatible", name="a", base_url=f"{origin}/v1", secret="s")
        provider = registry.create_provider(account, self.transport, timeouts=TIMEOUTS)
        try:
            return (await provider.check_account()).verdict
        finally:
            await provider.close()

    async def token(self, origin: str) -> str:
        account = read_service_account(sample_service_account())
        tokens = AccessTokens(account, f"{origin}/token", http=self.client(origin))
        return f"{len(await tokens.current_token())} characters"

    async def webhook(self, origin: str) -> str:
        outcome = await self.sender.send(WebhookMessage("wh_1", f"{origin}/hook", b"{}", ["whsec_c2VjcmV0"]))
        return outcome.error or f"HTTP {outcome.status}"

    async def resolver(self, origin: str) -> str:
        resolver = LinkResolver(name="r", url=origin, timeout_seconds=SECONDS, tries=1)
        file = GeneratedFile("0" * 32, "video", "sora-2", "1")
        return (await self.chain.resolve(resolver, file, note=nothing)).url

    async def backup(self, origin: str) -> str:
        return type(await places.download_backup(self.guard, f"{origin}/b.json", headers={})).__name__

    async def relayed(self, origin: str, *, stream: bool) -> str:
        """Passed on as it comes for as long as the client stays: this one leaves after some bytes or seconds."""
        model = f"{origin.rpartition(':')[2]}-{'stream' if stream else 'json'}"
        body = {"model": model, "messages": [], "stream": stream}
        read = 0
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(3 * SECONDS),
                self.gateway.client.stream("POST", "/v1/chat/completions", json=body) as answer,
            ):
                async for piece in answer.aiter_raw():
                    read += len(piece)
                    if read > MOST_READ:
                        break
                return f"HTTP {answer.status_code}, {read} bytes"
        return f"the client left after {read} bytes"

    async def realtime(self, origin: str) -> str:
        model = f"{origin.rpartition(':')[2]}-realtime"
        async with dial(self.gateway, f"model={model}") as client:
            return str(await client.recv())[:60]


async def bytes_of(pieces: AsyncIterator[bytes]) -> str:
    read = 0
    async for piece in pieces:
        read += len(piece)
        if read > MOST_READ:
            return "more than the limit"
    return f"{read} bytes"


async def nothing(event: str, **detail: Any) -> None:
    pass


@pytest.fixture(scope="module")
def origins() -> Any:
    with hostile_peer() as found:
        yield found


async def test_the_matrix(
    origins: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(places, "TIMEOUT_SECONDS", SECONDS)
    monkeypatch.setattr(places, "TRIES", 1)
    table: list[str] = []
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(running_gateway(tmp_path, silence_seconds=SECONDS))
        healthy = stack.enter_context(FakeUpstream())
        await gateway.add_account(healthy.url, name="healthy", models={"healthy": "fake-chat"})
        for origin in origins.values():
            for path in ("json", "stream", "realtime"):
                model = f"{origin.rpartition(':')[2]}-{path}"
                await gateway.add_account(origin, name=model, models={model: "m"})
        dialler = Dialler(gateway, tmp_path)
        stack.push_async_callback(dialler.close)
        for behaviour in BEHAVIOURS:
            peers = list(dialler.peers().items())
            for group in [[peer] for peer in peers] if CELLS else [peers]:
                async with watched(gateway) as watch:
                    ended = await asyncio.gather(*(outcome_of(act(origins[behaviour])) for _, act in group))
                grown = max(0.0, watch.peak - watch.base)
                for (peer, _), outcome in zip(group, ended, strict=True):
                    table.append(
                        f"{behaviour:17} {peer:20} {outcome[:50]:50} {grown:6.0f} MB {watch.worst:6.3f} s "
                        f"{watch.healthy:4} others"
                    )
                with capsys.disabled():
                    print("", *table[-len(group) :], sep="\n", end="")
                assert grown < MOST_MB, table[-len(group) :]
                assert watch.worst < MOST_PAUSE, table[-len(group) :]


async def test_a_flood_of_interim_answers_ends_by_its_bytes(origins: dict[str, str]) -> None:
    """Long before the time of the attempt is over: each interim answer costs time to parse."""
    guard = OutboundGuard(("127.0.0.1",))
    sender = WebhookSender(guard.http_transport(), seconds=30)
    outcome = await sender.send(
        WebhookMessage("wh_1", f"{origins['1xx flood']}/hook", b"{}", ["whsec_c2VjcmV0"])
    )
    await sender.close()
    assert outcome.error == "The connection failed (RemoteProtocolError)."
