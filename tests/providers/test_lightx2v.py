"""LightX2V against its simulator. It publishes no SDK of its server; fields and states are those of the server's own
``schema.py`` and ``task_manager.py``, older and newer."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app.errors import OutcomeUnknown, PollFailed, UnsupportedWish, UpstreamBusy, UpstreamRejected
from app.generation import GenerationRequest, MediaInput, Role, Shot
from app.providers.base import Account, Failed, Provider, Submission, Succeeded
from app.providers.lightx2v.provider import LightX2VProvider
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.vendors.lightx2v import LightServer

SUBMISSION = Submission("filmgate-0123")


@pytest.fixture(scope="module")
def vendor() -> Iterator[LightServer]:
    with LightServer() as server:
        yield server


@pytest.fixture
async def light(vendor: LightServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("lightx2v", vendor, secret="") as provider:
        yield provider


def make_request(**told: Any) -> GenerationRequest:
    return GenerationRequest(**({"kind": "video", "model": "wan2.2", "prompt": "A red kite"} | told))


def picture(role: Role = "first_frame") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def sent(vendor: LightServer) -> dict[str, Any]:
    body = next(seen for seen in reversed(vendor.seen) if seen.method == "POST").body
    found: dict[str, Any] = json.loads(body)
    return found


class TestContract(VendorContract):
    provider_name = "lightx2v"
    routes = [("POST", r"/v1/tasks/video/", "create"), ("GET", r"/v1/tasks/[^/]+/status", "poll")]  # noqa: RUF012
    states = {"queued": "pending", "running": "processing", "done": "completed", "failed": "failed"}  # noqa: RUF012

    def request(self) -> GenerationRequest:
        return make_request()

    async def test_moderated_while_running(self, upstream: FakeUpstream, provider: Provider) -> None:
        """LightX2V filters nothing: what fails has failed."""
        upstream.script(final="failed", error={"message": "Not this."})
        assert await provider.poll(await self.start(provider)) == Failed("upstream_error", "Not this.")


async def test_text(vendor: LightServer, light: Provider) -> None:
    asked = make_request(negative_prompt="rain", seed=7, size="832x480", seconds=5)
    operation = await light.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/v1/tasks/video/"
    assert "authorization" not in vendor.seen[-1].headers
    assert sent(vendor) == {
        "task_id": "filmgate-0123", "save_result_path": "filmgate-0123.mp4", "prompt": "A red kite",
        "negative_prompt": "rain", "seed": 7, "target_shape": [480, 832], "target_video_length": 81,
    }  # fmt: skip
    assert operation.id == "filmgate-0123"


@pytest.mark.parametrize(
    "name", ["task_id", "save_result_path", "infer_steps", "lora_path", "presigned_url", "height"]
)
async def test_what_a_client_may_not_set(vendor: LightServer, light: Provider, name: str) -> None:
    with pytest.raises(UnsupportedWish) as refused:
        light.check(make_request(extra={name: "4"}))
    assert refused.value.param == name


async def test_what_the_operator_allows(vendor: LightServer) -> None:
    vendor.reset()
    async with open_provider("lightx2v", vendor, allow=["infer_steps"]) as light:
        await light.start(make_request(extra={"infer_steps": 4}), SUBMISSION)
    assert sent(vendor)["infer_steps"] == 4


async def test_newer_server(vendor: LightServer, light: Provider) -> None:
    vendor.strict = True
    with pytest.raises(UpstreamRejected) as caught:
        await light.start(make_request(seconds=5), SUBMISSION)
    assert caught.value.param == "target_video_length"
    async with open_provider("lightx2v", vendor, length_field="num_frames", fps=24, seconds=[1, 6]) as newer:
        media = (picture(), picture("reference_image"), picture("reference_image"))
        await newer.start(make_request(seconds=2, size="832x480", media=media), SUBMISSION)
        assert newer.capabilities("").seconds == (1, 6)
        assert "reference_image" in newer.capabilities("").roles
    assert (sent(vendor)["num_frames"], sent(vendor)["size"]) == (49, [480, 832])
    assert len(sent(vendor)["ref_image_paths"]) == 2


async def test_inputs(vendor: LightServer, light: Provider) -> None:
    sound = MediaInput(role="audio", content_type="audio/wav", content=b"RIFF")
    await light.start(make_request(media=(picture(), picture("last_frame"), sound)), SUBMISSION)
    body = sent(vendor)
    assert body["image_path"].startswith("data:image/png;base64,")
    assert body["last_frame_path"].startswith("data:image/png;base64,")
    assert body["audio_path"].startswith("data:audio/wav;base64,")


async def test_picture(vendor: LightServer, light: Provider) -> None:
    asked = make_request(kind="image", aspect_ratio="16:9", media=(picture("reference_image"),))
    operation = await light.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/v1/tasks/image/"
    assert (sent(vendor)["aspect_ratio"], sent(vendor)["save_result_path"]) == ("16:9", "filmgate-0123.png")
    answer = await light.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].kind == "image"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(aspect_ratio="16:9"), "aspect_ratio"),
        (make_request(resolution="720p"), "resolution"),
        (make_request(style="anime"), "style"),
        (make_request(watermark=True), "watermark"),
        (make_request(shots=(Shot(seconds=2, prompt="A"),)), "shots"),
        (make_request(media=(picture("reference_image"),)), "reference_image"),
        (make_request(media=(picture(), picture())), "first_frame"),
        (make_request(kind="image", seconds=2), "seconds"),
        (make_request(kind="image", media=(picture(), picture("reference_image"))), "input_reference"),
        (make_request(kind="audio"), "model"),
    ],
)
async def test_what_cannot_be_told(
    vendor: LightServer, light: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await light.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.counts["submit"] == 0


async def test_queue_full(vendor: LightServer, light: Provider) -> None:
    vendor.full = True
    with pytest.raises(UpstreamBusy):
        await light.start(make_request(), SUBMISSION)


async def test_accepted_without_a_task(vendor: LightServer, light: Provider) -> None:
    vendor.refuse = (200, {"task_status": "pending"}, {})
    with pytest.raises(OutcomeUnknown):
        await light.start(make_request(), SUBMISSION)


async def test_result(vendor: LightServer, light: Provider) -> None:
    operation = await light.start(make_request(), SUBMISSION)
    answer = await light.poll(operation)
    assert isinstance(answer, Succeeded)
    assert b"".join([chunk async for chunk in light.fetch(operation, answer.files[0])]) == tiny_mp4()


async def test_cancel(vendor: LightServer, light: Provider) -> None:
    vendor.states = ["processing"]
    operation = await light.start(make_request(), SUBMISSION)
    assert await light.cancel(operation) is True
    assert await light.poll(operation) == Failed("cancelled", "Task cancelled by user")


async def test_cancel_what_has_ended(vendor: LightServer, light: Provider) -> None:
    operation = await light.start(make_request(), SUBMISSION)
    await light.poll(operation)
    assert await light.cancel(operation) is False
    vendor.jobs.clear()
    assert await light.cancel(operation) is False


async def test_recover(vendor: LightServer, light: Provider) -> None:
    started = await light.start(make_request(), SUBMISSION)
    assert await light.recover(make_request(), SUBMISSION) == started
    assert vendor.counts["submit"] == 1


async def test_missing_only_after_a_while(vendor: LightServer, light: Provider) -> None:
    with pytest.raises(PollFailed):
        await light.recover(make_request(), SUBMISSION)
    async with open_provider("lightx2v", vendor, lost_after_seconds=0) as hasty:
        assert await hasty.recover(make_request(), SUBMISSION) is None


def test_address() -> None:
    assert (
        LightX2VProvider.base_url_for(Account(id="a", provider="lightx2v", name="l"))
        == "http://127.0.0.1:8000"
    )
