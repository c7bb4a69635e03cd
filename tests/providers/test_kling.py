"""Kling against its simulator. Kling publishes no Python SDK; the field names are those of its documentation and
of the Vercel AI SDK's provider for it, and PyJWT checks the tokens."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest

from app.errors import (
    InvalidRequest,
    OutcomeUnknown,
    PollFailed,
    UnsupportedWish,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role, Shot
from app.providers.base import (
    Account,
    AccountBalance,
    Failed,
    Operation,
    Provider,
    Running,
    Submission,
    Succeeded,
)
from app.providers.kling.provider import KlingProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_png
from tests.upstream.vendors.kling import KlingServer, PrefixServer, ResellerServer

SUBMISSION = Submission("filmgate-0123")


@pytest.fixture(scope="module")
def vendor() -> Iterator[KlingServer]:
    with KlingServer() as server:
        yield server


@pytest.fixture
async def kling(vendor: KlingServer) -> AsyncIterator[Provider]:
    vendor.reset()
    vendor.knows_external_ids = True
    async with open_provider("kling", vendor) as provider:
        yield provider


def make_request(model: str = "kling-v2-6", **told: Any) -> GenerationRequest:
    return GenerationRequest(kind="video", model=model, prompt="A red kite", **told)


def picture(role: Role = "first_frame") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def clip(role: Role) -> MediaInput:
    return MediaInput(role=role, content_type="video/mp4", content=b"mp4", url="https://clips.test/a.mp4")


def sent(vendor: KlingServer) -> dict[str, Any]:
    body = next(seen for seen in reversed(vendor.seen) if seen.method == "POST").body
    found: dict[str, Any] = json.loads(body)
    return found


class TestContract(VendorContract):
    provider_name = "kling"
    routes: ClassVar = [("POST", r"/v1/videos/[^/]+", "create"), ("GET", r"/v1/videos/[^/]+/[^/]+", "poll")]
    states: ClassVar = {"queued": "submitted", "running": "processing", "done": "succeed", "failed": "failed"}
    moderated: ClassVar = {"message": "Failure to pass the risk control system"}
    codes: ClassVar = {
        "invalid_value": 1201, "moderation_blocked": 1301, "server_error": 5000, "invalid_api_key": 1002,
    }  # fmt: skip

    def request(self) -> GenerationRequest:
        return make_request(seconds=5)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        return {"code": self.codes[code], "message": message, "request_id": "r-1"}


# ---- submit ----


async def test_text(vendor: KlingServer, kling: Provider) -> None:
    asked = make_request(
        seconds=10, size="1920x1080", negative_prompt="rain", watermark=False,
        extra={"sound": "on", "cfg_scale": 0.5},
    )  # fmt: skip
    operation = await kling.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/v1/videos/text2video"
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert sent(vendor) == {
        "model_name": "kling-v2-6", "prompt": "A red kite", "negative_prompt": "rain", "duration": "10",
        "mode": "pro", "aspect_ratio": "16:9", "watermark_info": {"enabled": False}, "sound": "on",
        "cfg_scale": 0.5, "external_task_id": "filmgate-0123",
    }  # fmt: skip
    assert operation.data == {"path": "/v1/videos/text2video"}


@pytest.mark.parametrize(
    ("told", "mode", "ratio"),
    [
        ({"size": "720x1280"}, "std", "9:16"),
        ({"size": "1024x1024"}, "pro", "1:1"),
        ({"size": "3840x2160", "model": "kling-v3"}, "4k", "16:9"),
        ({"resolution": "4K", "aspect_ratio": "1:1", "model": "kling-v3"}, "4k", "1:1"),
        ({"aspect_ratio": "21:9", "resolution": "8K", "model": "kling-v4-0"}, "8K", "21:9"),
        ({"model": "kling-v3-omni"}, None, "16:9"),
        ({}, None, None),
    ],
)
async def test_size(
    vendor: KlingServer, kling: Provider, told: dict[str, str], mode: str | None, ratio: str | None
) -> None:
    await kling.start(make_request(**{"model": "kling-v2-6", **told}), SUBMISSION)
    assert (sent(vendor).get("mode"), sent(vendor).get("aspect_ratio")) == (mode, ratio)


async def test_frames(vendor: KlingServer, kling: Provider) -> None:
    frames = (picture("first_frame"), picture("last_frame"))
    operation = await kling.start(make_request("kling-v3", media=frames, size="1280x720"), SUBMISSION)
    body = sent(vendor)
    bare = base64.b64encode(tiny_png()).decode()
    assert (body["image"], body["image_tail"], body["mode"]) == (bare, bare, "std")
    assert "aspect_ratio" not in body
    assert operation.data == {"path": "/v1/videos/image2video"}
    assert isinstance(await kling.poll(operation), Succeeded)
    assert vendor.seen[-1].path == f"/v1/videos/image2video/{operation.id}"


@pytest.mark.parametrize("model", ["kling-v1-6", "kling-v2-1", "kling-v2-5-turbo", "kling-v2-6"])
async def test_a_last_frame_is_made_in_pro(vendor: KlingServer, kling: Provider, model: str) -> None:
    """These models take one in that mode only; what was asked in 720p is refused, not made dearer."""
    frames = (picture("first_frame"), picture("last_frame"))
    for told in ({}, {"resolution": "1080p"}):
        await kling.start(make_request(model, media=frames, **told), Submission(f"filmgate-{told}"))
        assert sent(vendor)["mode"] == "pro"
    with pytest.raises(UnsupportedWish) as refused:
        await kling.start(make_request(model, media=frames, size="1280x720"), SUBMISSION)
    assert (refused.value.param, "1080p" in refused.value.message) == ("last_frame", True)


async def test_sound_is_made_in_pro(vendor: KlingServer, kling: Provider) -> None:
    await kling.start(make_request("kling-v2-6", sound=True), SUBMISSION)
    assert (sent(vendor)["sound"], sent(vendor)["mode"]) == ("on", "pro")
    await kling.start(make_request("kling-v2-6", sound=False, size="1280x720"), Submission("filmgate-2"))
    assert (sent(vendor)["sound"], sent(vendor)["mode"]) == ("off", "std")
    await kling.start(make_request("kling-v3", sound=True, size="1280x720"), Submission("filmgate-3"))
    assert (sent(vendor)["sound"], sent(vendor)["mode"]) == ("on", "std")


async def test_a_silent_model_needs_no_word_for_silence(vendor: KlingServer, kling: Provider) -> None:
    await kling.start(make_request("kling-v2-1", sound=False), SUBMISSION)
    assert "sound" not in sent(vendor)


async def test_a_generation_that_nobody_knows(vendor: KlingServer, kling: Provider) -> None:
    """Nothing of an older one's bounds: Kling decides."""
    able = kling.capabilities("kling-v4-0")
    assert (able.seconds, able.lengths, able.most, able.tiers) == (None, (), {}, {})
    media = (*(picture("reference_image"),) * 9, clip("reference_video"), clip("reference_video"))
    asked = make_request("kling-v4-0", media=media, seconds=20, aspect_ratio="21:9", sound=True)
    operation = await kling.start(asked, SUBMISSION)
    body = sent(vendor)
    assert (len(body["image_list"]), len(body["video_list"]), body["duration"]) == (9, 2, "20")
    assert operation.data == {"path": "/v1/videos/omni-video"}


