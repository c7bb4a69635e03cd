"""Black Forest Labs against its simulator. BFL publishes no Python SDK; the field names are those of its API
reference and of the Vercel AI SDK's provider for it."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest

from app.errors import (
    InvalidRequest,
    OperationNotFound,
    OutcomeUnknown,
    PollFailed,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.base import AccountBalance, Failed, Operation, Provider, Running, Submission, Succeeded
from app.providers.bfl.provider import poll_location
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_png
from tests.upstream.vendors.bfl import BFLServer
from tests.upstream.vendors.front import FaultyFront

SUBMISSION = Submission("filmgate-0123")
VIDEO, PICTURE = "flux-3-video", "flux-2-pro"
BARE = base64.b64encode(tiny_png()).decode()


@pytest.fixture(scope="module")
def vendor() -> Iterator[BFLServer]:
    with BFLServer() as server:
        yield server


@pytest.fixture
def region(vendor: BFLServer) -> Iterator[BFLServer]:
    """Another host of the vendor's, which alone can tell of the tasks."""
    with BFLServer() as server:
        server.home = vendor
        yield server


@pytest.fixture
async def flux(vendor: BFLServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("bfl", vendor) as provider:
        yield provider


def make_request(model: str = VIDEO, **told: Any) -> GenerationRequest:
    kind = "video" if "video" in model else "image"
    return GenerationRequest(**{"kind": kind, "model": model, "prompt": "A red kite", **told})


def picture(role: Role = "first_frame") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def clip() -> MediaInput:
    return MediaInput(role="source_video", content_type="video/mp4", content=b"mp4")


def sent(vendor: BFLServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(s for s in reversed(vendor.seen) if s.method == "POST").body)
    return found


class TestContract(VendorContract):
    provider_name = "bfl"
    routes = [("POST", r"/v1/[^/]+", "create"), ("GET", r"/v1/get_result", "poll")]  # noqa: RUF012
    states = {"queued": "Pending", "running": "Pending", "done": "Ready", "failed": "Error"}  # noqa: RUF012
    moderated: ClassVar[dict[str, Any]] = {}

    def request(self) -> GenerationRequest:
        return make_request(seconds=5)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        return {"detail": message} | ({"code": code} if code == "moderation_blocked" else {})

    @pytest.fixture
    def upstream(self, vendor: BFLServer) -> Iterator[FakeUpstream]:
        vendor.reset()
        with FaultyFront(vendor, self.routes) as front:
            vendor.cluster = front.url
            yield front

    async def test_from_accepted_to_done(self, upstream: FakeUpstream, provider: Provider) -> None:
        """BFL has one word for waiting and for being made."""
        upstream.script(statuses=["Pending", "Ready"])
        operation = await self.start(provider)
        assert "://" not in operation.model_dump_json()
        assert await provider.poll(operation) == Running(progress=25.0)
        assert isinstance(await provider.poll(operation), Succeeded)

    async def test_moderated_while_running(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.script(statuses=["Content Moderated"])
        answer = await provider.poll(await self.start(provider))
        assert isinstance(answer, Failed)
        assert answer.code == "content_policy_violation"


# ---- videos ----


async def test_text(vendor: BFLServer, flux: Provider) -> None:
    asked = make_request(
        seconds=8, size="1920x1080",
        sound=False, extra={"safety_tolerance": 2, "draft": True},
    )  # fmt: skip
    operation = await flux.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/v1/flux-3-video"
    assert vendor.seen[-1].headers["x-key"] == SECRET
    assert "authorization" not in vendor.seen[-1].headers
    assert sent(vendor) == {
        "mode": "t2v", "prompt": "A red kite", "duration": 8, "aspect_ratio": "16:9", "resolution": "fhd",
        "generate_audio": False, "safety_tolerance": 2, "draft": True,
    }  # fmt: skip
    assert operation.data == {
        "kind": "video", "usage": {"cost": 3.0, "input_mp": 0.0, "output_mp": 1.05},
        "path": "/v1/get_result", "task": operation.id,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (make_request(media=(picture(),)), {"mode": "i2v", "keyframes": [BARE]}),
        (make_request(media=(picture(), picture("last_frame"))), {"mode": "i2v", "keyframes": [BARE, BARE]}),
        (make_request(action="extend", media=(clip(),)), {"mode": "v2v", "start_video": "bXA0"}),
        (make_request(resolution="720P"), {"mode": "t2v", "resolution": "hd"}),
        (
            make_request(resolution="FHD", aspect_ratio="2:1"),
            {"mode": "t2v", "resolution": "fhd", "aspect_ratio": "2:1"},
        ),
    ],
)
async def test_modes(
    vendor: BFLServer, flux: Provider, asked: GenerationRequest, expected: dict[str, Any]
) -> None:
    await flux.start(asked, SUBMISSION)
    assert sent(vendor) == {"prompt": "A red kite", **expected}


async def test_picture_known_by_address(vendor: BFLServer, flux: Provider) -> None:
    frame = MediaInput(role="first_frame", content_type="image/png", url="https://pictures.test/a.png")
    await flux.start(make_request(media=(frame,)), SUBMISSION)
    assert sent(vendor)["keyframes"] == ["https://pictures.test/a.png"]


# ---- pictures ----


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (make_request(PICTURE, size="1920x1080", seed=7), {"width": 1920, "height": 1088, "seed": 7}),
        (make_request(PICTURE, media=(picture("first_frame"), picture("reference_image"))),
         {"input_image": BARE, "input_image_2": BARE}),
        (make_request("flux-kontext-pro", aspect_ratio="7:3"), {"aspect_ratio": "7:3"}),
        (make_request("flux-kontext-max", size="720x1280"), {"aspect_ratio": "9:16"}),
        (make_request("flux-pro-1.1", size="1024x760", media=(picture("reference_image"),)),
         {"width": 1024, "height": 768, "image_prompt": BARE}),
        (make_request("flux-pro-1.1-ultra", size="2048x2048"), {"aspect_ratio": "1:1"}),
    ],
)  # fmt: skip
async def test_picture(
    vendor: BFLServer, flux: Provider, asked: GenerationRequest, expected: dict[str, Any]
) -> None:
    operation = await flux.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == f"/v1/{asked.model}"
    assert sent(vendor) == {"prompt": "A red kite", **expected}
    answer = await flux.poll(operation)
    assert isinstance(answer, Succeeded)
    assert [(file.kind, file.content_type) for file in answer.files] == [("image", "image/jpeg")]
    assert answer.usage == {"cost": 3.0, "input_mp": 0.0, "output_mp": 1.05, "seed": 42}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(extra={"duration": 20}), "duration"),
        (make_request(extra={"mode": "v2v"}), "mode"),
        (make_request(extra={"webhook_url": "https://evil.test/"}), "webhook_url"),
        (make_request(extra={"input_image_3": "https://elsewhere.test/a.png"}), "input_image_3"),
        (make_request(seed=7), "seed"),
        (make_request(negative_prompt="rain"), "negative_prompt"),
        (make_request(seconds=5.5), "seconds"),
        (make_request(aspect_ratio="3:2"), "aspect_ratio"),
        (make_request(resolution="4k"), "resolution"),
        (make_request(watermark=True), "watermark"),
        (make_request(media=(picture("last_frame"),)), "last_frame"),
        (make_request(media=(picture("reference_image"),)), "reference_image"),
        (make_request(media=(clip(),)), "video"),
        (make_request(action="extend"), "video"),
        (make_request(action="extend", media=(clip(), picture())), "first_frame"),
        (make_request(action="edit", media=(clip(),)), "video"),
        (make_request(PICTURE, aspect_ratio="16:9"), "aspect_ratio"),
        (make_request(PICTURE, seconds=4), "seconds"),
        (make_request("flux-dev", media=(picture(), picture())), "first_frame"),
        (make_request("flux-2/../credits"), "model"),
        (make_request(PICTURE, kind="video"), "model"),
    ],
)
async def test_what_cannot_be_told(
    vendor: BFLServer, flux: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await flux.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.counts["submit"] == 0


@pytest.mark.parametrize(
    ("status", "detail", "expected"),
    [
        (402, "Insufficient credits", UpstreamQuotaExhausted),
        (403, "Not authenticated", UpstreamAuthFailed),
        (400, "Request Moderated", UpstreamModerated),
        (400, "Invalid keyframes", UpstreamRejected),
    ],
)
async def test_refused(
    vendor: BFLServer, flux: Provider, status: int, detail: str, expected: type[UpstreamError]
) -> None:
    vendor.refuse = (status, {"detail": detail}, {})
    with pytest.raises(UpstreamError) as caught:
        await flux.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected


async def test_refusal_names_the_parameter(vendor: BFLServer, flux: Provider) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await flux.start(make_request(extra={"fps": 24}), SUBMISSION)
    assert caught.value.param == "fps"


async def test_accepted_without_a_name(vendor: BFLServer, flux: Provider) -> None:
    vendor.refuse = (200, {"polling_url": "https://api.bfl.ai/v1/get_result"}, {})
    with pytest.raises(OutcomeUnknown):
        await flux.start(make_request(), SUBMISSION)


# ---- look ----


async def test_result(vendor: BFLServer, flux: Provider) -> None:
    operation = await flux.start(make_request(), SUBMISSION)
    answer = await flux.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == f"{vendor.url}/files/{operation.id}.mp4?sig=1"
    assert answer.files[0].content_type == "video/mp4"
    assert answer.usage == {"cost": 2.5, "input_mp": 0.0, "output_mp": 1.05, "seconds": 5.0, "seed": 42}


@pytest.mark.parametrize(
    ("details", "said"),
    [
        (None, "BFL says: Request Moderated (Derivative Works Filter)"),
        ("Not this.", "Not this."),
        (["odd"], "BFL says: Request Moderated"),
    ],
)
async def test_moderated(vendor: BFLServer, flux: Provider, details: Any, said: str) -> None:
    vendor.states, vendor.details = ["Request Moderated"], details
    answer = await flux.poll(await flux.start(make_request(), SUBMISSION))
    assert answer == Failed("content_policy_violation", said)


async def test_forgotten(vendor: BFLServer, flux: Provider) -> None:
    operation = await flux.start(make_request(), SUBMISSION)
    vendor.jobs.clear()
    with pytest.raises(OperationNotFound):
        await flux.poll(operation)


async def test_ready_without_a_file(vendor: BFLServer, flux: Provider) -> None:
    operation = await flux.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (200, {"id": operation.id, "status": "Ready", "result": {"seed": 1}}, {})
    with pytest.raises(PollFailed):
        await flux.poll(operation)


# ---- clusters ----


async def test_polls_where_it_was_told(vendor: BFLServer, region: BFLServer) -> None:
    vendor.reset()
    vendor.cluster = region.url
    async with open_provider("bfl", vendor, polling_origins=[region.url]) as flux:
        operation = await flux.start(make_request(), SUBMISSION)
        assert operation.data["host"] == region.url.removeprefix("http://")
        restored = Operation.model_validate_json(operation.model_dump_json())
        assert isinstance(await flux.poll(restored), Succeeded)
    assert [seen.path for seen in region.seen] == ["/v1/get_result"]
    assert region.seen[0].headers["x-key"] == SECRET
    assert [seen.path for seen in vendor.seen] == ["/v1/flux-3-video"]


async def test_a_stranger_gets_no_key(vendor: BFLServer, region: BFLServer) -> None:
    vendor.reset()
    vendor.cluster = region.url
    async with open_provider("bfl", vendor) as flux:
        with pytest.raises(OutcomeUnknown):
            await flux.start(make_request(), SUBMISSION)
        lost = Operation(id="t-1", data={"kind": "video", "usage": {}, "path": "/x", "host": "evil.test"})
        with pytest.raises(PollFailed):
            await flux.poll(lost)
    assert region.seen == []


@pytest.mark.parametrize("cluster", ["https://api.us1.bfl.ai", "https://api.bfl.ai"])
async def test_a_gateway_is_asked_itself(vendor: BFLServer, flux: Provider, cluster: str) -> None:
    """Behind a gateway BFL's own address comes through; the gateway's key is none for BFL."""
    vendor.cluster = cluster
    operation = await flux.start(make_request(), SUBMISSION)
    assert "host" not in operation.data
    assert isinstance(await flux.poll(operation), Succeeded)


@pytest.mark.parametrize(
    ("polling_url", "host"),
    [
        ("https://api.bfl.ai/v1/get_result?id=t-1", None),
        ("https://api.us1.bfl.ai/v1/get_result?id=t-1", "api.us1.bfl.ai"),
        ("https://api.eu.bfl.ai/v1/get_result?id=t-1", "api.eu.bfl.ai"),
    ],
)
def test_own_hosts(polling_url: str, host: str | None) -> None:
    place = poll_location(polling_url, own="https://api.bfl.ai", others=())
    assert (place.get("host"), place["path"], place["task"]) == (host, "/v1/get_result", "t-1")


@pytest.mark.parametrize(
    "polling_url",
    [
        "http://api.us1.bfl.ai/v1/x",
        "https://api.bfl.ai.evil.test/x",
        "https://evil-bfl.ai/x",
        "https://x@evil.test/",
    ],
)
def test_hosts_of_others(polling_url: str) -> None:
    with pytest.raises(OutcomeUnknown):
        poll_location(polling_url, own="https://api.bfl.ai", others=())


def test_a_path_that_leads_elsewhere() -> None:
    place = poll_location("https://api.bfl.ai/v1/../secrets?id=t-1", own="https://api.bfl.ai", others=())
    assert place == {"path": "/v1/get_result", "task": "t-1"}


@pytest.mark.parametrize("origins", ["https://x.test", ["x.test"], [7]])
async def test_origins_that_are_none(vendor: BFLServer, origins: Any) -> None:
    with pytest.raises(InvalidRequest):
        async with open_provider("bfl", vendor, polling_origins=origins):
            raise AssertionError("made")


# ---- the rest ----


async def test_balance(vendor: BFLServer, flux: Provider) -> None:
    assert await flux.balance() == AccountBalance(987.5, "credits")
    assert (vendor.seen[-1].method, vendor.seen[-1].path) == ("GET", "/v1/credits")
    assert vendor.seen[-1].headers["x-key"] == SECRET


async def test_balance_that_is_not_told(vendor: BFLServer, flux: Provider) -> None:
    vendor.refuse_poll = (200, {"credits": "many"}, {})
    with pytest.raises(PollFailed):
        await flux.balance()
    vendor.keys = ["another"]
    with pytest.raises(UpstreamAuthFailed):
        await flux.balance()


@pytest.mark.parametrize(
    ("model", "kinds", "roles", "seconds"),
    [
        (VIDEO, {"video"}, {"first_frame", "last_frame", "source_video"}, (5, 20)),
        (PICTURE, {"image"}, {"first_frame", "reference_image"}, None),
        ("flux-4-video", {"video"}, {"first_frame", "last_frame", "source_video"}, None),
        ("flux-5", {"image"}, {"first_frame", "reference_image"}, None),
    ],
)
async def test_capabilities(
    flux: Provider, model: str, kinds: set[str], roles: set[str], seconds: Any
) -> None:
    able = flux.capabilities(model)
    assert (able.kinds, able.roles, able.seconds, able.cancel) == (kinds, roles, seconds, False)
