"""Zhipu against its simulator. The field names are those of zai-sdk 0.2.3 and of docs.z.ai."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest

from app.catalog.overrides import NO_OVERRIDES
from app.catalog.upstream_request import adapt_request
from app.errors import (
    OperationNotFound,
    OutcomeUnknown,
    PollFailed,
    UnsupportedWish,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelForbidden,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.base import Account, Failed, Provider, Running, Submission, Succeeded
from app.providers.zhipu.provider import ZhipuProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_png
from tests.upstream.vendors.zhipu import ZhipuServer

SUBMISSION = Submission("filmgate-0123")
INLINE = "data:image/png;base64," + base64.b64encode(tiny_png()).decode()
PLAIN = {"model": "cogvideox-3", "prompt": "A red kite", "request_id": "filmgate-0123"}


@pytest.fixture(scope="module")
def vendor() -> Iterator[ZhipuServer]:
    with ZhipuServer() as server:
        yield server


@pytest.fixture
async def made(vendor: ZhipuServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("zhipu", vendor) as provider:
        yield provider


def make_request(model: str = "cogvideox-3", **told: Any) -> GenerationRequest:
    return GenerationRequest(**{"kind": "video", "model": model, "prompt": "A red kite", **told})


def picture(role: Role = "first_frame", url: str | None = None) -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png(), url=url)


def sent(vendor: ZhipuServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vendor.seen[-1].body)
    return found


class TestContract(VendorContract):
    provider_name = "zhipu"
    routes: ClassVar = [
        ("POST", "/api/paas/v4/videos/generations", "create"),
        ("GET", "/api/paas/v4/async-result/[^/]+", "poll"),
    ]
    states: ClassVar = {"queued": "PROCESSING", "running": "PROCESSING", "done": "SUCCESS", "failed": "FAIL"}
    moderated: ClassVar = {"code": "1301", "message": "Unsafe or sensitive content was detected."}
    codes: ClassVar = {
        "invalid_value": "1214", "moderation_blocked": "1301", "server_error": "1200",
        "invalid_api_key": "1000",
    }  # fmt: skip

    def request(self) -> GenerationRequest:
        return make_request(seconds=5)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        return {"error": {"code": self.codes[code], "message": message}}

    async def test_from_accepted_to_done(self, upstream: Any, provider: Provider) -> None:
        """Zhipu has one word for waiting and running."""
        upstream.script(statuses=["PROCESSING", "SUCCESS"])
        operation = await self.start(provider)
        assert await provider.poll(operation) == Running()
        assert isinstance(await provider.poll(operation), Succeeded)
        assert upstream.counters().jobs == 1


# ---- submit ----

LINK = "https://media.test/a.png"
FRAMES = (picture("last_frame"), picture())


@pytest.mark.parametrize(
    ("model", "told", "changed"),
    [
        ("cogvideox-3", {}, {}),
        ("cogvideox-3", {"seconds": 10}, {"duration": 10}),
        ("cogvideox-3", {"size": "1080x1920"}, {"size": "1080x1920"}),
        ("cogvideox-3", {"aspect_ratio": "9:16"}, {"size": "720x1280"}),
        ("cogvideox-3", {"aspect_ratio": "9:16", "resolution": "1080P"}, {"size": "1080x1920"}),
        ("cogvideox-3", {"resolution": "4k"}, {"size": "3840x2160"}),
        ("cogvideox-3", {"sound": True}, {"with_audio": True}),
        ("cogvideox-3", {"sound": False}, {"with_audio": False}),
        ("cogvideox-3", {"watermark": False}, {"watermark_enabled": False}),
        ("cogvideox-3", {"extra": {"fps": 60, "quality": "speed"}}, {"fps": 60, "quality": "speed"}),
        ("cogvideox-3", {"media": (picture(),)}, {"image_url": INLINE}),
        ("cogvideox-3", {"media": FRAMES}, {"image_url": [INLINE, INLINE]}),
        ("cogvideox-2", {"seconds": 5, "size": "720x480"}, {"size": "720x480"}),
        ("viduq1-text", {"style": "anime", "seconds": 5}, {"style": "anime", "duration": 5}),
        ("viduq1-text", {"aspect_ratio": "1:1"}, {"aspect_ratio": "1:1"}),
        ("viduq1-text", {"aspect_ratio": "9:16", "resolution": "1080p"},
         {"aspect_ratio": "9:16", "size": "1920x1080"}),
        ("viduq1-text", {"sound": False}, {}),
        ("viduq1-start-end", {"media": FRAMES}, {"image_url": [INLINE, INLINE]}),
        ("vidu2-image", {"media": (picture(url=LINK),), "seconds": 4, "sound": True},
         {"image_url": LINK, "duration": 4, "with_audio": True}),
        ("vidu2-reference", {"media": (picture("reference_image", LINK),)}, {"image_url": [LINK]}),
    ],
)  # fmt: skip
async def test_what_is_told(
    vendor: ZhipuServer, made: Provider, model: str, told: dict[str, Any], changed: dict[str, Any]
) -> None:
    await made.start(make_request(model, **told), SUBMISSION)
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert sent(vendor) == {**PLAIN, "model": model, **changed}


@pytest.mark.parametrize(("style", "told"), [("anime", True), ("retro", False)])
async def test_a_style_that_the_field_lacks_stands_in_the_prompt(
    made: Provider, style: str, told: bool
) -> None:
    adapted = adapt_request(make_request(style=style), NO_OVERRIDES, made, model="viduq1-text")
    assert (adapted.style == style, "Style:" in adapted.prompt) == (told, not told)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(seed=7), "seed"),
        (make_request(negative_prompt="rain"), "negative_prompt"),
        (make_request(characters=("kim",)), "characters"),
        (make_request(seconds=5.5), "seconds"),
        (make_request(size="640x480"), "size"),
        (make_request(aspect_ratio="21:9"), "aspect_ratio"),
        (make_request(resolution="8k"), "resolution"),
        (make_request(aspect_ratio="1:1", resolution="720p"), "resolution"),
        (make_request(prompt="x" * 513), "prompt"),
        (make_request(media=(picture("last_frame"),)), "last_frame"),
        (make_request(media=(picture("reference_image"),)), "reference_image"),
        (make_request("glm-video", media=(picture(), picture("reference_image"))), "reference_image"),
        (make_request("glm-video", resolution="1080p"), "resolution"),
        (make_request("viduq1-text", sound=True), "generate_audio"),
        (make_request("viduq1-text", aspect_ratio="4:3"), "aspect_ratio"),
        (make_request("viduq1-image"), "first_frame"),
        (make_request("viduq1-start-end", media=(picture(),)), "last_frame"),
        (make_request("vidu2-reference"), "reference_image"),
        (make_request(action="extend"), "video"),
        (make_request(extra={"request_id": "x"}), "request_id"),
        (make_request(extra={"sensitive_word_check": {"type": "ALL"}}), "sensitive_word_check"),
        (make_request(extra={"n": 2}), "n"),
    ],
)
async def test_what_cannot_be_told(
    vendor: ZhipuServer, made: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UnsupportedWish) as caught:
        made.check(asked)
    assert caught.value.param == param
    assert vendor.seen == []


@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        (401, "1000", "Authentication Failed", UpstreamAuthFailed),
        (401, "1003", "Authentication Token expired, please regenerate", UpstreamAuthFailed),
        (429, "1113", "Insufficient balance or no resource package. Please recharge.", UpstreamQuotaExhausted),
        (429, "1304", "The API has reached its limit of calls today", UpstreamQuotaExhausted),
        (429, "1302", "Too many concurrent requests for this API", UpstreamBusy),
        (429, "1305", "The model is visited too much at the moment", UpstreamBusy),
        (400, "1211", "Unknown Model, please check the model code.", UpstreamModelForbidden),
        (403, "1220", "You do not have permission to access videos", UpstreamModelForbidden),
        (400, "1214", "The parameter size is invalid.", UpstreamRejected),
        (400, "1261", "Prompt is too long", UpstreamRejected),
        (400, "1301", "Unsafe or sensitive content was detected", UpstreamModerated),
        (400, "1231", "You already have a request: filmgate-0123", OutcomeUnknown),
        (500, "1234", "Network error, error id: 20261129", UpstreamFailed),
        (400, "1999", "Something new", UpstreamRejected),
    ],
)  # fmt: skip
async def test_errors(
    vendor: ZhipuServer, made: Provider, status: int, code: str, message: str, expected: type
) -> None:
    vendor.refuse = (status, {"error": {"code": code, "message": message}}, {})
    with pytest.raises(UpstreamError) as caught:
        await made.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected


async def test_the_same_request_is_not_bought_twice(vendor: ZhipuServer, made: Provider) -> None:
    """Zhipu knows the id of the first copy, so nobody may say that the second was not accepted."""
    await made.start(make_request(), SUBMISSION)
    with pytest.raises(OutcomeUnknown):
        await made.start(make_request(), SUBMISSION)
    assert vendor.counts["submit"] == 1


async def test_accepted_without_a_name(vendor: ZhipuServer, made: Provider) -> None:
    vendor.refuse = (200, {"task_status": "PROCESSING"}, {})
    with pytest.raises(OutcomeUnknown):
        await made.start(make_request(), SUBMISSION)


# ---- look ----


async def test_link(vendor: ZhipuServer, made: Provider) -> None:
    answer = await made.poll(await made.start(make_request(), SUBMISSION))
    assert isinstance(answer, Succeeded)
    assert [file.url for file in answer.files] == [f"{vendor.url}/files/job-0001.mp4"]


@pytest.mark.parametrize("result", [None, [], [{"cover_image_url": "x"}], "x"])
async def test_success_without_a_video(vendor: ZhipuServer, made: Provider, result: Any) -> None:
    operation = await made.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (200, {"task_status": "SUCCESS", "video_result": result}, {})
    with pytest.raises(PollFailed):
        await made.poll(operation)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, Failed("upstream_error", "Zhipu gave no reason.")),
        ({"content_filter": [{"role": "assistant", "level": 0}]},
         Failed("content_policy_violation", "Zhipu gave no reason.")),
        ({"content_filter": [{"role": "user", "level": 3}]}, Failed("upstream_error", "Zhipu gave no reason.")),
        ({"error": {"code": "1301", "message": "No."}}, Failed("content_policy_violation", "No.")),
        ({"error": {"code": "1234", "message": "A network error."}}, Failed("upstream_error", "A network error.")),
    ],
)  # fmt: skip
async def test_failures(vendor: ZhipuServer, made: Provider, body: dict[str, Any], expected: Failed) -> None:
    operation = await made.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (200, {"id": operation.id, "task_status": "FAIL", **body}, {})
    assert await made.poll(operation) == expected


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [(401, "1000", UpstreamAuthFailed), (429, "1302", PollFailed), (404, "1777", OperationNotFound)],
)
async def test_a_refused_look(
    vendor: ZhipuServer, made: Provider, status: int, code: str, expected: type
) -> None:
    operation = await made.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (status, {"error": {"code": code, "message": "no"}}, {})
    with pytest.raises(UpstreamError) as caught:
        await made.poll(operation)
    assert type(caught.value) is expected


def test_own_host() -> None:
    account = Account(id="a", provider="zhipu", name="z")
    assert ZhipuProvider.base_url_for(account) == "https://api.z.ai/api/paas/v4"
    china = Account(id="a", provider="zhipu", name="z", base_url="https://open.bigmodel.cn/")
    assert ZhipuProvider.base_url_for(china) == "https://open.bigmodel.cn/api/paas/v4"


async def test_capabilities(made: Provider) -> None:
    cog, vidu, reference = (
        made.capabilities(name) for name in ("CogVideoX-3", "viduq1-text", "vidu2-reference")
    )
    assert (cog.lengths, cog.roles, cog.sound) == ((5, 10), {"first_frame", "last_frame"}, "choice")
    assert (vidu.native_styles, vidu.roles, vidu.ratios) == (
        {"general", "anime"},
        frozenset(),
        ("16:9", "9:16", "1:1"),
    )
    assert (reference.most, reference.lengths) == ({"reference_image": 3}, (4,))
    assert made.capabilities("glm-5").kinds == {"video", "text"}
    target = made.relay_target("chat/completions")
    assert target
    assert target.url.endswith("/api/paas/v4/chat/completions")
