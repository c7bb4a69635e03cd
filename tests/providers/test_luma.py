"""Luma against its simulator, which Luma's own SDKs (lumaai, luma-agents) drive through whole jobs."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import luma_agents
import lumaai
import pytest

from app.errors import (
    InvalidRequest,
    OutcomeUnknown,
    PollFailed,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.base import (
    Account,
    AccountBalance,
    Failed,
    Operation,
    Provider,
    Queued,
    Running,
    Submission,
    Succeeded,
)
from app.providers.luma.provider import LumaProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_png
from tests.upstream.vendors.luma import LumaServer

SUBMISSION = Submission("filmgate-0123")
EARLIER = Submission("filmgate-0124", remix_operation=Operation(id="g-earlier"))
LINK = "https://pictures.test/a.png"
INLINE = {"data": base64.b64encode(tiny_png()).decode(), "media_type": "image/png"}


@pytest.fixture(scope="module")
def vendor() -> Iterator[LumaServer]:
    with LumaServer() as server:
        yield server


@pytest.fixture
async def legacy(vendor: LumaServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("luma", vendor, at="/dream-machine/v1") as provider:
        yield provider


@pytest.fixture
async def agents(vendor: LumaServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("luma", vendor, at="/v1", api="agents") as provider:
        yield provider


def make_request(model: str = "ray-2", **told: Any) -> GenerationRequest:
    return GenerationRequest(**{"kind": "video", "model": model, "prompt": "A red kite"} | told)


def item(role: Role, **told: Any) -> MediaInput:
    kind = "video/mp4" if "video" in role else "image/png"
    return MediaInput(**{"role": role, "content_type": kind, "content": tiny_png(), "url": LINK} | told)


def sent(vendor: LumaServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vendor.seen[-1].body)
    return found


class TestDreamMachine(VendorContract):
    provider_name = "luma"
    routes: ClassVar = [
        ("POST", r"/dream-machine/v1/generations/.+", "create"),
        ("GET", r"/dream-machine/v1/generations/[^/]+", "poll"),
    ]
    states: ClassVar = {"queued": "queued", "running": "dreaming", "done": "completed", "failed": "failed"}
    moderated: ClassVar = {"message": "400: Advanced moderation failed"}
    codes: ClassVar = {}

    def account(self, origin: str) -> Account:
        base_url = f"{origin}/dream-machine/v1"
        return Account(id="a1", provider="luma", name="fake", base_url=base_url, secret=SECRET)

    def request(self) -> GenerationRequest:
        return make_request(seconds=5)

    async def test_moderated_on_submit(self, upstream: FakeUpstream, provider: Provider) -> None:
        """Luma has no code for it."""
        said = {"detail": f"Prompt not allowed because advanced moderation failed {SECRET}"}
        upstream.fault("create", status=400, body=said)
        await self.refused(provider, UpstreamModerated)


class TestAgents(VendorContract):
    provider_name = "luma"
    routes: ClassVar = [("POST", r"/v1/generations", "create"), ("GET", r"/v1/generations/[^/]+", "poll")]
    states: ClassVar = {"queued": "queued", "running": "processing", "done": "completed", "failed": "failed"}
    moderated: ClassVar = {"code": "content_moderated", "message": "Not this."}
    codes: ClassVar = {}

    def account(self, origin: str) -> Account:
        return Account(
            id="a1", provider="luma", name="fake", base_url=f"{origin}/v1", secret=SECRET,
            options={"api": "agents"},
        )  # fmt: skip

    def request(self) -> GenerationRequest:
        return make_request("ray-3.2", seconds=5)


# ---- the vendor's own SDKs ----


async def test_legacy_sdk(vendor: LumaServer) -> None:
    vendor.reset()
    vendor.states = ["dreaming", "completed"]
    base_url = f"{vendor.url}/dream-machine/v1"
    async with lumaai.AsyncLumaAI(auth_token=SECRET, base_url=base_url) as client:
        made = await client.generations.video.create(
            model="ray-2", prompt="A red kite", duration="5s", resolution="720p", aspect_ratio="16:9",
            keyframes={"frame0": {"type": "image", "url": LINK}},
        )  # fmt: skip
        assert made.id
        looks = [await client.generations.get(made.id) for _ in range(2)]
        assert [look.state for look in looks] == ["dreaming", "completed"]
        assert looks[1].assets
        assert str(looks[1].assets.video).startswith(vendor.url)
        await client.generations.delete(made.id)
        with pytest.raises(lumaai.NotFoundError):
            await client.generations.get(made.id)


async def test_balance_as_the_legacy_sdk_reads_it(vendor: LumaServer, legacy: Provider) -> None:
    base_url = f"{vendor.url}/dream-machine/v1"
    async with lumaai.AsyncLumaAI(auth_token=SECRET, base_url=base_url) as client:
        told = await client.credits.get()
    theirs = vendor.seen[-1]
    assert (
        await legacy.balance()
        == AccountBalance(1234.5, "USD cents")
        == AccountBalance(told.credit_balance, "USD cents")
    )
    ours = vendor.seen[-1]
    assert (ours.method, ours.path) == (theirs.method, theirs.path) == ("GET", "/dream-machine/v1/credits")


async def test_agents_sdk(vendor: LumaServer) -> None:
    vendor.reset()
    vendor.states = ["processing", "completed"]
    async with luma_agents.AsyncLuma(auth_token=SECRET, base_url=f"{vendor.url}/v1") as client:
        made = await client.generations.create(
            model="ray-3.2", type="video", prompt="A red kite", video={"duration": "5s", "resolution": "720p"}
        )
        looks = [await client.generations.get(made.id) for _ in range(2)]
        assert [look.state for look in looks] == ["processing", "completed"]
        assert looks[1].output
        assert looks[1].output[0].url.startswith(vendor.url)


async def test_says_what_the_sdks_say(vendor: LumaServer, legacy: Provider) -> None:
    base_url = f"{vendor.url}/dream-machine/v1"
    async with lumaai.AsyncLumaAI(auth_token=SECRET, base_url=base_url) as client:
        await client.generations.video.create(
            model="ray-2", prompt="A red kite", duration="9s", resolution="1080p", aspect_ratio="9:16", loop=True,
            generation_type="video", keyframes={"frame1": {"type": "image", "url": LINK}},
        )  # fmt: skip
    theirs = vendor.seen[-1]
    asked = make_request(seconds=9, size="1080x1920", media=(item("last_frame"),), extra={"loop": True})
    await legacy.start(asked, SUBMISSION)
    assert (vendor.seen[-1].path, sent(vendor)) == (theirs.path, json.loads(theirs.body))
    assert vendor.seen[-1].headers["authorization"] == theirs.headers["authorization"]


async def test_says_what_the_agents_sdk_says(vendor: LumaServer, agents: Provider) -> None:
    async with luma_agents.AsyncLuma(auth_token=SECRET, base_url=f"{vendor.url}/v1") as client:
        await client.generations.create(
            model="ray-3.2", type="video", prompt="A red kite", aspect_ratio="16:9",
            video={"duration": "5s", "resolution": "720p", "start_frame": {**INLINE}, "loop": False},
        )  # fmt: skip
    theirs = vendor.seen[-1]
    asked = make_request(
        "ray-3.2", seconds=5, size="1280x720", media=(item("first_frame"),),
        extra={"video": {"loop": False}},
    )  # fmt: skip
    await agents.start(asked, SUBMISSION)
    assert (vendor.seen[-1].path, sent(vendor)) == (theirs.path, json.loads(theirs.body))


async def test_says_what_the_agents_sdk_says_of_long_videos(vendor: LumaServer, agents: Provider) -> None:
    """Ten seconds take their pictures as keyframes, at places in 24 frames a second."""
    async with luma_agents.AsyncLuma(auth_token=SECRET, base_url=f"{vendor.url}/v1") as client:
        await client.generations.create(
            model="ray-3.2", type="video", prompt="A red kite",
            video={"duration": "10s", "keyframes": [{**INLINE}, {**INLINE}], "keyframe_indexes": [0, 240]},
        )  # fmt: skip
    theirs = vendor.seen[-1]
    media = (item("first_frame"), item("last_frame"))
    await agents.start(make_request("ray-3.2", seconds=10, media=media), SUBMISSION)
    assert (vendor.seen[-1].path, sent(vendor)) == (theirs.path, json.loads(theirs.body))


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (400, {"detail": "Insufficient credits"}, UpstreamQuotaExhausted),
        (403, {"detail": "Insufficient credits"}, UpstreamQuotaExhausted),
        (400, {"detail": {"code": "budget_exhausted", "message": "No."}}, UpstreamQuotaExhausted),
        (400, {"code": "budget_exhausted", "detail": "No."}, UpstreamQuotaExhausted),
        (422, {"detail": {"code": "content_moderated", "message": "No."}}, UpstreamModerated),
        (429, {"detail": {"code": "rate_limited", "message": "No."}}, UpstreamBusy),
        (400, {"detail": "Prompt not allowed because advanced moderation failed"}, UpstreamModerated),
        (422, {"detail": "Invalid prompt"}, UpstreamRejected),
    ],
)
async def test_codes_and_texts_of_refusals(
    vendor: LumaServer, agents: Provider, legacy: Provider, status: int, said: dict[str, Any], expected: type
) -> None:
    for provider, model in ((legacy, "ray-2"), (agents, "ray-3.2")):
        vendor.refuse = (status, said, {})
        with pytest.raises(UpstreamError) as caught:
            await provider.start(make_request(model), SUBMISSION)
        assert type(caught.value) is expected


# ---- Dream Machine ----


async def test_legacy_extension(vendor: LumaServer, legacy: Provider) -> None:
    await legacy.start(make_request(action="extend", media=(item("last_frame"),)), EARLIER)
    assert sent(vendor)["keyframes"] == {
        "frame0": {"type": "generation", "id": "g-earlier"}, "frame1": {"type": "image", "url": LINK},
    }  # fmt: skip


async def test_legacy_source_video(vendor: LumaServer, legacy: Provider) -> None:
    media = (item("source_video", url="https://videos.test/a.mp4"), item("first_frame"))
    await legacy.start(make_request(action="edit", media=media, extra={"mode": "adhere_1"}), SUBMISSION)
    assert vendor.seen[-1].path.endswith("/generations/video/modify")
    assert sent(vendor) == {
        "model": "ray-2", "prompt": "A red kite", "generation_type": "modify_video", "mode": "adhere_1",
        "media": {"url": "https://videos.test/a.mp4"}, "first_frame": {"url": LINK},
    }  # fmt: skip


async def test_legacy_image(vendor: LumaServer, legacy: Provider) -> None:
    asked = make_request("photon-1", kind="image", size="1024x1024", media=(item("reference_image"),))
    operation = await legacy.start(asked, SUBMISSION)
    assert sent(vendor) == {
        "model": "photon-1", "prompt": "A red kite", "generation_type": "image", "aspect_ratio": "1:1",
        "format": "png", "image_ref": [{"url": LINK}],
    }  # fmt: skip
    answer = await legacy.poll(operation)
    assert isinstance(answer, Succeeded)
    assert [(file.kind, str(file.url)[-4:]) for file in answer.files] == [("image", ".jpg")]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(seed=1), "seed"),
        (make_request(watermark=True), "watermark"),
        (make_request(sound=True), "generate_audio"),
        (make_request(size="900x1000"), "size"),
        (make_request(extra={"keyframes": {}}), "keyframes"),
        (make_request("photon-1", kind="image", seconds=5), "seconds"),
        (make_request("photon-1", kind="image", media=(item("reference_image"),) * 5), "reference_image"),
        (make_request(negative_prompt="rain"), "negative_prompt"),
        (make_request(aspect_ratio="2:1"), "aspect_ratio"),
        (make_request(resolution="8k"), "resolution"),
        (make_request(media=(item("first_frame", url=None),)), "first_frame"),
        (make_request(media=(item("audio"),)), "audio"),
        (make_request(action="remix"), "video"),
        (make_request(action="extend"), "video"),
        (make_request(action="extend", media=(item("source_video"),)), "video"),
        (make_request(action="edit", seconds=5, media=(item("source_video"),)), "seconds"),
        (make_request(kind="audio"), "model"),
    ],
    ids=str,
)
async def test_legacy_refuses(
    vendor: LumaServer, legacy: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await legacy.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.seen == []


async def test_looks_and_usage(vendor: LumaServer, legacy: Provider) -> None:
    vendor.states = ["queued", "dreaming", "completed"]
    operation = await legacy.start(make_request(seconds=5, size="1280x720"), SUBMISSION)
    assert await legacy.poll(operation) == Queued()
    assert await legacy.poll(operation) == Running()
    answer = await legacy.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.usage == {"seconds": 5.0, "resolution": "720p"}
    assert [file.url for file in answer.files] == [f"{vendor.url}/files/{operation.id}.mp4"]


async def test_moderation_that_could_not_look(vendor: LumaServer, legacy: Provider) -> None:
    vendor.states, vendor.failure = ["failed"], {"message": "400: failed to moderate image"}
    answer = await legacy.poll(await legacy.start(make_request(), SUBMISSION))
    assert answer == Failed("upstream_error", "400: failed to moderate image")


async def test_cancel(vendor: LumaServer, legacy: Provider) -> None:
    operation = await legacy.start(make_request(), SUBMISSION)
    assert await legacy.cancel(operation) is True
    assert await legacy.cancel(operation) is False


# ---- Agents ----


@pytest.mark.parametrize("action", ["remix", "edit"])
async def test_agents_change_their_own(vendor: LumaServer, agents: Provider, action: str) -> None:
    await agents.start(make_request("ray-3.2", action=action, media=(item("source_video"),)), EARLIER)
    assert sent(vendor)["type"] == "video_edit"
    assert sent(vendor)["source"] == {"generation_id": "g-earlier"}


async def test_agents_edit_a_video(vendor: LumaServer, agents: Provider) -> None:
    options = {"video": {"edit": {"strength": "adhere_2"}}}
    await agents.start(
        make_request("ray-3.2", action="edit", media=(item("source_video"),), extra=options), SUBMISSION
    )
    assert sent(vendor)["source"]["media_type"] == "video/mp4"
    assert sent(vendor)["video"] == {"edit": {"strength": "adhere_2"}}


async def test_agents_extension(vendor: LumaServer, agents: Provider) -> None:
    await agents.start(make_request("ray-3.2", action="extend", seconds=5), EARLIER)
    assert sent(vendor)["video"] == {"duration": "5s", "start_frame": {"generation_id": "g-earlier"}}
    assert sent(vendor)["type"] == "video"


@pytest.mark.parametrize(("action", "source"), [("generate", None), ("edit", INLINE)])
async def test_agents_image(
    vendor: LumaServer, agents: Provider, action: str, source: dict[str, str] | None
) -> None:
    pictures = (item("reference_image"),) * 2
    asked = make_request("uni-1", kind="image", action=action, aspect_ratio="3:2", media=pictures)
    operation = await agents.start(asked, SUBMISSION)
    told = sent(vendor)
    assert (told["type"], told.get("source")) == ("image_edit" if source else "image", source)
    assert told["image_ref"] == [INLINE] * (1 if source else 2)
    answer = await agents.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].kind == "image"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request("ray-3.2", action="extend"), "video"),
        (make_request("ray-2"), "model"),
        (make_request("ray-3.2", watermark=True), "watermark"),
        (make_request("ray-3.2", extra={"web_search": True}), "web_search"),
        (make_request("ray-3.2", extra={"video": {"hdr": True}}), "video.hdr"),
        (make_request("ray-3.2", extra={"video": {"Duration": "99s"}}), "video.Duration"),
        (make_request("ray-3.2", extra={"video": "fast"}), "video"),
        (make_request("ray-3.2", size="3840x2160"), "size"),
        (make_request("uni-1", kind="image", seconds=5), "seconds"),
        (make_request("ray-3.2", action="edit"), "video"),
        (make_request("ray-3.2", action="edit", seconds=5, media=(item("source_video"),)), "seconds"),
        (make_request("ray-3.2", aspect_ratio="9:21"), "aspect_ratio"),
        (make_request("uni-1", kind="image", action="edit"), "image"),
        (make_request("uni-1", kind="image", media=(item("reference_image"),) * 10), "reference_image"),
        (make_request("ray-3.2", media=(item("first_frame", content=None, url=None),)), "first_frame"),
    ],
    ids=str,
)
async def test_agents_refuse(
    vendor: LumaServer, agents: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await agents.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.seen == []


async def test_agents_cannot_cancel(vendor: LumaServer, agents: Provider) -> None:
    operation = await agents.start(make_request("ray-3.2"), SUBMISSION)
    assert await agents.cancel(operation) is False
    assert agents.capabilities("ray-3.2").cancel is False


# ---- the rest ----


async def test_refusals(vendor: LumaServer, legacy: Provider) -> None:
    vendor.refuse = (402, {"detail": "Insufficient credits"}, {})
    with pytest.raises(UpstreamQuotaExhausted):
        await legacy.start(make_request(), SUBMISSION)
    vendor.refuse = (201, {"state": "queued"}, {})
    with pytest.raises(OutcomeUnknown):
        await legacy.start(make_request(), SUBMISSION)


async def test_balance_that_is_not_told(vendor: LumaServer, legacy: Provider) -> None:
    vendor.refuse_poll = (200, {"credit_balance": None}, {})
    with pytest.raises(PollFailed):
        await legacy.balance()
    vendor.keys = ["another"]
    with pytest.raises(UpstreamAuthFailed) as caught:
        await legacy.balance()
    assert SECRET not in str(caught.value)


async def test_agents_tell_no_balance(vendor: LumaServer, agents: Provider) -> None:
    assert await agents.balance() is None
    assert vendor.seen == []


def test_addresses() -> None:
    def at(**options: Any) -> str:
        return LumaProvider.base_url_for(Account(id="a", provider="luma", name="n", options=options))

    assert at() == "https://api.lumalabs.ai/dream-machine/v1"
    assert at(api="agents") == "https://agents.lumalabs.ai/v1"
    with pytest.raises(InvalidRequest) as caught:
        at(api="other")
    assert caught.value.param == "options.api"


async def test_capabilities(legacy: Provider, agents: Provider) -> None:
    assert legacy.capabilities("").kinds == {"video", "image"}
    assert legacy.capabilities("ray-2").lengths == (5, 9)
    assert agents.capabilities("ray-3.2").lengths == (5, 10)
    assert agents.capabilities("ray-4").seconds is None
    assert legacy.capabilities("photon-1").kinds == {"image"}
    assert agents.capabilities("ray-3.2").remix is True
    assert agents.capabilities("uni-1-max").kinds == {"image"}
