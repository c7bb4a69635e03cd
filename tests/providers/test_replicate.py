"""Replicate against its simulator, which Replicate's own client (replicate 1.0.7) uses, too."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import replicate

from app.errors import (
    InvalidRequest,
    OutcomeUnknown,
    PollFailed,
    UnsupportedWish,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role, Shot
from app.providers.base import Failed, Provider, Running, Submission, Succeeded
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_png
from tests.upstream.vendors.replicate import ReplicateServer

SUBMISSION = Submission("filmgate-0123")
SEEDANCE = "bytedance/seedance-2.0"
KLING = "kwaivgi/kling-v3-video"
WAN = "wan-video/wan-2.7"
OMNI = "kwaivgi/kling-v3-omni-video"
INLINE = "data:image/png;base64," + base64.b64encode(tiny_png()).decode()


@pytest.fixture(scope="module")
def vendor() -> Iterator[ReplicateServer]:
    with ReplicateServer() as server:
        yield server


@pytest.fixture
async def made(vendor: ReplicateServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("replicate", vendor) as provider:
        yield provider


def make_request(model: str = SEEDANCE, **told: Any) -> GenerationRequest:
    return GenerationRequest(**{"kind": "video", "model": model, "prompt": "A red kite", **told})


def picture(role: Role = "first_frame") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def sent(vendor: ReplicateServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(s for s in reversed(vendor.seen) if s.method == "POST").body)
    return found


class TestContract(VendorContract):
    provider_name = "replicate"
    routes = [  # noqa: RUF012
        ("POST", r"/v1/models/.+/predictions", "create"),
        ("GET", r"/v1/predictions/[^/]+", "poll"),
    ]
    states = {"queued": "starting", "running": "processing", "done": "succeeded", "failed": "failed"}  # noqa: RUF012
    moderated = {"message": "The input or output was flagged as sensitive. (E005)"}  # noqa: RUF012

    def request(self) -> GenerationRequest:
        return make_request(seconds=5)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        return {"title": "Refused", "detail": message, "status": 400, "code": code}


# ---- submit ----


async def test_text(vendor: ReplicateServer, made: Provider) -> None:
    asked = make_request(
        seconds=10, size="1280x720", seed=7, sound=True,
    )  # fmt: skip
    operation = await made.start(asked, SUBMISSION)
    seen = vendor.seen[-1]
    assert seen.path == f"/v1/models/{SEEDANCE}/predictions"
    assert seen.headers["authorization"] == f"Bearer {SECRET}"
    assert "cancel-after" not in seen.headers
    assert sent(vendor) == {
        "input": {"prompt": "A red kite", "duration": 10, "aspect_ratio": "16:9", "resolution": "720p",
                  "seed": 7, "generate_audio": True},
    }  # fmt: skip
    assert operation.data == {"kind": "video"}


@pytest.mark.parametrize(
    ("model", "path", "version"),
    [
        ("acme/film:abc123", "/v1/predictions", "abc123"),
        ("deployments/acme/film", "/v1/deployments/acme/film/predictions", None),
        ("acme/film", "/v1/models/acme/film/predictions", None),
    ],
)
async def test_names(
    vendor: ReplicateServer, made: Provider, model: str, path: str, version: str | None
) -> None:
    await made.start(make_request(model), SUBMISSION)
    assert vendor.seen[-1].path == path
    assert sent(vendor).get("version") == version


@pytest.mark.parametrize("model", ["film", "a/b/c", "../x/y", "acme/film:", "acme/film?x=1"])
async def test_names_that_are_none(made: Provider, model: str) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await made.start(make_request(model), SUBMISSION)
    assert caught.value.param == "model"


@pytest.mark.parametrize(
    ("model", "roles", "expected"),
    [
        (SEEDANCE, ["first_frame", "last_frame"], {"image": INLINE, "last_frame_image": INLINE}),
        (SEEDANCE, ["reference_image"] * 2, {"reference_images": [INLINE, INLINE]}),
        (SEEDANCE, ["reference_video", "audio"],
         {"reference_videos": [INLINE], "reference_audios": [INLINE]}),
        (KLING, ["first_frame", "last_frame"], {"start_image": INLINE, "end_image": INLINE}),
        (OMNI, ["source_video", "reference_image"],
         {"reference_video": INLINE, "reference_images": [INLINE], "video_reference_type": "base"}),
        (OMNI, ["reference_video"], {"reference_video": INLINE, "video_reference_type": "feature"}),
        ("google/veo-3.1", ["first_frame", "last_frame"], {"image": INLINE, "last_frame": INLINE}),
    ],
)  # fmt: skip
async def test_media(
    vendor: ReplicateServer, made: Provider, model: str, roles: list[Role], expected: dict[str, Any]
) -> None:
    await made.start(make_request(model, media=tuple(picture(role) for role in roles)), SUBMISSION)
    assert sent(vendor)["input"] == {"prompt": "A red kite", **expected}


async def test_storyboard_and_mode(vendor: ReplicateServer, made: Provider) -> None:
    shots = (Shot(seconds=2, prompt="A"), Shot(seconds=3, prompt="B"))
    await made.start(make_request(KLING, shots=shots, size="1920x1080", negative_prompt="rain"), SUBMISSION)
    told = sent(vendor)["input"]
    assert json.loads(told.pop("multi_prompt")) == [
        {"prompt": "A", "duration": 2}, {"prompt": "B", "duration": 3},
    ]  # fmt: skip
    assert told == {
        "prompt": "A red kite", "duration": 5, "mode": "pro", "aspect_ratio": "16:9", "negative_prompt": "rain",
    }  # fmt: skip


async def test_pictures(vendor: ReplicateServer, made: Provider) -> None:
    vendor.output = [f"https://replicate.delivery/{name}.webp" for name in ("a", "b")]
    asked = make_request(
        "black-forest-labs/flux-2-pro", kind="image", aspect_ratio="1:1",
        media=(picture("first_frame"), picture("reference_image")),
    )  # fmt: skip
    operation = await made.start(asked, SUBMISSION)
    assert sent(vendor)["input"] == {
        "prompt": "A red kite", "aspect_ratio": "1:1", "input_images": [INLINE, INLINE],
    }  # fmt: skip
    answer = await made.poll(operation)
    assert isinstance(answer, Succeeded)
    assert [(file.kind, file.content_type) for file in answer.files] == [("image", "image/webp")] * 2


async def test_deadline(vendor: ReplicateServer) -> None:
    vendor.reset()
    async with open_provider("replicate", vendor, cancel_after="1h30m") as provider:
        await provider.start(make_request(), SUBMISSION)
    assert vendor.seen[-1].headers["cancel-after"] == "1h30m"


@pytest.mark.parametrize("deadline", ["", "5 minutes", "m", 5])
async def test_deadline_that_is_none(vendor: ReplicateServer, deadline: Any) -> None:
    with pytest.raises(InvalidRequest):
        async with open_provider("replicate", vendor, cancel_after=deadline):
            raise AssertionError("made")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(negative_prompt="rain"), "negative_prompt"),
        (make_request(KLING, seed=7), "seed"),
        (make_request(seconds=5.5), "seconds"),
        (make_request(aspect_ratio="9:21"), "aspect_ratio"),
        (make_request(resolution="8k"), "resolution"),
        (make_request(watermark=True), "watermark"),
        (make_request(shots=(Shot(seconds=2, prompt="A"),)), "shots"),
        (make_request(media=(picture(), picture("reference_image"))), "reference_image"),
        (make_request(OMNI, media=(picture("reference_video"), picture("source_video"))), "source_video"),
        (make_request("acme/film", media=(picture("last_frame"),)), "last_frame"),
        *((make_request(extra={name: "x"}), name) for name in ("duration", "prompt", "webhook", "image")),
        (make_request(action="edit"), "video"),
        (make_request().model_copy(update={"kind": "character"}), "model"),
    ],
)
async def test_what_cannot_be_told(
    vendor: ReplicateServer, made: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await made.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.counts["submit"] == 0


async def test_accepted_without_a_name(vendor: ReplicateServer, made: Provider) -> None:
    vendor.refuse = (201, {"status": "starting"}, {})
    with pytest.raises(OutcomeUnknown):
        await made.start(make_request(), SUBMISSION)


# ---- look ----


async def test_result(vendor: ReplicateServer, made: Provider) -> None:
    operation = await made.start(make_request(), SUBMISSION)
    answer = await made.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == f"{vendor.url}/files/{operation.id}.mp4"
    assert answer.usage == {"predict_time": 41.5, "total_time": 44.0}


@pytest.mark.parametrize(
    ("output", "links"),
    [
        ("https://x.test/a.mp4", ["https://x.test/a.mp4"]),
        ("https://x.test/a", ["https://x.test/a"]),
        ({"video": "https://x.test/a.mp4", "cover": "https://x.test/a.png"}, ["https://x.test/a.mp4"]),
        ([["https://x.test/a.webm"], "words"], ["https://x.test/a.webm"]),
    ],
)
async def test_outputs(vendor: ReplicateServer, made: Provider, output: Any, links: list[str]) -> None:
    vendor.output = output
    answer = await made.poll(await made.start(make_request(), SUBMISSION))
    assert isinstance(answer, Succeeded)
    assert [file.url for file in answer.files] == links


@pytest.mark.parametrize("output", ["words", ["data:image/png;base64,AAAA"], {"n": 1}])
async def test_output_without_a_file(vendor: ReplicateServer, made: Provider, output: Any) -> None:
    vendor.output = output
    operation = await made.start(make_request(), SUBMISSION)
    with pytest.raises(PollFailed):
        await made.poll(operation)


async def test_progress(vendor: ReplicateServer, made: Provider) -> None:
    vendor.states, vendor.logs = (
        ["processing"],
        "loading\n  4%|▍    | 2/50\n 46%|████▌ | 23/50 [00:10<00:12]\n",
    )
    assert await made.poll(await made.start(make_request(), SUBMISSION)) == Running(progress=46.0)


@pytest.mark.parametrize("word", ["canceled", "aborted"])
async def test_cancelled(vendor: ReplicateServer, made: Provider, word: str) -> None:
    vendor.states = [word]
    answer = await made.poll(await made.start(make_request(), SUBMISSION))
    assert isinstance(answer, Failed)
    assert answer.code == "cancelled"


async def test_cancel(vendor: ReplicateServer, made: Provider) -> None:
    vendor.states = ["processing", "succeeded"]
    first, second = [await made.start(make_request(), SUBMISSION) for _ in range(2)]
    await made.poll(first)
    assert await made.cancel(first)
    assert isinstance(await made.poll(first), Failed)
    await made.poll(second)
    await made.poll(second)
    assert not await made.cancel(second)


async def test_capabilities(made: Provider) -> None:
    able = made.capabilities(KLING)
    assert (able.kinds, able.roles) == ({"video"}, {"first_frame", "last_frame"})
    assert (able.seconds, able.native_shots, able.cancel) == ((3, 15), True, True)
    assert made.capabilities("acme/film").kinds == {"video", "image", "audio"}
    assert made.capabilities("google/veo-3.1").lengths == (4, 6, 8)


# ---- models that only their published schema describes ----


@pytest.mark.parametrize("model", ["acme/film", "acme/film:abc123", "deployments/acme/film"])
async def test_schema_is_read_before_the_first_submission(
    vendor: ReplicateServer, made: Provider, model: str
) -> None:
    film = make_request(model, seed=7, media=(picture("source_video"),))
    with pytest.raises(UnsupportedWish):
        made.check(film)
    await made.start(make_request(model), SUBMISSION)
    made.check(film)
    await made.start(film, SUBMISSION)
    assert sent(vendor)["input"] == {"prompt": "A red kite", "seed": 7, "video": INLINE}
    with pytest.raises(UnsupportedWish) as caught:
        made.check(make_request(model, sound=False))
    assert caught.value.param == "generate_audio"


async def test_the_schema_names_fields_and_words(vendor: ReplicateServer, made: Provider) -> None:
    await made.start(make_request(WAN), SUBMISSION)
    assert made.capabilities(WAN).lengths == (5, 10, 15)
    media = (picture("first_frame"), picture("last_frame"), picture("audio"))
    asked = make_request(WAN, seconds=15, size="1920x1080", negative_prompt="rain", media=media)
    await made.start(asked, SUBMISSION)
    assert sent(vendor)["input"] == {
        "prompt": "A red kite", "duration": 15, "aspect_ratio": "16:9", "resolution": "1080p",
        "negative_prompt": "rain", "first_frame": INLINE, "last_frame": INLINE, "audio": INLINE,
    }  # fmt: skip
    assert vendor.counts["schema"] == 1


async def test_a_word_that_the_model_lacks_is_not_sent(vendor: ReplicateServer, made: Provider) -> None:
    with pytest.raises(UnsupportedWish) as caught:
        await made.start(make_request(extra={"camera_control": "pan"}), SUBMISSION)
    assert (caught.value.param, vendor.counts["submit"]) == ("camera_control", 0)


async def test_schema_that_is_not_told_leaves_the_prompt(vendor: ReplicateServer, made: Provider) -> None:
    vendor.publishes = False
    await made.start(make_request(WAN), SUBMISSION)
    with pytest.raises(UnsupportedWish):
        await made.start(make_request(WAN, seconds=5), SUBMISSION)
    assert vendor.counts["submit"] == 1


@pytest.mark.parametrize(
    ("status", "detail", "expected"),
    [
        (400, "NSFW content detected. Try running it again, or try a different prompt.", UpstreamModerated),
        (422, "The input was flagged as sensitive.", UpstreamModerated),
        (401, "NSFW is no reason for this", UpstreamAuthFailed),
        (402, "You have insufficient credit to run this model.", UpstreamQuotaExhausted),
        (422, "- input.seed: Must be a number", UpstreamRejected),
    ],
)
async def test_refused(
    vendor: ReplicateServer, made: Provider, status: int, detail: str, expected: type[UpstreamError]
) -> None:
    vendor.refuse = (status, {"title": "Refused", "detail": detail, "status": status}, {})
    with pytest.raises(UpstreamError) as caught:
        await made.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected


# ---- the vendor's own client ----


def test_own_client(vendor: ReplicateServer) -> None:
    vendor.reset()
    vendor.states = ["processing", "succeeded"]
    with httpx.HTTPTransport() as transport:
        client = replicate.Client(api_token=SECRET, base_url=vendor.url, transport=transport)
        client.poll_interval = 0.01
        one = client.models.predictions.create(model=SEEDANCE, input={"prompt": "A red kite"})
        assert one.status == "starting"
        one.wait()
        assert (one.status, one.output) == ("succeeded", f"{vendor.url}/files/{one.id}.mp4")
        assert one.metrics and one.metrics["predict_time"] == 41.5
        other = client.predictions.create(version="abc123", input={"prompt": "Another"})
        other.cancel()
        assert other.status == "canceled"
        deployed = client.deployments.predictions.create(deployment="acme/film", input={"prompt": "Third"})
        assert deployed.urls == {
            "get": f"{vendor.url}/v1/predictions/{deployed.id}",
            "cancel": f"{vendor.url}/v1/predictions/{deployed.id}/cancel",
        }
    assert vendor.seen[0].headers["authorization"] == f"Bearer {SECRET}"
