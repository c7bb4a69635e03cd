"""Jimeng against its simulator, which the vendor's own SDK (volcengine) accepts as the real thing, and which
checks every signature with that SDK's signer."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from multidict import CIMultiDict
from volcengine.visual.VisualService import VisualService
from yarl import URL

from app.errors import (
    InvalidRequest,
    OperationNotFound,
    OutcomeUnknown,
    PollFailed,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelForbidden,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.base import Account, Failed, Operation, Provider, Queued, Running, Submission, Succeeded
from app.providers.jimeng.provider import JimengProvider
from app.providers.jimeng.signature import signed_headers
from app.providers.transport import OutgoingRequest
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_png
from tests.upstream.vendors.jimeng import RESULT, SUBMIT, JimengServer

ACCESS = "AKLTcontract0123"
PAIR = f"{ACCESS}|{SECRET}"
SUBMISSION = Submission("filmgate-0123")


@pytest.fixture(scope="module")
def vendor() -> Iterator[JimengServer]:
    with JimengServer() as server:
        server.signers = {ACCESS: SECRET}
        yield server


@pytest.fixture
async def jimeng(vendor: JimengServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("jimeng", vendor, secret=PAIR) as provider:
        yield provider


def make_request(model: str = "jimeng_t2v_v30", **told: Any) -> GenerationRequest:
    return GenerationRequest(kind="video", model=model, prompt="A red kite", **told)


def picture(role: Role = "first_frame", **told: Any) -> MediaInput:
    return MediaInput(role=role, content_type="image/png", **{"content": tiny_png(), **told})


def sent(vendor: JimengServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vendor.seen[-1].body)
    return found


class TestContract(VendorContract):
    provider_name = "jimeng"
    routes = [  # noqa: RUF012
        ("POST", rf"/\?Action={SUBMIT}&Version=2022-08-31", "create"),
        ("POST", rf"/\?Action={RESULT}&Version=2022-08-31", "poll"),
    ]
    states = {"queued": "in_queue", "running": "generating", "done": "done", "failed": "failed"}  # noqa: RUF012
    moderated = {"code": 50511, "message": "Post Img Risk Not Pass"}  # noqa: RUF012
    codes = {  # noqa: RUF012
        "invalid_value": 50215, "moderation_blocked": 50412, "server_error": 50500, "invalid_api_key": "InvalidClientTokenId",
    }  # fmt: skip

    def account(self, origin: str) -> Account:
        return Account(id="a1", provider="jimeng", name="fake", base_url=origin, secret=PAIR)

    def request(self) -> GenerationRequest:
        return make_request(seconds=5)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        said = self.codes[code]
        if isinstance(said, str):
            return {"ResponseMetadata": {"RequestId": "r-1", "Error": {"Code": said, "Message": message}}}
        return {"code": said, "message": message, "data": None, "request_id": "r-1"}


# ---- the simulator is what the vendor's SDK expects ----


async def test_sdk_makes_a_video(vendor: JimengServer) -> None:
    vendor.reset()
    vendor.states = ["in_queue", "generating", "done"]
    await asyncio.to_thread(use_sdk, vendor)


def use_sdk(vendor: JimengServer) -> None:
    service = VisualService()
    try:
        service.set_scheme("http")
        service.set_host(vendor.url.removeprefix("http://"))
        service.set_ak(ACCESS)
        service.set_sk(SECRET)
        form = {"req_key": "jimeng_t2v_v30", "prompt": "A red kite", "frames": 121, "aspect_ratio": "16:9"}
        made = service.cv_sync2async_submit_task(form)
        assert made["code"] == 10000
        look = {"req_key": "jimeng_t2v_v30", "task_id": made["data"]["task_id"]}
        found = [service.cv_sync2async_get_result(look)["data"] for _ in range(3)]
        assert [one["status"] for one in found] == ["in_queue", "generating", "done"]
        assert found[-1]["video_url"].endswith(".mp4")
        service.set_sk("another-secret-key")
        with pytest.raises(Exception, match="SignatureDoesNotMatch"):
            service.cv_sync2async_submit_task(form)
    finally:
        service.session.close()


def test_signature_is_the_one_of_the_scheme() -> None:
    """A fixed moment gives a fixed signature: header order, query order and scope can't drift."""
    url = URL("https://visual.volcengineapi.com/").with_query({"Version": "2022-08-31", "Action": SUBMIT})
    headers = CIMultiDict({"Content-Type": "application/json"})
    request = OutgoingRequest("POST", url, headers, 5, 60, content=b'{"req_key":"k"}')
    now = datetime(2026, 11, 21, 6, 30, 0, tzinfo=UTC)
    signed = signed_headers(request, ("AK", "SK"), service="cv", region="cn-north-1", now=now)
    assert signed["X-Date"] == "20261121T063000Z"
    assert signed["Authorization"].startswith(
        "HMAC-SHA256 Credential=AK/20261121/cn-north-1/cv/request, "
        "SignedHeaders=content-type;host;x-content-sha256;x-date, Signature="
    )
    assert "SK" not in str(signed)


