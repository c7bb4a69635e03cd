"""MiniMax against its simulator. MiniMax's own client, minimax-mcp, completes a v1 job against the same simulator;
for v2 there is none, and the field names are those of the documentation and of the Vercel AI SDK's provider."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from app.errors import (
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
from app.providers.base import Account, Failed, Provider, Queued, Running, Submission, Succeeded
from app.providers.minimax.provider import MiniMaxProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.vendors.minimax import V2_STATUS, MiniMaxServer, TokenHubServer

SUBMISSION = Submission("filmgate-0123")
H3 = "MiniMax-H3"
VENDORS_OWN_CLIENT = """
import sys
from minimax_mcp import server
made = server.generate_video(prompt="A red kite", duration=6, resolution="768P", async_mode=True).text
task = made.split("Task ID: ")[1].split(".")[0]
for _ in range(3):
    said = server.query_video_generation(task_id=task, output_directory=sys.argv[1]).text
    print(said.split(":")[0])
"""


@pytest.fixture(scope="module")
def vendor() -> Iterator[MiniMaxServer]:
    with MiniMaxServer() as server:
        yield server


@pytest.fixture
async def minimax(vendor: MiniMaxServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("minimax", vendor) as provider:
        yield provider


def make_request(model: str = "MiniMax-Hailuo-02", **told: Any) -> GenerationRequest:
    return GenerationRequest(kind="video", model=model, prompt="A red kite", **told)


def picture(role: Role = "first_frame") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def sound() -> MediaInput:
    return MediaInput(role="audio", content_type="audio/wav", content=b"RIFF")


def sent(vendor: MiniMaxServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vendor.seen[-1].body)
    return found


class TestContractV1(VendorContract):
    provider_name = "minimax"
    routes: ClassVar = [
        ("POST", "/v1/video_generation", "create"), ("GET", "/v1/query/video_generation", "poll"),
    ]  # fmt: skip
    states: ClassVar = {"queued": "Queueing", "running": "Processing", "done": "Success", "failed": "Fail"}
    moderated: ClassVar = {"code": 1027, "message": "output new_sensitive"}
    codes: ClassVar = {
        "invalid_value": 2013, "moderation_blocked": 1026, "server_error": 1033, "invalid_api_key": 1004,
    }  # fmt: skip

    def request(self) -> GenerationRequest:
        return make_request(seconds=6)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        return {"base_resp": {"status_code": self.codes[code], "status_msg": message}}

    async def test_failed(self, upstream: FakeUpstream, provider: Provider) -> None:
        """MiniMax always gives a number with its sentence."""
        upstream.script(final="Fail", error={"code": 1033, "message": "GPU fell over"})
        answer = await provider.poll(await self.start(provider))
        assert answer == Failed("upstream_error", "GPU fell over (1033)")


class TestContractV2(VendorContract):
    provider_name = "minimax"
    routes: ClassVar = [
        ("POST", "/v2/video_generation", "create"), ("GET", r"/v2/query/video_generation/[^/]+", "poll"),
    ]  # fmt: skip
    states: ClassVar = {
        "queued": "queued", "running": "running", "done": "succeeded", "failed": "failed",
    }  # fmt: skip
    moderated: ClassVar = {"code": "1027", "message": "output new_sensitive"}
    codes: ClassVar = {
        "invalid_value": "bad_request_error", "moderation_blocked": "unprocessable_entity_error",
        "server_error": "server_error", "invalid_api_key": "authorized_error",
    }  # fmt: skip
    # Silence is met by the code that v1's suite has tested.
    test_timeout_before_sending = None
    test_timeout_after_sending = None
    test_poll_timeout = None

    @pytest.fixture(autouse=True)
    def _word(self, vendor: MiniMaxServer) -> Iterator[None]:
        vendor.done = "succeeded"
        yield
        vendor.done = "Success"

    def request(self) -> GenerationRequest:
        return make_request(H3, seconds=5)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        return {"type": "error", "error": {"type": self.codes[code], "message": message}, "request_id": "r"}


def test_the_vendors_own_client(vendor: MiniMaxServer, tmp_path: Path) -> None:
    vendor.reset()
    vendor.states = ["Queueing", "Processing", "Success"]
    environment = {
        **os.environ, "MINIMAX_API_KEY": SECRET, "MINIMAX_API_HOST": vendor.url,
        "MINIMAX_API_RESOURCE_MODE": "local", "MINIMAX_MCP_BASE_PATH": str(tmp_path), "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-c", VENDORS_OWN_CLIENT, str(tmp_path)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "Video generation task is still processing", "Video generation task is still processing",
        "Success. Video saved as",
    ]  # fmt: skip
    assert next(tmp_path.glob("*.mp4")).read_bytes() == tiny_mp4()
    body = json.loads(vendor.seen[0].body)
    assert body == {
        "model": "MiniMax-Hailuo-2.3", "prompt": "A red kite", "duration": 6, "resolution": "768P",
    }  # fmt: skip


# ---- v1 ----


async def test_v1_text(vendor: MiniMaxServer, minimax: Provider) -> None:
    asked = make_request(
        "MiniMax-Hailuo-2.3", seconds=6, size="1366x768", watermark=False,
        extra={"prompt_optimizer": False},
    )  # fmt: skip
    operation = await minimax.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/v1/video_generation"
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert sent(vendor) == {
        "model": "MiniMax-Hailuo-2.3", "prompt": "A red kite", "duration": 6, "resolution": "768P",
        "aigc_watermark": False, "prompt_optimizer": False,
    }  # fmt: skip
    assert operation.data == {"api": "v1"}


async def test_v1_frames(vendor: MiniMaxServer, minimax: Provider) -> None:
    last = MediaInput(role="last_frame", content_type="image/png", url="https://pictures.test/z.png")
    await minimax.start(make_request(media=(picture(), last), resolution="768p", size="720x1280"), SUBMISSION)
    body = sent(vendor)
    assert body["first_frame_image"] == "data:image/png;base64," + base64.b64encode(tiny_png()).decode()
    assert (body["last_frame_image"], body["resolution"]) == ("https://pictures.test/z.png", "768P")


async def test_v1_smallest_tier_needs_a_frame(vendor: MiniMaxServer, minimax: Provider) -> None:
    await minimax.start(make_request(media=(picture(),), resolution="512p", seconds=10), SUBMISSION)
    assert (sent(vendor)["resolution"], sent(vendor)["duration"]) == ("512P", 10)


async def test_v1_subject(vendor: MiniMaxServer, minimax: Provider) -> None:
    await minimax.start(make_request("S2V-01", media=(picture("reference_image"),)), SUBMISSION)
    (subject,) = sent(vendor)["subject_reference"]
    assert subject["type"] == "character"
    assert subject["image"][0].startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(seed=7), "seed"),
        (make_request(negative_prompt="rain"), "negative_prompt"),
        (make_request(extra={"resolution": "1080P"}), "resolution"),
        (make_request(extra={"callback_url": "https://me.test"}), "callback_url"),
        (make_request(resolution="512P"), "resolution"),
        (make_request("MiniMax-Hailuo-2.3", resolution="1080P", seconds=10), "seconds"),
        (make_request("MiniMax-Hailuo-2.3", sound=True), "generate_audio"),
        (make_request("MiniMax-Hailuo-2.3-Fast"), "first_frame"),
        (make_request("I2V-01-live"), "first_frame"),
        (make_request("S2V-01"), "reference_image"),
        (make_request("MiniMax-H3-Max", resolution="2K"), "resolution"),
        (make_request("MiniMax-H3-Max", media=(picture("reference_image"),)), "reference_image"),
        (make_request(H3, media=(picture("last_frame"),)), "last_frame"),
        (make_request(H3, media=(sound(),)), "audio"),
        (make_request(H3, aspect_ratio="adaptive"), "aspect_ratio"),
        (make_request(H3, aspect_ratio="1:1", media=(picture(),)), "aspect_ratio"),
        (make_request(H3, sound=False), "generate_audio"),
        (make_request(H3, extra={"content": []}), "content"),
        (make_request(size="720x1280"), "size"),
        (make_request(aspect_ratio="9:16"), "aspect_ratio"),
        (make_request(aspect_ratio="1:1", media=(picture(),)), "aspect_ratio"),
        (make_request("MiniMax-Hailuo-2.3", resolution="512P"), "resolution"),
        (make_request("MiniMax-Hailuo-2.3", media=(picture("last_frame"),)), "last_frame"),
        (make_request("T2V-01", media=(picture(),)), "first_frame"),
        (make_request("S2V-01", media=(picture("subject"),) * 2), "subject"),
        (make_request(H3, seed=7), "seed"),
        (make_request(H3, aspect_ratio="2:3"), "aspect_ratio"),
        (make_request(H3, resolution="1080P"), "resolution"),
        (make_request(H3, media=(picture(), picture("reference_image"))), "reference_image"),
        (make_request(H3, media=(picture("reference_image"),) * 10), "reference_image"),
        (make_request(H3, media=(picture("subject"),)), "subject"),
    ],
)
async def test_what_cannot_be_told(
    vendor: MiniMaxServer, minimax: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await minimax.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.seen == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1002, UpstreamBusy), (2045, UpstreamBusy), (2061, UpstreamModelForbidden), (1004, UpstreamAuthFailed), (1008, UpstreamQuotaExhausted),
        (1026, UpstreamModerated), (2013, UpstreamRejected), (2049, UpstreamAuthFailed),
        (2056, UpstreamQuotaExhausted), (1001, OutcomeUnknown), (1024, UpstreamFailed), (9999, UpstreamFailed),
    ],
)  # fmt: skip
async def test_v1_codes(vendor: MiniMaxServer, minimax: Provider, code: int, expected: type) -> None:
    said = {"base_resp": {"status_code": code, "status_msg": f"no, {SECRET}"}}
    vendor.refuse = (200, said, {})
    with pytest.raises(UpstreamError) as caught:
        await minimax.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected
    assert SECRET not in caught.value.message


async def test_v1_file_is_retrieved(vendor: MiniMaxServer, minimax: Provider) -> None:
    vendor.states = ["Preparing", "Processing", "Success"]
    operation = await minimax.start(make_request(), SUBMISSION)
    assert await minimax.poll(operation) == Queued()
    assert await minimax.poll(operation) == Running()
    answer = await minimax.poll(operation)
    assert isinstance(answer, Succeeded)
    assert [seen.path for seen in vendor.seen[-2:]] == ["/v1/query/video_generation", "/v1/files/retrieve"]
    assert answer.files[0].url == f"{vendor.url}/files/{operation.id}.mp4"
    assert answer.usage == {"size": "1366x768"}
    assert await minimax.cancel(operation) is False


async def test_v1_file_is_gone(vendor: MiniMaxServer, minimax: Provider) -> None:
    operation = await minimax.start(make_request(), SUBMISSION)
    said = {"status": "Success", "file_id": "779999", "base_resp": {"status_code": 0, "status_msg": ""}}
    vendor.refuse_poll = (200, said, {})
    with pytest.raises(PollFailed):
        await minimax.poll(operation)


async def test_v1_look_refused_in_a_200(vendor: MiniMaxServer, minimax: Provider) -> None:
    operation = await minimax.start(make_request(), SUBMISSION)
    for code, expected in ((1002, PollFailed), (2049, UpstreamAuthFailed)):
        vendor.refuse_poll = (200, {"base_resp": {"status_code": code, "status_msg": ""}}, {})
        with pytest.raises(expected):
            await minimax.poll(operation)


async def test_accepted_without_a_task(vendor: MiniMaxServer, minimax: Provider) -> None:
    for model in ("T2V-01", H3):
        vendor.refuse = (200, {"base_resp": {"status_code": 0, "status_msg": "success"}}, {})
        with pytest.raises(OutcomeUnknown):
            await minimax.start(make_request(model), SUBMISSION)


# ---- v2 ----


async def test_v2_text(vendor: MiniMaxServer, minimax: Provider) -> None:
    asked = make_request(H3, seconds=8, size="1440x2560", watermark=True)
    operation = await minimax.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/v2/video_generation"
    assert sent(vendor) == {
        "model": H3, "content": [{"type": "text", "text": "A red kite"}], "resolution": "2K", "duration": 8,
        "ratio": "9:16", "aigc_watermark": True,
    }  # fmt: skip
    assert operation.data == {"api": "v2"}


@pytest.mark.parametrize("model", [H3, "MiniMax-H3-Max"])
async def test_v2_what_minimax_wants_told(vendor: MiniMaxServer, minimax: Provider, model: str) -> None:
    """The cheaper of H3's resolutions, and one that H3-Max has."""
    await minimax.start(make_request(model), SUBMISSION)
    body = sent(vendor)
    assert (body["duration"], body["ratio"], body["resolution"]) == (5, "16:9", "768P")


