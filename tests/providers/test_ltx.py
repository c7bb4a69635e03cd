"""LTX against its simulator. Lightricks publishes no Python SDK for its API; paths, states, errors and input
forms are those of docs.ltx.video."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app.errors import (
    OutcomeUnknown,
    PollFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.base import Provider, Submission, Succeeded
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_png
from tests.upstream.vendors.ltx import LTXServer

SUBMISSION = Submission("filmgate-0123")
FAST, PRO = "ltx-2-5-fast", "ltx-2-5-pro"
INLINE = "data:image/png;base64," + base64.b64encode(tiny_png()).decode()


@pytest.fixture(scope="module")
def vendor() -> Iterator[LTXServer]:
    with LTXServer() as server:
        yield server


@pytest.fixture
async def ltx(vendor: LTXServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("ltx", vendor) as provider:
        yield provider


def make_request(model: str = FAST, **told: Any) -> GenerationRequest:
    return GenerationRequest(**{"kind": "video", "model": model, "prompt": "A red kite", **told})


def picture(role: Role = "first_frame") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def clip(size: int = 3, url: str | None = None) -> MediaInput:
    return MediaInput(role="source_video", content_type="video/mp4", content=b"m" * size, url=url)


def sound() -> MediaInput:
    return MediaInput(role="audio", content_type="audio/wav", content=b"RIFF")


def sent(vendor: LTXServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(s for s in reversed(vendor.seen) if s.method == "POST").body)
    return found


class TestContract(VendorContract):
    provider_name = "ltx"
    routes = [("POST", r"/v2/[^/]+", "create"), ("GET", r"/v2/[^/]+/[^/]+", "poll")]  # noqa: RUF012
    states = {"queued": "pending", "running": "processing", "done": "completed", "failed": "failed"}  # noqa: RUF012
    moderated = {"code": "content_filtered_error", "message": "Not this."}  # noqa: RUF012
    codes = {"moderation_blocked": "content_filtered_error", "server_error": "api_error"}  # noqa: RUF012

    def request(self) -> GenerationRequest:
        return make_request(seconds=8)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        kind = self.codes.get(code, "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}}


# ---- submit ----


async def test_text(vendor: LTXServer, ltx: Provider) -> None:
    asked = make_request(
        seconds=8, size="1920x1080",
        extra={"fps": 50, "generate_audio": False, "camera_motion": "dolly_in"},
    )  # fmt: skip
    operation = await ltx.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/v2/text-to-video"
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert sent(vendor) == {
        "model": FAST, "prompt": "A red kite", "duration": 8, "resolution": "1920x1080", "fps": 50,
        "generate_audio": False, "camera_motion": "dolly_in",
    }  # fmt: skip
    facts = {"duration": 8, "resolution": "1920x1080", "fps": 50}
    assert operation.data == {"path": "/v2/text-to-video", "usage": facts}


@pytest.mark.parametrize(
    ("media", "path", "fields"),
    [
        ((picture(),), "image-to-video", {"image_uri": INLINE}),
        ((picture(), picture("last_frame")), "image-to-video", {"image_uri": INLINE, "last_frame_uri": INLINE}),
        ((sound(),), "audio-to-video", {"audio_uri": "data:audio/wav;base64,UklGRg=="}),
        ((sound(), picture()), "audio-to-video",
         {"audio_uri": "data:audio/wav;base64,UklGRg==", "image_uri": INLINE}),
    ],
)  # fmt: skip
async def test_inputs_choose_the_endpoint(
    vendor: LTXServer, ltx: Provider, media: tuple[MediaInput, ...], path: str, fields: dict[str, str]
) -> None:
    operation = await ltx.start(make_request(media=media), SUBMISSION)
    assert vendor.seen[-1].path == f"/v2/{path}"
    made = {} if path == "audio-to-video" else {"duration": 5, "resolution": "1920x1080"}
    assert sent(vendor) == {"model": FAST, "prompt": "A red kite", **fields, **made}
    assert isinstance(await ltx.poll(operation), Succeeded)
    assert vendor.seen[-1].path == f"/v2/{path}/{operation.id}"


@pytest.mark.parametrize(
    ("asked", "path", "fields"),
    [
        (make_request(PRO, action="extend", media=(clip(),), seconds=6), "extend", {"duration": 6}),
        (make_request(PRO, action="edit", media=(clip(),), seconds=4, extra={"start_time": 2.5}), "retake",
         {"duration": 4, "start_time": 2.5}),
        (make_request(PRO, action="edit", media=(clip(),)), "retake", {"start_time": 0}),
    ],
)  # fmt: skip
async def test_change(
    vendor: LTXServer, ltx: Provider, asked: GenerationRequest, path: str, fields: dict[str, Any]
) -> None:
    await ltx.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == f"/v2/{path}"
    video = {"video_uri": "data:video/mp4;base64,bW1t"}
    assert sent(vendor) == {"model": PRO, "prompt": "A red kite", **video, **fields}


async def test_large_clip_goes_by_address(vendor: LTXServer, ltx: Provider) -> None:
    large = clip(12_000_000, "https://clips.test/a.mp4")
    await ltx.start(make_request(PRO, action="extend", media=(large,)), SUBMISSION)
    assert sent(vendor)["video_uri"] == "https://clips.test/a.mp4"


@pytest.mark.parametrize(
    ("model", "told", "resolution"),
    [
        (FAST, {}, "1920x1080"),
        (FAST, {"size": "720x1280"}, "720x1280"),
        (FAST, {"size": "1792x1024"}, "1920x1080"),
        (FAST, {"resolution": "4K"}, "3840x2160"),
        (FAST, {"resolution": "2160p"}, "3840x2160"),
        (FAST, {"resolution": "1440p", "aspect_ratio": "9:16"}, "1440x2560"),
        (PRO, {"aspect_ratio": "9:16"}, "1080x1920"),
        ("ltx-2.3-pro", {"size": "3840x2160"}, "3840x2160"),
        ("ltx-9", {"size": "1000x700"}, "1000x700"),
    ],
)
async def test_shape(
    vendor: LTXServer, ltx: Provider, model: str, told: dict[str, str], resolution: str
) -> None:
    await ltx.start(make_request(model, **told), SUBMISSION)
    assert sent(vendor).get("resolution") == resolution


@pytest.mark.parametrize(("model", "seconds"), [(FAST, 5), ("ltx-2-pro", 6), ("ltx-9", 6)])
async def test_what_ltx_wants_told(vendor: LTXServer, ltx: Provider, model: str, seconds: int) -> None:
    """Length and resolution have no defaults at LTX."""
    operation = await ltx.start(make_request(model), SUBMISSION)
    assert (sent(vendor)["duration"], sent(vendor)["resolution"]) == (seconds, "1920x1080")
    assert operation.data["usage"] == {"duration": seconds, "resolution": "1920x1080"}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(extra={"model": "dearer"}), "model"),
        (make_request(extra={"image_uri": "https://elsewhere.test/a.png"}), "image_uri"),
        (make_request(size="1024x1024"), "size"),
        (make_request(PRO, size="3840x2160"), "size"),
        (make_request("ltx-2.3-pro", size="1280x720"), "size"),
        (make_request("ltx-2-fast", seconds=12, resolution="4k"), "seconds"),
        (make_request("ltx-2-fast", seconds=12, extra={"fps": 50}), "seconds"),
        (make_request(media=(sound(),), sound=False), "generate_audio"),
        (make_request(action="extend", media=(clip(),), sound=True), "generate_audio"),
        (make_request(seed=7), "seed"),
        (make_request(negative_prompt="rain"), "negative_prompt"),
        (make_request(seconds=5.5), "seconds"),
        (make_request(aspect_ratio="1:1"), "aspect_ratio"),
        (make_request(PRO, resolution="4k"), "resolution"),
        (make_request(watermark=True), "watermark"),
        (make_request(media=(picture("last_frame"),)), "last_frame"),
        (make_request(media=(picture(), picture("last_frame"), sound())), "last_frame"),
        (make_request(media=(sound(),), seconds=5), "seconds"),
        (make_request(media=(picture("reference_image"),)), "reference_image"),
        (make_request(media=(clip(),)), "video"),
        (make_request(action="extend"), "video"),
        (make_request(action="extend", media=(clip(), picture())), "input_reference"),
        (make_request(action="edit", media=(clip(),), size="1280x720"), "size"),
        (make_request(action="extend", media=(clip(12_000_000),)), "source_video"),
        (make_request(kind="image"), "model"),
    ],
)
async def test_what_cannot_be_told(
    vendor: LTXServer, ltx: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await ltx.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.counts["submit"] == 0


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (402, "insufficient_funds_error", UpstreamQuotaExhausted),
        (413, "request_too_large", UpstreamRejected),
        (422, "content_filtered_error", UpstreamModerated),
        (429, "concurrency_limit_error", UpstreamBusy),
        (503, "service_unavailable", UpstreamBusy),
        (529, "overloaded_error", UpstreamBusy),
    ],
)
async def test_refused(
    vendor: LTXServer, ltx: Provider, status: int, kind: str, expected: type[UpstreamError]
) -> None:
    vendor.refuse = (status, {"type": "error", "error": {"type": kind, "message": "No."}}, {})
    with pytest.raises(UpstreamError) as caught:
        await ltx.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected


async def test_accepted_without_a_name(vendor: LTXServer, ltx: Provider) -> None:
    vendor.refuse = (202, {"status": "pending"}, {})
    with pytest.raises(OutcomeUnknown):
        await ltx.start(make_request(), SUBMISSION)


# ---- result ----


@pytest.mark.parametrize(
    ("result", "links"),
    [
        ({"video_url": "https://x.test/a.mp4"}, [("https://x.test/a.mp4", "video/mp4")]),
        ({"video_url": "https://x.test/a.mov", "preview": "https://x.test/b.png"},
         [("https://x.test/a.mov", "video/quicktime")]),
        ({"output": "https://x.test/a"}, [("https://x.test/a", "video/mp4")]),
    ],
)  # fmt: skip
async def test_result(
    vendor: LTXServer, ltx: Provider, result: dict[str, Any], links: list[tuple[str, str]]
) -> None:
    vendor.result = result
    answer = await ltx.poll(await ltx.start(make_request(seconds=8, size="1280x720"), SUBMISSION))
    assert isinstance(answer, Succeeded)
    assert [(file.url, file.content_type) for file in answer.files] == links
    assert answer.usage == {"duration": 8, "resolution": "1280x720"}


async def test_done_without_a_video(vendor: LTXServer, ltx: Provider) -> None:
    vendor.result = {"seed": 7}
    operation = await ltx.start(make_request(), SUBMISSION)
    with pytest.raises(PollFailed):
        await ltx.poll(operation)


async def test_capabilities(ltx: Provider) -> None:
    able = ltx.capabilities("ltx-2.5-pro")
    assert able.kinds == {"video"}
    assert able.roles == {"first_frame", "last_frame", "audio", "source_video"}
    assert (able.seconds, able.lengths) == ((2, 10), (2, 3, 4, 5, 6, 8, 10))
    assert ltx.capabilities("ltx-9").seconds is None