# ---- submit ----


async def test_text(vendor: JimengServer, jimeng: Provider) -> None:
    extra = {"template_id": "orbit"}
    operation = await jimeng.start(make_request(seconds=5, size="1280x720", seed=7, extra=extra), SUBMISSION)
    assert vendor.seen[-1].query == {"Action": SUBMIT, "Version": "2022-08-31"}
    assert sent(vendor) == {
        "req_key": "jimeng_t2v_v30", "prompt": "A red kite", "frames": 121, "aspect_ratio": "16:9",
        "seed": 7, "template_id": "orbit",
    }  # fmt: skip
    assert operation.data == {"req_key": "jimeng_t2v_v30", "frames": 121}
    assert SECRET not in str(vendor.seen)


async def test_text_of_any_language_is_signed(vendor: JimengServer, jimeng: Provider) -> None:
    asked = make_request().model_copy(update={"prompt": '红色的风筝 ✨ \u2028 "quoted"'})
    await jimeng.start(asked, SUBMISSION)
    assert sent(vendor)["prompt"] == asked.prompt


@pytest.mark.parametrize(
    ("model", "told", "frames", "key"),
    [
        ("jimeng_v30", {}, 0, "jimeng_t2v_v30"),
        ("jimeng_v30", {"size": "1920x1080"}, 0, "jimeng_t2v_v30_1080p"),
        ("jimeng_v30", {"resolution": "720p"}, 1, "jimeng_i2v_first_v30"),
        ("jimeng_v30", {"resolution": "1080p"}, 1, "jimeng_i2v_first_v30_1080"),
        ("jimeng_v30", {"size": "1080x1920"}, 2, "jimeng_i2v_first_tail_v30_1080"),
        ("jimeng_ti2v_v30_pro", {}, 0, "jimeng_ti2v_v30_pro"),
        ("jimeng_ti2v_v30_pro", {"resolution": "1080P"}, 1, "jimeng_ti2v_v30_pro"),
        ("jimeng_video_v40", {}, 2, "jimeng_video_v40"),
    ],
)
async def test_key_follows_from_the_wish(
    vendor: JimengServer, jimeng: Provider, model: str, told: dict[str, str], frames: int, key: str
) -> None:
    media = (picture("first_frame"), picture("last_frame"))[:frames]
    operation = await jimeng.start(make_request(model, media=media, **told), SUBMISSION)
    assert sent(vendor)["req_key"] == key
    assert len(sent(vendor).get("binary_data_base64", [])) == frames
    assert isinstance(await jimeng.poll(operation), Succeeded)
    assert sent(vendor) == {"req_key": key, "task_id": operation.id}


