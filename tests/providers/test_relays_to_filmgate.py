"""The relays in front of another Filmgate: a real process with the embedded studio makes the videos."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.errors import UpstreamAuthFailed, UpstreamRejected
from app.generation import GenerationRequest
from app.providers import registry
from app.providers.base import Account, Operation, Provider, Queued, Running, Submission, Succeeded
from tests.serving import KEY, GatewayProcess
from tests.upstream.transport import loopback_transport

RELAYS = ("chat_relay", "feature_relay", "unified_relay")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("other")
    with GatewayProcess(
        folder, FILMGATE_STUDIO="on", FILMGATE_SECRET_KEY="a-root-key-for-tests-0123456789"
    ) as gateway:
        yield gateway


@asynccontextmanager
async def open_provider(relay: str, other: GatewayProcess, *, key: str = KEY) -> AsyncIterator[Provider]:
    options: dict[str, Any] = {"idempotency": True, "cancel": True}
    if relay == "chat_relay":
        options["told_by"] = "fields"
    account = Account(id=relay, provider=relay, name=relay, base_url=other.url, secret=key, options=options)
    async with loopback_transport() as transport:
        made = registry.create_provider(account, transport)
        yield made
        await made.close()


def make_request(**told: Any) -> GenerationRequest:
    usual = {"kind": "video", "model": "veo3", "prompt": "A red kite", "seconds": 1, "size": "320x180"}
    return GenerationRequest(**(usual | told))


async def ended(provider: Provider, operation: Operation) -> Any:
    while isinstance(answer := await provider.poll(operation), Queued | Running):  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    return answer


async def test_videos(other: GatewayProcess) -> None:
    """Each asked for twice with one key, made once; its bytes come from there."""
    await asyncio.gather(*(video(other, relay) for relay in RELAYS))


async def video(other: GatewayProcess, relay: str) -> None:
    async with open_provider(relay, other) as provider:
        submission = Submission(f"filmgate-{relay}")
        operation = await provider.start(make_request(), submission)
        assert "held" not in operation.data
        assert await provider.recover(make_request(), submission) == operation
        answer = await ended(provider, operation)
        assert isinstance(answer, Succeeded)
        pieces = [piece async for piece in provider.fetch(operation, answer.files[0])]
        assert b"ftyp" in b"".join(pieces)[:12]


@pytest.mark.parametrize("relay", RELAYS)
async def test_refusals(other: GatewayProcess, relay: str) -> None:
    async with open_provider(relay, other, key="sk-somebody-else-0123456789") as stranger:
        with pytest.raises(UpstreamAuthFailed):
            await stranger.start(make_request(), Submission("k1"))
    async with open_provider(relay, other) as provider:
        with pytest.raises(UpstreamRejected):
            await provider.start(make_request(prompt=""), Submission(f"{relay}-k2"))


@pytest.mark.parametrize("relay", RELAYS)
async def test_cancel(other: GatewayProcess, relay: str) -> None:
    async with open_provider(relay, other) as provider:
        named = make_request(model="sora2-portrait-10s", seconds=10, size="720x1280")
        asked = named if relay == "feature_relay" else make_request(seconds=10)
        operation = await provider.start(asked, Submission(f"{relay}-k3"))
        stopped = await provider.cancel(operation)
        answer = await ended(provider, operation)
        assert stopped is not isinstance(answer, Succeeded)
