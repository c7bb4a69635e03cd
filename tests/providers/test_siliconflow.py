"""SiliconFlow against its simulator. SiliconFlow publishes no Python SDK; the field names are those of its documentation."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest

from app.errors import (
    OutcomeUnknown,
    PollFailed,
    UnsupportedWish,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamModelForbidden,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.base import (
    Account,
    AccountBalance,
    Failed,
    Provider,
    Queued,
    Running,
    Submission,
    Succeeded,
)
from app.providers.siliconflow.provider import SiliconFlowProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_png
from tests.upstream.vendors.siliconflow import SiliconFlowServer

SUBMISSION = Submission("filmgate-0123")
TEXT, IMAGE = "Wan-AI/Wan2.2-T2V-A14B", "Wan-AI/Wan2.2-I2V-A14B"
PLAIN = {"model": TEXT, "prompt": "A red kite", "image_size": "1280x720"}
INLINE = "data:image/png;base64," + base64.b64encode(tiny_png()).decode()


@pytest.fixture(scope="module")
def vendor() -> Iterator[SiliconFlowServer]:
    with SiliconFlowServer() as server:
        yield server


@pytest.fixture
async def made(vendor: SiliconFlowServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("siliconflow", vendor) as provider:
        yield provider


def make_request(model: str = TEXT, **told: Any) -> GenerationRequest:
    return GenerationRequest(kind="video", model=model, prompt="A red kite", **told)


def picture(role: Role = "first_frame") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def sent(vendor: SiliconFlowServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vendor.seen[-1].body)
    return found


class TestContract(VendorContract):
    provider_name = "siliconflow"
    routes: ClassVar = [("POST", "/v1/video/submit", "create"), ("POST", "/v1/video/status", "poll")]
    states: ClassVar = {"queued": "InQueue", "running": "InProgress", "done": "Succeed", "failed": "Failed"}
    moderated: ClassVar = {"message": "The prompt was rejected by content moderation."}

    def request(self) -> GenerationRequest:
        return make_request(seconds=5)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        """Its moderation has no code of its own that is known; a code of OpenAI's form is understood too."""
        return {"code": code, "message": message, "data": None}


# ---- submit ----


@pytest.mark.parametrize(
    ("told", "changed"),
    [
        ({}, {}),
        ({"seconds": 5}, {}),
        ({"size": "720x1280"}, {"image_size": "720x1280"}),
        ({"aspect_ratio": "1:1"}, {"image_size": "960x960"}),
        ({"aspect_ratio": "9:16", "resolution": "720p"}, {"image_size": "720x1280"}),
        ({"seed": 7, "negative_prompt": "rain"}, {"seed": 7, "negative_prompt": "rain"}),
        ({"sound": False, "watermark": False}, {}),
    ],
)
async def test_what_is_told(
    vendor: SiliconFlowServer, made: Provider, told: dict[str, Any], changed: dict[str, Any]
) -> None:
    await made.start(make_request(**told), SUBMISSION)
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert sent(vendor) == PLAIN | changed


async def test_first_frame(vendor: SiliconFlowServer, made: Provider) -> None:
    await made.start(make_request(IMAGE, media=(picture(),), aspect_ratio="9:16"), SUBMISSION)
    assert sent(vendor) == {**PLAIN, "model": IMAGE, "image": INLINE, "image_size": "720x1280"}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(aspect_ratio="21:9"), "aspect_ratio"),
        (make_request(aspect_ratio="wide"), "aspect_ratio"),
        (make_request(resolution="1080p"), "resolution"),
        (make_request(aspect_ratio="1:1", resolution="720p"), "resolution"),
        (make_request(size="640x640"), "size"),
        (make_request(sound=True), "generate_audio"),
        (make_request(watermark=True), "watermark"),
        (make_request(characters=("kim",)), "characters"),
        (make_request(style="anime"), "style"),
        (make_request(media=(picture(),)), "first_frame"),
        (make_request(IMAGE), "first_frame"),
        (make_request(IMAGE, media=(picture(), picture("last_frame"))), "last_frame"),
        (make_request(IMAGE, media=(picture(), picture())), "first_frame"),
        (make_request(action="edit"), "video"),
        (make_request(extra={"Image_Size": "960x960"}), "Image_Size"),
        (make_request(extra={"n": 2}), "n"),
        (make_request("Wan-AI/Wan9", seconds=5), "seconds"),
        (make_request("Wan-AI/Wan9", aspect_ratio="1:1"), "aspect_ratio"),
        (make_request("Wan-AI/Wan9", sound=False), "generate_audio"),
    ],
)
async def test_what_cannot_be_told(
    vendor: SiliconFlowServer, made: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UnsupportedWish) as caught:
        made.check(asked)
    assert caught.value.param == param
    assert vendor.seen == []