async def test_an_edit(vendor: KlingServer, kling: Provider) -> None:
    asked = make_request("kling-video-o1", action="edit", media=(clip("source_video"),))
    await kling.start(asked, SUBMISSION)
    assert sent(vendor)["video_list"][0]["refer_type"] == "base"
    assert "aspect_ratio" not in sent(vendor)


async def test_kling_refuses_what_it_has_no_field_for(vendor: KlingServer, kling: Provider) -> None:
    """A client's other words reach Kling, whose own answer is the client's."""
    with pytest.raises(UpstreamRejected) as refused:
        await kling.start(make_request(extra={"zoom": 1}), SUBMISSION)
    assert not isinstance(refused.value, UnsupportedWish)
    assert "zoom" in refused.value.message


async def test_picture_known_by_address(vendor: KlingServer, kling: Provider) -> None:
    frame = MediaInput(role="first_frame", content_type="image/png", url="https://pictures.test/a.png")
    await kling.start(make_request(media=(frame,)), SUBMISSION)
    assert sent(vendor)["image"] == "https://pictures.test/a.png"


async def test_reference_images(vendor: KlingServer, kling: Provider) -> None:
    references = (picture("reference_image"), picture("reference_image"))
    operation = await kling.start(make_request("kling-v1-6", media=references), SUBMISSION)
    assert len(sent(vendor)["image_list"]) == 2
    assert set(sent(vendor)["image_list"][0]) == {"image"}
    assert operation.data == {"path": "/v1/videos/multi-image2video"}