async def test_frames(vendor: JimengServer, jimeng: Provider) -> None:
    await jimeng.start(make_request("jimeng_i2v_first_v30", media=(picture(),)), SUBMISSION)
    assert sent(vendor)["binary_data_base64"] == [base64.b64encode(tiny_png()).decode()]
    assert "aspect_ratio" not in sent(vendor)
    address = picture(content=None, url="https://pictures.test/a.png")
    await jimeng.start(make_request("jimeng_i2v_first_v30", media=(address,)), SUBMISSION)
    assert sent(vendor)["image_urls"] == ["https://pictures.test/a.png"]
    assert "binary_data_base64" not in sent(vendor)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(extra={"req_key": "dearer"}), "req_key"),
        (make_request(extra={"frames": 241}), "frames"),
        (make_request(extra={"image_urls": ["https://a.test"]}), "image_urls"),
        (make_request(seconds=7), "seconds"),
        (make_request("jimeng_vgfm_t2v_l20", seconds=10), "seconds"),
        (make_request(sound=True), "generate_audio"),
        (make_request("jimeng_i2v_first_v30", media=(picture(),), size="1280x720"), "size"),
        (make_request("jimeng_i2v_recamera_v30", media=(picture(),)), "template_id"),
        (make_request("jimeng_video_v40", resolution="1080p"), "resolution"),
        (make_request(seconds=5.5), "seconds"),
        (make_request(negative_prompt="rain"), "negative_prompt"),
        (make_request(watermark=True), "watermark"),
        (make_request(resolution="1080p"), "resolution"),
        (make_request(aspect_ratio="5:4"), "aspect_ratio"),
        (make_request(media=(picture(),)), "first_frame"),
        (make_request("jimeng_i2v_first_v30"), "input_reference"),
        (make_request("jimeng_i2v_first_tail_v30", media=(picture(),)), "last_frame"),
        (make_request("jimeng_i2v_first_v30", media=(picture(),), aspect_ratio="16:9"), "aspect_ratio"),
        (make_request("jimeng_v30", media=(picture("last_frame"),)), "last_frame"),
        (make_request("jimeng_v30", media=(picture("reference_image"),)), "reference_image"),
        (make_request(action="extend"), "video"),
        (make_request().model_copy(update={"kind": "image"}), "model"),
    ],
)
async def test_what_cannot_be_told(
    vendor: JimengServer, jimeng: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await jimeng.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.seen == []


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, 50411, UpstreamModerated), (400, 50413, UpstreamModerated), (200, 50511, UpstreamModerated),
        (429, 50429, UpstreamBusy), (200, 50430, UpstreamBusy), (400, 50215, UpstreamRejected),
        (500, 50500, UpstreamFailed), (401, 50400, UpstreamModelForbidden), (400, 59999, UpstreamRejected),
        (200, 59999, UpstreamFailed), (429, 59999, UpstreamBusy),
    ],
)  # fmt: skip
async def test_codes(vendor: JimengServer, jimeng: Provider, status: int, code: int, expected: type) -> None:
    vendor.refuse = (status, {"code": code, "message": f"{SECRET} of {ACCESS}", "data": None}, {})
    with pytest.raises(UpstreamError) as caught:
        await jimeng.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected
    assert caught.value.message.endswith(f"[secret] of [secret] ({code})")


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (401, "InvalidClientTokenId", UpstreamAuthFailed), (403, "AccessDenied", UpstreamModelForbidden),
        (403, "AccountOverdue", UpstreamQuotaExhausted), (403, "LackPolicy", UpstreamModelForbidden),
        (429, "FlowLimitExceeded", UpstreamBusy), (404, "InvalidActionOrVersion", UpstreamRejected),
        (502, "FailToConnect", OutcomeUnknown), (504, "InternalServiceTimeout", OutcomeUnknown),
        (401, "BrandNew", UpstreamAuthFailed),
        (403, "InvalidTimestamp", UpstreamBusy),
    ],
)  # fmt: skip
async def test_codes_of_the_gateway(
    vendor: JimengServer, jimeng: Provider, status: int, code: str, expected: type
) -> None:
    error = {"CodeN": 1, "Code": code, "Message": f"No {ACCESS}"}
    vendor.refuse = (status, {"ResponseMetadata": {"RequestId": "r", "Error": error}}, {})
    with pytest.raises(UpstreamError) as caught:
        await jimeng.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected
    assert ACCESS not in caught.value.message