async def test_v2_smallest_tier(vendor: MiniMaxServer, minimax: Provider) -> None:
    await minimax.start(make_request("MiniMax-H3-Max", resolution="480p", seconds=5), SUBMISSION)
    assert sent(vendor)["resolution"] == "480P"


async def test_a_generation_of_tomorrow_is_left_to_the_vendor(
    vendor: MiniMaxServer, minimax: Provider
) -> None:
    asked = make_request("MiniMax-H4", seconds=15, resolution="4K", media=(picture("reference_image"),) * 12)
    await minimax.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/v2/video_generation"
    assert (sent(vendor)["resolution"], len(sent(vendor)["content"])) == ("4K", 13)
    await minimax.start(make_request("MiniMax-Hailuo-3", seconds=6, resolution="2K"), SUBMISSION)
    assert (vendor.seen[-1].path, sent(vendor)["resolution"]) == ("/v1/video_generation", "2K")
    assert minimax.capabilities("MiniMax-Hailuo-3").seconds is None


async def test_v2_frames(vendor: MiniMaxServer, minimax: Provider) -> None:
    media = (picture("last_frame"), picture())
    await minimax.start(make_request(H3, media=media, size="720x1280"), SUBMISSION)
    body = sent(vendor)
    assert [part.get("role") for part in body["content"]] == [None, "first_frame", "last_frame"]
    assert body["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert (body["resolution"], "ratio" in body) == ("768P", False)


async def test_v2_references(vendor: MiniMaxServer, minimax: Provider) -> None:
    clip = MediaInput(role="reference_video", content_type="video/mp4", url="https://clips.test/a.mp4")
    media = (picture("reference_image"), clip, sound())
    await minimax.start(make_request(H3, media=media), SUBMISSION)
    parts = sent(vendor)["content"][1:]
    assert [(part["type"], part["role"]) for part in parts] == [
        ("image_url", "reference_image"), ("video_url", "reference_video"), ("audio_url", "reference_audio"),
    ]  # fmt: skip
    assert parts[1]["video_url"] == {"url": "https://clips.test/a.mp4"}
    assert "ratio" not in sent(vendor)


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        ("bad_request_error", "no", UpstreamRejected), ("authorized_error", "no", UpstreamAuthFailed),
        ("insufficient_balance_error", "no (1008)", UpstreamQuotaExhausted),
        ("unprocessable_entity_error", "input new_sensitive (1026)", UpstreamModerated),
        ("unprocessable_entity_error", "invalid params (2013)", UpstreamRejected),
        ("rate_limit_error", "no", UpstreamBusy), ("server_error", "no", UpstreamFailed),
    ],
)  # fmt: skip
async def test_v2_errors(
    vendor: MiniMaxServer, minimax: Provider, kind: str, message: str, expected: type
) -> None:
    error = {"type": kind, "message": message, "http_code": str(V2_STATUS[kind])}
    vendor.refuse = (V2_STATUS[kind], {"type": "error", "error": error, "request_id": "r"}, {})
    with pytest.raises(UpstreamError) as caught:
        await minimax.start(make_request(H3), SUBMISSION)
    assert type(caught.value) is expected


