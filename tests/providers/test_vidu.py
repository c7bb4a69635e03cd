"""Vidu against its simulator. Vidu publishes no Python SDK; the field names are those of platform.vidu.com's
documentation."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest

from app.errors import (
    InvalidRequest,
    OutcomeUnknown,
    PollFailed,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamModelForbidden,
    UpstreamModerated,
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
from app.providers.vidu.provider import ViduProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_png
from tests.upstream.vendors.vidu import TokenHubServer, ViduServer

SUBMISSION = Submission("filmgate-0123")


@pytest.fixture(scope="module")
def vendor() -> Iterator[ViduServer]:
    with ViduServer() as server:
        yield server


@pytest.fixture
async def vidu(vendor: ViduServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("vidu", vendor) as provider:
        yield provider


def make_request(model: str = "viduq2", **told: Any) -> GenerationRequest:
    return GenerationRequest(kind="video", model=model, prompt="A red kite", **told)


def picture(role: Role = "first_frame") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def sent(vendor: ViduServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vendor.seen[-1].body)
    return found


class TestContract(VendorContract):
    provider_name = "vidu"
    routes: ClassVar = [
        ("POST", r"/ent/v2/[a-z0-9-]+", "create"), ("GET", r"/ent/v2/tasks/[^/]+/creations", "poll"),
    ]  # fmt: skip
    states: ClassVar = {"queued": "queueing", "running": "processing", "done": "success", "failed": "failed"}
    moderated: ClassVar = {"code": "CreationPolicyViolation"}
    codes: ClassVar = {
        "invalid_value": "FieldInvalid", "moderation_blocked": "AuditSubmitIllegal",
        "server_error": "InternalServiceFailure", "invalid_api_key": "Unauthorized",
    }  # fmt: skip

    def request(self) -> GenerationRequest:
        return make_request(seconds=5)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        return {"code": 400, "reason": self.codes[code], "message": message, "metadata": {}}

    async def test_failed(self, upstream: FakeUpstream, provider: Provider) -> None:
        """A failed task carries a code and no sentence."""
        upstream.script(final="failed", error={"code": "InternalServiceFailure"})
        answer = await provider.poll(await self.start(provider))
        assert answer == Failed("upstream_error", "InternalServiceFailure")


# ---- submit ----


async def test_text(vendor: ViduServer, vidu: Provider) -> None:
    asked = make_request(
        seconds=8, size="1280x720", seed=7, watermark=True,
        extra={"movement_amplitude": "small", "audio": True},
    )  # fmt: skip
    operation = await vidu.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/ent/v2/text2video"
    assert vendor.seen[-1].headers["authorization"] == f"Token {SECRET}"
    assert sent(vendor) == {
        "model": "viduq2", "prompt": "A red kite", "duration": 8, "seed": 7, "resolution": "720p",
        "aspect_ratio": "16:9", "watermark": True, "payload": "filmgate-0123", "movement_amplitude": "small",
        "audio": True,
    }  # fmt: skip
    assert operation.data == {}


async def test_first_frame(vendor: ViduServer, vidu: Provider) -> None:
    await vidu.start(make_request(media=(picture(),), size="1080x1920"), SUBMISSION)
    assert vendor.seen[-1].path == "/ent/v2/img2video"
    uri = "data:image/png;base64," + base64.b64encode(tiny_png()).decode()
    assert (sent(vendor)["images"], sent(vendor)["resolution"]) == ([uri], "1080p")
    assert "aspect_ratio" not in sent(vendor)


async def test_first_and_last_frame(vendor: ViduServer, vidu: Provider) -> None:
    last = MediaInput(role="last_frame", content_type="image/png", url="https://pictures.test/z.png")
    await vidu.start(make_request("viduq3-pro", media=(last, picture()), seconds=16), SUBMISSION)
    assert vendor.seen[-1].path == "/ent/v2/start-end2video"
    assert sent(vendor)["images"][1] == "https://pictures.test/z.png"


async def test_references(vendor: ViduServer, vidu: Provider) -> None:
    await vidu.start(make_request(media=(picture("reference_image"),) * 3, aspect_ratio="9:16"), SUBMISSION)
    assert vendor.seen[-1].path == "/ent/v2/reference2video"
    assert (len(sent(vendor)["images"]), sent(vendor)["aspect_ratio"]) == (3, "9:16")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(negative_prompt="rain"), "negative_prompt"),
        (make_request(extra={"model": "dearer"}), "model"),
        (make_request(extra={"Payload": "x"}), "Payload"),
        (make_request(extra={"off_peak": True}), "off_peak"),
        (make_request(resolution="4k"), "resolution"),
        (make_request("viduq1", size="1280x720"), "size"),
        (make_request("vidu2.0", seconds=8, resolution="1080p"), "seconds"),
        (make_request(media=(picture(),), aspect_ratio="1:1"), "aspect_ratio"),
        (make_request(seconds=1.5), "seconds"),
        (make_request("viduq1", resolution="540p"), "resolution"),
        (make_request(aspect_ratio="21:9"), "aspect_ratio"),
        (make_request(media=(picture("last_frame"),)), "last_frame"),
        (make_request(media=(picture(), picture("reference_image"))), "reference_image"),
        (make_request(media=(picture("reference_image"),) * 8), "reference_image"),
        (
            make_request(media=(MediaInput(role="source_video", content_type="video/mp4", content=b"x"),)),
            "source_video",
        ),
        (make_request(media=(MediaInput(role="first_frame", content_type="image/png"),)), "first_frame"),
    ],
)
async def test_what_cannot_be_told(
    vendor: ViduServer, vidu: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await vidu.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.seen == []


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (400, "CreditInsufficient", UpstreamQuotaExhausted), (400, "AuditSubmitIllegal", UpstreamModerated),
        (400, "TaskPromptPolicyViolation", UpstreamModerated), (400, "ImageDownloadFailure", UpstreamRejected),
        (401, "Unauthorized", UpstreamAuthFailed), (403, "Forbidden", UpstreamAuthFailed),
        (403, "ModelUnavailable", UpstreamModelForbidden),
        (429, "QuotaExceeded", UpstreamBusy), (429, "SystemThrottling", UpstreamBusy),
        (409, "Conflict", OutcomeUnknown),
    ],
)  # fmt: skip
async def test_reasons(vendor: ViduServer, vidu: Provider, status: int, reason: str, expected: type) -> None:
    said = {"code": status, "reason": reason, "message": f"no, {SECRET}", "metadata": {}}
    vendor.refuse = (status, said, {})
    with pytest.raises(UpstreamError) as caught:
        await vidu.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected
    assert reason in caught.value.message
    assert SECRET not in caught.value.message


async def test_accepted_without_a_task(vendor: ViduServer, vidu: Provider) -> None:
    vendor.refuse = (200, {"state": "created"}, {})
    with pytest.raises(OutcomeUnknown):
        await vidu.start(make_request(), SUBMISSION)


# ---- look ----


async def test_words_link_and_usage(vendor: ViduServer, vidu: Provider) -> None:
    vendor.states = ["created", "queueing", "processing", "success"]
    operation = await vidu.start(make_request(), SUBMISSION)
    assert await vidu.poll(operation) == Queued()
    assert await vidu.poll(operation) == Queued()
    assert await vidu.poll(operation) == Running()
    answer = await vidu.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == f"{vendor.url}/files/{operation.id}.mp4"
    assert answer.usage == {"credits": 8}


async def test_cancelled(vendor: ViduServer, vidu: Provider) -> None:
    operation = await vidu.start(make_request(), SUBMISSION)
    assert await vidu.cancel(operation) is True
    assert vendor.jobs[operation.id].cancelled
    vendor.jobs[operation.id].states = ["failed"]
    vendor.failure = {"code": "UserCancelled"}
    assert await vidu.poll(operation) == Failed("cancelled", "UserCancelled")
    assert await vidu.cancel(operation) is False


async def test_success_without_a_video(vendor: ViduServer, vidu: Provider) -> None:
    operation = await vidu.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (200, {"state": "success", "creations": []}, {})
    with pytest.raises(PollFailed):
        await vidu.poll(operation)


# ---- what became of a lost submission ----


async def test_recovered_by_payload(vendor: ViduServer, vidu: Provider) -> None:
    """The list shows prompts only, so tasks with the same prompt are looked at until one carries our id."""
    await vidu.start(make_request(), Submission("filmgate-other"))
    ours = await vidu.start(make_request(), SUBMISSION)
    assert await vidu.recover(make_request(), SUBMISSION) == ours
    assert vendor.counts["submit"] == 2
    with pytest.raises(OutcomeUnknown):
        await vidu.recover(make_request(), Submission("filmgate-9999"))


# ---- what is left ----


async def test_balance(vendor: ViduServer, vidu: Provider) -> None:
    """The packages tell the same credits again and are not added."""
    assert await vidu.balance() == AccountBalance(1234, "credits")
    vendor.refuse_poll = (200, {"remains": []}, {})
    assert await vidu.balance() == AccountBalance(0, "credits")


async def test_balance_refused(vendor: ViduServer, vidu: Provider) -> None:
    vendor.keys = {"another"}
    with pytest.raises(UpstreamAuthFailed) as caught:
        await vidu.balance()
    assert SECRET not in caught.value.message
    for document in ({}, {"remains": [{"type": "metered"}]}, {"reason": "SystemThrottling"}):
        vendor.refuse_poll = (200, document, {})
        with pytest.raises(PollFailed):
            await vidu.balance()


def test_own_host() -> None:
    assert ViduProvider.base_url_for(Account(id="a", provider="vidu", name="v")) == "https://api.vidu.com"
    given = Account(id="a", provider="vidu", name="v", base_url="https://api.vidu.cn/ent/v2")
    assert ViduProvider.base_url_for(given) == "https://api.vidu.cn"


async def test_capabilities(vidu: Provider) -> None:
    known = vidu.capabilities("viduq3-turbo")
    assert (known.seconds, known.cancel, known.idempotency_key) == ((1, 16), True, True)
    assert known.roles == {"first_frame", "last_frame", "reference_image"}
    assert vidu.capabilities("viduq1-classic").lengths == (5,)
    assert vidu.capabilities("vidu2.0").lengths == (4, 8)
    assert (vidu.capabilities("viduq4").seconds, vidu.capabilities("viduq5").seconds) == ((3, 16), None)


async def test_the_newest_and_the_unknown(vendor: ViduServer, vidu: Provider) -> None:
    references = (picture("reference_image"),) * 12
    await vidu.start(make_request("viduq4", media=references, seconds=16, resolution="4k"), SUBMISSION)
    assert (len(sent(vendor)["images"]), sent(vendor)["resolution"]) == (12, "4K")
    await vidu.start(make_request("viduq9", seconds=40, resolution="8K", aspect_ratio="21:9"), SUBMISSION)
    told = sent(vendor)
    assert (told["duration"], told["resolution"], told["aspect_ratio"]) == (40, "8K", "21:9")


# ---- at a cloud that resells it ----

TOKENHUB = {
    "auth": "bearer", "path_prefix": "/v1/wand/vidu",
    "paths": {
        "/ent/v2/text2video": "/text-to-video", "/ent/v2/img2video": "/image-to-video",
        "/ent/v2/start-end2video": "/start-end-to-video", "/ent/v2/reference2video": "/reference-to-video",
        "/ent/v2/tasks/{task}/creations": "/tasks/{task}",
    },
}  # fmt: skip


async def test_tokenhub() -> None:
    with TokenHubServer() as cloud:
        async with open_provider("vidu", cloud, **TOKENHUB) as provider:
            last = picture("last_frame")
            for media, path in (
                ((), "text-to-video"),
                ((picture(),), "image-to-video"),
                ((picture(), last), "start-end-to-video"),
                ((picture("reference_image"),), "reference-to-video"),
            ):
                operation = await provider.start(make_request("vidu-video-q3-pro", media=media), SUBMISSION)
                assert cloud.seen[-1].path == f"/v1/wand/vidu/{path}"
                assert cloud.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
                assert isinstance(await provider.poll(operation), Succeeded)
            able = provider.capabilities("vidu-video-q3-pro")
            assert (able.seconds, able.cancel, able.idempotency_key) == ((1, 16), False, False)
            assert await provider.cancel(operation) is False
            seen = len(cloud.seen)
            with pytest.raises(OutcomeUnknown):
                await provider.recover(make_request(), SUBMISSION)
            assert len(cloud.seen) == seen


async def test_a_prefix_alone(vendor: ViduServer) -> None:
    """A relay with Vidu's own paths behind a name of its own."""
    vendor.reset()
    async with open_provider("vidu", vendor, path_prefix="/vidu") as provider:
        with pytest.raises(UpstreamError):
            await provider.start(make_request(), SUBMISSION)
    assert vendor.counts["submit"] == 0


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"auth": "basic"}, "options.auth"),
        ({"path_prefix": "v1"}, "options.path_prefix"),
        ({"path_prefix": "/v1/../x"}, "options.path_prefix"),
        ({"paths": {"/ent/v2/text2video": "https://elsewhere.test/x"}}, "options.paths"),
        ({"paths": {"/ent/v2/text3video": "/text-to-video"}}, "options.paths"),
    ],
)
async def test_options_that_can_not_be(vendor: ViduServer, options: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        async with open_provider("vidu", vendor, **options):
            raise AssertionError("it was opened")
    assert refused.value.param == param
