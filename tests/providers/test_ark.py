"""Ark against its simulator, which the vendor's own SDK (volcengine-ark-runtime) accepts as the real thing."""

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter
from volcenginesdkarkruntime import Ark as ArkSdk
from volcenginesdkarkruntime.types.content_generation.create_task_content_param import CreateTaskContentParam

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
from app.providers.ark import requests
from app.providers.ark.provider import ArkProvider
from app.providers.base import Account, Failed, Operation, Provider, Queued, Running, Submission, Succeeded
from app.providers.judging import find_refusal
from app.providers.model_facts import read_facts
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_png
from tests.upstream.vendors.ark import ArkServer

SUBMISSION = Submission("filmgate-0123")
OTHER = Submission("filmgate-4567")
TASKS = "/api/v3/contents/generations/tasks"
NEW, OLD = "doubao-seedance-2-5-260628", "doubao-seedance-1-0-pro-250528"
MIDDLE = "dreamina-seedance-2-0-260128"


@pytest.fixture(scope="module")
def vendor() -> Iterator[ArkServer]:
    with ArkServer() as server:
        yield server


@pytest.fixture
async def ark(vendor: ArkServer) -> AsyncIterator[Provider]:
    vendor.reset()
    vendor.shows_marks, vendor.total = True, None
    async with open_provider("ark", vendor) as provider:
        yield provider


def make_request(model: str = MIDDLE, **told: Any) -> GenerationRequest:
    return GenerationRequest(kind="video", model=model, prompt="A red kite", **told)


def painting(model: str = "doubao-seedream-4-5-251128", **told: Any) -> GenerationRequest:
    return GenerationRequest(kind="image", model=model, prompt="A red kite", **told)


def picture(role: Role = "first_frame") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def clip(role: Role, url: str | None = "https://clips.test/a.mp4") -> MediaInput:
    return MediaInput(role=role, content_type="video/mp4", content=b"mp4", url=url)


def sound() -> MediaInput:
    return MediaInput(role="audio", content_type="audio/wav", content=b"RIFF")


def sent(vendor: ArkServer) -> dict[str, Any]:
    body = next(seen for seen in reversed(vendor.seen) if seen.method == "POST").body
    found: dict[str, Any] = json.loads(body)
    return found


def refusal(code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "param": param, "type": "BadRequest"}}


class TestContract(VendorContract):
    provider_name = "ark"
    routes = [("POST", TASKS, "create"), ("GET", TASKS + "/[^/]+", "poll")]  # noqa: RUF012
    states = {"queued": "queued", "running": "running", "done": "succeeded", "failed": "failed"}  # noqa: RUF012
    moderated = {"code": "OutputVideoSensitiveContentDetected.PolicyViolation", "message": "No."}  # noqa: RUF012
    codes = {  # noqa: RUF012
        "invalid_value": "InvalidParameter", "moderation_blocked": "InputTextSensitiveContentDetected",
        "server_error": "InternalServiceError", "invalid_api_key": "AuthenticationError",
    }  # fmt: skip

    def request(self) -> GenerationRequest:
        return make_request(seconds=5)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        return refusal(self.codes[code], message, param)


# ---- the simulator is what the vendor's SDK expects ----


async def test_sdk_makes_a_video(vendor: ArkServer) -> None:
    vendor.reset()
    vendor.states = ["queued", "running", "succeeded"]
    await asyncio.to_thread(use_sdk, vendor)