async def test_v2_overloaded(vendor: MiniMaxServer, minimax: Provider) -> None:
    error = {"type": "overloaded_error", "message": "The server cluster is under high load (2064)"}
    vendor.refuse = (529, {"type": "error", "error": error, "request_id": "r"}, {})
    with pytest.raises(UpstreamBusy):
        await minimax.start(make_request(H3), SUBMISSION)


async def test_v2_link_and_usage(vendor: MiniMaxServer, minimax: Provider) -> None:
    vendor.states = ["queued", "running", "succeeded"]
    operation = await minimax.start(make_request(H3), SUBMISSION)
    assert await minimax.poll(operation) == Queued()
    assert await minimax.poll(operation) == Running()
    answer = await minimax.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == f"{vendor.url}/files/{operation.id}.mp4"
    assert answer.usage == {
        "resolution": "768P", "seconds": 5, "ratio": "16:9", "total_seconds": 5, "input_seconds": 0,
        "output_seconds": 5,
    }  # fmt: skip


async def test_v2_cancel(vendor: MiniMaxServer, minimax: Provider) -> None:
    vendor.states = ["running"]
    operation = await minimax.start(make_request(H3), SUBMISSION)
    assert await minimax.cancel(operation) is True
    assert await minimax.poll(operation) == Failed("cancelled", "MiniMax reports: cancelled")
    another = await minimax.start(make_request(H3), SUBMISSION)
    await minimax.poll(another)
    assert await minimax.cancel(another) is False