async def test_an_unknown_model_is_passed_on(vendor: SiliconFlowServer, made: Provider) -> None:
    """And an unknown field too: the vendor judges both."""
    asked = make_request("Wan-AI/Wan2.9-T2V", size="1280x720", extra={"camera": "slow"})
    with pytest.raises(UpstreamRejected, match="unknown field: camera"):
        await made.start(asked, SUBMISSION)
    assert sent(vendor) == {**PLAIN, "model": "Wan-AI/Wan2.9-T2V", "camera": "slow"}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, "Invalid token", UpstreamAuthFailed),
        (403, {"code": 30001, "message": "Sorry, your account balance is insufficient", "data": None},
         UpstreamQuotaExhausted),
        (403, {"code": 30011, "message": "Paid balance is required for this model.", "data": None},
         UpstreamQuotaExhausted),
        (403, {"code": 30003, "message": "Model disabled.", "data": None}, UpstreamModelForbidden),
        (400, {"code": 20012, "message": "Model does not exist. Please check it carefully.", "data": None},
         UpstreamModelForbidden),
        (400, {"code": 20015, "message": "The parameter is invalid.", "data": None}, UpstreamRejected),
        (429, {"message": "Request was rejected due to rate limiting. Details:RPM limit reached.", "data": None},
         UpstreamBusy),
        (503, {"code": 50505, "message": "Model service overloaded. Please try again later.", "data": None},
         UpstreamBusy),
        (504, "Gateway Timeout", OutcomeUnknown),
    ],
)  # fmt: skip
async def test_errors(
    vendor: SiliconFlowServer, made: Provider, status: int, body: Any, expected: type
) -> None:
    vendor.refuse = (status, json.dumps(body), {"content-type": "application/json"})
    with pytest.raises(UpstreamError) as caught:
        await made.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected


async def test_accepted_without_a_name(vendor: SiliconFlowServer, made: Provider) -> None:
    vendor.refuse = (200, {}, {})
    with pytest.raises(OutcomeUnknown):
        await made.start(make_request(), SUBMISSION)


# ---- look ----


async def test_words_link_and_usage(vendor: SiliconFlowServer, made: Provider) -> None:
    vendor.states = ["InQueue", "InProgress", "Succeed"]
    operation = await made.start(make_request(), SUBMISSION)
    assert await made.poll(operation) == Queued()
    assert await made.poll(operation) == Running()
    assert sent(vendor) == {"requestId": operation.id}
    answer = await made.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == f"{vendor.url}/files/3/{operation.id}.mp4"
    assert answer.usage == {"seed": 7, "inference_seconds": 61.5}


def test_a_pause_between_polls_is_shorter_than_the_life_of_a_link() -> None:
    assert SiliconFlowProvider.poll_interval.cap < 600 / 10


@pytest.mark.parametrize("results", [None, {}, {"videos": []}, {"videos": [{"url": ""}]}, {"videos": "x"}])
async def test_success_without_a_video(vendor: SiliconFlowServer, made: Provider, results: Any) -> None:
    operation = await made.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (200, {"status": "Succeed", "results": results}, {})
    with pytest.raises(PollFailed):
        await made.poll(operation)


async def test_a_failure_says_why(vendor: SiliconFlowServer, made: Provider) -> None:
    vendor.states, vendor.failure = ["Failed"], {"message": "image could not be downloaded"}
    operation = await made.start(make_request(), SUBMISSION)
    assert await made.poll(operation) == Failed("upstream_error", "image could not be downloaded")
    vendor.refuse_poll = (200, {"status": "Failed", "reason": ""}, {})
    assert await made.poll(operation) == Failed("upstream_error", "SiliconFlow gave no reason.")


@pytest.mark.parametrize(("status", "code", "expected"), [(503, 50505, PollFailed), (400, 20015, PollFailed)])
async def test_a_refused_look(
    vendor: SiliconFlowServer, made: Provider, status: int, code: int, expected: type
) -> None:
    operation = await made.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (status, {"code": code, "message": "no", "data": None}, {})
    with pytest.raises(UpstreamError) as caught:
        await made.poll(operation)
    assert type(caught.value) is expected


# ---- the account ----


async def test_balance_and_check(vendor: SiliconFlowServer, made: Provider) -> None:
    assert await made.balance() == AccountBalance(88.88, "CNY")
    assert (await made.check_account()).verdict == "accepted"
    vendor.keys = ["another"]
    assert (await made.check_account()).verdict == "refused"


def test_own_host() -> None:
    account = Account(id="a", provider="siliconflow", name="s")
    assert SiliconFlowProvider.base_url_for(account) == "https://api.siliconflow.cn/v1"
    abroad = Account(id="a", provider="siliconflow", name="s", base_url="https://api.siliconflow.com")
    assert SiliconFlowProvider.base_url_for(abroad) == "https://api.siliconflow.com/v1"


async def test_capabilities(made: Provider) -> None:
    text, image = made.capabilities(TEXT), made.capabilities(f"Pro/{IMAGE}")
    assert (text.roles, text.lengths, text.sound) == (frozenset(), (5,), "never")
    assert image.roles == {"first_frame"}
    assert text.sizes == {"1280x720", "720x1280", "960x960"}
    unknown = made.capabilities("Qwen/Qwen4")
    assert (unknown.kinds, unknown.lengths) == ({"video", "text"}, ())
    target = made.relay_target("chat/completions")
    assert target
    assert target.url.endswith("/v1/chat/completions")
