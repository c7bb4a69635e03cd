"""Runway against its simulator, which Runway's own SDK (runwayml) drives through a whole job."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest
import runwayml

from app.errors import (
    OutcomeUnknown,
    PollFailed,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role, Shot
from app.providers.base import AccountBalance, Failed, Provider, Queued, Running, Submission, Succeeded
from app.providers.model_facts import read_facts
from app.providers.runway.models import endpoints_of
from app.providers.runway.provider import RunwayProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_png
from tests.upstream.vendors.runway import RunwayServer
from tests.upstream.vendors.runway_schema import UNIONS, schemas
from tests.upstream.vendors.typed_dicts import fields_of, value_error

SUBMISSION = Submission("filmgate-0123")
INLINE = "data:image/png;base64," + base64.b64encode(tiny_png()).decode()


@pytest.fixture(scope="module")
def vendor() -> Iterator[RunwayServer]:
    with RunwayServer() as server:
        yield server


@pytest.fixture
async def runway(vendor: RunwayServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("runway", vendor) as provider:
        yield provider


def make_request(model: str = "gen4.5", **told: Any) -> GenerationRequest:
    return GenerationRequest(**{"kind": "video", "model": model, "prompt": "A red kite"} | told)


def item(role: Role, **told: Any) -> MediaInput:
    kind = "video/mp4" if "video" in role else "audio/mpeg" if role == "audio" else "image/png"
    return MediaInput(**{"role": role, "content_type": kind, "content": tiny_png()} | told)


def sent(vendor: RunwayServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vendor.seen[-1].body)
    return found


class TestContract(VendorContract):
    provider_name = "runway"
    routes: ClassVar = [("POST", r"/v1/[a-z_]+", "create"), ("GET", r"/v1/tasks/[^/]+", "poll")]
    states: ClassVar = {"queued": "THROTTLED", "running": "RUNNING", "done": "SUCCEEDED", "failed": "FAILED"}
    moderated: ClassVar = {"code": "SAFETY.INPUT.TEXT", "message": "Not this."}
    codes: ClassVar = {}

    def request(self) -> GenerationRequest:
        return make_request(seconds=5)


# ---- the vendor's own SDK ----


async def test_sdk(vendor: RunwayServer) -> None:
    vendor.reset()
    vendor.states = ["PENDING", "RUNNING", "SUCCEEDED"]
    async with runwayml.AsyncRunwayML(api_key=SECRET, base_url=vendor.url) as client:
        task = await client.image_to_video.create(
            model="gen4.5", prompt_image=INLINE, prompt_text="A red kite", ratio="1280:720", duration=5
        )
        looks = [await client.tasks.retrieve(task.id) for _ in range(3)]
        assert [look.status for look in looks] == ["PENDING", "RUNNING", "SUCCEEDED"]
        assert looks[-1].status == "SUCCEEDED"
        assert looks[-1].output[0].startswith(vendor.url)
        assert looks[-1].cost.credits == 25
        await client.tasks.delete(task.id)
        with pytest.raises(runwayml.NotFoundError):
            await client.tasks.retrieve(task.id)


async def test_says_what_the_sdk_says(vendor: RunwayServer, runway: Provider) -> None:
    async with runwayml.AsyncRunwayML(api_key=SECRET, base_url=vendor.url) as client:
        await client.text_to_video.create(
            model="veo3.1",
            prompt_text="A red kite",
            ratio="720:1280",
            duration=8,
            seed=7,
            negative_prompt="rain",
        )
    theirs = vendor.seen[-1]
    await runway.start(
        make_request("veo3.1", size="720x1280", seconds=8, seed=7, negative_prompt="rain"), SUBMISSION
    )
    ours = vendor.seen[-1]
    assert (ours.path, json.loads(ours.body)) == (theirs.path, json.loads(theirs.body))
    for name in ("authorization", "x-runway-version"):
        assert ours.headers[name] == theirs.headers[name]


async def test_balance_as_the_sdk_reads_it(vendor: RunwayServer, runway: Provider) -> None:
    async with runwayml.AsyncRunwayML(api_key=SECRET, base_url=vendor.url) as client:
        told = await client.organization.retrieve()
    theirs = vendor.seen[-1]
    assert (
        await runway.balance()
        == AccountBalance(1250, "credits")
        == AccountBalance(told.credit_balance, "credits")
    )
    ours = vendor.seen[-1]
    assert (ours.method, ours.path) == (theirs.method, theirs.path) == ("GET", "/v1/organization")


@pytest.mark.parametrize("endpoint", UNIONS)
def test_the_file_of_models_is_the_sdks(endpoint: str) -> None:
    """Each model, its fields, those it requires, and its words for shapes and qualities."""
    theirs = {model: typed for (where, model), typed in schemas().items() if where == endpoint}
    ours = {
        name: endpoints_of(name) for facts in read_facts("runway").models for name in facts.ids
    }  # fmt: skip
    assert {name for name, found in ours.items() if found and endpoint in found} == {
        m.lower() for m in theirs
    }
    for model, typed in theirs.items():
        fields, found = fields_of(typed), (endpoints_of(model) or {})[endpoint]
        assert found.takes == set(fields) - {"model"}
        assert found.needs == {name for name, (_, required) in fields.items() if required} - {"model"}
        for field, words in (("ratio", found.ratio), ("resolution", found.resolution)):
            assert all(value_error(fields[field][0], word, field) is None for word in words)


# ---- submit ----


async def test_text(vendor: RunwayServer, runway: Provider) -> None:
    asked = make_request(seed=7, extra={"contentModeration": {"publicFigureThreshold": "low"}})
    await runway.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/v1/text_to_video"
    assert sent(vendor) == {
        "model": "gen4.5", "promptText": "A red kite", "ratio": "1280:720", "duration": 5, "seed": 7,
        "contentModeration": {"publicFigureThreshold": "low"},
    }  # fmt: skip


async def test_first_and_last_frame(vendor: RunwayServer, runway: Provider) -> None:
    frames = (item("last_frame", content=None, url="https://pictures.test/z.png"), item("first_frame"))
    await runway.start(make_request("veo3.1", media=frames, size="1080x1920"), SUBMISSION)
    assert vendor.seen[-1].path == "/v1/image_to_video"
    assert sent(vendor)["ratio"] == "1080:1920"
    assert sent(vendor)["promptImage"] == [
        {"uri": INLINE, "position": "first"}, {"uri": "https://pictures.test/z.png", "position": "last"},
    ]  # fmt: skip


async def test_references_of_every_kind(vendor: RunwayServer, runway: Provider) -> None:
    media = (item("reference_image"), item("reference_video"), item("audio"))
    await runway.start(make_request("seedance2", media=media, extra={"audio": True}), SUBMISSION)
    told = sent(vendor)
    assert told["references"] == [{"uri": INLINE}]
    assert told["referenceVideos"][0]["type"] == "video"
    assert told["referenceAudio"][0]["uri"].startswith("data:audio/mpeg;base64,")
    assert told["audio"] is True


@pytest.mark.parametrize(
    ("model", "field", "more"),
    [
        ("aleph2", "videoUri", {"targetAspectRatio": "9:16"}), ("kling_4", "videoUri", {}),
        ("seedance2_5", "promptVideo", {"mode": "edit", "ratio": "720:1280"}),
        ("klingO3_pro", "promptVideo", {}),
    ],
)  # fmt: skip
async def test_source_video(
    vendor: RunwayServer, runway: Provider, model: str, field: str, more: dict[str, Any]
) -> None:
    shape = "9:16" if more and model != "kling_4" else None
    asked = make_request(model, action="edit", media=(item("source_video"),), aspect_ratio=shape)
    await runway.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/v1/video_to_video"
    told = sent(vendor)
    assert told.pop(field).startswith("data:video/mp4;base64,")
    assert told == {"model": model, "promptText": "A red kite", **more}


async def test_image(vendor: RunwayServer, runway: Provider) -> None:
    asked = make_request(
        "gen4_image", kind="image", media=(item("reference_image"),), size="1920x1080", seed=3
    )
    operation = await runway.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/v1/text_to_image"
    assert sent(vendor) == {
        "model": "gen4_image", "promptText": "A red kite", "ratio": "1920:1080", "seed": 3,
        "referenceImages": [{"uri": INLINE}],
    }  # fmt: skip
    answer = await runway.poll(operation)
    assert isinstance(answer, Succeeded)
    assert (answer.files[0].kind, answer.usage) == ("image", {"credits": 25})


async def test_storyboard(vendor: RunwayServer, runway: Provider) -> None:
    shots = (Shot(seconds=3, prompt="A kite"), Shot(seconds=4, prompt="A tree"))
    await runway.start(make_request("kling3.0_pro", shots=shots, seconds=7), SUBMISSION)
    told = sent(vendor)
    assert (told["duration"], told["ratio"]) == (7, "1920:1080")
    assert told["providerSettings"] == {
        "shotType": "customize",
        "multiPrompt": [{"prompt": "A kite", "duration": 3}, {"prompt": "A tree", "duration": 4}],
    }


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (make_request("veo3.1", size="1792x1024"), {"ratio": "1920:1080"}),
        (make_request("veo3.1", aspect_ratio="9:16", resolution="1080p"), {"ratio": "1080:1920"}),
        (make_request("seedance2", aspect_ratio="1:1", resolution="4k"), {"ratio": "3840:3840"}),
        (make_request("seedance2"), {}),
        (make_request("hailuo3", size="1280x720"), {"ratio": "16:9", "resolution": "768p"}),
        (
            make_request("hailuo3", aspect_ratio="21:9", resolution="2K"),
            {"ratio": "21:9", "resolution": "2k"},
        ),
        (make_request("h3_max", resolution="480p"), {"resolution": "480p"}),
        (
            make_request("happyhorse_1_0", size="1080x1920", media=(item("first_frame"),)),
            {"resolution": "1080p"},
        ),
        (make_request("wan3", size="1920x1080", media=(item("first_frame"),)), {"ratio": "1920:1080"}),
        (make_request("wan3", resolution="1080p", media=(item("first_frame"),)), {"ratio": "auto_1080p"}),
        (make_request("kling_4", size="1920x1080", media=(item("first_frame"),)), {"ratio": "auto_1080p"}),
        (make_request("h3_max", size="848x480"), {"resolution": "480p"}),
        (make_request("model-of-2027", size="1000x500"), {"ratio": "1000:500"}),
        (
            make_request("model-of-2027", aspect_ratio="2:1", resolution="8k"),
            {"ratio": "2:1", "resolution": "8k"},
        ),
    ],
)
async def test_sizes(
    vendor: RunwayServer, runway: Provider, asked: GenerationRequest, told: dict[str, Any]
) -> None:
    await runway.start(asked, SUBMISSION)
    assert {name: sent(vendor)[name] for name in ("ratio", "resolution") if name in sent(vendor)} == told


LARGE = b"\0" * 6_000_000


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(negative_prompt="rain"), "negative_prompt"),
        (make_request(watermark=True), "watermark"),
        (make_request(extra={"outputFormat": "prores"}), "outputFormat"),
        (make_request("aleph2", size="1280x720"), "source_video"),
        (make_request("gen4_turbo"), "first_frame"),
        (make_request("gen4.5", sound=True), "generate_audio"),
        (make_request("klingO3_pro", media=(item("reference_image"),)), "reference_image"),
        (make_request("gemini_omni_flash", media=(item("reference_image"),)), "reference_image"),
        (make_request("kling_4", media=(item("source_video"),), seconds=5), "seconds"),
        (make_request("kling_4", action="extend", media=(item("source_video"),)), "video"),
        (make_request("kling_4", media=(item("source_video"),), aspect_ratio="1:1"), "aspect_ratio"),
        (make_request("gen4.5", size="960x960"), "size"),
        (make_request("gen4.5", resolution="1080p"), "resolution"),
        (make_request("h3_max", size="720x1280"), "size"),
        (make_request("hailuo3", size="1920x1080"), "size"),
        (make_request("gen4_image", kind="image", seconds=5), "seconds"),
        (make_request("kling_4", media=(item("reference_image"),) * 11), "reference_image"),
        (make_request("kling_4", seed=1), "seed"),
        (make_request(seconds=1.5), "seconds"),
        (make_request("gen4.5", size="300x900"), "size"),
        (make_request("gen4.5", aspect_ratio="odd"), "aspect_ratio"),
        (make_request("gen4.5", resolution="tall"), "resolution"),
        (make_request("hailuo3", resolution="480p"), "resolution"),
        (make_request("klingO3_pro", media=(item("source_video"),), size="1280x720"), "size"),
        (make_request("aleph2", media=(item("source_video"),), resolution="1080p"), "resolution"),
        (make_request("aleph2", media=(item("source_video"),), seconds=5), "seconds"),
        (make_request(media=(item("last_frame"),)), "last_frame"),
        (make_request("seedance2", media=(item("source_video"), item("first_frame"))), "first_frame"),
        (make_request("seedance2", action="remix"), "video"),
        (make_request("aleph2", media=(item("source_video", content=LARGE),)), "source_video"),
        (make_request(media=(item("first_frame", content=None, url="http://a.test/x.png"),)), "first_frame"),
        (make_request("kling3.0_pro", shots=(Shot(seconds=1.5, prompt="A"),)), "shots"),
    ],
    ids=str,
)
async def test_what_cannot_be_told_is_refused(
    vendor: RunwayServer, runway: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await runway.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.seen == []


async def test_large_input_goes_by_its_address(vendor: RunwayServer, runway: Provider) -> None:
    video = item("source_video", content=LARGE, url="https://videos.test/a.mp4")
    await runway.start(make_request("aleph2", media=(video,)), SUBMISSION)
    assert sent(vendor)["videoUri"] == "https://videos.test/a.mp4"


async def test_refusals(vendor: RunwayServer, runway: Provider) -> None:
    vendor.refuse = (400, {"error": "You do not have enough credits to run this task."}, {})
    with pytest.raises(UpstreamQuotaExhausted):
        await runway.start(make_request(), SUBMISSION)
    unsafe = {"error": "Your input did not pass our filter.", "failureCode": "SAFETY.INPUT.TEXT"}
    vendor.refuse = (400, unsafe, {})
    with pytest.raises(UpstreamModerated):
        await runway.start(make_request(), SUBMISSION)
    vendor.refuse = (429, {"error": "Daily limit"}, {"Retry-After": "9"})
    with pytest.raises(UpstreamBusy) as caught:
        await runway.start(make_request(), SUBMISSION)
    assert caught.value.retry_after == 9.0
    vendor.refuse = (200, {}, {})
    with pytest.raises(OutcomeUnknown):
        await runway.start(make_request(), SUBMISSION)


# ---- looks ----


async def test_progress_and_waiting(vendor: RunwayServer, runway: Provider) -> None:
    vendor.states = ["PENDING", "THROTTLED", "RUNNING", "CANCELLED"]
    operation = await runway.start(make_request(), SUBMISSION)
    assert await runway.poll(operation) == Queued()
    assert await runway.poll(operation) == Queued()
    assert await runway.poll(operation) == Running(progress=45.0)
    assert await runway.poll(operation) == Failed("cancelled", "The task was cancelled.")


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        ("SAFETY.OUTPUT.VIDEO", "content_policy_violation"),
        ("INPUT_PREPROCESSING.SAFETY.TEXT", "content_policy_violation"),
        ("INTERNAL.BAD_OUTPUT.CODE01", "upstream_error"),
        ("ASSET.INVALID", "upstream_error"),
        ("", "upstream_error"),
    ],
)
async def test_failures(vendor: RunwayServer, runway: Provider, code: str, ours: str) -> None:
    vendor.states, vendor.failure = ["FAILED"], {"code": code}
    answer = await runway.poll(await runway.start(make_request(), SUBMISSION))
    assert answer == Failed(ours, "Runway gave no reason.")


async def test_cancel(vendor: RunwayServer, runway: Provider) -> None:
    operation = await runway.start(make_request(), SUBMISSION)
    assert await runway.cancel(operation) is True
    assert await runway.cancel(operation) is False


async def test_balance_that_is_not_told(vendor: RunwayServer, runway: Provider) -> None:
    vendor.refuse_poll = (200, {"tier": {}}, {})
    with pytest.raises(PollFailed):
        await runway.balance()
    vendor.keys = ["another"]
    with pytest.raises(UpstreamAuthFailed) as caught:
        await runway.balance()
    assert SECRET not in str(caught.value)


def test_capabilities(vendor: RunwayServer) -> None:
    known = RunwayProvider.capabilities
    speaks = RunwayProvider.__new__(RunwayProvider)
    assert known(speaks, "veo3.1").lengths == (4, 6, 8)
    assert known(speaks, "model-of-2027").seconds is None
    assert known(speaks, "gen4.5").sizes >= {"1280x720", "720x1280", "1584x672"}
    assert known(speaks, "gen4.5").seconds == (2, 10)
    assert known(speaks, "aleph2").remix is True
    assert known(speaks, "kling3.0_pro").native_shots is True
    assert known(speaks, "gen4_image").kinds == {"image"}
    assert known(speaks, "veo3.1").cancel is True