@pytest.mark.parametrize(
    ("word", "error", "expected"),
    [
        ("failed", {"code": "internal", "message": "GPU"}, Failed("upstream_error", "GPU")),
        ("failed", {"code": 1026, "message": "no"}, Failed("content_policy_violation", "no")),
        ("failed", {"code": "x", "message": "no (1027)"}, Failed("content_policy_violation", "no (1027)")),
        ("expired", {}, Failed("expired", "MiniMax reports: expired")),
    ],
)
async def test_v2_ended_otherwise(
    vendor: MiniMaxServer, minimax: Provider, word: str, error: dict[str, Any], expected: Failed
) -> None:
    vendor.states, vendor.failure = [word], error
    assert await minimax.poll(await minimax.start(make_request(H3), SUBMISSION)) == expected


async def test_v2_success_without_a_video(vendor: MiniMaxServer, minimax: Provider) -> None:
    operation = await minimax.start(make_request(H3), SUBMISSION)
    for document in ({"task": {"status": "succeeded"}}, {"task": None}):
        vendor.refuse_poll = (200, document, {})
        with pytest.raises(PollFailed):
            await minimax.poll(operation)


# ---- both ----


def test_own_host() -> None:
    assert (
        MiniMaxProvider.base_url_for(Account(id="a", provider="minimax", name="m"))
        == "https://api.minimax.io"
    )
    given = Account(id="a", provider="minimax", name="m", base_url="https://api.minimaxi.com/v1")
    assert MiniMaxProvider.base_url_for(given) == "https://api.minimaxi.com"


