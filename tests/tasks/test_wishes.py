"""A wish goes to an account that can make it, or is refused at once; what our side can't tell a vendor was never bought."""

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.errors import AdapterFailed, InvalidRequest, UnsupportedWish
from app.generation import GenerationRequest, MediaInput
from app.providers.openai_compatible.provider import OpenAICompatibleProvider
from tests.tasks.conftest import Bench
from tests.tasks.test_billing import money, priced
from tests.upstream.vendors.ark import ArkServer
from tests.upstream.vendors.fal import FalServer
from tests.upstream.vendors.kling import KlingServer

NAMES = {"sora-2": "kling-v3"}


@pytest.fixture
def kling() -> Iterator[KlingServer]:
    with KlingServer() as server:
        yield server


async def add_kling(bench: Bench, kling: KlingServer, **told: str) -> None:
    await bench.account("kling", url=kling.url, provider="kling", models=NAMES, slots=100, **told)


def cannot(request: GenerationRequest) -> None:
    raise UnsupportedWish(f"{request.model} has no style of its own", param="style")


def falls_over(request: GenerationRequest) -> None:
    raise ValueError("min() arg is an empty sequence")


def judge_by(monkeypatch: pytest.MonkeyPatch, check: object) -> None:
    monkeypatch.setattr(OpenAICompatibleProvider, "check", lambda self, request: check(request))  # type: ignore[operator]


async def test_fifty_of_fifty_go_to_the_account_that_can(bench: Bench, kling: KlingServer) -> None:
    await add_kling(bench, kling)
    await bench.account(models={"sora-2": "sora-2"})
    await bench.work()
    made = [await bench.create(str(number), seed=7) for number in range(50)]
    assert {(await bench.ended(task)).state for task in made} == {"completed"}
    assert (kling.counts["submit"], bench.upstream.counters().jobs) == (0, 50)


async def test_what_no_account_can_make_is_refused_at_once(bench: Bench, kling: KlingServer) -> None:
    await add_kling(bench, kling)
    with pytest.raises(InvalidRequest) as refused:
        await bench.create(seed=7)
    assert (refused.value.status, refused.value.param) == (400, "seed")


async def test_an_address_in_a_vendors_store_goes_to_that_vendor(bench: Bench, kling: KlingServer) -> None:
    await add_kling(bench, kling)
    portrait = MediaInput(
        role="first_frame", content_type="image/png", url="asset://asset-1", sha256="1", field="image"
    )
    with pytest.raises(InvalidRequest) as refused:
        await bench.create(media=(portrait,))
    assert (refused.value.param, "asset://" in refused.value.message) == ("image", True)
    with ArkServer() as ark:
        names = {"sora-2": "doubao-seedance-2-0"}
        await bench.account("ark", url=ark.url, provider="ark", models=names, slots=100)
        await bench.work()
        made = [await bench.create(str(number), media=(portrait,)) for number in range(5)]
        assert {(await bench.ended(task)).state for task in made} == {"completed"}
        assert (kling.counts["submit"], ark.counts["submit"]) == (0, 5)
        parts = json.loads(ark.seen[0].body)["content"]
        assert parts[1]["image_url"] == {"url": "asset://asset-1"}


async def test_each_account_says_what_it_could_do(
    bench: Bench, kling: KlingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_kling(bench, kling)
    await bench.account(models={"sora-2": "sora-2"})
    judge_by(monkeypatch, cannot)
    with pytest.raises(InvalidRequest) as refused:
        await bench.create(seed=7)
    assert "kling: kling-v3 has no seed" in refused.value.message
    assert "openai_compatible: sora-2 has no style of its own" in refused.value.message


async def test_a_vendor_is_asked_what_was_refused_for_want_of_knowledge(bench: Bench) -> None:
    """Nothing waits for the vendor, so the first request is refused; a later one is judged by what it said."""
    with FalServer() as fal:
        await bench.account("fal", url=fal.url, provider="fal", models={"sora-2": "someone/new-model"})
        with pytest.raises(InvalidRequest) as refused:
            await bench.create(seconds=5)
        assert refused.value.param == "seconds"
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if "learn" in str(task.get_coro()):
                await task
        made = await bench.create(seconds=5)
        with pytest.raises(InvalidRequest):
            await bench.create(seconds=11)
        assert (made.state, fal.counts["schema"], fal.counts["submit"]) == ("queued", 1, 0)


async def test_our_own_refusal_after_200_goes_on_to_another_account(
    bench: Bench, kling: KlingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.account(models={"sora-2": "sora-2"})
    task = await bench.create(seconds=5)
    judge_by(monkeypatch, cannot)
    await add_kling(bench, kling)
    await bench.work()
    await bench.upstream.until(lambda _: kling.counts["submit"] == 1)
    assert bench.upstream.counters().jobs == 0
    assert "submitting" in await bench.timeline(task)


@pytest.mark.parametrize(
    ("check", "code"),
    [(cannot, "invalid_request"), (falls_over, "internal_error")],
    ids=["refuses", "crashes"],
)
async def test_what_the_only_adapter_cannot_send_fails_and_costs_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, check: object, code: str
) -> None:
    await bench.account(models={"sora-2": "sora-2"})
    await priced(bench, per_call="0.5")
    task = await bench.create()
    judge_by(monkeypatch, check)
    await bench.work()
    ended = await bench.ended(task)
    assert (ended.state, ended.error_code, ended.money) == ("failed", code, "released")
    assert await bench.timeline(task) == ["received", "dispatched", "failed"]
    assert await money(bench) == (Decimal(0), Decimal(0))
    assert (await bench.slots(), bench.upstream.counters().jobs) == (0, 0)


async def test_an_adapter_that_falls_over_is_not_the_clients_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.account(models={"sora-2": "sora-2"})
    judge_by(monkeypatch, falls_over)
    with pytest.raises(AdapterFailed) as refused:
        await bench.create()
    assert (refused.value.status, refused.value.code) == (500, "internal_error")