def use_sdk(vendor: ArkServer) -> None:
    with ArkSdk(api_key=SECRET, base_url=f"{vendor.url}/api/v3") as client:
        tasks = client.content_generation.tasks
        content: Any = [{"type": "text", "text": "A red kite"}]
        made = tasks.create(
            model=MIDDLE, content=content, duration=5, resolution="720p", ratio="16:9", return_last_frame=True,
            safety_identifier="me",
        )  # fmt: skip
        assert [tasks.get(task_id=made.id).status for _ in range(3)] == ["queued", "running", "succeeded"]
        task = tasks.get(task_id=made.id)
        assert task.content.video_url and task.content.last_frame_url
        assert (task.usage.total_tokens, task.resolution, task.ratio, task.duration) == (
            108900, "720p", "16:9", 5,
        )  # fmt: skip
        listed = tasks.list(page_num=1, page_size=100)
        assert (listed.total, listed.items[0].safety_identifier) == (1, "me")
        tasks.delete(task_id=made.id)
        assert vendor.jobs == {}
        pictures = client.images.generate(model="doubao-seedream-4-5-251128", prompt="A kite", size="2K")
        assert pictures.data[0].url.endswith(".png")
        assert pictures.usage.generated_images == 1


# ---- submit ----


async def test_text(vendor: ArkServer, ark: Provider) -> None:
    extra = {
        "generate_audio": False, "return_last_frame": True, "camera_fixed": True, "service_tier": "flex",
        "priority": 3,
    }  # fmt: skip
    asked = make_request(seconds=10, size="1920x1080", seed=7, watermark=False, extra=extra)
    operation = await ark.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == TASKS
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    body = sent(vendor)
    mark = body.pop("safety_identifier")
    assert mark.startswith("filmgate-") and "0123" not in mark and len(mark) <= 64
    assert body == {
        "model": MIDDLE, "content": [{"type": "text", "text": "A red kite"}], "duration": 10, "seed": 7,
        "resolution": "1080p", "ratio": "16:9", "watermark": False, "generate_audio": False,
        "return_last_frame": True, "camera_fixed": True, "service_tier": "flex", "priority": 3,
    }  # fmt: skip
    assert operation == Operation(id="cgt-20261121-00000")


@pytest.mark.parametrize(
    "extra",
    [
        {"model": "dearer"}, {"content": []}, {"Duration": 30}, {"frames": 57}, {"resolution": "4k"}, {"tools": []},
        {"callback_url": "https://me.test"}, {"safety_identifier": "me"}, {"api_key": "k"},
    ],
    ids=lambda extra: next(iter(extra)),
)  # fmt: skip
async def test_names_that_are_not_the_clients(ark: Provider, extra: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedWish) as caught:
        ark.check(make_request(extra=extra))
    assert caught.value.param == next(iter(extra))


@pytest.mark.parametrize("model", [NEW, MIDDLE, OLD, "ep-20261121-abcde"])
async def test_a_length_that_nobody_said(vendor: ArkServer, ark: Provider, model: str) -> None:
    """Without one, Seedance 2.5 makes up to 30 seconds, three times what a budget has held."""
    await ark.start(make_request(model), SUBMISSION)
    assert sent(vendor)["duration"] == 5


def every_body(ark: Provider) -> Iterator[dict[str, Any]]:
    media: list[tuple[MediaInput, ...]] = [
        (), (picture(),), (picture(), picture("last_frame")), (picture("reference_image"),) * 2,
        (clip("reference_video"), sound()), (clip("source_video"),),
    ]  # fmt: skip
    told: list[dict[str, Any]] = [
        {}, {"seconds": 8}, {"size": "720x1280"}, {"aspect_ratio": "1:1"}, {"resolution": "1080p"}, {"seed": 7},
        {"sound": False}, {"watermark": True}, {"action": "edit"}, {"action": "extend"},
        {"extra": {"service_tier": "flex", "priority": 1, "return_last_frame": True, "draft": True}},
    ]  # fmt: skip
    models = [facts.starts[0] for facts in read_facts("ark").models if facts.kind == "video"]
    for model, inputs, wish in itertools.product([*models, "ep-1"], media, told):
        asked = make_request(model, media=inputs, **wish)
        if find_refusal(ark, asked) is None:
            yield requests.video_body(asked, mark="filmgate-1")