async def test_wrong_secret(vendor: JimengServer, jimeng: Provider) -> None:
    async with open_provider("jimeng", vendor, secret=f"{ACCESS}|another-secret-key") as provider:
        with pytest.raises(UpstreamAuthFailed, match="SignatureDoesNotMatch"):
            await provider.start(make_request(), SUBMISSION)


async def test_accepted_without_a_task(vendor: JimengServer, jimeng: Provider) -> None:
    vendor.refuse = (200, {"code": 10000, "message": "Success", "data": None}, {})
    with pytest.raises(OutcomeUnknown):
        await jimeng.start(make_request(), SUBMISSION)


# ---- look ----


async def test_usage_and_link(vendor: JimengServer, jimeng: Provider) -> None:
    operation = await jimeng.start(make_request("jimeng_t2v_v30_1080p", seconds=10), SUBMISSION)
    answer = await jimeng.poll(Operation.model_validate_json(operation.model_dump_json()))
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == f"{vendor.url}/files/{operation.id}.mp4"
    assert answer.usage == {"req_key": "jimeng_t2v_v30_1080p", "seconds": 10.0}


async def test_words(vendor: JimengServer, jimeng: Provider) -> None:
    vendor.states = ["in_queue", "generating", "expired"]
    operation = await jimeng.start(make_request(), SUBMISSION)
    assert await jimeng.poll(operation) == Queued()
    assert await jimeng.poll(operation) == Running()
    assert await jimeng.poll(operation) == Failed("expired", "Jimeng says: expired")
    assert await jimeng.cancel(operation) is False
    with pytest.raises(OperationNotFound):
        await jimeng.poll(Operation(id="1", data=operation.data))


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (200, {"code": 10000, "data": {"status": "done", "video_url": ""}}),
        (200, {"code": 50429, "message": "slow down", "data": None}),
        (500, {"code": 50500, "message": "Internal Error", "data": None}),
        (200, {}),
    ],
)
async def test_poll_that_says_nothing(
    vendor: JimengServer, jimeng: Provider, status: int, document: dict[str, Any]
) -> None:
    operation = await jimeng.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (status, document, {"Retry-After": "9"})
    with pytest.raises(PollFailed):
        await jimeng.poll(operation)
    assert isinstance(await jimeng.poll(operation), Succeeded)


async def test_nobody_can_be_asked(vendor: JimengServer, jimeng: Provider) -> None:
    with pytest.raises(OutcomeUnknown):
        await jimeng.recover(make_request(), SUBMISSION)
    assert vendor.seen == []


# ---- what it can ----


def test_own_host() -> None:
    account = Account(id="a", provider="jimeng", name="j", secret=PAIR)
    assert JimengProvider.base_url_for(account) == "https://visual.volcengineapi.com"
    assert JimengProvider.auth_headers(account) == {}


@pytest.mark.parametrize("secret", ["", "AK", "AK|", "|SK"])
async def test_secret_that_cannot_work(vendor: JimengServer, secret: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        async with open_provider("jimeng", vendor, secret=secret):
            pass
    assert caught.value.param == "secret"


async def test_capabilities(jimeng: Provider) -> None:
    known = jimeng.capabilities("jimeng_i2v_first_v30")
    assert (known.kinds, known.roles, known.lengths) == ({"video"}, {"first_frame"}, (5, 10))
    unknown = jimeng.capabilities("jimeng_video_v40")
    assert (unknown.roles, unknown.seconds) == ({"first_frame", "last_frame"}, None)
    jimeng.check(make_request("jimeng_video_v40", seconds=12, aspect_ratio="5:4"))
    assert jimeng.capabilities("jimeng_t2v_v30").roles == frozenset()
    assert jimeng.capabilities("jimeng_v30").roles == {"first_frame", "last_frame"}
    assert (known.cancel, known.idempotency_key) == (False, False)
