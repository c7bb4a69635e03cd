"""Anthropic: the SDK (anthropic 2.11.0) proves the simulator, and what a relayed call carries is let in there."""

from collections.abc import AsyncIterator, Iterator

import anthropic
import httpx2
import pytest

from app.errors import OperationNotFound, UpstreamRejected
from app.generation import GenerationRequest
from app.providers import registry
from app.providers.anthropic.provider import AnthropicProvider
from app.providers.base import Account, Operation, Provider, Submission
from tests.upstream.transport import loopback_transport
from tests.upstream.vendors.anthropic import AnthropicServer

MESSAGES = [{"role": "user", "content": "Write a line on a kite."}]


@pytest.fixture(scope="module")
def vendor() -> Iterator[AnthropicServer]:
    with AnthropicServer() as server:
        yield server


@pytest.fixture
async def provider(vendor: AnthropicServer) -> AsyncIterator[Provider]:
    account = Account(
        id="a1", provider="anthropic", name="fake", base_url=f"{vendor.url}/v1", secret=vendor.key
    )
    async with loopback_transport() as transport:
        made = registry.create_provider(account, transport)
        yield made
        await made.close()


# ---- the vendor's own SDK against the simulator ----


async def test_sdk(vendor: AnthropicServer) -> None:
    async with anthropic.AsyncAnthropic(base_url=vendor.url, api_key=vendor.key, max_retries=0) as client:
        whole = await client.messages.create(model="claude", max_tokens=64, messages=MESSAGES)  # type: ignore[arg-type]
        assert [block.text for block in whole.content if block.type == "text"] == ["A red kite."]
        counted = await client.messages.count_tokens(model="claude", messages=MESSAGES)  # type: ignore[arg-type]
        assert counted.input_tokens == whole.usage.input_tokens == 9
        async with client.messages.stream(model="claude", max_tokens=64, messages=MESSAGES) as stream:  # type: ignore[arg-type]
            assert "".join([text async for text in stream.text_stream]) == "A red kite."
            assert (await stream.get_final_message()).stop_reason == "end_turn"


async def test_sdk_with_a_wrong_key(vendor: AnthropicServer) -> None:
    async with anthropic.AsyncAnthropic(base_url=vendor.url, api_key="wrong", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError):
            await client.messages.create(model="claude", max_tokens=64, messages=MESSAGES)  # type: ignore[arg-type]


# ---- what a relayed call carries ----


@pytest.mark.parametrize("path", ["messages", "messages/count_tokens", "chat/completions"])
async def test_relay(vendor: AnthropicServer, provider: Provider, path: str) -> None:
    target = provider.relay_target(path)
    assert target is not None
    assert target.url == f"{vendor.url}/v1/{path}"
    body = {"model": "claude", "max_tokens": 64, "messages": MESSAGES}
    clients_own = {"anthropic-version": "2026-10-21"}
    async with httpx2.AsyncClient() as client:
        answer = await client.post(target.url, headers=clients_own | dict(target.headers), json=body)
    assert answer.status_code == 200
    assert vendor.key not in repr(target)


async def test_the_key_goes_as_the_path_wants_it(provider: Provider, vendor: AnthropicServer) -> None:
    native, compatible = provider.relay_target("/messages"), provider.relay_target("chat/completions")
    assert native and native.headers == {"x-api-key": vendor.key}
    assert compatible and compatible.headers == {"Authorization": f"Bearer {vendor.key}"}


async def test_a_pinned_version(vendor: AnthropicServer) -> None:
    """Sampling settings live on in the older version only."""
    old = {"anthropic-version": "2023-06-01"}
    body = {"model": "claude", "max_tokens": 64, "messages": MESSAGES, "temperature": 0.5}
    for version, status in (("2023-06-01", 200), ("2026-10-21", 400)):
        account = Account(
            id="a1", provider="anthropic", name="fake", base_url=vendor.url, secret=vendor.key,
            options={"version": version},
        )  # fmt: skip
        async with loopback_transport() as transport, httpx2.AsyncClient() as client:
            made = registry.create_provider(account, transport)
            target = made.relay_target("messages")
            assert target is not None
            answer = await client.post(target.url, headers=old | dict(target.headers), json=body)
            assert answer.status_code == status
            await made.close()


@pytest.mark.parametrize("path", ["embeddings", "responses", "images/generations", "messages/batches", ""])
async def test_paths_that_anthropic_has_not(provider: Provider, path: str) -> None:
    assert provider.relay_target(path) is None


async def test_it_makes_text_only(provider: Provider) -> None:
    assert provider.capabilities("claude").kinds == {"text"}
    with pytest.raises(UpstreamRejected) as caught:
        await provider.start(GenerationRequest(kind="video", model="claude"), Submission("k"))
    assert caught.value.param == "model"
    with pytest.raises(OperationNotFound):
        await provider.poll(Operation(id="x"))


def test_address() -> None:
    account = Account(id="a", provider="anthropic", name="a")
    assert AnthropicProvider.base_url_for(account) == "https://api.anthropic.com"
    assert AnthropicProvider.auth_headers(account) == {}
    assert AnthropicProvider.verified == f"verified against anthropic {anthropic.__version__}"
