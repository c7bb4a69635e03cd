"""WaveSpeed, Atlas Cloud and MuAPI against their simulator. Field names are those of wavespeed 2.0.5, muapi-cli 0.2.7 and of
the services' pages of each model."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest

from app.errors import (
    InvalidRequest,
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
from app.providers import registry
from app.providers.base import (
    Account,
    AccountBalance,
    Failed,
    Provider,
    Queued,
    Running,
    Submission,
    Succeeded,
)
from app.providers.predictions.provider import PredictionsProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_png
from tests.upstream.vendors.predictions import PredictionsServer

SUBMISSION = Submission("filmgate-0123")
SEEDANCE, KLING, WAN, NEW = "bytedance/seedance-2.0", "kwaivgi/kling-v3.0-std", "alibaba/wan-2.7", "acme/film"
OMNI = "kling-v3.0-omni-pro-image-to-video"
INLINE = "data:image/png;base64," + base64.b64encode(tiny_png()).decode()
LINK = "https://media.test/a.png"


@pytest.fixture(scope="module")
def vendor() -> Iterator[PredictionsServer]:
    with PredictionsServer() as server:
        yield server


@pytest.fixture
async def made(vendor: PredictionsServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("predictions", vendor) as provider:
        yield provider


def make_request(model: str = SEEDANCE, **told: Any) -> GenerationRequest:
    return GenerationRequest(**{"kind": "video", "model": model, "prompt": "A red kite", **told})


def picture(role: Role = "first_frame", url: str | None = None) -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png(), url=url)


def sent(vendor: PredictionsServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(s for s in reversed(vendor.seen) if s.method == "POST").body)
    return found


class TestWaveSpeed(VendorContract):
    provider_name = "predictions"
    options: ClassVar[dict[str, Any]] = {"api": "wavespeed"}
    routes: ClassVar = [
        ("POST", "/api/v3/.+/text-to-video", "create"), ("GET", "/api/v3/predictions/[^/]+/result", "poll"),
    ]  # fmt: skip
    states: ClassVar = {
        "queued": "created", "running": "processing", "done": "completed", "failed": "failed",
    }  # fmt: skip
    moderated: ClassVar = {"code": 1200, "message": "The content contains sensitive information."}
    codes: ClassVar = {
        "invalid_value": 1401, "moderation_blocked": 1200, "server_error": 5000, "invalid_api_key": 401,
    }  # fmt: skip

    def account(self, origin: str) -> Account:
        return Account(
            id="a1", provider="predictions", name="fake", base_url=origin, secret=SECRET, options=self.options
        )

    def request(self) -> GenerationRequest:
        return make_request(seconds=5)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        return {"code": self.codes[code], "message": message}


class TestAtlasCloud(TestWaveSpeed):
    options: ClassVar[dict[str, Any]] = {"api": "atlascloud"}
    routes: ClassVar = [
        ("POST", "/api/v1/model/generateVideo", "create"),
        ("GET", "/api/v1/model/prediction/[^/]+", "poll"),
    ]


class TestMuAPI(TestWaveSpeed):
    options: ClassVar[dict[str, Any]] = {"api": "muapi"}
    routes: ClassVar = [
        ("POST", "/api/v1/seedance-2-text-to-video", "create"),
        ("GET", "/api/v1/predictions/[^/]+/result", "poll"),
    ]

    def request(self) -> GenerationRequest:
        return make_request("seedance-2-text-to-video", seconds=5)

    @pytest.mark.parametrize("status", [400, 413, 415, 422])
    async def test_refused_request(self, upstream: FakeUpstream, provider: Provider, status: int) -> None:
        """FastAPI's errors; a 404 is about the model, which is a part of the path."""
        upstream.fault(self.submit_call, status=status, body={"detail": f"No {SECRET}"})
        await self.refused(provider, UpstreamRejected)


# ---- submit ----