async def test_every_body_is_one_that_the_sdk_can_send(vendor: ArkServer, ark: Provider) -> None:
    """By its argument names and its types of ``content``; the simulator takes each of them."""
    part = TypeAdapter(CreateTaskContentParam)

    def send(bodies: list[dict[str, Any]]) -> None:
        with ArkSdk(api_key=SECRET, base_url=f"{vendor.url}/api/v3") as client:
            for body in bodies:
                for given in body["content"]:
                    assert part.validate_python(given, extra="forbid") == given
                assert client.content_generation.tasks.create(**body).id

    bodies = list(every_body(ark))
    assert len(bodies) > 200
    await asyncio.to_thread(send, bodies)


@pytest.mark.parametrize(
    ("model", "told", "tier", "ratio"),
    [
        (MIDDLE, {"size": "720x1280"}, "720p", "9:16"),
        (MIDDLE, {"size": "1024x1024"}, "1080p", "1:1"),
        (MIDDLE, {"size": "3840x2160"}, "4k", "16:9"),
        (NEW, {"size": "1792x1024"}, "1080p", "16:9"),
        (MIDDLE, {"size": "854x480"}, "480p", "16:9"),
        (MIDDLE, {"resolution": "4K", "aspect_ratio": "21:9"}, "4k", "21:9"),
        (OLD, {"aspect_ratio": "adaptive"}, None, "adaptive"),
        ("ep-20261121-abcde", {"size": "1280x720"}, "720p", "16:9"),
        (OLD, {}, None, None),
    ],
)
async def test_size(
    vendor: ArkServer, ark: Provider, model: str, told: dict[str, str], tier: str | None, ratio: str | None
) -> None:
    await ark.start(make_request(model, **told), SUBMISSION)
    assert (sent(vendor).get("resolution"), sent(vendor).get("ratio")) == (tier, ratio)


async def test_frames(vendor: ArkServer, ark: Provider) -> None:
    frames = (picture("last_frame"), picture("first_frame"))
    await ark.start(make_request(OLD, media=frames, size="1280x720"), SUBMISSION)
    inline = f"data:image/png;base64,{base64.b64encode(tiny_png()).decode()}"
    assert sent(vendor)["content"][1:] == [
        {"type": "image_url", "image_url": {"url": inline}, "role": "first_frame"},
        {"type": "image_url", "image_url": {"url": inline}, "role": "last_frame"},
    ]
    assert (sent(vendor)["ratio"], sent(vendor)["resolution"]) == ("16:9", "720p")


async def test_newest_takes_its_shape_from_the_frame(vendor: ArkServer, ark: Provider) -> None:
    await ark.start(make_request(NEW, media=(picture(),), size="1280x720", seconds=6), SUBMISSION)
    assert (sent(vendor)["ratio"], sent(vendor)["resolution"], sent(vendor)["duration"]) == (
        "adaptive", "720p", 6,
    )  # fmt: skip


async def test_references(vendor: ArkServer, ark: Provider) -> None:
    media = (picture("reference_image"), clip("reference_video"), sound(), picture("reference_image"))
    await ark.start(make_request(media=media), SUBMISSION)
    parts = sent(vendor)["content"][1:]
    assert [(part["type"], part["role"]) for part in parts] == [
        ("image_url", "reference_image"), ("image_url", "reference_image"),
        ("video_url", "reference_video"), ("audio_url", "reference_audio"),
    ]  # fmt: skip
    assert parts[2]["video_url"]["url"] == "https://clips.test/a.mp4"
    assert parts[3]["audio_url"]["url"] == "data:audio/wav;base64,UklGRg=="


