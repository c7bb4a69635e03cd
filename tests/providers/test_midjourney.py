"""Midjourney-Proxy against its simulator. There is no SDK; routes, fields and return codes are those of the open
proxies' own controllers."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app.errors import (
    InvalidRequest,
    OperationNotFound,
    OutcomeUnknown,
    PollFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModerated,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.base import Account, Failed, Operation, Provider, Running, Submission, Succeeded
from app.providers.midjourney.provider import MidjourneyProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_png
from tests.upstream.vendors.midjourney import MidjourneyServer

SUBMISSION = Submission("filmgate-0123")


@pytest.fixture(scope="module")
def vendor() -> Iterator[MidjourneyServer]:
    with MidjourneyServer() as server:
        yield server


@pytest.fixture
async def proxy(vendor: MidjourneyServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("midjourney", vendor) as provider:
        yield provider


def make_request(model: str = "mj_imagine", **told: Any) -> GenerationRequest:
    return GenerationRequest(**({"kind": "image", "model": model, "prompt": "A red kite"} | told))


def picture(role: Role = "reference_image") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def sent(vendor: MidjourneyServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vendor.seen[-1].body)
    return found


class TestContract(VendorContract):
    provider_name = "midjourney"
    routes = [("POST", r"/mj/submit/imagine", "create"), ("GET", r"/mj/task/[^/]+/fetch", "poll")]  # noqa: RUF012
    states = {"queued": "NOT_START", "running": "IN_PROGRESS", "done": "SUCCESS", "failed": "FAILURE"}  # noqa: RUF012
    moderated = {"message": "Banned prompt detected"}  # noqa: RUF012
    codes = {"invalid_value": 4, "moderation_blocked": 24, "server_error": 9, "invalid_api_key": 9}  # noqa: RUF012

    def request(self) -> GenerationRequest:
        return make_request()

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        return {"code": self.codes[code], "description": message, "result": None, "properties": {}}


@pytest.mark.parametrize(
    ("told", "prompt"),
    [
        ({}, "A red kite"),
        ({"size": "1920x1080", "seed": 7}, "A red kite --ar 16:9 --seed 7"),
        (
            {"aspect_ratio": "2:3", "negative_prompt": "rain --seed 1"},
            "A red kite --ar 2:3 --no rain  seed 1",
        ),
    ],
)
async def test_settings(vendor: MidjourneyServer, proxy: Provider, told: dict[str, Any], prompt: str) -> None:
    await proxy.start(make_request(**told, extra={"accountFilter": {"modes": []}}), SUBMISSION)
    assert vendor.seen[-1].path == "/mj/submit/imagine"
    assert vendor.seen[-1].headers["mj-api-secret"] == SECRET
    assert sent(vendor) == {"prompt": prompt, "state": "filmgate-0123", "accountFilter": {"modes": []}}


async def test_inputs(vendor: MidjourneyServer, proxy: Provider) -> None:
    await proxy.start(make_request("niji", media=(picture(), picture("first_frame"))), SUBMISSION)
    assert sent(vendor)["botType"] == "NIJI_JOURNEY"
    assert [item[:22] for item in sent(vendor)["base64Array"]] == ["data:image/png;base64,"] * 2


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(seconds=3), "seconds"),
        (make_request(resolution="4k"), "resolution"),
        (make_request(seed=-1), "seed"),
        (make_request(watermark=True), "watermark"),
        (make_request(extra={"state": "x"}), "state"),
        (make_request(extra={"mode": "FAST"}), "mode"),
        (make_request(media=(picture(),) * 6), "image"),
        (make_request(media=(MediaInput(role="reference_image", content_type="image/png", url="https://p.test"),)), "image"),
        (make_request(media=(picture("last_frame"),)), "last_frame"),
        (make_request(kind="video"), "model"),
    ],
)  # fmt: skip
async def test_what_cannot_be_told(
    vendor: MidjourneyServer, proxy: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await proxy.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.counts["submit"] == 0


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (3, UpstreamBusy),
        (4, UpstreamRejected),
        (9, UpstreamFailed),
        (23, UpstreamBusy),
        (24, UpstreamModerated),
        (30, UpstreamBusy),
        (99, UpstreamFailed),
    ],
)
async def test_codes(vendor: MidjourneyServer, proxy: Provider, code: int, expected: type) -> None:
    vendor.refuse = (200, {"code": code, "description": f"no {SECRET}", "result": None}, {})
    with pytest.raises(UpstreamError) as caught:
        await proxy.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected
    assert SECRET not in caught.value.message


@pytest.mark.parametrize("code", [1, 21, 22])
async def test_ways_to_say_yes(vendor: MidjourneyServer, proxy: Provider, code: int) -> None:
    vendor.refuse = (200, {"code": code, "description": "", "result": 1320098173412546}, {})
    assert await proxy.start(make_request(), SUBMISSION) == Operation(id="1320098173412546")


async def test_accepted_without_a_task(vendor: MidjourneyServer, proxy: Provider) -> None:
    vendor.refuse = (200, {"code": 1, "description": ""}, {})
    with pytest.raises(OutcomeUnknown):
        await proxy.start(make_request(), SUBMISSION)


async def test_progress_and_result(vendor: MidjourneyServer, proxy: Provider) -> None:
    vendor.states = ["IN_PROGRESS", "MODAL", "SUCCESS"]
    operation = await proxy.start(make_request(), SUBMISSION)
    assert await proxy.poll(operation) == Running(progress=45.0)
    assert await proxy.poll(operation) == Running(progress=45.0)
    answer = await proxy.poll(operation)
    assert isinstance(answer, Succeeded)
    assert [file.url for file in answer.files] == [f"https://pictures.test/{operation.id}.png"]


@pytest.mark.parametrize("document", [b"", None, [], {}])
async def test_unknown_task(vendor: MidjourneyServer, proxy: Provider, document: Any) -> None:
    vendor.refuse_poll = (200, document, {})
    with pytest.raises(OperationNotFound):
        await proxy.poll(Operation(id="gone"))


async def test_cancel(vendor: MidjourneyServer, proxy: Provider) -> None:
    vendor.states = ["IN_PROGRESS", "SUCCESS"]
    operation = await proxy.start(make_request(), SUBMISSION)
    assert await proxy.cancel(operation) is False
    async with open_provider("midjourney", vendor, cancel=True) as able:
        assert await able.cancel(operation) is True
        assert isinstance(await able.poll(operation), Failed)
        ended = await able.start(make_request(), Submission("k2"))
        await able.poll(ended), await able.poll(ended)
        assert await able.cancel(ended) is False


async def test_recover(vendor: MidjourneyServer, proxy: Provider) -> None:
    with pytest.raises(OutcomeUnknown):
        await proxy.recover(make_request(), SUBMISSION)
    async with open_provider("midjourney", vendor, lists=True) as able:
        with pytest.raises(PollFailed):
            await able.recover(make_request(), SUBMISSION)
        started = await able.start(make_request(), SUBMISSION)
        assert await able.recover(make_request(), SUBMISSION) == started
        assert able.capabilities("").idempotency_key is True
    async with open_provider("midjourney", vendor, lists=True, lost_after_seconds=0) as hasty:
        assert await hasty.recover(make_request(), Submission("k9")) is None


def test_address() -> None:
    account = Account(id="a", provider="midjourney", name="m", base_url="https://proxy.test/mj-fast/mj")
    assert MidjourneyProvider.base_url_for(account) == "https://proxy.test/mj-fast"
    with pytest.raises(InvalidRequest):
        MidjourneyProvider.base_url_for(Account(id="a", provider="midjourney", name="m"))
    assert MidjourneyProvider.auth_headers(account) == {}