async def test_omni(vendor: KlingServer, kling: Provider) -> None:
    media = (picture("first_frame"), picture("last_frame"), picture("reference_image"), clip("source_video"))
    asked = make_request("kling-v3-omni", media=media, seconds=7, size="1280x720")
    operation = await kling.start(asked, SUBMISSION)
    body = sent(vendor)
    assert [one.get("type") for one in body["image_list"]] == ["first_frame", "end_frame", None]
    assert body["video_list"] == [
        {"video_url": "https://clips.test/a.mp4", "refer_type": "base", "keep_original_sound": "yes"}
    ]
    assert "aspect_ratio" not in body
    assert operation.data == {"path": "/v1/videos/omni-video"}


async def test_motion_control(vendor: KlingServer, kling: Provider) -> None:
    media = (picture("first_frame"), clip("reference_video"))
    asked = make_request("kling-v3", media=media, extra={"character_orientation": "image"})
    operation = await kling.start(asked, SUBMISSION)
    body = sent(vendor)
    assert body["video_url"] == "https://clips.test/a.mp4"
    assert (body["character_orientation"], body["mode"]) == ("image", "std")
    assert body["image_url"]
    assert operation.data == {"path": "/v1/videos/motion-control"}


async def test_storyboard(vendor: KlingServer, kling: Provider) -> None:
    shots = (Shot(seconds=2, prompt="A"), Shot(seconds=3, prompt="B"))
    await kling.start(make_request("kling-v3", shots=shots), SUBMISSION)
    body = sent(vendor)
    assert (body["multi_shot"], body["shot_type"], body["duration"]) == (True, "customize", "5")
    assert body["multi_prompt"] == [
        {"index": 1, "prompt": "A", "duration": "2"}, {"index": 2, "prompt": "B", "duration": "3"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(seed=7), "seed"),
        (make_request(extra={"model_name": "dearer"}), "model_name"),
        (make_request(extra={"Mode": "4k"}), "Mode"),
        (make_request(extra={"duration": "15"}), "duration"),
        (make_request(size="640x360"), "size"),
        (make_request(size="2560x1080"), "size"),
        (make_request("kling-v2-1", sound=True), "generate_audio"),
        (make_request("kling-v2-1").model_copy(update={"prompt": "kite " * 501}), "prompt"),
        (make_request("kling-v2-6", sound=True, size="1280x720"), "generate_audio"),
        (make_request(media=(picture(),), aspect_ratio="1:1"), "aspect_ratio"),
        (make_request("kling-v3-omni", media=(picture("last_frame"),)), "last_frame"),
        (make_request("kling-v3", media=(clip("reference_video"),), sound=False), "generate_audio"),
        (make_request(seconds=5.5), "seconds"),
        (make_request(aspect_ratio="21:9"), "aspect_ratio"),
        (make_request(resolution="8k"), "resolution"),
        (make_request("kling-v3", shots=(Shot(seconds=2, prompt="A"),)), "shots"),
        (make_request("kling-v3", shots=(Shot(seconds=2.5, prompt="A"),)), "shots"),
        (make_request("kling-v3", shots=(Shot(seconds=2, prompt="A"),), seconds=5), "seconds"),
        (make_request("kling-v3", shots=(Shot(seconds=1, prompt="A"),) * 7), "shots"),
        (make_request("kling-v3-omni", negative_prompt="rain"), "negative_prompt"),
        (make_request(media=(MediaInput(role="audio", content_type="audio/wav", content=b"RIFF"),)), "audio"),
        (make_request("kling-v1-6", media=(picture(), picture("reference_image"))), "reference_image"),
        (make_request("kling-v1-6", media=(picture("reference_image"),) * 5), "reference_image"),
        (
            make_request("kling-v3", media=(clip("reference_video").model_copy(update={"url": None}),)),
            "reference_video",
        ),
        (make_request("kling-v3", media=(clip("reference_video"),), seconds=5), "seconds"),
        (make_request("kling-v3-omni", media=(clip("source_video"), clip("reference_video"))), "video"),
        (make_request(action="extend"), "video"),
        (make_request().model_copy(update={"kind": "image"}), "model"),
    ],
)
async def test_what_cannot_be_told(
    vendor: KlingServer, kling: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await kling.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.counts["submit"] == 0


@pytest.mark.parametrize("status", [200, None])
@pytest.mark.parametrize(
    ("http", "code", "expected"),
    [
        (401, 1004, UpstreamAuthFailed), (429, 1101, UpstreamQuotaExhausted),
        (429, 1102, UpstreamQuotaExhausted), (403, 1103, UpstreamQuotaExhausted),
        (400, 1201, UpstreamRejected), (404, 1203, UpstreamRejected), (400, 1301, UpstreamModerated),
        (429, 1302, UpstreamBusy), (429, 1303, UpstreamBusy), (500, 5000, UpstreamFailed),
        (503, 5001, UpstreamBusy), (504, 5002, OutcomeUnknown),
    ],
)  # fmt: skip
async def test_codes(
    vendor: KlingServer, kling: Provider, http: int, code: int, expected: type, status: int | None
) -> None:
    said = {"code": code, "message": f"parallel task over {SECRET}", "request_id": "r"}
    vendor.refuse = (status or http, said, {"Retry-After": "4"})
    with pytest.raises(UpstreamError) as caught:
        await kling.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected
    assert SECRET not in caught.value.message
    assert str(code) in caught.value.message
    if expected is UpstreamBusy:
        assert caught.value.retry_after == 4.0


async def test_a_code_nobody_knows(vendor: KlingServer, kling: Provider) -> None:
    for status, expected in ((200, UpstreamFailed), (400, UpstreamRejected), (429, UpstreamBusy)):
        vendor.refuse = (status, {"code": 7777, "message": "New."}, {})
        with pytest.raises(expected):
            await kling.start(make_request(), SUBMISSION)


async def test_accepted_without_a_task(vendor: KlingServer, kling: Provider) -> None:
    vendor.refuse = (200, {"code": 0, "message": "SUCCEED", "data": None}, {})
    with pytest.raises(OutcomeUnknown):
        await kling.start(make_request(), SUBMISSION)


# ---- signed tokens ----


async def test_signed_token(vendor: KlingServer) -> None:
    vendor.reset()
    access, secret = next(iter(vendor.signers.items()))
    async with open_provider("kling", vendor, secret=f"{access}|{secret}") as provider:
        operation = await provider.start(make_request(), SUBMISSION)
        assert isinstance(await provider.poll(operation), Succeeded)
        assert await provider.balance() == AccountBalance(158.5, "units")
        assert secret not in str(vendor.seen)
        vendor.refuse = (401, {"code": 1002, "message": vendor.seen[-1].headers["authorization"]}, {})
        with pytest.raises(UpstreamAuthFailed) as caught:
            await provider.start(make_request(), SUBMISSION)
        assert "[secret]" in caught.value.message
        assert "eyJ" not in caught.value.message


async def test_wrong_signature(vendor: KlingServer) -> None:
    vendor.reset()
    async with open_provider("kling", vendor, secret="access-key|another-secret") as provider:
        with pytest.raises(UpstreamAuthFailed):
            await provider.start(make_request(), SUBMISSION)


# ---- look ----


async def test_usage_and_link(vendor: KlingServer, kling: Provider) -> None:
    operation = await kling.start(make_request(), SUBMISSION)
    answer = await kling.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == f"{vendor.url}/files/{operation.id}.mp4"
    assert answer.usage == {"seconds": "5.1", "units": "3.5"}


async def test_success_without_a_video(vendor: KlingServer, kling: Provider) -> None:
    operation = await kling.start(make_request(), SUBMISSION)
    data = {"task_id": operation.id, "task_status": "succeed", "task_result": {"videos": []}}
    vendor.refuse_poll = (200, {"code": 0, "message": "", "data": data}, {})
    with pytest.raises(PollFailed):
        await kling.poll(operation)


async def test_poll_refused_in_a_200(vendor: KlingServer, kling: Provider) -> None:
    operation = await kling.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (200, {"code": 1302, "message": "slow down"}, {"Retry-After": "9"})
    with pytest.raises(PollFailed) as caught:
        await kling.poll(operation)
    assert caught.value.retry_after == 9.0
    vendor.refuse_poll = (200, {"code": 1000, "message": "no"}, {})
    with pytest.raises(UpstreamAuthFailed):
        await kling.poll(operation)


async def test_words(vendor: KlingServer, kling: Provider) -> None:
    vendor.states, vendor.failure = ["processing", "failed"], {"message": "GPU fell over"}
    operation = await kling.start(make_request(), SUBMISSION)
    assert await kling.poll(operation) == Running()
    assert await kling.poll(operation) == Failed("upstream_error", "GPU fell over")
    assert await kling.cancel(operation) is False


# ---- what became of a lost submission ----


@pytest.mark.parametrize("knows", [True, False])
async def test_recovered_by_our_id(vendor: KlingServer, kling: Provider, knows: bool) -> None:
    """By a look with our own id; should Kling stop taking it there, by the list."""
    vendor.knows_external_ids = knows
    started = await kling.start(make_request(media=(picture(),)), SUBMISSION)
    assert await kling.recover(make_request(media=(picture(),)), SUBMISSION) == started
    assert vendor.counts["submit"] == 1


async def test_sent_before(vendor: KlingServer, kling: Provider) -> None:
    """Kling refuses a second copy; that is no refusal of the task, and looking it up finds the first."""
    started = await kling.start(make_request(), SUBMISSION)
    with pytest.raises(OutcomeUnknown):
        await kling.start(make_request(), SUBMISSION)
    assert await kling.recover(make_request(), SUBMISSION) == started


async def test_missing_only_after_a_while(vendor: KlingServer, kling: Provider) -> None:
    with pytest.raises(PollFailed):
        await kling.recover(make_request(), SUBMISSION)
    async with open_provider("kling", vendor, lost_after_seconds=0) as hasty:
        assert await hasty.recover(make_request(), SUBMISSION) is None


async def test_recover_without_an_answer(vendor: KlingServer, kling: Provider) -> None:
    vendor.refuse_poll = (500, {"code": 5000, "message": "down"}, {})
    async with open_provider("kling", vendor, lost_after_seconds=0) as hasty:
        with pytest.raises(PollFailed):
            await hasty.recover(make_request(), SUBMISSION)


async def test_balance(vendor: KlingServer, kling: Provider) -> None:
    """Only packs in effect count; an account without any may pay afterwards, so nothing is told of it."""
    assert await kling.balance() == AccountBalance(158.5, "units")
    for data in ({"code": 0}, {"code": 0, "resource_pack_subscribe_infos": []}):
        vendor.refuse_poll = (200, {"code": 0, "data": data}, {})
        assert await kling.balance() is None
    used_up = [{"status": "runOut", "remaining_quantity": 0}]
    vendor.refuse_poll = (200, {"code": 0, "data": {"resource_pack_subscribe_infos": used_up}}, {})
    assert await kling.balance() == AccountBalance(0, "units")


async def test_balance_refused(vendor: KlingServer, kling: Provider) -> None:
    vendor.keys = {"another"}
    with pytest.raises(UpstreamAuthFailed) as caught:
        await kling.balance()
    assert SECRET not in caught.value.message
    vendor.refuse_poll = (200, {"code": 0, "data": {"code": 1002, "msg": "no"}}, {})
    with pytest.raises(UpstreamAuthFailed):
        await kling.balance()
    for document in ({"code": 0}, {"code": 1302, "message": "slow down"}):
        vendor.refuse_poll = (200, document, {})
        with pytest.raises(PollFailed):
            await kling.balance()


# ---- at a cloud that resells it ----


async def test_a_reseller() -> None:
    """Other paths, a task in the query, and a Bearer key, even one that looks like Kling's pair."""
    kinds = ("text2video", "image2video", "omni-video")
    paths = {f"/v1/videos/{kind}": f"/{kind}" for kind in kinds}
    paths |= {f"/v1/videos/{kind}/{{task}}": f"/{kind}?task_id={{task}}" for kind in kinds}
    options = {"auth": "bearer", "path_prefix": "/beta/video/kling", "paths": paths}
    with ResellerServer() as cloud:
        async with open_provider("kling", cloud, secret="cloud|key-0123456789", **options) as provider:
            for model, media, kind in (
                ("kling-v3", (), "text2video"),
                ("kling-v3", (picture(),), "image2video"),
                ("kling-v3-omni", (picture("reference_image"),), "omni-video"),
            ):
                asked = make_request(model, media=media)
                operation = await provider.start(asked, Submission(f"filmgate-{kind}"))
                assert cloud.seen[-1].path == f"/beta/video/kling/{kind}"
                assert cloud.seen[-1].headers["authorization"] == "Bearer cloud|key-0123456789"
                assert isinstance(await provider.poll(operation), Succeeded)
                assert cloud.seen[-1].query == {"task_id": operation.id}
            assert provider.capabilities("kling-v3").idempotency_key is False
            seen = len(cloud.seen)
            with pytest.raises(OutcomeUnknown):
                await provider.recover(make_request(), SUBMISSION)
            assert len(cloud.seen) == seen


async def test_a_prefix_alone() -> None:
    """As relays of the one-api family have it."""
    with PrefixServer() as relay:
        async with open_provider("kling", relay, path_prefix="/kling") as provider:
            operation = await provider.start(make_request(), SUBMISSION)
            assert relay.seen[-1].path == "/kling/v1/videos/text2video"
            assert isinstance(await provider.poll(operation), Succeeded)


# ---- what it can ----


def test_own_host() -> None:
    account = Account(id="a", provider="kling", name="k", secret=SECRET)
    assert KlingProvider.base_url_for(account) == "https://api-singapore.klingai.com"
    other = Account(id="a", provider="kling", name="k", base_url=" https://api-beijing.klingai.com/v1/ ")
    assert KlingProvider.base_url_for(other) == "https://api-beijing.klingai.com"
    with pytest.raises(InvalidRequest):
        KlingProvider.base_url_for(Account(id="a", provider="kling", name="k", base_url="api.klingai.com"))


async def test_capabilities(kling: Provider) -> None:
    provider = kling
    omni = provider.capabilities("kling-v3-omni")
    assert (omni.seconds, omni.native_shots, omni.idempotency_key) == ((3, 15), True, True)
    assert {"source_video", "reference_image", "last_frame"} <= omni.roles
    assert provider.capabilities("kling-v2-1-master").roles == {"first_frame"}
    assert provider.capabilities("kling-v1-5").roles == {"first_frame", "last_frame"}
    assert provider.capabilities("kling-v2-6").lengths == (5, 10)
    assert provider.capabilities("kling-v9").seconds is None
    assert provider.capabilities("kling-v2-6").cancel is False


async def test_operation_survives_its_row(kling: Provider) -> None:
    operation = await kling.start(make_request(), SUBMISSION)
    restored = Operation.model_validate_json(operation.model_dump_json())
    assert isinstance(await kling.poll(restored), Succeeded)
