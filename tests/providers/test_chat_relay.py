"""The chat relay against a simulator of the chat-video and return-format manuals. For relays to another gateway
there is no SDK: the manuals are the authority."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app.errors import (
    OutcomeUnknown,
    UnsupportedWish,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role, Shot
from app.providers import registry
from app.providers.base import (
    Account,
    Failed,
    Operation,
    PollAnswer,
    Provider,
    Queued,
    Running,
    Submission,
    Succeeded,
)
from app.providers.chat_relay.provider import HELD
from app.providers.http_messages import UpstreamTimeouts
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.transport import loopback_transport
from tests.upstream.vendors.chat_relay import CUT, WAIT, ChatServer, chunk
from tests.upstream.vendors.front import FaultyFront

SUBMISSION = Submission("filmgate-0123")
VIDEO = "https://files.test/video.mp4"


@pytest.fixture(scope="module")
def vendor() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server
        server.gate.set()


@pytest.fixture
async def relay(vendor: ChatServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("chat_relay", vendor, at="/v1") as provider:
        yield provider
        vendor.gate.set()
    assert HELD == {}


def make_request(model: str = "sora_video2", **told: Any) -> GenerationRequest:
    return GenerationRequest(**({"kind": "video", "model": model, "prompt": "A red kite"} | told))


def picture(role: Role = "first_frame", url: str | None = None) -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=None if url else tiny_png(), url=url)


def sent(vendor: ChatServer) -> dict[str, Any]:
    body = next(seen for seen in reversed(vendor.seen) if seen.method == "POST").body
    found: dict[str, Any] = json.loads(body)
    return found


def text_of(vendor: ChatServer) -> str:
    text: str = sent(vendor)["messages"][0]["content"][0]["text"]
    return text


async def ended(relay: Provider, operation: Operation) -> PollAnswer:
    """What it says when it is over."""
    while isinstance(answer := await relay.poll(operation), Queued | Running):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return answer


class TestContract(VendorContract):
    """An upstream that names its task, as another Filmgate does: nothing is held, the task is polled."""

    provider_name = "chat_relay"
    routes = [("POST", r"/v1/chat/completions", "create"), ("GET", r"/v1/tasks/[^/]+", "poll")]  # noqa: RUF012
    states = {"queued": "queued", "running": "processing", "done": "completed", "failed": "failed"}  # noqa: RUF012
    moderated = {"message": "This violates our content policy."}  # noqa: RUF012

    @pytest.fixture
    def upstream(self, vendor: ChatServer) -> Iterator[FakeUpstream]:
        vendor.reset()
        vendor.names_tasks = True
        with FaultyFront(vendor, self.routes) as front:
            yield front

    def request(self) -> GenerationRequest:
        return make_request(seconds=10)

    @pytest.mark.parametrize("do", ["reset", "garbage"])
    async def test_answer_broken(self, upstream: FakeUpstream, provider: Provider, do: str) -> None:
        """An answer that is cut or too long after its head does no harm: the head names the task."""
        upstream.fault(self.submit_call, do=do, accepts=True)
        await self.refused(provider, OutcomeUnknown)
        assert upstream.counters().jobs == 1

    @pytest.mark.parametrize("do", ["cut", "drip"])
    async def test_broken_after_its_head(self, upstream: FakeUpstream, provider: Provider, do: str) -> None:
        upstream.fault(self.submit_call, do=do, accepts=True, delay=0.05)
        operation = await self.start(provider)
        assert isinstance(await provider.poll(operation), Succeeded)

    @pytest.mark.parametrize("do", ["hang"])
    async def test_timeout_after_sending(self, upstream: FakeUpstream, hasty: Provider, do: str) -> None:
        upstream.fault(self.submit_call, do=do, accepts=True)
        await self.refused(hasty, OutcomeUnknown)
        assert upstream.counters().jobs == 1


# ---- what is sent ----


async def test_text(vendor: ChatServer, relay: Provider) -> None:
    asked = make_request(size="1280x704", seconds=15, style="anime", extra={"user": "u"})
    await relay.start(asked, SUBMISSION)
    assert vendor.seen[-1].path == "/v1/chat/completions"
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert vendor.seen[-1].headers["idempotency-key"] == "filmgate-0123"
    assert sent(vendor) == {
        "model": "sora_video2-landscape-15s", "stream": True, "user": "u",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "{anime} A red kite"}]}],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["model", "Stream", "messages", "images", "n", "duration"])
async def test_a_reserved_name_is_refused(vendor: ChatServer, relay: Provider, name: str) -> None:
    with pytest.raises(UnsupportedWish) as refused:
        await relay.start(make_request(extra={name: "x"}), SUBMISSION)
    assert (refused.value.param, vendor.seen) == (name, [])


async def test_what_it_says_of_itself(relay: Provider) -> None:
    able = relay.capabilities("sora_video2")
    assert able.native_styles and able.native_shots
    assert (able.seconds, able.lengths) == ((10, 25), (10, 15, 25))


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"size": "720x1280", "seconds": 15}, "竖屏,15s A red kite"),
        ({"aspect_ratio": "16:9", "resolution": "1080p", "style": "anime"}, "{anime}横屏,高清 A red kite"),
        ({}, "A red kite"),
        (
            {"seconds": 10, "shots": (Shot(seconds=5, prompt="A"), Shot(seconds=5, prompt="B"))},
            "[5.0s]A [5.0s]B",
        ),
        ({"kind": "image", "size": "540x360"}, "横屏 A red kite"),
    ],
)
async def test_said_in_the_prompt(
    vendor: ChatServer, relay: Provider, told: dict[str, Any], text: str
) -> None:
    """For names that say nothing."""
    await relay.start(make_request("films-3", **told), SUBMISSION)
    assert (sent(vendor)["model"], text_of(vendor)) == ("films-3", text)


async def test_said_beside_the_messages(vendor: ChatServer) -> None:
    vendor.reset()
    async with open_provider("chat_relay", vendor, told_by="fields") as relay:
        assert relay.capabilities("sora_video2").seconds is None
        asked = make_request(
            seconds=7, size="1024x1024", seed=3, negative_prompt="rain", watermark=False, private=True
        )
        await relay.start(asked, SUBMISSION)
        body = sent(vendor)
        del body["messages"], body["stream"]
        assert body == {
            "model": "sora_video2", "duration": 7, "size": "1024x1024", "seed": 3, "negative_prompt": "rain",
            "watermark": False, "private": True,
        }  # fmt: skip


async def test_inputs(vendor: ChatServer, relay: Provider) -> None:
    clip = MediaInput(
        role="source_video", content_type="video/mp4", content=b"m", url="https://clips.test/a.mp4"
    )
    media = (picture(url="https://pictures.test/a.png"), picture("reference_image"), picture("subject"), clip)
    await relay.start(make_request(media=media, action="edit"), SUBMISSION)
    parts = sent(vendor)["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "image_url", "image_url", "video_url"]
    assert parts[1]["image_url"] == {"url": "https://pictures.test/a.png"}
    assert parts[2]["image_url"]["url"].startswith("data:image/png;base64,")
    assert parts[4]["video_url"]["url"].startswith("data:video/mp4;base64,")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(seconds=7), "seconds"),
        (make_request("films-3", seconds=7), "seconds"),
        (make_request("films-3", size="720x720"), "size"),
        (make_request(seed=7), "seed"),
        (make_request(negative_prompt="rain"), "negative_prompt"),
        (make_request(watermark=True), "watermark"),
        (make_request(private=True), "private"),
        (make_request(media=(picture("last_frame"),)), "last_frame"),
        (make_request(media=(picture("reference_image"),) * 9), "input_reference"),
        (make_request(action="remix"), "video"),
    ],
)
async def test_what_cannot_be_told(
    vendor: ChatServer, relay: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await relay.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.counts["submit"] == 0


# ---- a stream that is held ----


async def test_start_does_not_wait_for_the_end(vendor: ChatServer, relay: Provider) -> None:
    vendor.lines = [
        "任务已进入队列\n",
        WAIT,
        "视频生成中...",
        "进度: 50%",
        "进度: 30%",
        f"视频生成成功！[点击这里]({VIDEO})",
    ]
    operation = await relay.start(make_request(), SUBMISSION)
    assert (operation.id, operation.data) == ("chatcmpl-7", {"kind": "video", "held": "filmgate-0123"})
    assert await relay.poll(operation) == Queued()
    vendor.gate.set()
    answer = await ended(relay, operation)
    assert isinstance(answer, Succeeded)
    assert [file.url for file in answer.files] == [VIDEO]
    assert await relay.poll(operation) == answer
    assert vendor.counts["submit"] == 1


async def test_progress_never_falls(vendor: ChatServer, relay: Provider) -> None:
    vendor.lines = [
        "进度: 50%",
        chunk("", reasoning_content="**Progress**: 62.5% (running)"),
        "进度: 30%",
        WAIT,
    ]
    operation = await relay.start(make_request(), SUBMISSION)
    while await relay.poll(operation) != Running(progress=62.5):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    vendor.gate.set()


@pytest.mark.parametrize(
    "text",
    [
        f"视频生成成功！[点击这里]({VIDEO})",
        f"```html\n<video src='{VIDEO}' controls></video>\n```",
        f"✅ 视频生成完成，地址：{VIDEO}",
        VIDEO,
        f"[预览](https://files.test/preview.gif) [点击这里]({VIDEO})",
    ],
)
async def test_every_way_to_say_a_link(vendor: ChatServer, relay: Provider, text: str) -> None:
    vendor.lines = ["🎬 开始生成视频...", text]
    answer = await ended(relay, await relay.start(make_request(), SUBMISSION))
    assert isinstance(answer, Succeeded)
    assert [file.url for file in answer.files] == [VIDEO]


async def test_link_in_pieces(vendor: ChatServer, relay: Provider) -> None:
    vendor.lines = ["<video src='https://files", ".test/video.mp4?a=1&amp;b=2'>"]
    answer = await ended(relay, await relay.start(make_request(), SUBMISSION))
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == f"{VIDEO}?a=1&b=2"


async def test_images(vendor: ChatServer, relay: Provider) -> None:
    vendor.lines = ["![Generated Image](https://p.test/1.png)\n![Generated Image](https://p.test/2.png)"]
    answer = await ended(relay, await relay.start(make_request("gpt-image", kind="image"), SUBMISSION))
    assert isinstance(answer, Succeeded)
    assert [(file.kind, file.url) for file in answer.files] == [
        ("image", "https://p.test/1.png"), ("image", "https://p.test/2.png"),
    ]  # fmt: skip


@pytest.mark.parametrize("place", ["content", "images"])
async def test_pictures_in_the_answer_itself(vendor: ChatServer, relay: Provider, place: str) -> None:
    padding = b"\0" * 2_000_000
    link = "data:image/png;base64," + base64.b64encode(tiny_png() + padding).decode()
    images = [{"type": "image_url", "image_url": {"url": link}}]
    vendor.lines = [f"![image]({link})" if place == "content" else chunk("", images=images)]
    operation = await relay.start(make_request("gpt-image", kind="image"), SUBMISSION)
    answer = await ended(relay, operation)
    assert isinstance(answer, Succeeded)
    pieces = [piece async for piece in relay.fetch(operation, answer.files[0])]
    assert b"".join(pieces) == tiny_png() + padding


async def test_answered_whole(vendor: ChatServer, relay: Provider) -> None:
    """Some gateways overlook ``stream``."""
    message = {"role": "assistant", "content": VIDEO}
    vendor.whole = {
        "id": "chatcmpl-8", "choices": [{"message": message, "finish_reason": "stop"}], "usage": {"total_tokens": 9},
    }  # fmt: skip
    answer = await ended(relay, await relay.start(make_request(), SUBMISSION))
    assert isinstance(answer, Succeeded)
    assert (answer.files[0].url, answer.usage) == (VIDEO, {"total_tokens": 9})


async def test_result_on_the_gateway_itself(vendor: ChatServer, relay: Provider) -> None:
    vendor.lines = [f"{vendor.url}/files/video.mp4"]
    operation = await relay.start(make_request(), SUBMISSION)
    answer = await ended(relay, operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url is None
    assert b"".join([piece async for piece in relay.fetch(operation, answer.files[0])]) == tiny_mp4()


async def test_failure_in_words(vendor: ChatServer, relay: Provider) -> None:
    vendor.lines = ["视频生成中...", f"❌ 生成失败 {SECRET}"]
    answer = await ended(relay, await relay.start(make_request(), SUBMISSION))
    assert answer == Failed("upstream_error", "❌ 生成失败 [secret]")
    vendor.lines = ["视频生成中...", "❌ 生成失败: 内容违反了政策"]
    answer = await ended(relay, await relay.start(make_request(), Submission("k2")))
    assert isinstance(answer, Failed)
    assert answer.code == "content_policy_violation"


async def test_failure_as_an_error(vendor: ChatServer, relay: Provider) -> None:
    error = {"message": "GPU fell over", "type": "server_error", "code": None}
    vendor.lines = ["视频生成中...", {"error": error}]
    answer = await ended(relay, await relay.start(make_request(), SUBMISSION))
    assert answer == Failed("upstream_error", "GPU fell over")
    vendor.lines = ["视频生成中...", {"error": error | {"code": "content_policy_violation"}}]
    answer = await ended(relay, await relay.start(make_request(), Submission("k2")))
    assert answer == Failed("content_policy_violation", "GPU fell over")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"message": "Slow down", "code": "rate_limit_exceeded"}, UpstreamBusy),
        ({"message": "Slow down", "code": 429}, UpstreamBusy),
        ({"message": "No available tokens for video generation.", "code": None}, UpstreamBusy),
        ({"message": "Empty", "code": "insufficient_quota"}, UpstreamQuotaExhausted),
        ({"message": "No", "code": "content_policy_violation"}, UpstreamModerated),
        ({"message": "Which size?", "param": "size", "code": None}, UpstreamRejected),
        ({"message": f"We failed {SECRET}", "code": None}, UpstreamFailed),
        ("We failed", UpstreamFailed),
    ],
)
async def test_refused_by_the_first_word(
    vendor: ChatServer, relay: Provider, error: Any, expected: type
) -> None:
    vendor.lines = [{"error": error}]
    with pytest.raises(UpstreamError) as caught:
        await relay.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected
    assert SECRET not in caught.value.message


async def test_cut_before_the_first_word(vendor: ChatServer, relay: Provider) -> None:
    vendor.lines = [CUT]
    with pytest.raises(OutcomeUnknown):
        await relay.start(make_request(), SUBMISSION)
    vendor.lines, vendor.ends = [], False
    with pytest.raises(OutcomeUnknown):
        await relay.start(make_request(), SUBMISSION)


async def test_cut_after_it(vendor: ChatServer, relay: Provider) -> None:
    """It was accepted and may be billed: neither failed nor to be sent again."""
    vendor.lines = ["进度: 50%", WAIT, CUT]
    operation = await relay.start(make_request(), SUBMISSION)
    vendor.gate.set()
    answer = await ended(relay, operation)
    assert isinstance(answer, Failed)
    assert answer.code == "submission_unknown"


async def test_cut_after_the_link(vendor: ChatServer, relay: Provider) -> None:
    vendor.lines = ["进度: 50%", VIDEO, WAIT, CUT]
    operation = await relay.start(make_request(), SUBMISSION)
    vendor.gate.set()
    assert isinstance(await ended(relay, operation), Succeeded)


async def test_silence(vendor: ChatServer) -> None:
    vendor.reset()
    vendor.lines = ["进度: 50%", WAIT]
    async with open_provider("chat_relay", vendor, silence_seconds=0.05) as relay:
        answer = await ended(relay, await relay.start(make_request(), SUBMISSION))
        assert isinstance(answer, Failed)
        assert answer.code == "submission_unknown"
        vendor.gate.set()


async def test_slow_to_speak(vendor: ChatServer) -> None:
    """Once its answer has begun it has the request, whether it says a word or not."""
    vendor.reset()
    vendor.lines = [WAIT, VIDEO]
    account = Account(id="a2", provider="chat_relay", name="slow", base_url=vendor.url, secret=SECRET)
    async with loopback_transport() as transport:
        relay = registry.create_provider(account, transport, timeouts=UpstreamTimeouts(submit=1.0))
        operation = await relay.start(make_request(), SUBMISSION)
        assert operation.id == "filmgate-0123"
        assert await relay.poll(operation) == Running()
        vendor.gate.set()
        assert isinstance(await ended(relay, operation), Succeeded)
        await relay.close()


async def test_too_long(vendor: ChatServer, relay: Provider) -> None:
    vendor.lines = ["进度: 50%", *["x" * 100_000] * 12, WAIT]
    answer = await ended(relay, await relay.start(make_request(), SUBMISSION))
    assert isinstance(answer, Failed)
    assert answer.code == "submission_unknown"


async def test_the_process_has_ended_meanwhile(vendor: ChatServer, relay: Provider) -> None:
    """Its stream is gone and can't be asked for again: unknown, never sent twice."""
    lost = Operation(id="chatcmpl-9", data={"kind": "video", "held": "filmgate-9999"})
    answer = await relay.poll(lost)
    assert isinstance(answer, Failed)
    assert answer.code == "submission_unknown"
    with pytest.raises(OutcomeUnknown):
        await relay.recover(make_request(), SUBMISSION)
    assert vendor.counts["submit"] == 0