async def test_edit_and_extend(vendor: ArkServer, ark: Provider) -> None:
    asked = make_request(NEW, action="edit", media=(clip("source_video"), picture("reference_image")))
    await ark.start(asked, SUBMISSION)
    body = sent(vendor)
    assert (body["omni_reference_task_type"], body["duration"], body["ratio"]) == ("edit", -1, "adaptive")
    await ark.start(make_request(NEW, action="extend", media=(clip("source_video"),), seconds=5), SUBMISSION)
    body = sent(vendor)
    assert (body["omni_reference_task_type"], body["duration"], body["ratio"]) == ("extend", 5, "adaptive")
    await ark.start(make_request(action="edit", media=(clip("source_video"),), seconds=5), SUBMISSION)
    assert "omni_reference_task_type" not in sent(vendor)
    assert sent(vendor)["content"][1]["role"] == "reference_video"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(negative_prompt="rain"), "negative_prompt"),
        (make_request(seconds=5.5), "seconds"),
        (make_request(aspect_ratio="5:4"), "aspect_ratio"),
        (make_request(NEW, media=(picture(),), aspect_ratio="16:9"), "aspect_ratio"),
        (make_request(NEW, action="edit", media=(clip("source_video"),), seconds=5), "seconds"),
        (make_request(NEW, resolution="4k"), "resolution"),
        (make_request(OLD, media=(picture("reference_image"),)), "reference_image"),
        (make_request("doubao-seedance-1-0-lite-t2v-250428", media=(picture(),)), "first_frame"),
        (make_request(media=(picture("last_frame"),)), "last_frame"),
        (make_request(media=(picture(), picture())), "first_frame"),
        (make_request(media=(picture(), picture("reference_image"))), "reference_image"),
        (make_request(media=(picture("reference_image"),) * 10), "reference_image"),
        (make_request(media=(clip("reference_video"),) * 4), "reference_video"),
        (make_request(media=(clip("reference_video"),) * 2 + (clip("source_video"),) * 2), "video"),
        (make_request(media=(sound(),)), "audio"),
        (make_request(OLD, sound=True), "generate_audio"),
        (make_request(OLD).model_copy(update={"kind": "image"}), "model"),
        (painting().model_copy(update={"kind": "video"}), "model"),
        (painting(seconds=5), "seconds"),
        (painting(extra={"n": 9}), "n"),
        (painting(extra={"response_format": "b64_json"}), "response_format"),
        (make_request(media=(clip("reference_video", url=None),)), "reference_video"),
        (make_request(action="edit"), "video"),
        (make_request(OLD, action="extend", media=(clip("source_video"),)), "video"),
        (make_request().model_copy(update={"kind": "audio"}), "model"),
        (painting(negative_prompt="rain"), "negative_prompt"),
        (painting(resolution="8K"), "resolution"),
        (painting(aspect_ratio="5:1"), "aspect_ratio"),
        (painting("doubao-seedream-3-0-t2i-250415", media=(picture("reference_image"),)), "reference_image"),
        (painting(media=(picture("reference_image"),) * 15), "reference_image"),
    ],
)
async def test_what_cannot_be_told(
    vendor: ArkServer, ark: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await ark.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.seen == []


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (401, "AuthenticationError", UpstreamAuthFailed),
        (403, "AccountOverdueError", UpstreamQuotaExhausted),
        (403, "AccessDenied", UpstreamModelForbidden),
        (404, "ModelNotOpen", UpstreamModelForbidden),
        (429, "SetLimitExceeded", UpstreamQuotaExhausted),
        (429, "QuotaExceeded", UpstreamQuotaExhausted),
        (429, "RateLimitExceeded.EndpointRPMExceeded", UpstreamBusy),
        (429, "ModelAccountRpmRateLimitExceeded", UpstreamBusy),
        (500, "ServerOverloaded", UpstreamBusy),
        (400, "InvalidParameter.TaskTypeConstraint", UpstreamRejected),
        (404, "InvalidEndpointOrModel.NotFound", UpstreamModelForbidden),
        (400, "UnsupportedModel", UpstreamRejected),
        (400, "InputImageSensitiveContentDetected.PrivacyInformation", UpstreamModerated),
        (400, "InputTextRiskDetection", UpstreamModerated),
        (400, "ContentSecurityDetectionError", UpstreamFailed),
        (500, "InternalServiceError", UpstreamFailed),
        (400, "BrandNewCode", UpstreamRejected),
        (200, "BrandNewCode", UpstreamFailed),
    ],
)
@pytest.mark.parametrize("asked", [make_request(), painting()], ids=["video", "image"])
async def test_codes(
    vendor: ArkServer, ark: Provider, asked: GenerationRequest, status: int, code: str, expected: type
) -> None:
    vendor.refuse = (status, refusal(code, f"Not with {SECRET}", "ratio"), {"Retry-After": "4"})
    with pytest.raises(UpstreamError) as caught:
        await ark.start(asked, SUBMISSION)
    assert type(caught.value) is expected
    assert SECRET not in caught.value.message
    if expected in {UpstreamRejected, UpstreamModerated}:
        assert caught.value.param == "ratio"
    if expected is UpstreamBusy:
        assert caught.value.retry_after == 4.0


