"""xAI against its simulator. Its own client (xai-sdk 1.21.0) speaks only gRPC: its clients take nothing but a
``grpc.Channel``, and it needs grpcio. So the field names come from its protobuf messages, from xAI's REST
reference and from the Vercel AI SDK; OpenAI's client, which xAI says can be used for pictures, proves that part."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest

from app.errors import (
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
from app.providers.base import Failed, Provider, Running, Submission, Succeeded
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_png
from tests.upstream.vendors.xai import TICKS, XAIServer

SUBMISSION = Submission("filmgate-0123")
PLAIN, NEWER, LITE = "grok-imagine-video", "grok-imagine-video-1.5", "grok-imagine-video-1.5-lite"
PICTURES = "grok-imagine-image-2.0"
INLINE = "data:image/png;base64," + base64.b64encode(tiny_png()).decode()


@pytest.fixture(scope="module")
def vendor() -> Iterator[XAIServer]:
    with XAIServer() as server:
        yield server


@pytest.fixture
async def grok(vendor: XAIServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("xai", vendor) as provider:
        yield provider


def make_request(model: str = NEWER, **told: Any) -> GenerationRequest:
    return GenerationRequest(**{"kind": "video", "model": model, "prompt": "A red kite", **told})


def picture(role: Role = "first_frame") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def clip() -> MediaInput:
    return MediaInput(role="source_video", content_type="video/mp4", content=b"mp4")


def voice() -> MediaInput:
    return MediaInput(role="audio", content_type="audio/mpeg", content=b"mp3")


SPOKEN = "data:audio/mpeg;base64,bXAz"


def sent(vendor: XAIServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(s for s in reversed(vendor.seen) if s.method == "POST").body)
    return found


class TestContract(VendorContract):
    provider_name = "xai"
    routes = [("POST", r"/v1/videos/[^/]+", "create"), ("GET", r"/v1/videos/[^/]+", "poll")]  # noqa: RUF012
    states = {"queued": "pending", "running": "pending", "done": "done", "failed": "failed"}  # noqa: RUF012
    moderated = {  # noqa: RUF012
        "code": "permission_denied", "message": "Generated video rejected by content moderation.",
    }  # fmt: skip

    def request(self) -> GenerationRequest:
        return make_request(seconds=6)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        if code == "moderation_blocked":
            return {"code": "invalid-argument", "error": "Content violates usage guidelines."}
        return {"code": code, "error": message}

    async def test_from_accepted_to_done(self, upstream: FakeUpstream, provider: Provider) -> None:
        """xAI has one word for waiting and for being made."""
        upstream.script(statuses=["pending", "pending", "done"])
        operation = await self.start(provider)
        assert "://" not in operation.model_dump_json()
        assert await provider.poll(operation) == Running(progress=40)
        assert isinstance(await provider.poll(operation), Running)
        assert isinstance(await provider.poll(operation), Succeeded)


# ---- videos ----


async def test_text(vendor: XAIServer, grok: Provider) -> None:
    asked = make_request(
        seconds=10, size="1920x1080",
        sound=False, extra={"user": "u-1"},
    )  # fmt: skip
    await grok.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/v1/videos/generations"
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert sent(vendor) == {
        "model": NEWER, "prompt": "A red kite", "duration": 10, "aspect_ratio": "16:9", "resolution": "1080p",
        "generate_audio": False, "user": "u-1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        ((picture("first_frame"), picture("last_frame")),
         {"image": {"url": INLINE}, "last_frame": {"url": INLINE}}),
        ((picture("reference_image"), picture("reference_image"), voice()),
         {"reference_images": [{"url": INLINE}] * 2, "reference_audios": [{"url": SPOKEN}]}),
    ],
)  # fmt: skip
async def test_frames_or_references(
    vendor: XAIServer, grok: Provider, media: tuple[MediaInput, ...], expected: dict[str, Any]
) -> None:
    await grok.start(make_request(media=media), SUBMISSION)
    assert sent(vendor) == {"model": NEWER, "prompt": "A red kite", **expected}


async def test_keyframes_are_the_clients_own_field(vendor: XAIServer, grok: Provider) -> None:
    keyframes = [{"image": {"url": "https://pictures.test/a.png"}, "timestamp_s": 2.5}]
    await grok.start(make_request(extra={"keyframes": keyframes}), SUBMISSION)
    assert sent(vendor)["keyframes"] == keyframes


async def test_new_generation_has_no_bounds(vendor: XAIServer, grok: Provider) -> None:
    media = (picture("reference_image"),) * 9
    asked = make_request("grok-imagine-video-3", seconds=30, aspect_ratio="21:9", resolution="2160p")
    assert grok.capabilities(asked.model).seconds is None
    grok.check(asked)
    grok.check(asked.model_copy(update={"media": media, "resolution": None}))


@pytest.mark.parametrize(
    "name",
    ["model", "duration", "prompt", "image", "reference_audios", "storage_options", "n", "Aspect_Ratio"],
)
async def test_reserved_names_are_refused(grok: Provider, name: str) -> None:
    with pytest.raises(UnsupportedWish) as caught:
        grok.check(make_request(extra={name: "x"}))
    assert caught.value.param == name


@pytest.mark.parametrize(
    ("model", "told", "expected"),
    [
        (PLAIN, {"size": "1280x720"}, {"aspect_ratio": "16:9", "resolution": "720p"}),
        (PLAIN, {"size": "854x480"}, {"aspect_ratio": "16:9", "resolution": "480p"}),
        (
            NEWER,
            {"resolution": "1080P", "aspect_ratio": "2:3"},
            {"aspect_ratio": "2:3", "resolution": "1080p"},
        ),
    ],
)
async def test_shape(
    vendor: XAIServer, grok: Provider, model: str, told: dict[str, Any], expected: dict[str, Any]
) -> None:
    await grok.start(make_request(model, **told), SUBMISSION)
    assert sent(vendor) == {"model": model, "prompt": "A red kite", **expected}


@pytest.mark.parametrize(
    ("action", "told", "path"),
    [("edit", {}, "edits"), ("extend", {"seconds": 4}, "extensions")],
)
async def test_change(
    vendor: XAIServer, grok: Provider, action: str, told: dict[str, Any], path: str
) -> None:
    operation = await grok.start(make_request(action=action, media=(clip(),), **told), SUBMISSION)
    assert vendor.seen[-1].path == f"/v1/videos/{path}"
    body = sent(vendor)
    assert body.pop("video") == {"url": "data:video/mp4;base64,bXA0"}
    assert body == {"model": NEWER, "prompt": "A red kite"} | ({"duration": 4} if told else {})
    assert isinstance(await grok.poll(operation), Succeeded)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(seed=7), "seed"),
        (make_request(negative_prompt="rain"), "negative_prompt"),
        (make_request(seconds=5.5), "seconds"),
        (make_request(aspect_ratio="21:9"), "aspect_ratio"),
        (make_request(PLAIN, resolution="1080p"), "resolution"),
        (make_request(watermark=True), "watermark"),
        (make_request(shots=(Shot(seconds=2, prompt="A"),)), "shots"),
        (make_request(PLAIN, media=(picture("last_frame"),)), "last_frame"),
        (make_request(LITE, media=(picture("last_frame"),)), "last_frame"),
        (make_request(media=(picture("reference_image"),) * 8), "reference_image"),
        (make_request(media=(voice(),) * 4), "audio"),
        (make_request(media=(picture(), picture("reference_image"))), "reference_image"),
        (make_request(media=(picture("last_frame"), voice())), "audio"),
        (make_request(media=(picture("reference_image"),), resolution="1080p"), "resolution"),
        (make_request(media=(picture("reference_image"),), size="1920x1080"), "size"),
        (make_request(action="edit", media=(clip(),), sound=False), "generate_audio"),
        (make_request(PICTURES, kind="image", sound=True), "generate_audio"),
        (make_request(media=(clip(),)), "video"),
        (make_request(action="edit"), "video"),
        (make_request(action="edit", media=(clip(),), seconds=4), "seconds"),
        (make_request(action="extend", media=(clip(),), seconds=11), "seconds"),
        (make_request(action="extend", media=(clip(),), size="1280x720"), "size"),
        (make_request(action="edit", media=(clip(), picture())), "input_reference"),
        (make_request(action="remix"), "video"),
        (make_request(PICTURES), "model"),
        (make_request(PICTURES, kind="image", seconds=4), "seconds"),
        (make_request(PICTURES, kind="image", media=(picture(),) * 6), "image"),
        (make_request(kind="image"), "model"),
    ],
)
async def test_what_cannot_be_told(
    vendor: XAIServer, grok: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await grok.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.counts["submit"] == 0


@pytest.mark.parametrize(
    ("status", "sentence", "expected"),
    [
        (400, "Incorrect API key provided: sk***89.", UpstreamAuthFailed),
        (403, "Your team has used all available credits or reached its monthly spending limit.",
         UpstreamQuotaExhausted),
        (429, "Your team has used all available credits.", UpstreamQuotaExhausted),
        (429, "Too many requests for this model", UpstreamBusy),
        (403, "Content violates usage guidelines.", UpstreamModerated),
        (403, "Your newly created team doesn't have any credits or licenses yet. You can purchase those on the console.",
         UpstreamQuotaExhausted),
        (429, "Your newly created team doesn't have any credits or licenses yet.", UpstreamQuotaExhausted),
        (403, "The caller may not use this model", UpstreamModelForbidden),
        (403, "The API key is disabled", UpstreamAuthFailed),
        (400, "Invalid aspect ratio", UpstreamRejected),
        (500, "Internal error", UpstreamFailed),
        (200, "Something went wrong", UpstreamRejected),
    ],
)  # fmt: skip
async def test_refused(
    vendor: XAIServer, grok: Provider, status: int, sentence: str, expected: type[UpstreamError]
) -> None:
    vendor.refuse = (status, {"code": "Client specified an invalid argument", "error": sentence}, {})
    with pytest.raises(UpstreamError) as caught:
        await grok.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected


async def test_accepted_without_a_name(vendor: XAIServer, grok: Provider) -> None:
    vendor.refuse = (200, {}, {})
    with pytest.raises(OutcomeUnknown):
        await grok.start(make_request(), SUBMISSION)


async def test_pending_without_a_body(vendor: XAIServer, grok: Provider) -> None:
    vendor.silent, vendor.states = True, ["pending"]
    assert await grok.poll(await grok.start(make_request(), SUBMISSION)) == Running()


async def test_result(vendor: XAIServer, grok: Provider) -> None:
    operation = await grok.start(make_request(), SUBMISSION)
    answer = await grok.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == f"{vendor.url}/files/{operation.id}.mp4"
    assert answer.usage == {"seconds": 6, "cost_in_usd_ticks": TICKS}


async def test_result_without_a_word(vendor: XAIServer, grok: Provider) -> None:
    vendor.states, vendor.video = [""], {"url": "https://vidgen.x.ai/a.mp4", "duration": 6}
    assert isinstance(await grok.poll(await grok.start(make_request(), SUBMISSION)), Succeeded)


async def test_result_in_the_files_api(vendor: XAIServer, grok: Provider) -> None:
    vendor.video = {"url": None, "duration": 6, "file_output": {"public_url": "https://files.x.ai/a.mp4"}}
    answer = await grok.poll(await grok.start(make_request(), SUBMISSION))
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == "https://files.x.ai/a.mp4"


async def test_blocked_though_done(vendor: XAIServer, grok: Provider) -> None:
    vendor.video = {"url": "", "duration": 0, "respect_moderation": False}
    answer = await grok.poll(await grok.start(make_request(), SUBMISSION))
    assert isinstance(answer, Failed)
    assert answer.code == "content_policy_violation"


async def test_done_without_a_video(vendor: XAIServer, grok: Provider) -> None:
    vendor.video = {"duration": 6}
    operation = await grok.start(make_request(), SUBMISSION)
    with pytest.raises(PollFailed):
        await grok.poll(operation)


async def test_expired(vendor: XAIServer, grok: Provider) -> None:
    vendor.states = ["expired"]
    answer = await grok.poll(await grok.start(make_request(), SUBMISSION))
    assert isinstance(answer, Failed)
    assert answer.code == "expired"


# ---- pictures ----


async def test_picture(vendor: XAIServer, grok: Provider) -> None:
    operation = await grok.start(make_request(PICTURES, kind="image", size="2048x1024"), SUBMISSION)
    assert vendor.seen[-1].path == "/v1/images/generations"
    assert sent(vendor) == {
        "model": PICTURES, "prompt": "A red kite", "aspect_ratio": "2:1", "resolution": "1k",
        "response_format": "url",
    }  # fmt: skip
    answer = await grok.poll(operation)
    assert isinstance(answer, Succeeded)
    assert [(file.kind, file.url) for file in answer.files] == [("image", f"{vendor.url}/files/a.jpeg")]
    assert answer.usage == {"cost_in_usd_ticks": TICKS}


@pytest.mark.parametrize("number", [1, 2])
async def test_edit_pictures(vendor: XAIServer, grok: Provider, number: int) -> None:
    media = (picture("first_frame"), picture("reference_image"))[:number]
    await grok.start(make_request(PICTURES, kind="image", media=media), SUBMISSION)
    assert vendor.seen[-1].path == "/v1/images/edits"
    one, body = {"url": INLINE, "type": "image_url"}, sent(vendor)
    assert (body.get("image"), body.get("images")) == ((one, None) if number == 1 else (None, [one, one]))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"data": [], "block_reason": "Blocked by the filter"}, UpstreamModerated),
        ({"data": []}, OutcomeUnknown),
        ({"data": [{"b64_json": "AAAA"}]}, OutcomeUnknown),
    ],
)
async def test_no_picture(
    vendor: XAIServer, grok: Provider, body: dict[str, Any], expected: type[UpstreamError]
) -> None:
    vendor.pictures = body
    with pytest.raises(UpstreamError) as caught:
        await grok.start(make_request(PICTURES, kind="image"), SUBMISSION)
    assert type(caught.value) is expected


# ---- the rest ----


async def test_relay(vendor: XAIServer, grok: Provider) -> None:
    target = grok.relay_target("chat/completions")
    assert target is not None
    assert (target.url, dict(target.headers)) == (
        f"{vendor.url}/v1/chat/completions", {"Authorization": f"Bearer {SECRET}"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("model", "kinds", "roles", "seconds"),
    [
        (PLAIN, {"video"}, {"first_frame", "reference_image", "audio", "source_video"}, (1, 15)),
        (
            NEWER,
            {"video"},
            {"first_frame", "last_frame", "reference_image", "audio", "source_video"},
            (1, 15),
        ),
        (PICTURES, {"image"}, {"first_frame", "reference_image"}, None),
        ("grok-4", {"text"}, set(), None),
    ],
)
async def test_capabilities(
    grok: Provider, model: str, kinds: set[str], roles: set[str], seconds: Any
) -> None:
    able = grok.capabilities(model)
    assert (able.kinds, able.roles, able.seconds, able.cancel) == (kinds, roles, seconds, False)


def test_pictures_by_openais_client(vendor: XAIServer) -> None:
    vendor.reset()
    with openai.OpenAI(api_key=SECRET, base_url=f"{vendor.url}/v1", max_retries=0) as client:
        made = client.images.generate(model=PICTURES, prompt="A red kite")
        assert made.data and made.data[0].url == f"{vendor.url}/files/a.jpeg"
        vendor.keys = ["another-key"]
        with pytest.raises(openai.BadRequestError):
            client.images.generate(model=PICTURES, prompt="A red kite")
