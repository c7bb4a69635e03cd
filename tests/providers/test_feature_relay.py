"""The feature relay against a simulator of the feature-endpoints manual. For relays to another gateway there is no
SDK: the manual is the authority."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app.errors import (
    InvalidRequest,
    OutcomeUnknown,
    PollFailed,
    UnsupportedWish,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamModerated,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role, Shot
from app.providers import registry
from app.providers.base import Account, Failed, Operation, Provider, Running, Submission, Succeeded
from app.providers.feature_relay.provider import FeatureRelayProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.vendors.feature_relay import FeatureServer

SUBMISSION = Submission("filmgate-0123")


@pytest.fixture(scope="module")
def vendor() -> Iterator[FeatureServer]:
    with FeatureServer() as server:
        yield server


@pytest.fixture
async def relay(vendor: FeatureServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("feature_relay", vendor) as provider:
        yield provider


def make_request(model: str = "sora2-landscape-10s", **told: Any) -> GenerationRequest:
    return GenerationRequest(**({"kind": "video", "model": model, "prompt": "A red kite"} | told))


def picture(role: Role = "first_frame") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def sent(vendor: FeatureServer) -> dict[str, Any]:
    body = next(seen for seen in reversed(vendor.seen) if seen.method == "POST").body
    found: dict[str, Any] = json.loads(body)
    return found


class TestContract(VendorContract):
    provider_name = "feature_relay"
    routes = [("POST", r"/v1/videos/generate", "create"), ("GET", r"/v1/tasks/[^/]+", "poll")]  # noqa: RUF012
    states = {"queued": "queued", "running": "processing", "done": "completed", "failed": "failed"}  # noqa: RUF012
    moderated = {"message": "This violates our content policy."}  # noqa: RUF012

    def request(self) -> GenerationRequest:
        return make_request(seconds=10)


async def test_text(vendor: FeatureServer, relay: Provider) -> None:
    operation = await relay.start(
        make_request(style="anime", seconds=15, size="720x1280", extra={"tone": "warm"}),
        SUBMISSION,
    )
    assert vendor.seen[-1].path == "/v1/videos/generate"
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert vendor.seen[-1].headers["idempotency-key"] == "filmgate-0123"
    assert sent(vendor) == {
        "model": "sora2-portrait-15s", "prompt": "A red kite", "style": "anime", "async_mode": True, "tone": "warm",
    }  # fmt: skip
    assert operation.data == {"kind": "video"}


@pytest.mark.parametrize("name", ["model", "Async_Mode", "remix_target_id", "image", "n", "seconds"])
async def test_a_reserved_name_is_refused(vendor: FeatureServer, relay: Provider, name: str) -> None:
    with pytest.raises(UnsupportedWish) as refused:
        await relay.start(make_request(extra={name: "x"}), SUBMISSION)
    assert (refused.value.param, vendor.seen) == (name, [])


async def test_what_it_says_of_itself(relay: Provider) -> None:
    able = relay.capabilities("sora2-landscape-10s")
    assert able.native_styles and able.lengths == (10, 15, 25)
    assert relay.capabilities("wan").lengths == ()


@pytest.mark.parametrize(
    ("model", "told", "name"),
    [
        ("sora2pro-landscape-10s", {"size": "1080x1920", "seconds": 15}, "sora2pro-hd-portrait-15s"),
        ("sora2pro-hd-landscape-10s", {"resolution": "720p"}, "sora2pro-landscape-10s"),
        ("sora2-landscape-10s", {}, "sora2-landscape-10s"),
        ("sora_video2", {"aspect_ratio": "16:9", "seconds": 15}, "sora_video2-landscape-15s"),
        ("sora_video2-landscape-15s", {"size": "704x1280", "seconds": 10}, "sora_video2"),
        ("sora_video2-portrait", {"size": "704x1280", "resolution": "1080p"}, "sora_video2-portrait-hd"),
        ("sora_video2-portrait-15s", {}, "sora_video2-portrait-15s"),
    ],
)
async def test_names_say_shape_and_length(
    vendor: FeatureServer, relay: Provider, model: str, told: dict[str, Any], name: str
) -> None:
    await relay.start(make_request(model, **told), SUBMISSION)
    assert sent(vendor)["model"] == name


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ({"size": "360x360"}, "gpt-image"),
        ({"aspect_ratio": "1:1"}, "gpt-image"),
        ({"size": "540x360"}, "gpt-image-landscape"),
        ({"aspect_ratio": "9:16"}, "gpt-image-portrait"),
        ({}, "gpt-image-landscape"),
    ],
)
async def test_pictures(vendor: FeatureServer, relay: Provider, told: dict[str, Any], name: str) -> None:
    operation = await relay.start(make_request("gpt-image-landscape", kind="image", **told), SUBMISSION)
    assert (vendor.seen[-1].path, sent(vendor)["model"]) == ("/v1/images/generate", name)
    answer = await relay.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].kind == "image"


async def test_other_names_get_fields(vendor: FeatureServer, relay: Provider) -> None:
    await relay.start(make_request("veo3.1", seconds=8, size="1280x720"), SUBMISSION)
    assert (sent(vendor)["seconds"], sent(vendor)["size"]) == (8, "1280x720")


async def test_picture_to_video(vendor: FeatureServer, relay: Provider) -> None:
    await relay.start(make_request(media=(picture(),)), SUBMISSION)
    assert vendor.seen[-1].path == "/v1/videos/transform"
    assert sent(vendor)["image"].startswith("data:image/png;base64,")


async def test_storyboard(vendor: FeatureServer, relay: Provider) -> None:
    shots = (Shot(seconds=5, prompt="A jump"), Shot(seconds=5, prompt="A landing"))
    await relay.start(make_request(shots=shots), SUBMISSION)
    assert vendor.seen[-1].path == "/v1/videos/storyboard"
    assert sent(vendor)["prompt"] == "[5.0s]A jump [5.0s]A landing"


async def test_remix(vendor: FeatureServer, relay: Provider) -> None:
    earlier = Submission("k", remix_operation=Operation(id="task_1"))
    await relay.start(make_request(action="remix"), earlier)
    assert (vendor.seen[-1].path, sent(vendor)["remix_target_id"]) == ("/v1/videos/remix", "task_1")
    with pytest.raises(UpstreamRejected):
        await relay.start(make_request(action="remix"), SUBMISSION)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(seconds=7), "seconds"),
        (make_request(size="720x720"), "size"),
        (make_request(aspect_ratio="4:3"), "aspect_ratio"),
        (make_request(resolution="4k"), "resolution"),
        (make_request(size="1920x1080"), "size"),
        (make_request("sora2pro-hd-landscape-15s", seconds=25), "size"),
        (make_request(seed=7), "seed"),
        (make_request(negative_prompt="rain"), "negative_prompt"),
        (make_request(watermark=True), "watermark"),
        (make_request(private=True), "private"),
        (make_request(media=(picture("last_frame"),)), "last_frame"),
        (make_request(media=(picture(), picture("reference_image"))), "input_reference"),
        (make_request(media=(picture(),), shots=(Shot(seconds=5, prompt="A"),)), "input_reference"),
        (make_request(action="extend"), "video"),
        (make_request(kind="audio"), "model"),
    ],
)
async def test_what_cannot_be_told(
    vendor: FeatureServer, relay: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await relay.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.counts["submit"] == 0


async def test_nobody_free(vendor: FeatureServer, relay: Provider) -> None:
    """It says so in a 500, with a text in place of a code; another gateway may have somebody."""
    text = (
        "No available tokens for video generation. All tokens are either disabled, cooling down, or expired."
    )
    error = {"message": text, "type": "server_error", "param": None, "code": None}
    vendor.refuse = (500, {"error": error}, {})
    with pytest.raises(UpstreamBusy):
        await relay.start(make_request(), SUBMISSION)
    vendor.refuse = (200, {"error": error}, {})
    with pytest.raises(UpstreamBusy):
        await relay.start(make_request(), SUBMISSION)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, OutcomeUnknown),
        ({"error": {"message": "no", "code": "content_policy_violation"}}, UpstreamModerated),
        ({"error": "broken"}, UpstreamFailed),
    ],
)
async def test_accepted_without_a_task(
    vendor: FeatureServer, relay: Provider, document: dict[str, Any], expected: type
) -> None:
    vendor.refuse = (200, document, {})
    with pytest.raises(expected):
        await relay.start(make_request(), SUBMISSION)


async def test_progress_and_link(vendor: FeatureServer, relay: Provider) -> None:
    vendor.states = ["processing", "completed"]
    operation = await relay.start(make_request(), SUBMISSION)
    assert await relay.poll(operation) == Running(progress=45.5)
    answer = await relay.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == f"https://files.test/files/{operation.id}.mp4?expires=9&signature=a%2Bb"


async def test_result_on_the_gateway_itself(vendor: FeatureServer, relay: Provider) -> None:
    """Fetched with our key, as it may be a private address to everybody else."""
    vendor.links_to = ""
    operation = await relay.start(make_request(), SUBMISSION)
    answer = await relay.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url is None
    found = b"".join([chunk async for chunk in relay.fetch(operation, answer.files[0])])
    assert found == tiny_mp4()
    assert vendor.seen[-1].query == {"expires": "9", "signature": "a+b"}


async def test_links_that_are_none(vendor: FeatureServer, relay: Provider) -> None:
    operation = await relay.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (200, {"status": "completed", "result_urls": [None, "ftp://x", 7]}, {})
    assert await relay.poll(operation) == Succeeded(())


async def test_failure(vendor: FeatureServer, relay: Provider) -> None:
    vendor.states, vendor.failure = ["failed"], {"message": "提示词违反了相关政策"}
    operation = await relay.start(make_request(), SUBMISSION)
    answer = await relay.poll(operation)
    assert isinstance(answer, Failed)
    assert answer.code == "content_policy_violation"


async def test_cancel(vendor: FeatureServer, relay: Provider) -> None:
    vendor.states = ["processing"]
    operation = await relay.start(make_request(), SUBMISSION)
    assert await relay.cancel(operation) is False
    async with open_provider("feature_relay", vendor, cancel=True) as able:
        assert able.capabilities("").cancel is True
        assert await able.cancel(operation) is True


async def test_recover(vendor: FeatureServer, relay: Provider) -> None:
    with pytest.raises(OutcomeUnknown):
        await relay.recover(make_request(), SUBMISSION)
    vendor.honours_idempotency = True
    async with open_provider("feature_relay", vendor, idempotency=True) as able:
        started = await able.start(make_request(), SUBMISSION)
        assert await able.recover(make_request(), SUBMISSION) == started
        assert vendor.counts["submit"] == 1
        vendor.refuse = (503, {"error": {"message": "draining"}}, {"Retry-After": "4"})
        with pytest.raises(PollFailed) as caught:
            await able.recover(make_request(), SUBMISSION)
        assert caught.value.retry_after == 4.0


def test_address() -> None:
    account = Account(id="a", provider="feature_relay", name="g", base_url="https://gate.test/v1/")
    assert FeatureRelayProvider.base_url_for(account) == "https://gate.test"
    with pytest.raises(InvalidRequest):
        FeatureRelayProvider.base_url_for(Account(id="a", provider="feature_relay", name="g"))


async def test_options_that_cannot_be_read(vendor: FeatureServer) -> None:
    with pytest.raises(InvalidRequest) as caught:
        async with open_provider("feature_relay", vendor, references="many"):
            pass
    assert caught.value.param == "options.references"


async def test_capabilities(relay: Provider) -> None:
    can = relay.capabilities("sora2-landscape-10s")
    assert (can.seconds, can.native_shots, can.remix, can.cancel) == ((10, 25), True, True, False)
    assert relay.capabilities("veo3.1").seconds is None
    assert "feature_relay" in registry.PROVIDERS