async def test_too_much_at_once_is_no_lack_of_money(vendor: ArkServer, ark: Provider) -> None:
    vendor.refuse = (429, refusal("QuotaExceeded", "The number of queued tasks is over the limit"), {})
    with pytest.raises(UpstreamBusy):
        await ark.start(make_request(), SUBMISSION)


async def test_accepted_without_a_task(vendor: ArkServer, ark: Provider) -> None:
    for asked in (make_request(), painting()):
        vendor.refuse = (200, {}, {})
        with pytest.raises(OutcomeUnknown):
            await ark.start(asked, SUBMISSION)


# ---- look ----


async def test_usage_and_links(vendor: ArkServer, ark: Provider) -> None:
    operation = await ark.start(make_request(extra={"return_last_frame": True}), SUBMISSION)
    answer = await ark.poll(operation)
    assert isinstance(answer, Succeeded)
    assert [file.kind for file in answer.files] == ["video", "image"]
    assert answer.files[0].url == f"{vendor.url}/files/{operation.id}.mp4?X-Tos-Signature=1"
    assert answer.usage == {
        "seconds": 5, "resolution": "720p", "ratio": "16:9", "generate_audio": True, "draft": False,
        "service_tier": "default", "completion_tokens": 108900, "total_tokens": 108900,
    }  # fmt: skip


async def test_length_told_in_frames(vendor: ArkServer, ark: Provider) -> None:
    operation = await ark.start(make_request(), SUBMISSION)
    told = {"status": "succeeded", "content": {"video_url": "https://v.test/a"}, "usage": None}
    vendor.refuse_poll = (200, {**told, "frames": 60, "framespersecond": 24}, {})
    answer = await ark.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.usage == {"seconds": 2.5}


@pytest.mark.parametrize("content", [None, {}, {"video_url": None}, {"video_url": {"odd": 1}}])
async def test_success_without_a_video(vendor: ArkServer, ark: Provider, content: Any) -> None:
    operation = await ark.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (200, {"id": operation.id, "status": "succeeded", "content": content}, {})
    with pytest.raises(PollFailed):
        await ark.poll(operation)


async def test_words(vendor: ArkServer, ark: Provider) -> None:
    vendor.states = ["queued", "running", "cancelled", "expired"]
    operation = await ark.start(make_request(), SUBMISSION)
    assert await ark.poll(operation) == Queued()
    assert await ark.poll(operation) == Running()
    assert await ark.poll(operation) == Failed("cancelled", "Ark says: cancelled")
    assert await ark.poll(operation) == Failed("expired", "Ark says: expired")


async def test_an_id_that_leads_elsewhere(vendor: ArkServer, ark: Provider) -> None:
    with pytest.raises(PollFailed):
        await ark.poll(Operation(id="../../../files/a.mp4?x"))


# ---- cancel ----


async def test_cancel_while_queued(vendor: ArkServer, ark: Provider) -> None:
    vendor.states = ["queued"]
    operation = await ark.start(make_request(), SUBMISSION)
    assert await ark.cancel(operation) is True
    assert vendor.jobs[operation.id].cancelled
    assert await ark.cancel(operation) is False
    assert isinstance(await ark.poll(operation), Failed)


@pytest.mark.parametrize("state", ["running", "succeeded"])
async def test_cancel_destroys_no_result(vendor: ArkServer, ark: Provider, state: str) -> None:
    vendor.states = [state]
    operation = await ark.start(make_request(), SUBMISSION)
    assert await ark.cancel(operation) is False
    assert operation.id in vendor.jobs
    assert all(seen.method != "DELETE" for seen in vendor.seen)