async def test_account_changed_meanwhile(vendor: ChatServer, relay: Provider) -> None:
    """A changed account gets a new provider; what the old one holds is still told."""
    vendor.lines = ["进度: 50%", WAIT, VIDEO]
    operation = await relay.start(make_request(), SUBMISSION)
    async with open_provider("chat_relay", vendor, references=2) as newer:
        assert await newer.poll(operation) == Running(progress=50.0)
        vendor.gate.set()
        assert isinstance(await ended(newer, operation), Succeeded)


async def test_cancel(vendor: ChatServer, relay: Provider) -> None:
    vendor.lines = ["进度: 50%", WAIT, VIDEO]
    operation = await relay.start(make_request(), SUBMISSION)
    assert await relay.cancel(operation) is False
    vendor.gate.set()


async def test_idempotent_gateway(vendor: ChatServer) -> None:
    vendor.reset()
    vendor.names_tasks = vendor.honours_idempotency = True
    async with open_provider("chat_relay", vendor, idempotency=True, cancel=True) as relay:
        started = await relay.start(make_request(), SUBMISSION)
        assert await relay.recover(make_request(), SUBMISSION) == started
        assert vendor.counts["submit"] == 1
        assert await relay.cancel(started) is True
        assert relay.capabilities("sora_video2").idempotency_key is True