@pytest.mark.parametrize(
    ("model", "told", "endpoint", "changed"),
    [
        (SEEDANCE, {}, "text-to-video", {}),
        (SEEDANCE, {"seconds": 15, "seed": 7, "sound": False}, "text-to-video",
         {"duration": 15, "seed": 7, "generate_audio": False}),
        (SEEDANCE, {"size": "1080x1920"}, "text-to-video", {"aspect_ratio": "9:16", "resolution": "1080p"}),
        (SEEDANCE, {"aspect_ratio": "21:9", "resolution": "480p"}, "text-to-video",
         {"aspect_ratio": "21:9", "resolution": "480p"}),
        (SEEDANCE, {"media": (picture("last_frame"), picture())}, "image-to-video",
         {"image": INLINE, "last_image": INLINE}),
        (SEEDANCE, {"media": (picture("reference_image"), picture("reference_image"))}, "reference-to-video",
         {"reference_images": [INLINE, INLINE]}),
        (f"{SEEDANCE}/image-to-video", {"media": (picture(),)}, "", {"image": INLINE}),
        (f"{SEEDANCE}-fast/image-to-video-turbo", {"media": (picture(),)}, "", {"image": INLINE}),
        (KLING, {"negative_prompt": "rain", "sound": True, "seconds": 3}, "text-to-video",
         {"negative_prompt": "rain", "sound": True, "duration": 3}),
        (KLING, {"media": (picture(), picture("last_frame")), "size": "1280x720"}, "image-to-video",
         {"image": INLINE, "end_image": INLINE}),
        (WAN, {"media": (picture(),), "size": "1920x1080"}, "image-to-video",
         {"image": INLINE, "resolution": "1080p"}),
        (WAN, {"aspect_ratio": "4:3", "extra": {"prompt_extend": False}}, "text-to-video",
         {"aspect_ratio": "4:3", "prompt_extend": False}),
        (NEW, {"seconds": 33, "media": (picture(), picture("last_frame"))}, "",
         {"duration": 33, "image": INLINE, "last_image": INLINE}),
    ],
)  # fmt: skip
async def test_wavespeed(
    vendor: PredictionsServer, made: Provider, model: str, told: dict[str, Any], endpoint: str,
    changed: dict[str, Any],
) -> None:  # fmt: skip
    await made.start(make_request(model, **told), SUBMISSION)
    assert vendor.seen[-1].path == f"/api/v3/{model}" + (f"/{endpoint}" if endpoint else "")
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert sent(vendor) == {"prompt": "A red kite", **changed}


@pytest.mark.parametrize(
    ("model", "told", "changed"),
    [
        (SEEDANCE, {"aspect_ratio": "9:16", "resolution": "1080p", "watermark": True},
         {"model": f"{SEEDANCE}/text-to-video", "ratio": "9:16", "resolution": "1080p-SR", "watermark": True}),
        (WAN, {"media": (picture(),), "resolution": "720p"},
         {"model": f"{WAN}/image-to-video", "image": INLINE, "resolution": "720P"}),
        (KLING, {"aspect_ratio": "1:1"}, {"model": f"{KLING}/text-to-video", "aspect_ratio": "1:1"}),
    ],
)  # fmt: skip
async def test_atlas_cloud(
    vendor: PredictionsServer, model: str, told: dict[str, Any], changed: dict[str, Any]
) -> None:
    """The model stands in the body, and some fields of the same models are called otherwise."""
    vendor.reset()
    async with open_provider("predictions", vendor, api="atlascloud") as made:
        await made.start(make_request(model, **told), SUBMISSION)
    assert vendor.seen[-1].path == "/api/v1/model/generateVideo"
    assert sent(vendor) == {"prompt": "A red kite", **changed}


@pytest.mark.parametrize(
    ("model", "told", "changed"),
    [
        ("seedance-2-text-to-video", {"seconds": 8, "aspect_ratio": "21:9"},
         {"duration": 8, "aspect_ratio": "21:9"}),
        (OMNI, {"media": (picture(url=LINK),), "sound": True}, {"images_list": [LINK], "generate_audio": True}),
        ("seedance-2-first-last-frame", {"media": (picture("last_frame", f"{LINK}?2"), picture(url=LINK))},
         {"images_list": [LINK, f"{LINK}?2"]}),
    ],
)  # fmt: skip
async def test_muapi(
    vendor: PredictionsServer, model: str, told: dict[str, Any], changed: dict[str, Any]
) -> None:
    """It has a header of its own for the key, and takes pictures by address."""
    vendor.reset()
    async with open_provider("predictions", vendor, api="muapi") as made:
        await made.start(make_request(model, **told), SUBMISSION)
        with pytest.raises(UnsupportedWish, match="public address"):
            made.check(make_request(OMNI, media=(picture(),)))
    assert vendor.seen[-1].path == f"/api/v1/{model}"
    assert vendor.seen[-1].headers["x-api-key"] == SECRET
    assert "authorization" not in vendor.seen[-1].headers
    assert sent(vendor) == {"prompt": "A red kite", **changed}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(negative_prompt="rain"), "negative_prompt"),
        (make_request(KLING, seed=7), "seed"),
        (make_request(KLING, resolution="1080p"), "resolution"),
        (make_request(KLING, aspect_ratio="21:9"), "aspect_ratio"),
        (make_request(KLING, aspect_ratio="1:1", media=(picture(),)), "aspect_ratio"),
        (make_request(KLING, media=(picture("reference_image"),)), "reference_image"),
        (make_request(WAN, sound=False), "generate_audio"),
        (make_request(seconds=4.5), "seconds"),
        (make_request(resolution="4k"), "resolution"),
        (make_request(watermark=True), "watermark"),
        (make_request(characters=("kim",)), "characters"),
        (make_request(media=(picture("last_frame"),)), "last_frame"),
        (make_request(media=(picture(), picture("reference_image"))), "reference_image"),
        (make_request(f"{SEEDANCE}/text-to-video", media=(picture(),)), "first_frame"),
        (make_request(f"{SEEDANCE}/image-to-video"), "first_frame"),
        (make_request(action="edit"), "video"),
        (make_request("../x"), "model"),
        (make_request("a/b?c=1"), "model"),
        (make_request(extra={"duration": 15}), "duration"),
        (make_request(extra={"enable_sync_mode": True}), "enable_sync_mode"),
        (make_request(extra={"webhook_url": "https://evil.test/"}), "webhook_url"),
        (make_request(extra={"Image": "https://evil.test/"}), "Image"),
    ],
)
async def test_what_cannot_be_told(
    vendor: PredictionsServer, made: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UnsupportedWish) as caught:
        made.check(asked)
    assert caught.value.param == param
    assert vendor.seen == []