async def test_cancel_that_comes_too_late(vendor: ArkServer, ark: Provider) -> None:
    vendor.states = ["running"]
    operation = await ark.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (200, {"id": operation.id, "status": "queued"}, {})
    assert await ark.cancel(operation) is False
    assert vendor.seen[-1].method == "DELETE"


# ---- what became of a lost submission ----


async def test_recovered_by_our_mark(vendor: ArkServer, ark: Provider) -> None:
    started = await ark.start(make_request(), SUBMISSION)
    await ark.start(make_request(), OTHER)
    assert await ark.recover(make_request(), SUBMISSION) == started
    assert vendor.counts["submit"] == 2


async def test_missing_only_after_a_while(vendor: ArkServer, ark: Provider) -> None:
    await ark.start(make_request(), OTHER)
    with pytest.raises(PollFailed):
        await ark.recover(make_request(), SUBMISSION)
    async with open_provider("ark", vendor, lost_after_seconds=0) as hasty:
        assert await hasty.recover(make_request(), SUBMISSION) is None


async def test_a_list_without_marks_proves_nothing(vendor: ArkServer, ark: Provider) -> None:
    vendor.shows_marks = False
    await ark.start(make_request(), SUBMISSION)
    async with open_provider("ark", vendor, lost_after_seconds=0) as hasty:
        with pytest.raises(OutcomeUnknown):
            await hasty.recover(make_request(), SUBMISSION)


async def test_a_list_without_end_proves_nothing(vendor: ArkServer, ark: Provider) -> None:
    vendor.total = 2001
    async with open_provider("ark", vendor, lost_after_seconds=0) as hasty:
        with pytest.raises(OutcomeUnknown):
            await hasty.recover(make_request(), SUBMISSION)
    assert [seen.query["page_num"] for seen in vendor.seen] == ["1", "2", "3", "4"]


async def test_without_a_mark_nobody_can_be_asked(vendor: ArkServer, ark: Provider) -> None:
    with pytest.raises(OutcomeUnknown):
        await ark.recover(painting(), SUBMISSION)
    async with open_provider("ark", vendor, mark=False) as unmarked:
        with pytest.raises(OutcomeUnknown):
            await unmarked.recover(make_request(), SUBMISSION)
        assert vendor.seen == []
        assert unmarked.capabilities(MIDDLE).idempotency_key is False
        await unmarked.start(make_request(extra={"safety_identifier": "me"}), SUBMISSION)
        assert sent(vendor)["safety_identifier"] == "me"


# ---- pictures ----


async def test_picture(vendor: ArkServer, ark: Provider) -> None:
    asked = painting(size="2048x2048", seed=7, watermark=False, extra={"guidance_scale": 3})
    operation = await ark.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/api/v3/images/generations"
    assert sent(vendor) == {
        "model": "doubao-seedream-4-5-251128", "prompt": "A red kite", "size": "2048x2048", "seed": 7,
        "watermark": False, "response_format": "url", "guidance_scale": 3,
    }  # fmt: skip
    restored = Operation.model_validate_json(operation.model_dump_json())
    answer = await ark.poll(restored)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == f"{vendor.url}/files/picture.png"
    assert answer.usage == {
        "images": 1, "generated_images": 1, "output_tokens": 16384, "total_tokens": 16384,
    }  # fmt: skip
    assert await ark.cancel(restored) is False
    assert len(vendor.seen) == 1


