"""Together against its simulator, whose fields are those of together 3.1.1."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest

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
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.base import Account, Failed, Provider, Queued, Running, Submission, Succeeded
from app.providers.together.provider import TogetherProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_png
from tests.upstream.vendors.together import TogetherServer

SUBMISSION = Submission("filmgate-0123")
VEO, FLUX, NEW = "google/veo-3.0", "black-forest-labs/FLUX-3", "acme/film-9"
INLINE = "data:image/png;base64," + base64.b64encode(tiny_png()).decode()
CLIP = "https://media.test/a.mp4"


@pytest.fixture(scope="module")
def vendor() -> Iterator[TogetherServer]:
    with TogetherServer() as server:
        yield server


@pytest.fixture
async def made(vendor: TogetherServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("together", vendor) as provider:
        yield provider


def make_request(model: str = VEO, **told: Any) -> GenerationRequest:
    return GenerationRequest(**{"kind": "video", "model": model, "prompt": "A red kite", **told})


def picture(role: Role = "first_frame", url: str | None = None) -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png(), url=url)


def clip(role: Role, url: str | None = CLIP) -> MediaInput:
    return MediaInput(role=role, content_type="video/mp4", content=b"bytes", url=url)


def sent(vendor: TogetherServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vendor.seen[-1].body)
    return found


class TestContract(VendorContract):
    provider_name = "together"
    routes: ClassVar = [("POST", "/v2/videos", "create"), ("GET", "/v2/videos/[^/]+", "poll")]
    states: ClassVar = {"queued": "queued", "running": "in_progress", "done": "completed", "failed": "failed"}
    moderated: ClassVar = {"code": "content_policy_violation", "message": "Not this."}

    def request(self) -> GenerationRequest:
        return make_request(seconds=8)


# ---- submit ----


@pytest.mark.parametrize(
    ("model", "told", "changed"),
    [
        (VEO, {}, {}),
        (VEO, {"seconds": 8}, {"seconds": "8"}),
        (VEO, {"size": "1920x1080"}, {"width": 1920, "height": 1080}),
        (VEO, {"aspect_ratio": "9:16"}, {"width": 720, "height": 1280}),
        (VEO, {"resolution": "1080p"}, {"width": 1920, "height": 1080}),
        (VEO, {"seed": 7, "negative_prompt": "rain"}, {"seed": 7, "negative_prompt": "rain"}),
        (VEO, {"sound": False, "watermark": False}, {}),
        (f"{VEO}-audio", {"sound": True}, {}),
        (VEO, {"extra": {"steps": 30, "fps": 24}}, {"steps": 30, "fps": 24}),
        (VEO, {"media": (picture(),)}, {"media": {"frame_images": [{"input_image": INLINE, "frame": "first"}]}}),
        (FLUX, {"aspect_ratio": "21:9", "resolution": "1080p", "sound": False},
         {"ratio": "21:9", "resolution": "fhd", "generate_audio": False}),
        (FLUX, {"size": "1280x720", "seconds": 20}, {"ratio": "16:9", "resolution": "hd", "seconds": "20"}),
        (FLUX, {"media": (picture("last_frame"), picture(url="https://media.test/a.png"))},
         {"media": {"frame_images": [{"input_image": "https://media.test/a.png", "frame": "first"},
                                     {"input_image": INLINE, "frame": "last"}]}}),
        ("vidu/vidu-2.0", {"media": (picture("reference_image"),)}, {"media": {"reference_images": [INLINE]}}),
        (NEW, {"size": "1280x720", "aspect_ratio": "5:4", "resolution": "8k", "seconds": 33, "sound": True},
         {"width": 1280, "height": 720, "ratio": "5:4", "resolution": "8k", "seconds": "33",
          "generate_audio": True}),
        (NEW, {"action": "edit", "media": (clip("source_video"),)}, {"media": {"source_video": {"video": CLIP}}}),
        (NEW, {"media": (clip("reference_video"), clip("audio"))},
         {"media": {"reference_videos": [{"video": CLIP}], "audio_inputs": [{"audio": CLIP}]}}),
    ],
)  # fmt: skip
async def test_what_is_told(
    vendor: TogetherServer, made: Provider, model: str, told: dict[str, Any], changed: dict[str, Any]
) -> None:
    operation = await made.start(make_request(model, **told), SUBMISSION)
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert sent(vendor) == {"model": model, "prompt": "A red kite", **changed}
    assert operation.data == {"type": "video/mp4"}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(seconds=7.5), "seconds"),
        (make_request(size="640x480"), "size"),
        (make_request(aspect_ratio="1:1"), "aspect_ratio"),
        (make_request(resolution="4k"), "resolution"),
        (make_request(FLUX, aspect_ratio="5:4"), "aspect_ratio"),
        (make_request(FLUX, resolution="4k"), "resolution"),
        (make_request(sound=True), "generate_audio"),
        (make_request(f"{VEO}-audio", sound=False), "generate_audio"),
        (make_request(watermark=True), "watermark"),
        (make_request(style="anime"), "style"),
        (make_request(characters=("kim",)), "characters"),
        (make_request(media=(picture("last_frame"),)), "last_frame"),
        (make_request(media=(picture("reference_image"),)), "reference_image"),
        (make_request(NEW, media=(clip("reference_video", None),)), "reference_video"),
        (make_request(NEW, action="edit"), "video"),
        (make_request(NEW, action="extend"), "video"),
        (make_request(NEW, action="remix"), "video"),
        (make_request(extra={"Width": 4096}), "Width"),
        (make_request(extra={"media": {}}), "media"),
        (make_request(extra={"n": 2}), "n"),
    ],
)
async def test_what_cannot_be_told(
    vendor: TogetherServer, made: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UnsupportedWish) as caught:
        made.check(asked)
    assert caught.value.param == param
    assert vendor.seen == []


def told_error(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    return {"id": "o-1", "error": {"message": message, "type": kind, "param": param, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, told_error("Invalid API key provided.", "invalid_request_error", "invalid_api_key"),
         UpstreamAuthFailed),
        (402, told_error("Credit limit exceeded, please upgrade your plan.", "credit_limit"),
         UpstreamQuotaExhausted),
        (403, told_error("Credit limit exceeded, please upgrade your plan.", "credit_limit"),
         UpstreamQuotaExhausted),
        (403, told_error("Your prompt is longer than the model takes.", "invalid_request_error"),
         UpstreamRejected),
        (404, told_error("Unable to access model x.", "invalid_request_error", "model_not_available"),
         UpstreamModelForbidden),
        (400, told_error("Unable to access non-serverless model x.", "invalid_request_error",
                         "model_not_available"), UpstreamModelForbidden),
        (422, told_error("Input validation error: seconds", "invalid_request_error"), UpstreamRejected),
        (429, told_error("You have reached the rate limit specific to this model.", "model_rate_limit"),
         UpstreamBusy),
        (503, told_error("The server is overloaded.", "service_unavailable"), UpstreamBusy),
        (500, told_error("Internal server error", "server_error"), UpstreamFailed),
    ],
)  # fmt: skip
async def test_errors(
    vendor: TogetherServer, made: Provider, status: int, body: dict[str, Any], expected: type
) -> None:
    vendor.refuse = (status, body, {})
    with pytest.raises(UpstreamError) as caught:
        await made.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected


async def test_accepted_without_a_name(vendor: TogetherServer, made: Provider) -> None:
    vendor.refuse = (200, {"status": "in_progress"}, {})
    with pytest.raises(OutcomeUnknown):
        await made.start(make_request(), SUBMISSION)


# ---- look ----


async def test_words_link_and_cost(vendor: TogetherServer, made: Provider) -> None:
    vendor.states = ["queued", "in_progress", "completed"]
    operation = await made.start(make_request(extra={"output_format": "WEBM"}), SUBMISSION)
    assert await made.poll(operation) == Queued()
    assert await made.poll(operation) == Running()
    answer = await made.poll(operation)
    assert isinstance(answer, Succeeded)
    (film,) = answer.files
    assert (film.url, film.content_type) == (f"{vendor.url}/shrt/{operation.id}", "video/webm")
    assert answer.usage == {"cost": 0.28}


@pytest.mark.parametrize("outputs", [None, {}, {"video_url": None, "cost": 1}, []])
async def test_success_without_a_video(vendor: TogetherServer, made: Provider, outputs: Any) -> None:
    operation = await made.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (200, {"id": operation.id, "status": "completed", "outputs": outputs}, {})
    with pytest.raises(PollFailed):
        await made.poll(operation)


@pytest.mark.parametrize(
    ("word", "error", "expected"),
    [
        ("failed", None, Failed("upstream_error", "Together gave no reason.")),
        ("failed", {"message": "The prompt was flagged by a safety filter.", "code": None},
         Failed("content_policy_violation", "The prompt was flagged by a safety filter.")),
        ("cancelled", {"message": "stopped"}, Failed("cancelled", "stopped")),
    ],
)  # fmt: skip
async def test_failures(
    vendor: TogetherServer, made: Provider, word: str, error: Any, expected: Failed
) -> None:
    operation = await made.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (200, {"id": operation.id, "status": word, "error": error}, {})
    assert await made.poll(operation) == expected


async def test_a_job_that_together_does_not_know(vendor: TogetherServer, made: Provider) -> None:
    operation = await made.start(make_request(), SUBMISSION)
    vendor.jobs.clear()
    with pytest.raises(OperationNotFound):
        await made.poll(operation)


# ---- the account ----


async def test_check_of_an_account(vendor: TogetherServer, made: Provider) -> None:
    assert (await made.check_account()).verdict == "accepted"
    vendor.keys = ["another"]
    assert (await made.check_account()).verdict == "refused"


def test_own_host() -> None:
    given = Account(id="a", provider="together", name="t", base_url="https://api.together.xyz/v1")
    assert TogetherProvider.base_url_for(given) == "https://api.together.xyz"


async def test_capabilities(made: Provider) -> None:
    veo, flux, new = (made.capabilities(model) for model in (VEO, FLUX, NEW))
    assert (veo.lengths, veo.sound, veo.roles) == ((8,), "never", {"first_frame"})
    assert (flux.seconds, flux.sizes, flux.sound) == ((5, 20), frozenset(), "choice")
    assert made.capabilities("google/veo-3.0-fast-audio").sound == "always"
    assert (new.kinds, new.seconds) == ({"video", "text"}, None)
    target = made.relay_target("chat/completions")
    assert target
    assert target.url.endswith("/v1/chat/completions")