@pytest.mark.parametrize(
    ("api", "status", "body", "expected"),
    [
        ("wavespeed", 400, {"code": 1200, "message": "The content contains sensitive information."},
         UpstreamModerated),
        ("wavespeed", 400, {"code": 1400, "message": "Missing parameter: image"}, UpstreamRejected),
        ("wavespeed", 400, {"code": 1402, "message": "Unable to access the provided media URL."},
         UpstreamRejected),
        ("wavespeed", 200, {"code": 1401, "message": "Invalid parameter"}, UpstreamRejected),
        ("wavespeed", 200, {"code": 429, "message": "Too many requests"}, UpstreamBusy),
        ("wavespeed", 400, {"code": 400, "message": "Insufficient credits. Please top up."},
         UpstreamQuotaExhausted),
        ("wavespeed", 401, {"code": 401, "message": "Invalid API key"}, UpstreamAuthFailed),
        ("wavespeed", 404, {"code": 404, "message": "not found"}, UpstreamModelForbidden),
        ("wavespeed", 500, {"code": 5003, "message": "Temporarily unavailable."}, UpstreamBusy),
        ("wavespeed", 500, {"code": 5004, "message": "The request timed out."}, OutcomeUnknown),
        ("wavespeed", 500, {"code": 5000, "message": "An internal error occurred."}, UpstreamFailed),
        ("atlascloud", 402, {"code": 402, "message": "Payment required"}, UpstreamQuotaExhausted),
        ("atlascloud", 404, {"code": 404, "message": "not found"}, UpstreamRejected),
        ("muapi", 403, {"detail": "Insufficient credits. A credit balance > 0 is required."},
         UpstreamQuotaExhausted),
        ("muapi", 401, {"detail": "Invalid API key"}, UpstreamAuthFailed),
        ("muapi", 404, {"detail": "Not Found"}, UpstreamModelForbidden),
        ("muapi", 400, {"detail": "The prompt was flagged as inappropriate content."}, UpstreamModerated),
        ("muapi", 422, {"detail": [{"loc": ["body", "duration"], "msg": "not permitted", "type": "enum"}]},
         UpstreamRejected),
    ],
)  # fmt: skip
async def test_errors(
    vendor: PredictionsServer, api: str, status: int, body: dict[str, Any], expected: type
) -> None:
    vendor.reset()
    vendor.refuse = (status, body, {})
    model = "seedance-2-text-to-video" if api == "muapi" else SEEDANCE
    async with open_provider("predictions", vendor, api=api) as made:
        with pytest.raises(UpstreamError) as caught:
            await made.start(make_request(model), SUBMISSION)
    assert type(caught.value) is expected


@pytest.mark.parametrize("body", [{}, {"code": 200, "message": "success", "data": {"status": "created"}}])
async def test_accepted_without_a_name(vendor: PredictionsServer, made: Provider, body: Any) -> None:
    vendor.refuse = (200, body, {})
    with pytest.raises(OutcomeUnknown):
        await made.start(make_request(), SUBMISSION)


# ---- look ----


