"""PixVerse against its simulator. PixVerse publishes no Python SDK on PyPI; the field names are those of
docs.platform.pixverse.ai and of ComfyUI's nodes for it."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest

from app.errors import (
    OperationNotFound,
    OutcomeUnknown,
    PollFailed,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.base import (
    Account,
    AccountBalance,
    Failed,
    Operation,
    Provider,
    Running,
    Submission,
    Succeeded,
)
from app.providers.pixverse.provider import PixVerseProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_png
from tests.upstream.vendors.pixverse import PixVerseServer, TokenHubServer

SUBMISSION = Submission("filmgate-0123")


@pytest.fixture(scope="module")
def vendor() -> Iterator[PixVerseServer]:
    with PixVerseServer() as server:
        yield server


@pytest.fixture
async def pixverse(vendor: PixVerseServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("pixverse", vendor) as provider:
        yield provider


def make_request(model: str = "v6", **told: Any) -> GenerationRequest:
    return GenerationRequest(kind="video", model=model, prompt="A red kite", **told)


def picture(role: Role = "first_frame") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def sent(vendor: PixVerseServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vendor.seen[-1].body)
    return found


class TestContract(VendorContract):
    provider_name = "pixverse"
    routes: ClassVar = [
        ("POST", r"/openapi/v2/video/[a-z]+/generate", "create"),
        ("GET", r"/openapi/v2/video/result/[^/]+", "poll"),
    ]
    states: ClassVar = {"done": "1", "failed": "8"}
    moderated: ClassVar = {}
    codes: ClassVar = {
        "invalid_value": 400017, "moderation_blocked": 500063, "server_error": 500100,
        "invalid_api_key": 400012,
    }  # fmt: skip

    def request(self) -> GenerationRequest:
        return make_request(seconds=5)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        return {"ErrCode": self.codes[code], "ErrMsg": message, "Resp": None}

    async def test_from_accepted_to_done(
        self, upstream: FakeUpstream, provider: Provider, vendor: PixVerseServer
    ) -> None:
        """PixVerse has no word for waiting, and numbers in place of words."""
        vendor.states = [5, 1]
        operation = await self.start(provider)
        assert await provider.poll(operation) == Running()
        assert isinstance(await provider.poll(operation), Succeeded)
        assert upstream.counters().jobs == 1

    async def test_failed(self, upstream: FakeUpstream, provider: Provider, vendor: PixVerseServer) -> None:
        vendor.states = [8]
        answer = await provider.poll(await self.start(provider))
        assert answer == Failed("upstream_error", "PixVerse reports: failed")

    async def test_moderated_while_running(
        self, upstream: FakeUpstream, provider: Provider, vendor: PixVerseServer
    ) -> None:
        vendor.states = [7]
        answer = await provider.poll(await self.start(provider))
        assert isinstance(answer, Failed)
        assert answer.code == "content_policy_violation"


# ---- submit ----


async def test_text(vendor: PixVerseServer, pixverse: Provider) -> None:
    asked = make_request(
        seconds=10, size="2560x1080", seed=7, negative_prompt="rain", extra={"generate_audio_switch": True},
    )  # fmt: skip
    operation = await pixverse.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/openapi/v2/video/text/generate"
    assert vendor.seen[-1].headers["api-key"] == SECRET
    assert sent(vendor) == {
        "model": "v6", "prompt": "A red kite", "negative_prompt": "rain", "duration": 10, "quality": "1080p",
        "aspect_ratio": "21:9", "seed": 7, "generate_audio_switch": True,
    }  # fmt: skip
    assert operation == Operation(id="300000")


async def test_what_pixverse_wants_told(vendor: PixVerseServer, pixverse: Provider) -> None:
    await pixverse.start(make_request(), SUBMISSION)
    assert sent(vendor) == {
        "model": "v6", "prompt": "A red kite", "duration": 5, "quality": "720p", "aspect_ratio": "16:9",
    }  # fmt: skip


async def test_first_frame(vendor: PixVerseServer, pixverse: Provider) -> None:
    operation = await pixverse.start(make_request(media=(picture(),), size="1080x1920"), SUBMISSION)
    assert vendor.seen[-1].path == "/openapi/v2/video/img/generate"
    assert vendor.uploads == {1000: f"image/png;{len(tiny_png())}"}
    assert (sent(vendor)["img_id"], sent(vendor)["quality"]) == (1000, "1080p")
    assert "aspect_ratio" not in sent(vendor)
    assert isinstance(await pixverse.poll(operation), Succeeded)


async def test_first_and_last_frame(vendor: PixVerseServer, pixverse: Provider) -> None:
    first = MediaInput(role="first_frame", content_type="image/png", url="https://pictures.test/a.png")
    await pixverse.start(make_request(media=(picture("last_frame"), first)), SUBMISSION)
    assert vendor.seen[-1].path == "/openapi/v2/video/transition/generate"
    assert vendor.uploads[1000] == "https://pictures.test/a.png"
    assert (sent(vendor)["first_frame_img"], sent(vendor)["last_frame_img"]) == (1000, 1001)
    traces = [seen.headers["ai-trace-id"] for seen in vendor.seen]
    assert len(set(traces)) == 3


async def test_references(vendor: PixVerseServer, pixverse: Provider) -> None:
    """Each is a subject with a name, which the prompt has to say."""
    media = (picture("reference_image"),) * 2
    asked = make_request(media=media, size="720x1280").model_copy(update={"prompt": "@image2 flies"})
    await pixverse.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/openapi/v2/video/fusion/generate"
    told = sent(vendor)
    assert told["image_references"] == [
        {"type": "subject", "img_id": 1000, "ref_name": "image1"},
        {"type": "subject", "img_id": 1001, "ref_name": "image2"},
    ]
    assert (told["prompt"], told["aspect_ratio"]) == ("@image2 flies @image1 ", "9:16")


async def test_a_generation_that_nobody_knows(vendor: PixVerseServer, pixverse: Provider) -> None:
    asked = make_request("v9", seconds=40, resolution="8k", aspect_ratio="5:4", sound=True)
    await pixverse.start(asked, SUBMISSION)
    told = sent(vendor)
    assert (told["duration"], told["quality"], told["aspect_ratio"]) == (40, "8k", "5:4")


TOKENHUB = {
    "auth": "bearer", "path_prefix": "/v1/wand/pixverse", "inline_pictures": True,
    "paths": {
        "/openapi/v2/video/text/generate": "/text-to-video",
        "/openapi/v2/video/img/generate": "/image-to-video",
        "/openapi/v2/video/transition/generate": "/start-end-to-video",
        "/openapi/v2/video/fusion/generate": "/reference-to-video",
        "/openapi/v2/video/result/{task}": "/tasks/{task}",
    },
}  # fmt: skip


async def test_tokenhub() -> None:
    frames = (picture(), picture("last_frame"))
    with TokenHubServer() as cloud:
        async with open_provider("pixverse", cloud, **TOKENHUB) as provider:
            for media, path in (
                ((), "text-to-video"), (frames[:1], "image-to-video"), (frames, "start-end-to-video"),
                ((picture("reference_image"),), "reference-to-video"),
            ):  # fmt: skip
                operation = await provider.start(make_request("pixverse-video-v6.0", media=media), SUBMISSION)
                assert cloud.seen[-1].path == f"/v1/wand/pixverse/{path}"
                assert cloud.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
                assert "api-key" not in cloud.seen[-1].headers
                assert isinstance(await provider.poll(operation), Succeeded)
            assert provider.capabilities("pixverse-video-v6.0").seconds == (1, 15)
            assert provider.capabilities("pixverse-video-v5.6").lengths == (5, 8, 10)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(extra={"model": "dearer"}), "model"),
        (make_request(extra={"Quality": "1080p"}), "Quality"),
        (make_request(extra={"img_id": 5}), "img_id"),
        (make_request(size="320x240"), "size"),
        (make_request("v5", sound=True), "generate_audio"),
        (make_request("v5", seconds=8, resolution="1080p"), "seconds"),
        (make_request("v5.6", seconds=10, resolution="1080p"), "seconds"),
        (make_request(media=(picture(),), aspect_ratio="1:1"), "aspect_ratio"),
        (make_request(media=(picture(), picture("reference_image"))), "reference_image"),
        (make_request(media=(picture("reference_image"),) * 8), "reference_image"),
        (make_request(seconds=1.5), "seconds"),
        (make_request(resolution="4k"), "resolution"),
        (make_request("v5", aspect_ratio="21:9"), "aspect_ratio"),
        (make_request(media=(picture("last_frame"),)), "last_frame"),
        (make_request(media=(picture(), picture())), "first_frame"),
        (make_request("v4", media=(picture("reference_image"),)), "reference_image"),
    ],
)
async def test_what_cannot_be_told(
    vendor: PixVerseServer, pixverse: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await pixverse.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.seen == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (400012, UpstreamAuthFailed), (400017, UpstreamRejected), (400018, UpstreamRejected),
        (500020, UpstreamQuotaExhausted), (500044, UpstreamBusy), (500054, UpstreamModerated),
        (500063, UpstreamModerated), (500069, UpstreamBusy), (500090, UpstreamQuotaExhausted),
        (500100, UpstreamFailed),
    ],
)  # fmt: skip
async def test_codes(vendor: PixVerseServer, pixverse: Provider, code: int, expected: type) -> None:
    vendor.refuse = (200, {"ErrCode": code, "ErrMsg": f"no, {SECRET}", "Resp": None}, {})
    with pytest.raises(UpstreamError) as caught:
        await pixverse.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected
    assert SECRET not in caught.value.message


@pytest.mark.parametrize(
    ("status", "document", "expected"),
    [
        (200, {"ErrCode": 500054, "ErrMsg": "no"}, UpstreamModerated),
        (200, {"ErrCode": 500032, "ErrMsg": "no"}, UpstreamRejected),
        (200, {"ErrCode": 99999, "ErrMsg": "?"}, UpstreamBusy),
        (200, {"ErrCode": 0, "Resp": {}}, UpstreamBusy),
        (200, "<html>", UpstreamBusy),
        (500, {"error": "broken"}, UpstreamBusy),
        (504, "<html>", UpstreamBusy),
        (401, {"error": "key"}, UpstreamAuthFailed),
    ],
)
async def test_upload_refused(
    vendor: PixVerseServer, pixverse: Provider, status: int, document: Any, expected: type
) -> None:
    """Whatever happens to an upload, no video has been begun."""
    vendor.refuse_upload = (status, document)
    with pytest.raises(UpstreamError) as caught:
        await pixverse.start(make_request(media=(picture(),)), SUBMISSION)
    assert type(caught.value) is expected
    assert vendor.counts["submit"] == 0


async def test_one_code_for_many_things(vendor: PixVerseServer, pixverse: Provider) -> None:
    """99999 says nothing: with HTTP 429 it is "slow down", else a failure."""
    for status, expected in ((429, UpstreamBusy), (200, UpstreamFailed)):
        vendor.refuse = (status, {"ErrCode": 99999, "ErrMsg": "unknown", "Resp": None}, {})
        with pytest.raises(UpstreamError) as caught:
            await pixverse.start(make_request(), SUBMISSION)
        assert type(caught.value) is expected


async def test_accepted_without_a_video(vendor: PixVerseServer, pixverse: Provider) -> None:
    vendor.refuse = (200, {"ErrCode": 0, "ErrMsg": "", "Resp": {}}, {})
    with pytest.raises(OutcomeUnknown):
        await pixverse.start(make_request(), SUBMISSION)


# ---- look ----


async def test_link_and_usage(vendor: PixVerseServer, pixverse: Provider) -> None:
    operation = await pixverse.start(make_request(), SUBMISSION)
    answer = await pixverse.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == f"{vendor.url}/files/{operation.id}.mp4"
    assert answer.usage == {"credits": 45, "size": "1280x720"}


async def test_poll_refused(vendor: PixVerseServer, pixverse: Provider) -> None:
    with pytest.raises(OperationNotFound):
        await pixverse.poll(Operation(id="1"))
    operation = await pixverse.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (200, {"ErrCode": 500069, "ErrMsg": "busy"}, {"Retry-After": "6"})
    with pytest.raises(PollFailed) as caught:
        await pixverse.poll(operation)
    assert caught.value.retry_after == 6.0
    vendor.refuse_poll = (200, {"ErrCode": 0, "Resp": {"status": 1, "url": ""}}, {})
    with pytest.raises(PollFailed):
        await pixverse.poll(operation)


async def test_a_lost_submission_stays_unknown(vendor: PixVerseServer, pixverse: Provider) -> None:
    with pytest.raises(OutcomeUnknown):
        await pixverse.recover(make_request(), SUBMISSION)
    assert vendor.seen == []


# ---- what is left ----


async def test_balance(vendor: PixVerseServer, pixverse: Provider) -> None:
    assert await pixverse.balance() == AccountBalance(1234, "credits")
    assert vendor.seen[-1].path == "/openapi/v2/account/balance"


async def test_balance_refused(vendor: PixVerseServer, pixverse: Provider) -> None:
    """PixVerse refuses a key in an HTTP 200."""
    vendor.keys = {"another"}
    with pytest.raises(UpstreamAuthFailed) as caught:
        await pixverse.balance()
    assert SECRET not in caught.value.message
    for document in ({"ErrCode": 0}, {"ErrCode": 0, "Resp": {"account_id": 7}}, {"ErrCode": 500069}):
        vendor.refuse_poll = (200, document, {})
        with pytest.raises(PollFailed):
            await pixverse.balance()


def test_own_host() -> None:
    assert (
        PixVerseProvider.base_url_for(Account(id="a", provider="pixverse", name="p"))
        == "https://app-api.pixverse.ai"
    )
    given = Account(id="a", provider="pixverse", name="p", base_url="https://app-api.pixverseai.cn/")
    assert PixVerseProvider.base_url_for(given) == "https://app-api.pixverseai.cn"


async def test_capabilities(pixverse: Provider) -> None:
    assert pixverse.capabilities("v6").seconds == (1, 15)
    assert pixverse.capabilities("v5").lengths == (5, 8)
    assert pixverse.capabilities("v5.5").lengths == (5, 8, 10)
    assert pixverse.capabilities("v7").seconds is None
    known, roles = pixverse.capabilities("c1"), {"first_frame", "last_frame", "reference_image"}
    assert (known.roles, known.cancel, known.idempotency_key) == (roles, False, False)