async def test_capabilities(minimax: Provider) -> None:
    newest = minimax.capabilities(H3)
    assert (newest.seconds, newest.cancel) == ((4, 15), True)
    assert {"reference_video", "audio", "last_frame"} <= newest.roles
    assert minimax.capabilities("MiniMax-Hailuo-02").roles == {"first_frame", "last_frame"}
    assert minimax.capabilities("MiniMax-Hailuo-2.3-Fast").roles == {"first_frame"}
    older = minimax.capabilities("T2V-01-Director")
    assert (older.roles, older.seconds, older.cancel) == (frozenset(), (6, 6), False)
    assert minimax.capabilities("MiniMax-Hailuo-02").lengths == (6, 10)
    fastest = minimax.capabilities("MiniMax-H3-Max")
    assert (fastest.roles, fastest.seconds, tuple(fastest.tiers)) == (
        {"first_frame", "last_frame"}, (5, 15), ("480P", "768P"),
    )  # fmt: skip


# ---- at a cloud that resells it ----


async def test_tokenhub() -> None:
    paths = {
        "/v2/video_generation": "/generation",
        "/v2/query/video_generation/{task}": "/tasks/{task}",
    }  # fmt: skip
    options = {"auth": "bearer", "path_prefix": "/v1/wand/minimax-video-v2", "paths": paths}
    with TokenHubServer() as cloud:
        async with open_provider("minimax", cloud, **options) as provider:
            operation = await provider.start(make_request("minimax-video-h3", seconds=5), SUBMISSION)
            assert cloud.seen[-1].path == "/v1/wand/minimax-video-v2/generation"
            assert cloud.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
            assert isinstance(await provider.poll(operation), Succeeded)
            assert cloud.seen[-1].path == f"/v1/wand/minimax-video-v2/tasks/{operation.id}"
            able = provider.capabilities("minimax-video-h3-max")
            assert (able.seconds, able.cancel) == ((5, 15), False)
            assert await provider.cancel(operation) is False