async def test_words_link_and_usage(vendor: PredictionsServer, made: Provider) -> None:
    vendor.states = ["created", "processing", "completed"]
    operation = await made.start(make_request(), SUBMISSION)
    assert await made.poll(operation) == Queued()
    assert await made.poll(operation) == Running()
    answer = await made.poll(operation)
    assert isinstance(answer, Succeeded)
    assert [file.url for file in answer.files] == [f"{vendor.url}/files/{operation.id}.mp4"]
    assert answer.usage == {"inference_ms": 2500}


@pytest.mark.parametrize("outputs", [None, [], [{"x": 1}], ["words"], "words"])
async def test_success_without_a_video(vendor: PredictionsServer, made: Provider, outputs: Any) -> None:
    operation = await made.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (200, {"code": 200, "data": {"status": "completed", "outputs": outputs}}, {})
    with pytest.raises(PollFailed):
        await made.poll(operation)


@pytest.mark.parametrize(
    ("word", "said", "expected"),
    [
        ("failed", {"code": 1403, "error": "The task could not be completed."},
         Failed("upstream_error", "The task could not be completed.")),
        ("failed", {"code": 1200, "error": "Sensitive."}, Failed("content_policy_violation", "Sensitive.")),
        ("failed", {"error": "flagged by the NSFW checker"},
         Failed("content_policy_violation", "flagged by the NSFW checker")),
        ("cancelled", {}, Failed("cancelled", "WaveSpeed reports: cancelled")),
        ("timeout", {"code": 5004}, Failed("expired", "WaveSpeed reports: timeout")),
        ("deleted", {}, Failed("expired", "WaveSpeed reports: deleted")),
    ],
)  # fmt: skip
async def test_ends(
    vendor: PredictionsServer, made: Provider, word: str, said: dict[str, Any], expected: Failed
) -> None:
    operation = await made.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (200, {"code": 200, "message": "success", "data": {"status": word, **said}}, {})
    assert await made.poll(operation) == expected


# ---- the account ----


@pytest.mark.parametrize(
    ("api", "left", "verdict"),
    [
        ("wavespeed", AccountBalance(12.34, "USD"), "refused"),
        ("atlascloud", None, "refused"),
        ("muapi", AccountBalance(5.5, "USD"), "refused"),
    ],
)
async def test_balance_and_check(
    vendor: PredictionsServer, api: str, left: AccountBalance | None, verdict: str
) -> None:
    vendor.reset()
    async with open_provider("predictions", vendor, api=api) as made:
        assert await made.balance() == left
        assert (await made.check_account()).verdict == "accepted"
        vendor.keys = ["another"]
        assert (await made.check_account()).verdict == verdict


@pytest.mark.parametrize(
    ("given", "options", "base"),
    [
        ("", {}, "https://api.wavespeed.ai"),
        ("", {"api": "muapi"}, "https://api.muapi.ai"),
        ("https://api.muapi.ai/api/v1", {}, "https://api.muapi.ai"),
        ("https://api.atlascloud.ai/api/v1/", {}, "https://api.atlascloud.ai"),
        ("https://api.wavespeed.ai/api/v3", {}, "https://api.wavespeed.ai"),
    ],
)
def test_own_host(given: str, options: dict[str, Any], base: str) -> None:
    account = Account(id="a", provider="predictions", name="p", base_url=given, options=options)
    assert PredictionsProvider.base_url_for(account) == base


async def test_a_host_names_its_service(vendor: PredictionsServer, made: Provider) -> None:
    account = Account(
        id="a", provider="predictions", name="p", base_url="https://api.muapi.ai", secret="k" * 12
    )
    assert PredictionsProvider.auth_headers(account) == {"x-api-key": "k" * 12}
    wrong = Account(id="a", provider="predictions", name="p", options={"api": "sora"})
    with pytest.raises(InvalidRequest) as caught:
        registry.provider_class("predictions").base_url_for(wrong)
    assert caught.value.param == "options.api"


async def test_capabilities(made: Provider) -> None:
    family, text, image = (
        made.capabilities(f"{SEEDANCE}{end}") for end in ("", "/text-to-video", "/image-to-video")
    )
    assert family.roles == {"first_frame", "last_frame", "reference_image", "reference_video", "audio"}
    assert (text.roles, image.roles) == (frozenset(), {"first_frame", "last_frame"})
    assert (family.seconds, family.sound) == ((4, 15), "choice")
    unknown = made.capabilities(NEW)
    assert (unknown.kinds, unknown.seconds) == ({"video"}, None)
    assert made.relay_target("chat/completions") is None