@pytest.mark.parametrize(
    ("model", "told", "size"),
    [
        ("doubao-seedream-4-5-251128", {"size": "1024x1024"}, "1920x1920"),
        ("doubao-seedream-4-5-251128", {"size": "1536x1024"}, "2352x1568"),
        ("doubao-seedream-4-0-250828", {"size": "1024x1024"}, "1024x1024"),
        ("doubao-seedream-5-0-pro-260628", {"size": "1024x1024"}, "1024x1024"),
        ("doubao-seedream-4-5-251128", {"resolution": "4k"}, "4K"),
        ("doubao-seedream-4-5-251128", {"resolution": "2K", "aspect_ratio": "16:9"}, "2736x1536"),
        ("doubao-seedream-3-0-t2i-250415", {"aspect_ratio": "1:1"}, "1024x1024"),
        ("doubao-seedream-4-5-251128", {}, None),
    ],
)
async def test_picture_size(
    vendor: ArkServer, ark: Provider, model: str, told: dict[str, str], size: str | None
) -> None:
    await ark.start(painting(model, **told), SUBMISSION)
    assert sent(vendor).get("size") == size


async def test_picture_from_pictures(vendor: ArkServer, ark: Provider) -> None:
    one = picture("reference_image")
    await ark.start(painting(media=(one,)), SUBMISSION)
    assert sent(vendor)["image"].startswith("data:image/png;base64,")
    await ark.start(painting(media=(one, one)), SUBMISSION)
    assert len(sent(vendor)["image"]) == 2


async def test_picture_refused_in_a_200(vendor: ArkServer, ark: Provider) -> None:
    said = {"code": "OutputImageSensitiveContentDetected", "message": f"Not {SECRET}."}
    vendor.refuse = (200, {"model": "m", "data": [{"error": said}]}, {})
    with pytest.raises(UpstreamModerated) as caught:
        await ark.start(painting(), SUBMISSION)
    assert SECRET not in caught.value.message


# ---- what it can ----


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("", "https://ark.cn-beijing.volces.com/api/v3"),
        ("https://ark.ap-southeast.bytepluses.com/api/v3/", "https://ark.ap-southeast.bytepluses.com/api/v3"),
        ("https://ark.ap-southeast.bytepluses.com", "https://ark.ap-southeast.bytepluses.com/api/v3"),
    ],
)
def test_address(given: str, address: str) -> None:
    assert ArkProvider.base_url_for(Account(id="a", provider="ark", name="n", base_url=given)) == address


async def test_capabilities(ark: Provider) -> None:
    new = ark.capabilities(NEW)
    assert (new.kinds, new.seconds, new.cancel, new.idempotency_key) == ({"video"}, (4, 30), True, True)
    assert {"first_frame", "last_frame", "reference_image", "source_video", "audio"} <= new.roles
    assert ark.capabilities(OLD).roles == {"first_frame", "last_frame"}
    assert ark.capabilities("doubao-seedance-1-0-pro-fast-251015").roles == {"first_frame"}
    assert ark.capabilities("doubao-seedance-1-5-pro-251215").seconds == (4, 12)
    own = ark.capabilities("ep-20261121-abcde")
    assert (own.kinds, own.seconds) == ({"video", "image", "text"}, None)
    tomorrow = ark.capabilities("doubao-seedance-3-0-270101")
    assert (tomorrow.kinds, tomorrow.seconds, tomorrow.most) == ({"video"}, None, {})
    ark.check(make_request("doubao-seedance-3-0-270101", seconds=90, resolution="8k", aspect_ratio="32:9"))
    assert ark.capabilities("doubao-seedream-6-0").kinds == {"image"}
    pictures = ark.capabilities("doubao-seedream-4-5-251128")
    assert (pictures.kinds, pictures.max_pixels, pictures.cancel) == ({"image"}, 4096 * 4096, False)


async def test_options_that_cannot_be_read(vendor: ArkServer) -> None:
    with pytest.raises(InvalidRequest) as caught:
        async with open_provider("ark", vendor, image_seconds="long"):
            pass
    assert caught.value.param == "options.image_seconds"


async def test_text_relay(vendor: ArkServer, ark: Provider) -> None:
    target = ark.relay_target("chat/completions")
    assert target is not None
    assert target.url == f"{vendor.url}/api/v3/chat/completions"
    assert target.headers == {"Authorization": f"Bearer {SECRET}"}
