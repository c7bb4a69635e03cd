"""DashScope against its simulator, which the vendor's own SDK (dashscope) accepts as the real thing."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import dashscope as sdk
import pytest
from dashscope.aigc.image_generation import ImageGeneration

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
from app.generation import GenerationRequest, MediaInput, Role, Shot
from app.providers.base import Account, Failed, Operation, Provider, Queued, Running, Submission, Succeeded
from app.providers.dashscope import requests
from app.providers.dashscope.provider import DashScopeProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_png
from tests.upstream.vendors.dashscope import SERVICES, DashScopeServer

SUBMISSION = Submission("filmgate-0123")
VIDEOS = f"{SERVICES}/video-generation/video-synthesis"
INLINE = f"data:image/png;base64,{base64.b64encode(tiny_png()).decode()}"


@pytest.fixture(scope="module")
def vendor() -> Iterator[DashScopeServer]:
    with DashScopeServer() as server:
        yield server


@pytest.fixture
async def wan(vendor: DashScopeServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("dashscope", vendor) as provider:
        yield provider


def make_request(model: str = "wan2.7-t2v", **told: Any) -> GenerationRequest:
    return GenerationRequest(kind="video", model=model, prompt="A red kite", **told)


def painting(model: str = "wan2.7-image", **told: Any) -> GenerationRequest:
    return GenerationRequest(kind="image", model=model, prompt="A red kite", **told)


def picture(role: Role = "first_frame", url: str | None = None) -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png(), url=url)


def clip(role: Role, url: str | None = "https://clips.test/a.mp4") -> MediaInput:
    return MediaInput(role=role, content_type="video/mp4", content=b"mp4", url=url)


def sound(url: str | None = "https://sounds.test/a.mp3") -> MediaInput:
    return MediaInput(role="audio", content_type="audio/mpeg", content=b"ID3", url=url)


def sent(vendor: DashScopeServer) -> dict[str, Any]:
    body = next(seen for seen in reversed(vendor.seen) if seen.path.startswith(SERVICES)).body
    found: dict[str, Any] = json.loads(body)
    return found


class TestContract(VendorContract):
    provider_name = "dashscope"
    routes = [("POST", VIDEOS, "create"), ("GET", "/api/v1/tasks/[^/]+", "poll")]  # noqa: RUF012
    states = {"queued": "PENDING", "running": "RUNNING", "done": "SUCCEEDED", "failed": "FAILED"}  # noqa: RUF012
    moderated = {"code": "DataInspectionFailed", "message": "Output data may contain it."}  # noqa: RUF012
    codes = {  # noqa: RUF012
        "invalid_value": "InvalidParameter", "moderation_blocked": "DataInspectionFailed",
        "server_error": "InternalError.Algo", "invalid_api_key": "InvalidApiKey",
    }  # fmt: skip

    def request(self) -> GenerationRequest:
        return make_request(seconds=5)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        return {"code": self.codes[code], "message": message, "request_id": "r-1"}


# ---- the simulator is what the vendor's SDK expects ----


async def test_sdk_makes_a_video_and_a_picture(vendor: DashScopeServer, tmp_path: Path) -> None:
    vendor.reset()
    vendor.states = ["PENDING", "RUNNING", "SUCCEEDED"]
    frame = tmp_path / "frame.png"
    frame.write_bytes(tiny_png())
    before, sdk.base_http_api_url = sdk.base_http_api_url, f"{vendor.url}/api/v1"
    try:
        await asyncio.to_thread(use_sdk, vendor, frame)
    finally:
        sdk.base_http_api_url = before


def use_sdk(vendor: DashScopeServer, frame: Path) -> None:
    videos = sdk.VideoSynthesis
    media = [{"type": "first_frame", "url": f"file://{frame}"}]
    made = videos.async_call(
        "wan2.7-i2v", "A red kite", api_key=SECRET, media=media, resolution="720P", duration=5
    )
    assert (made.status_code, made.output.task_status) == (200, "PENDING")
    assert list(vendor.uploads.values()) == [tiny_png()]
    found = [videos.fetch(made, api_key=SECRET) for _ in range(3)]
    assert [one.output.task_status for one in found] == ["PENDING", "RUNNING", "SUCCEEDED"]
    assert found[-1].output.video_url
    assert found[-1].usage["SR"] == 720
    assert videos.cancel(made, api_key=SECRET).code == "UnsupportedOperation"
    assert videos.list(api_key=SECRET).output["total"] == 1
    messages = [{"role": "user", "content": [{"text": "A red kite"}]}]
    asked = ImageGeneration.async_call("wan2.7-image", SECRET, messages, size="1024*1024")
    answers = [ImageGeneration.fetch(asked, SECRET) for _ in range(3)]
    assert answers[-1].output.choices[0].message.content[0]["image"].endswith(".png")
    direct = ImageGeneration.call("qwen-image-2.0", SECRET, messages)
    assert direct.output.choices[0].message.content[0]["image"].endswith(".png")
    old = sdk.ImageSynthesis.async_call("wan2.5-t2i-preview", "A kite", api_key=SECRET)
    answers = [sdk.ImageSynthesis.fetch(old, api_key=SECRET) for _ in range(3)]
    assert answers[-1].output.results[0].url.endswith(".png")


# ---- submit ----


async def test_text(vendor: DashScopeServer, wan: Provider) -> None:
    extra = {"prompt_extend": False, "template": "flying"}
    asked = make_request(
        seconds=5,
        size="1280x720",
        seed=7,
        negative_prompt="rain",
        watermark=False,
        media=(sound(),),
        extra=extra,
    )
    operation = await wan.start(asked, SUBMISSION)
    seen = vendor.seen[-1]
    assert (seen.path, seen.headers["x-dashscope-async"]) == (VIDEOS, "enable")
    assert seen.headers["authorization"] == f"Bearer {SECRET}"
    assert sent(vendor) == {
        "model": "wan2.7-t2v",
        "input": {
            "prompt": "A red kite", "negative_prompt": "rain", "audio_url": "https://sounds.test/a.mp3",
            "template": "flying",
        },
        "parameters": {
            "duration": 5, "seed": 7, "watermark": False, "resolution": "720P", "ratio": "16:9",
            "prompt_extend": False,
        },
    }  # fmt: skip
    assert operation == Operation(id="job-0001")


@pytest.mark.parametrize("name", ["model", "duration", "input", "n", "Resolution", "media", "audio_url"])
async def test_names_that_are_not_the_clients(wan: Provider, name: str) -> None:
    with pytest.raises(UnsupportedWish) as caught:
        wan.check(make_request(extra={name: "x"}))
    assert caught.value.param == name


@pytest.mark.parametrize(
    ("model", "asked", "told"),
    [
        ("wan3.0-video", False, False), ("wan2.5-t2v-preview", True, True), ("wan2.6-i2v-flash", False, False),
        ("wan2.7-t2v", True, None), ("wan2.6-t2v", True, None), ("wan2.2-t2v-plus", False, None),
        ("wan-of-tomorrow", False, False),
    ],
)  # fmt: skip
async def test_sound(
    vendor: DashScopeServer, wan: Provider, model: str, asked: bool, told: bool | None
) -> None:
    """Told where the model can be told, and nothing to tell where it does so anyway."""
    media = (picture(),) if "i2v" in model else ()
    request = make_request(model, sound=asked, media=media)
    if model == "wan-of-tomorrow":  # the simulator does not know it
        assert requests.video_body(request)["parameters"] == {"audio": told}
        return
    await wan.start(request, SUBMISSION)
    assert sent(vendor)["parameters"].get("audio") is told


@pytest.mark.parametrize(
    ("model", "told", "parameters"),
    [
        ("wan2.7-t2v", {"size": "1248x720"}, {"resolution": "720P", "ratio": "16:9"}),
        ("happyhorse-1.1-t2v", {"resolution": "480p"}, {"resolution": "480P"}),
        ("wan3.0-video", {"size": "854x480"}, {"resolution": "480P", "ratio": "16:9"}),
        ("wan3.0-video", {"aspect_ratio": "adaptive", "resolution": "1080p"}, {"resolution": "1080P", "ratio": "adaptive"}),
        ("wan2.6-t2v", {"size": "1920x1080"}, {"size": "1920*1080"}),
        ("wan2.6-t2v", {"size": "768x1024"}, {"size": "832*1088"}),
        ("wan2.5-t2v-preview", {"resolution": "480P", "aspect_ratio": "9:16"}, {"size": "480*832"}),
        ("wan2.2-t2v-plus", {"aspect_ratio": "1:1"}, {"size": "960*960"}),
        ("wan2.6-t2v", {}, {}),
        ("wan-of-tomorrow", {"size": "1280x720"}, {"resolution": "720P", "ratio": "16:9"}),
    ],
)  # fmt: skip
async def test_size(
    vendor: DashScopeServer, wan: Provider, model: str, told: dict[str, str], parameters: dict[str, str]
) -> None:
    await wan.start(make_request(model, **told), SUBMISSION)
    assert sent(vendor)["parameters"] == parameters


async def test_older_first_frame(vendor: DashScopeServer, wan: Provider) -> None:
    media = (picture(), sound())
    await wan.start(make_request("wan2.6-i2v-flash", media=media, size="1280x720", seconds=10), SUBMISSION)
    assert sent(vendor)["input"] == {
        "prompt": "A red kite", "img_url": INLINE, "audio_url": "https://sounds.test/a.mp3",
    }  # fmt: skip
    assert sent(vendor)["parameters"] == {"duration": 10, "resolution": "720P"}
    assert vendor.uploads == {}


async def test_older_frames(vendor: DashScopeServer, wan: Provider) -> None:
    media = (picture("first_frame"), picture("last_frame"))
    await wan.start(make_request("wan2.2-kf2v-flash", media=media, resolution="480p"), SUBMISSION)
    assert vendor.seen[-1].path == f"{SERVICES}/image2video/video-synthesis"
    assert sent(vendor)["input"] == {
        "prompt": "A red kite", "first_frame_url": INLINE, "last_frame_url": INLINE,
    }  # fmt: skip


async def test_older_references(vendor: DashScopeServer, wan: Provider) -> None:
    media = (clip("reference_video"), picture("reference_image", url="https://pictures.test/a.png"))
    await wan.start(make_request("wan2.6-r2v", media=media, size="1280x720"), SUBMISSION)
    assert sent(vendor)["input"]["reference_urls"] == [
        "https://pictures.test/a.png",
        "https://clips.test/a.mp4",
    ]
    assert sent(vendor)["parameters"] == {"size": "1280*720"}


async def test_media_by_address_and_by_upload(vendor: DashScopeServer, wan: Provider) -> None:
    media = (picture(url="https://pictures.test/a.png"), picture("last_frame"), sound(url=None))
    await wan.start(make_request("wan2.7-i2v", media=media, size="1280x720"), SUBMISSION)
    (frame, one), (sounds, other) = vendor.uploads.items()
    assert (one, other) == (tiny_png(), b"ID3")
    assert frame.startswith("oss://dashscope-instant/abc/last_frame-") and frame.endswith(".png")
    assert sent(vendor)["input"]["media"] == [
        {"type": "first_frame", "url": "https://pictures.test/a.png"},
        {"type": "last_frame", "url": frame},
        {"type": "driving_audio", "url": sounds},
    ]
    assert vendor.seen[-1].headers["x-dashscope-ossresourceresolve"] == "enable"
    assert sent(vendor)["parameters"] == {"resolution": "720P"}
    assert all(SECRET not in str(seen.headers) for seen in vendor.seen if seen.path == "/")


async def test_an_address_in_alibabas_own_store(vendor: DashScopeServer, wan: Provider) -> None:
    vendor.uploads["oss://dashscope-instant/mine.png"] = b""
    frame = MediaInput(role="first_frame", content_type="image/png", url="oss://dashscope-instant/mine.png")
    await wan.start(make_request("wan2.7-i2v", media=(frame,)), SUBMISSION)
    assert sent(vendor)["input"]["media"][0]["url"] == frame.url
    assert vendor.seen[-1].headers["x-dashscope-ossresourceresolve"] == "enable"


@pytest.mark.parametrize(
    ("model", "action", "media", "kinds"),
    [
        ("wan2.7-i2v", "extend", (clip("source_video"),), ["first_clip"]),
        ("wan2.7-videoedit", "edit", (clip("source_video"), picture("reference_image")), ["video", "reference_image"]),
        ("happyhorse-1.0-video-edit", "edit", (clip("source_video"),), ["video"]),
        ("wan2.7-r2v", "generate", (picture("reference_image"), clip("reference_video")), ["reference_image", "reference_video"]),
        ("happyhorse-1.1-r2v", "generate", (picture("reference_image"),), ["reference_image"]),
        ("wan3.0-video", "edit", (clip("source_video"), sound()), ["reference_video", "reference_audio"]),
    ],
)  # fmt: skip
async def test_media_kinds(
    vendor: DashScopeServer,
    wan: Provider,
    model: str,
    action: str,
    media: tuple[MediaInput, ...],
    kinds: list[str],
) -> None:
    operation = await wan.start(make_request(model, action=action, media=media), SUBMISSION)
    assert [item["type"] for item in sent(vendor)["input"]["media"]] == kinds
    assert isinstance(await wan.poll(operation), Succeeded)


async def test_storyboard(vendor: DashScopeServer, wan: Provider) -> None:
    shots = (Shot(seconds=2, prompt="Up."), Shot(seconds=3, prompt="Down."))
    await wan.start(make_request("wan2.6-t2v", shots=shots), SUBMISSION)
    assert sent(vendor)["input"]["prompt"] == "A red kite\nShot 1 [0-2s] Up.\nShot 2 [2-5s] Down."
    assert sent(vendor)["parameters"] == {"duration": 5, "shot_type": "multi", "prompt_extend": True}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(seconds=5.5), "seconds"),
        (make_request(sound=False), "generate_audio"),
        (make_request("wan2.6-t2v", sound=False), "generate_audio"),
        (make_request("wan2.2-t2v-plus", sound=True), "generate_audio"),
        (make_request("wan2.7-i2v"), "first_frame"),
        (make_request("wan2.7-i2v", media=(picture(),), aspect_ratio="16:9"), "aspect_ratio"),
        (make_request("wan2.7-i2v", media=(picture("last_frame"),)), "first_frame"),
        (make_request("wan2.7-r2v"), "reference_image"),
        (make_request("happyhorse-1.0-t2v", resolution="480P"), "resolution"),
        (make_request("wan3.0-video", media=(picture(), sound())), "audio"),
        (make_request("wan3.0-video", media=(picture("last_frame"),)), "last_frame"),
        (make_request("wan2.7-image"), "model"),
        (painting(seconds=4), "seconds"),
        (painting("qwen-image", size="1024x1024"), "size"),
        (painting(extra={"size": "4K"}), "size"),
        (make_request(aspect_ratio="21:9"), "aspect_ratio"),
        (make_request(aspect_ratio="adaptive"), "aspect_ratio"),
        (make_request(resolution="4k"), "resolution"),
        (make_request(media=(picture(),)), "first_frame"),
        (make_request(media=(sound(), sound())), "audio"),
        (make_request("wan2.6-i2v"), "first_frame"),
        (make_request("wan2.6-i2v", media=(picture(),), aspect_ratio="16:9"), "aspect_ratio"),
        (make_request("wan2.2-kf2v-flash", media=(picture("last_frame"),)), "first_frame"),
        (make_request("wan2.7-i2v", media=(picture(), picture())), "first_frame"),
        (make_request("wan2.7-i2v", action="edit", media=(clip("source_video", url=None),)), "video"),
        (make_request("wan2.7-videoedit", action="edit"), "source_video"),
        (make_request("wan3.0-video", action="edit"), "video"),
        (make_request("wan2.7-i2v", media=(clip("source_video", url=None),) * 2), "source_video"),
        (
            make_request("wan3.0-video", media=(clip("source_video"),) * 3 + (clip("reference_video"),) * 3),
            "video",
        ),
        (make_request("wan3.0-video", media=(picture(), picture("reference_image"))), "reference_image"),
        (make_request("wan3.0-video", media=(picture("reference_image"),) * 11), "reference_image"),
        (make_request("wan2.6-t2v", shots=(Shot(seconds=2.5, prompt="A"),)), "shots"),
        (make_request().model_copy(update={"kind": "audio"}), "model"),
        (painting("wan2.7-t2v"), "model"),
        (painting(resolution="8K"), "resolution"),
        (painting("qwen-image-plus", resolution="2K"), "resolution"),
        (painting(aspect_ratio="wide"), "aspect_ratio"),
        (painting("wan2.6-t2i", media=(picture("reference_image"),)), "reference_image"),
        (painting("wan2.5-i2i-preview", media=(picture("reference_image"),) * 3), "reference_image"),
    ],
)
async def test_what_cannot_be_told(
    vendor: DashScopeServer, wan: Provider, asked: GenerationRequest, param: str
) -> None:
    """Refused before anything is uploaded."""
    with pytest.raises(UpstreamRejected) as caught:
        await wan.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.seen == []


@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        (401, "InvalidApiKey", "", UpstreamAuthFailed),
        (400, "Arrearage", "", UpstreamQuotaExhausted),
        (403, "AllocationQuota.FreeTierOnly", "", UpstreamQuotaExhausted),
        (403, "AccessDenied.Unpurchased", "", UpstreamModelForbidden),
        (403, "Model.AccessDenied", "", UpstreamModelForbidden),
        (429, "Throttling.RateQuota", "", UpstreamBusy),
        (429, "Throttling.AllocationQuota", "Allocated quota exceeded", UpstreamBusy),
        (429, "Throttling.AllocationQuota", "Free allocated quota exceeded.", UpstreamQuotaExhausted),
        (400, "DataInspectionFailed", "", UpstreamModerated),
        (400, "IPInfringementSuspect", "", UpstreamModerated),
        (
            400,
            "InvalidParameter.DataInspection",
            "Download the media resource timed out during the data inspection process.",
            UpstreamRejected,
        ),
        (400, "InvalidParameter", "", UpstreamRejected),
        (404, "ModelNotFound", "", UpstreamModelForbidden),
        (500, "InternalError.Algo", "", UpstreamFailed),
        (504, "InternalError.Timeout", "", OutcomeUnknown),
        (503, "ModelUnavailable", "", UpstreamBusy),
        (200, "Throttling", "", UpstreamBusy),
        (400, "BrandNew", "", UpstreamRejected),
        (200, "BrandNew", "", UpstreamFailed),
    ],
)
@pytest.mark.parametrize(
    "asked", [make_request(), painting(), painting("qwen-image-2.0")], ids=["video", "task", "direct"]
)
async def test_codes(
    vendor: DashScopeServer, wan: Provider, asked: GenerationRequest, status: int, code: str, message: str,
    expected: type,
) -> None:  # fmt: skip
    vendor.refuse = (
        status,
        {"code": code, "message": f"{message} {SECRET}", "request_id": "r"},
        {"Retry-After": "4"},
    )
    with pytest.raises(UpstreamError) as caught:
        await wan.start(asked, SUBMISSION)
    assert type(caught.value) is expected
    assert SECRET not in caught.value.message
    assert code in caught.value.message
    if expected is UpstreamBusy:
        assert caught.value.retry_after == 4.0


async def test_accepted_without_a_task(vendor: DashScopeServer, wan: Provider) -> None:
    for asked in (make_request(), painting(), painting("qwen-image-2.0")):
        for document in ({"request_id": "r"}, {"output": {}}):
            vendor.refuse = (200, document, {})
            with pytest.raises(OutcomeUnknown):
                await wan.start(asked, SUBMISSION)


# ---- an upload that goes wrong has begun nothing ----


async def test_upload_refused(vendor: DashScopeServer, wan: Provider) -> None:
    asked = make_request("wan2.7-i2v", media=(picture(),))
    for status, code, expected in (
        (401, "InvalidApiKey", UpstreamAuthFailed), (429, "Throttling", UpstreamBusy),
        (400, "InvalidParameter", UpstreamRejected),
    ):  # fmt: skip
        vendor.refuse_poll = (status, {"code": code, "message": SECRET}, {})
        with pytest.raises(expected) as caught:
            await wan.start(asked, SUBMISSION)
        assert SECRET not in caught.value.message
    vendor.refuse_poll = (200, {"request_id": "r"}, {})
    with pytest.raises(PollFailed):
        await wan.start(asked, SUBMISSION)
    vendor.refuse_upload = 403
    with pytest.raises(PollFailed):
        await wan.start(asked, SUBMISSION)
    assert vendor.counts["submit"] == 0


@pytest.mark.parametrize(
    "host", ["https://aliyuncs.com.evil.test", "http://files.aliyuncs.com", "https://10.0.0.1", "nonsense"]
)
async def test_upload_to_a_foreign_host(vendor: DashScopeServer, wan: Provider, host: str) -> None:
    vendor.upload_host = host
    with pytest.raises(PollFailed, match="foreign"):
        await wan.start(make_request("wan2.7-i2v", media=(picture(),)), SUBMISSION)


# ---- look ----


async def test_usage_and_link(vendor: DashScopeServer, wan: Provider) -> None:
    operation = await wan.start(make_request(), SUBMISSION)
    answer = await wan.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == f"{vendor.url}/files/{operation.id}.mp4?Expires=1"
    assert answer.usage == {
        "seconds": 5, "resolution": "720P", "duration": 5, "output_video_duration": 5, "SR": 720,
        "video_count": 1, "video_ratio": "16:9",
    }  # fmt: skip


async def test_success_without_a_file(vendor: DashScopeServer, wan: Provider) -> None:
    operation = await wan.start(make_request(), SUBMISSION)
    for output in ({"task_status": "SUCCEEDED"}, None):
        vendor.refuse_poll = (200, {"output": output}, {})
        with pytest.raises(PollFailed):
            await wan.poll(operation)


async def test_words(vendor: DashScopeServer, wan: Provider) -> None:
    vendor.states = ["PENDING", "RUNNING", "SUSPENDED", "CANCELED", "UNKNOWN"]
    operation = await wan.start(make_request(), SUBMISSION)
    assert await wan.poll(operation) == Queued()
    assert await wan.poll(operation) == Running()
    assert await wan.poll(operation) == Running()
    assert await wan.poll(operation) == Failed("cancelled", "DashScope says: CANCELED")
    with pytest.raises(OperationNotFound):
        await wan.poll(operation)
    with pytest.raises(OperationNotFound):
        await wan.poll(Operation(id="another"))


async def test_poll_refused(vendor: DashScopeServer, wan: Provider) -> None:
    operation = await wan.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (429, {"code": "Throttling.RateQuota", "message": "slow"}, {"Retry-After": "9"})
    with pytest.raises(PollFailed) as caught:
        await wan.poll(operation)
    assert caught.value.retry_after == 9.0


# ---- cancel ----


async def test_cancel_while_pending(vendor: DashScopeServer, wan: Provider) -> None:
    vendor.states = ["PENDING"]
    operation = await wan.start(make_request(), SUBMISSION)
    assert await wan.cancel(operation) is True
    assert vendor.jobs[operation.id].cancelled
    assert await wan.cancel(operation) is False


async def test_cancel_too_late(vendor: DashScopeServer, wan: Provider) -> None:
    vendor.states = ["RUNNING"]
    operation = await wan.start(make_request(), SUBMISSION)
    assert await wan.cancel(operation) is False
    vendor.refuse_poll = (500, {"code": "InternalError", "message": "down"}, {})
    with pytest.raises(PollFailed):
        await wan.cancel(operation)


async def test_nobody_can_be_asked(vendor: DashScopeServer, wan: Provider) -> None:
    with pytest.raises(OutcomeUnknown):
        await wan.recover(make_request(), SUBMISSION)
    assert vendor.seen == []


# ---- pictures ----


@pytest.mark.parametrize(
    ("model", "media", "path"),
    [
        ("wan2.7-image-pro", 2, "image-generation/generation"),
        ("wan2.6-t2i", 0, "image-generation/generation"),
        ("wan2.5-t2i-preview", 0, "text2image/image-synthesis"),
        ("wan2.5-i2i-preview", 1, "image2image/image-synthesis"),
        ("qwen-image-plus", 0, "text2image/image-synthesis"),
        ("qwen-image-2.0-pro", 1, "multimodal-generation/generation"),
        ("qwen-image-edit-max", 1, "multimodal-generation/generation"),
        ("z-image-turbo", 0, "multimodal-generation/generation"),
    ],
)
async def test_picture(vendor: DashScopeServer, wan: Provider, model: str, media: int, path: str) -> None:
    asked = painting(model, media=(picture("reference_image"),) * media, negative_prompt="rain", seed=7)
    operation = await wan.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == f"{SERVICES}/{path}"
    body, direct = sent(vendor), path.startswith("multimodal")
    assert ("x-dashscope-async" in vendor.seen[-1].headers) is not direct
    assert (body["parameters"]["n"], body["parameters"]["seed"]) == (1, 7)
    if path.endswith("/generation"):
        content = body["input"]["messages"][0]["content"]
        assert content == [*[{"image": INLINE}] * media, {"text": "A red kite"}]
        assert body["parameters"]["negative_prompt"] == "rain"
    else:
        assert body["input"]["negative_prompt"] == "rain"
        assert body["input"].get("images", []) == [INLINE] * media
    restored = Operation.model_validate_json(operation.model_dump_json())
    answer = await wan.poll(restored)
    assert isinstance(answer, Succeeded)
    assert [(file.kind, file.url) for file in answer.files] == [("image", f"{vendor.url}/files/picture.png")]
    assert answer.usage["images"] == 1
    assert await wan.cancel(restored) is False


@pytest.mark.parametrize(
    ("model", "told", "size"),
    [
        ("wan2.7-image", {"size": "1024x1536"}, "1024*1536"),
        ("wan2.7-image", {"resolution": "2k"}, "2K"),
        ("wan2.7-image", {"aspect_ratio": "16:9", "resolution": "2K"}, "2736*1536"),
        ("wan2.6-t2i", {"aspect_ratio": "1:1"}, "1024*1024"),
        ("qwen-image", {"size": "1328x1328"}, "1328*1328"),
        ("qwen-image", {"aspect_ratio": "16:9"}, "1664*928"),
        ("qwen-image", {}, None),
    ],
)
async def test_picture_size(
    vendor: DashScopeServer, wan: Provider, model: str, told: dict[str, str], size: str | None
) -> None:
    await wan.start(painting(model, **told), SUBMISSION)
    assert sent(vendor)["parameters"].get("size") == size


async def test_picture_that_failed_alone(vendor: DashScopeServer, wan: Provider) -> None:
    operation = await wan.start(painting("wan2.5-t2i-preview"), SUBMISSION)
    results = [{"code": "DataInspectionFailed", "message": f"Not {SECRET}"}]
    vendor.refuse_poll = (200, {"output": {"task_status": "FAILED", "results": results}}, {})
    assert await wan.poll(operation) == Failed("content_policy_violation", "Not [secret]")


# ---- what it can ----


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("", "https://dashscope.aliyuncs.com"),
        ("https://dashscope-intl.aliyuncs.com/api/v1/", "https://dashscope-intl.aliyuncs.com"),
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", "https://dashscope.aliyuncs.com"),
        ("https://w1.ap-southeast-1.maas.aliyuncs.com", "https://w1.ap-southeast-1.maas.aliyuncs.com"),
    ],
)
def test_address(given: str, address: str) -> None:
    assert (
        DashScopeProvider.base_url_for(Account(id="a", provider="dashscope", name="n", base_url=given))
        == address
    )


async def test_workspace(vendor: DashScopeServer) -> None:
    vendor.reset()
    async with open_provider("dashscope", vendor, workspace="ws-1") as provider:
        await provider.start(make_request(), SUBMISSION)
    assert vendor.seen[-1].headers["x-dashscope-workspace"] == "ws-1"


async def test_capabilities(wan: Provider) -> None:
    new = wan.capabilities("wan3.0-video-prime")
    assert (new.kinds, new.seconds, new.cancel, new.idempotency_key) == ({"video"}, (2, 30), True, False)
    assert {"first_frame", "last_frame", "reference_image", "source_video", "audio"} <= new.roles
    assert wan.capabilities("wan2.6-t2v-us").native_shots is True
    assert wan.capabilities("wan2.7-t2v-2026-06-12").roles == {"audio"}
    assert wan.capabilities("wan2.2-kf2v-flash").seconds == (5, 5)
    assert wan.capabilities("wan2.5-t2v-preview").lengths == (5, 10)
    assert (wan.capabilities("wan4.0-video").kinds, wan.capabilities("wan4.0-video").seconds) == (
        {"video"},
        None,
    )
    wan.check(make_request("wan4.0-video", seconds=60, resolution="4K", aspect_ratio="21:9"))
    assert wan.capabilities("wanx2.1-i2v-turbo").roles == {"first_frame"}
    pictures = wan.capabilities("wan2.7-image-pro")
    assert (pictures.kinds, pictures.roles, pictures.cancel) == ({"image"}, {"reference_image"}, True)
    assert wan.capabilities("qwen-image-2.0").cancel is False
    assert wan.capabilities("qwen3.8-max").kinds == {"video", "image", "text"}


async def test_text_relay(vendor: DashScopeServer, wan: Provider) -> None:
    target = wan.relay_target("chat/completions")
    assert target is not None
    assert target.url == f"{vendor.url}/compatible-mode/v1/chat/completions"
    assert target.headers == {"Authorization": f"Bearer {SECRET}"}
