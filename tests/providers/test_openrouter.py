"""OpenRouter against its simulator, which OpenRouter's own client (openrouter 1.3.84) uses, too."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from openrouter import OpenRouter, errors

from app.errors import (
    OutcomeUnknown,
    PollFailed,
    UnsupportedWish,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role, Shot
from app.providers.base import AccountBalance, Failed, Provider, Submission, Succeeded
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.vendors.openrouter import OpenRouterServer

SUBMISSION = Submission("filmgate-0123")
MODEL, UNLISTED = "google/veo-3.1", "someone/new-model"
SEEDANCE, SILENT = "bytedance/seedance-2.0", "minimax/hailuo-2.3"
INLINE = "data:image/png;base64," + base64.b64encode(tiny_png()).decode()
LINK = "https://pictures.test/a.png"


@pytest.fixture(scope="module")
def vendor() -> Iterator[OpenRouterServer]:
    with OpenRouterServer() as server:
        yield server


@pytest.fixture
async def router(vendor: OpenRouterServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("openrouter", vendor) as provider:
        yield provider


def make_request(**told: Any) -> GenerationRequest:
    return GenerationRequest(**{"kind": "video", "model": MODEL, "prompt": "A red kite", **told})


def picture(role: Role = "first_frame", url: str | None = None) -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png(), url=url)


def sent(vendor: OpenRouterServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(s for s in reversed(vendor.seen) if s.method == "POST").body)
    return found


class TestContract(VendorContract):
    provider_name = "openrouter"
    routes = [  # noqa: RUF012
        ("POST", r"/api/v1/videos", "create"),
        ("GET", r"/api/v1/videos/(?!models)[^/]+", "poll"),
    ]
    states = {"queued": "pending", "running": "in_progress", "done": "completed", "failed": "failed"}  # noqa: RUF012
    moderated = {"message": "Output was blocked by content moderation"}  # noqa: RUF012

    def request(self) -> GenerationRequest:
        return make_request(seconds=8)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        metadata = {"reasons": ["violence"], "flagged_input": "A red kite", "provider_name": "Google"}
        error = {"code": 400, "message": message}
        return {"error": error | ({"metadata": metadata} if code == "moderation_blocked" else {})}


# ---- submit ----


async def test_text(vendor: OpenRouterServer, router: Provider) -> None:
    asked = make_request(
        seconds=8, size="1280x720", seed=7, sound=True,
        extra={"provider": {"options": {"google": {"x": 1}}}},
    )  # fmt: skip
    await router.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/api/v1/videos"
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert sent(vendor) == {
        "model": MODEL, "prompt": "A red kite", "duration": 8, "size": "1280x720", "seed": 7,
        "generate_audio": True, "provider": {"options": {"google": {"x": 1}}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"resolution": "4k", "aspect_ratio": "9:16"}, {"resolution": "4K", "aspect_ratio": "9:16"}),
        ({"resolution": "1080P", "size": "1080x1920"}, {"resolution": "1080p", "aspect_ratio": "9:16"}),
        ({"aspect_ratio": "5:4", "size": "1280x720"}, {"resolution": "720p", "aspect_ratio": "5:4"}),
        ({"resolution": "540p"}, {"resolution": "540p"}),
    ],
)
async def test_shape(
    vendor: OpenRouterServer, router: Provider, told: dict[str, str], expected: dict[str, str]
) -> None:
    await router.start(make_request(model=UNLISTED, **told), SUBMISSION)
    assert sent(vendor) == {"model": UNLISTED, "prompt": "A red kite", **expected}


async def test_frames(vendor: OpenRouterServer, router: Provider) -> None:
    await router.start(make_request(media=(picture(), picture("last_frame", LINK))), SUBMISSION)
    assert sent(vendor)["frame_images"] == [
        {"type": "image_url", "image_url": {"url": INLINE}, "frame_type": "first_frame"},
        {"type": "image_url", "image_url": {"url": LINK}, "frame_type": "last_frame"},
    ]


async def test_references(vendor: OpenRouterServer, router: Provider) -> None:
    media = (
        picture("reference_image"),
        MediaInput(role="reference_video", content_type="video/mp4", url="https://clips.test/a.mp4"),
        MediaInput(role="audio", content_type="audio/wav", content=b"RIFF"),
    )
    await router.start(make_request(model=SEEDANCE, media=media), SUBMISSION)
    assert sent(vendor)["input_references"] == [
        {"type": "image_url", "image_url": {"url": INLINE}},
        {"type": "video_url", "video_url": {"url": "https://clips.test/a.mp4"}},
        {"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64,UklGRg=="}},
    ]


@pytest.mark.parametrize("action", ["remix", "edit", "extend"])
async def test_continue(vendor: OpenRouterServer, router: Provider, action: str) -> None:
    first = await router.start(make_request(), SUBMISSION)
    await router.start(make_request(action=action), Submission("filmgate-0124", remix_operation=first))
    assert sent(vendor)["previous_job_id"] == first.id


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(negative_prompt="rain"), "negative_prompt"),
        (make_request(seconds=5.5), "seconds"),
        (make_request(watermark=True), "watermark"),
        (make_request(shots=(Shot(seconds=2, prompt="A"),)), "shots"),
        (make_request(media=(picture(), picture())), "first_frame"),
        (make_request(media=(picture(), picture("reference_image"))), "reference_image"),
        (make_request(media=(picture("source_video"),)), "source_video"),
        (make_request(action="remix"), "remix_of"),
        (make_request(action="edit"), "video"),
        (make_request(kind="image"), "model"),
        (make_request(media=(picture("reference_video"),)), "reference_video"),
        (make_request(media=(picture("audio"),)), "audio"),
        *(
            (make_request(extra={name: "x"}), name)
            for name in ("model", "duration", "callback_url", "previous_job_id")
        ),
    ],
)
async def test_what_cannot_be_told(
    vendor: OpenRouterServer, router: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await router.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.counts["submit"] == 0


LISTED_WISHES = [
    (make_request(seconds=5), "seconds"),
    (make_request(aspect_ratio="1:1"), "aspect_ratio"),
    (make_request(resolution="480p"), "resolution"),
    (make_request(size="640x360"), "size"),
    (make_request(model=SILENT, seed=7), "seed"),
    (make_request(model=SILENT, sound=True), "generate_audio"),
    (make_request(model=SILENT, media=(picture(), picture("last_frame"))), "last_frame"),
]


@pytest.mark.parametrize(("asked", "param"), LISTED_WISHES)
async def test_the_list_of_models_judges(
    vendor: OpenRouterServer, router: Provider, asked: GenerationRequest, param: str
) -> None:
    router.check(asked)  # before anything is known, OpenRouter decides
    with pytest.raises(UnsupportedWish) as caught:
        await router.start(asked, SUBMISSION)
    assert caught.value.param == param
    with pytest.raises(UnsupportedWish):
        router.check(asked)
    assert vendor.counts["submit"] == 0
    await router.start(make_request(seconds=4), SUBMISSION)
    assert vendor.counts["list"] == 1


async def test_a_tested_account_knows_its_models(vendor: OpenRouterServer, router: Provider) -> None:
    await router.check_account()
    able = router.capabilities(MODEL)
    assert (able.seconds, able.lengths, able.sound) == ((4, 8), (4, 6, 8), "choice")
    assert router.capabilities(SILENT).sound == "never"
    assert "last_frame" not in router.capabilities(SILENT).roles
    assert router.capabilities(UNLISTED).seconds is None


async def test_a_list_that_is_not_told_stops_nothing(vendor: OpenRouterServer, router: Provider) -> None:
    vendor.lists = False
    for _ in range(2):
        await router.start(make_request(seconds=4), SUBMISSION)
    assert (vendor.counts["list"], vendor.counts["submit"]) == (1, 2)


def test_the_simulators_list_is_what_the_sdk_reads(vendor: OpenRouterServer) -> None:
    vendor.reset()
    with OpenRouter(api_key=SECRET, server_url=f"{vendor.url}/api/v1") as client:
        listed = client.video_generation.list_videos_models().data
    assert (listed[0].id, listed[0].supported_durations) == (MODEL, [4, 6, 8])


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (402, {"code": 402, "message": "Insufficient credits"}, UpstreamQuotaExhausted),
        (
            403,
            {
                "code": 403,
                "message": "Key limit exceeded (monthly limit). Manage it using https://openrouter.ai/keys",
            },
            UpstreamQuotaExhausted,
        ),
        (403, {"code": 403, "message": "This key is disabled"}, UpstreamAuthFailed),
        (
            403,
            {"code": 403, "message": "Input was flagged", "metadata": {"reasons": ["x"]}},
            UpstreamModerated,
        ),
        (503, {"code": 503, "message": "No provider is available"}, UpstreamBusy),
        (
            502,
            {"code": 502, "message": "Provider returned error", "metadata": {"provider_name": "Google"}},
            UpstreamFailed,
        ),
        (500, {"code": 500, "message": "Internal"}, UpstreamFailed),
        (200, {"code": 402, "message": "Insufficient credits"}, UpstreamQuotaExhausted),
        (200, {"code": "nonsense", "message": "No"}, UpstreamRejected),
    ],
)
async def test_refused(
    vendor: OpenRouterServer,
    router: Provider,
    status: int,
    error: dict[str, Any],
    expected: type[UpstreamError],
) -> None:
    vendor.refuse = (status, {"error": error}, {})
    with pytest.raises(UpstreamError) as caught:
        await router.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected


async def test_accepted_without_a_name(vendor: OpenRouterServer, router: Provider) -> None:
    vendor.refuse = (202, {"status": "pending"}, {})
    with pytest.raises(OutcomeUnknown):
        await router.start(make_request(), SUBMISSION)


# ---- result ----


async def test_result_behind_the_key(vendor: OpenRouterServer, router: Provider) -> None:
    operation = await router.start(make_request(), SUBMISSION)
    answer = await router.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.usage == {"cost": 0.5, "is_byok": False}
    assert (answer.files[0].url, answer.files[0].data) == (None, {"index": 0})
    content = b"".join([chunk async for chunk in router.fetch(operation, answer.files[0])])
    assert content == tiny_mp4()
    assert vendor.seen[-1].path == f"/api/v1/videos/{operation.id}/content"
    assert vendor.seen[-1].query == {"index": "0"}
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"


async def test_signed_result(vendor: OpenRouterServer, router: Provider) -> None:
    vendor.signed = True
    answer = await router.poll(await router.start(make_request(), SUBMISSION))
    assert isinstance(answer, Succeeded)
    assert [file.url for file in answer.files] == ["https://storage.test/a.mp4?signature=1"]


async def test_result_that_is_none(vendor: OpenRouterServer, router: Provider) -> None:
    operation = await router.start(make_request(), SUBMISSION)
    answer = await router.poll(operation)
    assert isinstance(answer, Succeeded)
    vendor.content = (b'{"error": {}}', "application/json")
    with pytest.raises(PollFailed):
        async for _ in router.fetch(operation, answer.files[0]):
            raise AssertionError("told")


@pytest.mark.parametrize("word", ["cancelled", "expired"])
async def test_ended(vendor: OpenRouterServer, router: Provider, word: str) -> None:
    vendor.states = [word]
    assert await router.poll(await router.start(make_request(), SUBMISSION)) == Failed(word, "it ended")


# ---- the rest ----


async def test_relay(vendor: OpenRouterServer, router: Provider) -> None:
    target = router.relay_target("chat/completions")
    assert target is not None
    assert target.url == f"{vendor.url}/api/v1/chat/completions"
    assert dict(target.headers) == {"Authorization": f"Bearer {SECRET}"}


async def test_capabilities(router: Provider) -> None:
    able = router.capabilities(MODEL)
    assert able.kinds == {"video", "text"}
    assert able.roles == {"first_frame", "last_frame", "reference_image"}
    assert router.capabilities(SEEDANCE).roles > {"reference_video", "audio"}
    assert (able.remix, able.cancel, able.seconds) == (True, False, None)


async def test_balance(vendor: OpenRouterServer, router: Provider) -> None:
    with OpenRouter(api_key=SECRET, server_url=f"{vendor.url}/api/v1") as client:
        told = client.credits.get_credits().data
    theirs = vendor.seen[-1]
    assert await router.balance() == AccountBalance(74.75, "USD")
    assert told.total_credits - told.total_usage == 74.75
    ours = vendor.seen[-1]
    assert (ours.method, ours.path) == (theirs.method, theirs.path) == ("GET", "/api/v1/credits")


async def test_balance_that_is_not_told(vendor: OpenRouterServer, router: Provider) -> None:
    vendor.refuse_poll = (200, {"error": {"code": 500, "message": "Internal"}}, {})
    with pytest.raises(PollFailed):
        await router.balance()
    vendor.refuse_poll = (403, {"error": {"code": 403, "message": "Management key required"}}, {})
    with pytest.raises(UpstreamAuthFailed):
        await router.balance()
    vendor.keys = ["another"]
    with pytest.raises(UpstreamAuthFailed):
        await router.balance()


def test_own_client(vendor: OpenRouterServer) -> None:
    vendor.reset()
    vendor.states = ["pending", "in_progress", "completed"]
    with OpenRouter(api_key=SECRET, server_url=f"{vendor.url}/api/v1") as client:
        video = client.video_generation
        job = video.generate(
            model=MODEL, prompt="A red kite", duration=8, size="1280x720",
            frame_images=[{"type": "image_url", "image_url": {"url": LINK}, "frame_type": "first_frame"}],
        )  # fmt: skip
        words = [video.get_generation(job_id=job.id).status for _ in range(3)]
        assert words == ["pending", "in_progress", "completed"]
        done = video.get_generation(job_id=job.id)
        assert done.usage and done.usage.cost == 0.5
        assert done.unsigned_urls == [f"{vendor.url}/api/v1/videos/{job.id}/content?index=0"]
        answer = video.get_video_content(job_id=job.id, index=0)
        assert answer.read() == tiny_mp4()
        with pytest.raises(errors.BadRequestResponseError):
            video.generate(model=MODEL, prompt="")
    assert vendor.seen[0].headers["authorization"] == f"Bearer {SECRET}"
    assert json.loads(vendor.seen[0].body)["size"] == "1280x720"
