"""The unified relay against a simulator of the platform manual. For relays to another gateway there is no SDK: the
manual is the authority."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app.errors import OutcomeUnknown, UnsupportedWish, UpstreamBusy, UpstreamModerated, UpstreamRejected
from app.generation import GenerationRequest, MediaInput, Role, Shot
from app.providers.base import Failed, Operation, Provider, Queued, Running, Submission, Succeeded
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_png
from tests.upstream.vendors.unified_relay import UnifiedServer

SUBMISSION = Submission("filmgate-0123")


@pytest.fixture(scope="module")
def vendor() -> Iterator[UnifiedServer]:
    with UnifiedServer() as server:
        yield server


@pytest.fixture
async def relay(vendor: UnifiedServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("unified_relay", vendor, at="/v2") as provider:
        yield provider


def make_request(model: str = "sora-2", **told: Any) -> GenerationRequest:
    return GenerationRequest(**({"kind": "video", "model": model, "prompt": "A red kite"} | told))


def picture(role: Role = "first_frame", url: str | None = None) -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=None if url else tiny_png(), url=url)


def clip(role: Role = "source_video", url: str | None = "https://clips.test/a.mp4") -> MediaInput:
    return MediaInput(role=role, content_type="video/mp4", content=b"mp4", url=url)


def sent(vendor: UnifiedServer) -> dict[str, Any]:
    body = next(seen for seen in reversed(vendor.seen) if seen.method == "POST").body
    found: dict[str, Any] = json.loads(body)
    return found


class TestContract(VendorContract):
    provider_name = "unified_relay"
    routes = [  # noqa: RUF012
        ("POST", r"/v2/videos/generations", "create"), ("GET", r"/v2/videos/generations/[^/]+", "poll"),
    ]  # fmt: skip
    states = {"queued": "NOT_START", "running": "IN_PROGRESS", "done": "SUCCESS", "failed": "FAILURE"}  # noqa: RUF012
    moderated = {"message": "This violates our content policy."}  # noqa: RUF012

    def request(self) -> GenerationRequest:
        return make_request(seconds=10)


async def test_text(vendor: UnifiedServer, relay: Provider) -> None:
    operation = await relay.start(
        make_request(
            "sora-2-pro", seconds=15, size="1920x1080", watermark=False, private=True, style="anime", seed=7,
            negative_prompt="rain", extra={"enhance_prompt": True},
        ),
        SUBMISSION,
    )  # fmt: skip
    assert vendor.seen[-1].path == "/v2/videos/generations"
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert sent(vendor) == {
        "model": "sora-2-pro", "prompt": "A red kite", "duration": "15", "aspect_ratio": "16:9",
        "size": "1920x1080", "hd": True, "watermark": False, "private": True, "style": "anime", "seed": 7,
        "negative_prompt": "rain", "enhance_prompt": True,
    }  # fmt: skip
    assert operation.data == {"kind": "video", "scope": "videos"}


@pytest.mark.parametrize("name", ["model", "HD", "notify_hook", "enable_upsample", "images", "duration"])
async def test_a_reserved_name_is_refused(vendor: UnifiedServer, relay: Provider, name: str) -> None:
    with pytest.raises(UnsupportedWish) as refused:
        await relay.start(make_request("sora-2", extra={name: "x"}), SUBMISSION)
    assert (refused.value.param, vendor.seen) == (name, [])
    assert relay.capabilities("sora-2").native_styles


@pytest.mark.parametrize(
    ("model", "told", "expected"),
    [
        ("veo3.1", {"resolution": "1080p"}, {"resolution": "1080p", "enable_upsample": True}),
        ("sora-2", {"size": "704x1280"}, {"size": "704x1280", "aspect_ratio": "9:16"}),
        ("sora-2", {"size": "1024x1024"}, {"size": "1024x1024", "aspect_ratio": "1:1"}),
        ("sora-2", {"aspect_ratio": "5:4"}, {"aspect_ratio": "5:4"}),
        ("sora-2", {}, {}),
    ],
)
async def test_size(
    vendor: UnifiedServer, relay: Provider, model: str, told: dict[str, Any], expected: dict[str, Any]
) -> None:
    await relay.start(make_request(model, **told), SUBMISSION)
    assert sent(vendor) == {"model": model, "prompt": "A red kite"} | expected


@pytest.mark.parametrize(("kind", "scope"), [("image", "images"), ("audio", "audio")])
async def test_scopes(vendor: UnifiedServer, relay: Provider, kind: str, scope: str) -> None:
    operation = await relay.start(make_request("some-model", kind=kind), SUBMISSION)
    assert vendor.seen[-1].path == f"/v2/{scope}/generations"
    answer = await relay.poll(operation)
    assert vendor.seen[-1].path == f"/v2/{scope}/generations/{operation.id}"
    assert isinstance(answer, Succeeded)
    assert answer.files[0].kind == kind


async def test_inputs(vendor: UnifiedServer, relay: Provider) -> None:
    media = (picture(url="https://pictures.test/a.png"), picture("last_frame"), clip(url=None))
    await relay.start(make_request("veo3-pro-frames", media=media, action="edit"), SUBMISSION)
    images = sent(vendor)["images"]
    assert images[0] == "https://pictures.test/a.png"
    assert images[1].startswith("data:image/png;base64,")
    assert sent(vendor)["videos"][0].startswith("data:video/mp4;base64,")


async def test_characters_stand_in_as_pictures(vendor: UnifiedServer, relay: Provider) -> None:
    await relay.start(make_request(media=(picture("reference_image"), picture("subject"))), SUBMISSION)
    assert len(sent(vendor)["images"]) == 2


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(media=(picture("reference_image"),) * 9), "images"),
        (make_request(media=(picture("last_frame"),)), "images"),
        (make_request(media=(picture(), picture("last_frame"), picture("reference_image"))), "images"),
        (make_request(media=(MediaInput(role="audio", content_type="audio/wav", content=b"RIFF"),)), "audio"),
        (make_request(shots=(Shot(seconds=5, prompt="A"),)), "shots"),
        (make_request(action="extend"), "video"),
    ],
)
async def test_what_cannot_be_told(
    vendor: UnifiedServer, relay: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await relay.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.counts["submit"] == 0


async def test_words_and_progress(vendor: UnifiedServer, relay: Provider) -> None:
    vendor.states = ["SUBMITTED", "QUEUED", "IN_PROGRESS", "SUCCESS"]
    operation = await relay.start(make_request(), SUBMISSION)
    assert await relay.poll(operation) == Queued()
    assert await relay.poll(operation) == Queued()
    assert await relay.poll(operation) == Running(progress=37.0)
    assert isinstance(await relay.poll(operation), Succeeded)


async def test_several_results_and_cost(vendor: UnifiedServer, relay: Provider) -> None:
    operation = await relay.start(make_request("some-model", kind="image"), SUBMISSION)
    links = ["https://pictures.test/1.png", "https://pictures.test/2.png"]
    vendor.refuse_poll = (
        200,
        {"status": "SUCCESS", "cost": 0.3, "data": {"output": links[0], "outputs": links}},
        {},
    )
    answer = await relay.poll(operation)
    assert isinstance(answer, Succeeded)
    assert ([file.url for file in answer.files], answer.usage) == (links, {"cost": 0.3})


@pytest.mark.parametrize(
    ("word", "kind"), [("completed", Succeeded), ("finished", Succeeded), ("Processing", Running)]
)
async def test_words_of_its_forks(vendor: UnifiedServer, relay: Provider, word: str, kind: type) -> None:
    operation = await relay.start(make_request(), SUBMISSION)
    link = "https://films.test/1.mp4"
    vendor.refuse_poll = (200, {"status": word, "data": {"output": link}}, {})
    assert isinstance(await relay.poll(operation), kind)
    vendor.refuse_poll = (200, {"status": "error", "failReason": "No GPU"}, {})
    assert await relay.poll(operation) == Failed("upstream_error", "No GPU")


async def test_answers_wrapped_in_data(vendor: UnifiedServer, relay: Provider) -> None:
    vendor.refuse = (200, {"code": 0, "message": "ok", "data": {"id": "task-7", "status": "NOT_START"}}, {})
    operation = await relay.start(make_request(), SUBMISSION)
    assert operation.id == "task-7"
    whole = {"task_id": "task-7", "status": "SUCCESS", "output": "https://films.test/1.mp4"}
    vendor.refuse_poll = (200, {"status": "success", "data": whole}, {})
    answer = await relay.poll(operation)
    assert isinstance(answer, Succeeded)
    assert [file.url for file in answer.files] == ["https://films.test/1.mp4"]
    # What has an id in a task's own ``data`` is a file.
    vendor.refuse_poll = (200, {"status": "SUCCESS", "data": {"id": "film-1", "output": whole["output"]}}, {})
    assert await relay.poll(operation) == answer


@pytest.mark.parametrize("link", ["/files/1.png", "data:image/png;base64,"])
async def test_links_that_are_no_addresses(vendor: UnifiedServer, relay: Provider, link: str) -> None:
    link += base64.b64encode(tiny_png()).decode() if link.startswith("data:") else ""
    operation = await relay.start(make_request("some-model", kind="image"), SUBMISSION)
    vendor.refuse_poll = (200, {"status": "SUCCESS", "data": {"outputs": [{"url": link}]}}, {})
    answer = await relay.poll(operation)
    assert isinstance(answer, Succeeded)
    assert b"".join([chunk async for chunk in relay.fetch(operation, answer.files[0])]) == tiny_png()
    assert answer.files[0].content_type == "image/png"


async def test_failure(vendor: UnifiedServer, relay: Provider) -> None:
    vendor.states, vendor.failure = ["FAILURE"], {"message": f"GPU fell over {SECRET}"}
    operation = await relay.start(make_request(), SUBMISSION)
    assert await relay.poll(operation) == Failed("upstream_error", "GPU fell over [secret]")
    vendor.failure = {"message": "输入的提示词或视频的输出内容违反了OpenAI的相关服务政策"}
    answer = await relay.poll(operation)
    assert isinstance(answer, Failed)
    assert answer.code == "content_policy_violation"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, OutcomeUnknown),
        ({"error": {"message": "no", "code": "content_policy_violation"}}, UpstreamModerated),
        ({"message": "No available tokens for video generation."}, UpstreamBusy),
    ],
)
async def test_accepted_without_a_task(
    vendor: UnifiedServer, relay: Provider, document: dict[str, Any], expected: type
) -> None:
    vendor.refuse = (200, document, {})
    with pytest.raises(expected):
        await relay.start(make_request(), SUBMISSION)


async def test_cancel(vendor: UnifiedServer, relay: Provider) -> None:
    operation = await relay.start(make_request(), SUBMISSION)
    assert await relay.cancel(operation) is False
    async with open_provider("unified_relay", vendor, cancel=True, seconds=[10, 25]) as able:
        assert await able.cancel(operation) is True
        assert able.capabilities("sora-2").seconds == (10, 25)


# ---- characters ----


async def test_character_of_a_clip(vendor: UnifiedServer, relay: Provider) -> None:
    asked = make_request(kind="character", media=(clip(),), extra={"timestamps": "1,3"})
    operation = await relay.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/sora/v1/characters"
    assert sent(vendor) == {"url": "https://clips.test/a.mp4", "timestamps": "1,3"}
    answer = await relay.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.usage == {"username": "duck.one", "character_id": "ch_1"}
    assert answer.files[0].url == "https://files.test/files/duck.png"
    assert await relay.cancel(operation) is False


async def test_character_of_a_task(vendor: UnifiedServer, relay: Provider) -> None:
    vendor.links_to = ""
    earlier = Submission("k", remix_operation=Operation(id="video_1"))
    operation = await relay.start(make_request(kind="character", extra={"timestamps": "1,3"}), earlier)
    assert sent(vendor) == {"from_task": "video_1", "timestamps": "1,3"}
    assert "://" not in operation.model_dump_json()
    answer = await relay.poll(operation)
    assert isinstance(answer, Succeeded)
    assert b"".join([chunk async for chunk in relay.fetch(operation, answer.files[0])]) == tiny_png()


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(kind="character", media=(clip(),)), "timestamps"),
        (make_request(kind="character", media=(clip(),), extra={"timestamps": "soon"}), "timestamps"),
        (
            make_request(kind="character", media=(clip(url=None),), extra={"timestamps": "1,3"}),
            "source_video",
        ),
        (make_request(kind="character", extra={"timestamps": "1,3"}), "url"),
    ],
)
async def test_character_that_cannot_be_told(
    vendor: UnifiedServer, relay: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await relay.start(asked, SUBMISSION)
    assert caught.value.param == param


async def test_character_without_a_name(vendor: UnifiedServer, relay: Provider) -> None:
    vendor.refuse = (200, {"id": "ch_1"}, {})
    with pytest.raises(OutcomeUnknown):
        await relay.start(
            make_request(kind="character", media=(clip(),), extra={"timestamps": "1,3"}), SUBMISSION
        )
