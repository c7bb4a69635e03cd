"""Gemini Omni against its simulator, which Google's own SDK (google-genai) drives through a whole job."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import httpx2
import pytest
from google import genai
from google.genai import types

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
    Failed,
    Operation,
    Provider,
    ResultFile,
    Running,
    Submission,
    Succeeded,
)
from app.providers.gemini.provider import GeminiProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.vendors.gemini import GeminiServer

SUBMISSION = Submission("filmgate-0123")
EARLIER = Submission("filmgate-0124", remix_operation=Operation(id="v1_earlier"))
DATA = base64.b64encode(tiny_png()).decode()


@pytest.fixture(scope="module")
def vendor() -> Iterator[GeminiServer]:
    with GeminiServer() as server:
        yield server


@pytest.fixture
async def gemini(vendor: GeminiServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("gemini", vendor) as provider:
        yield provider


def make_request(**told: Any) -> GenerationRequest:
    return GenerationRequest(
        **{"kind": "video", "model": "gemini-omni-1.1-flash", "prompt": "A red kite"} | told
    )


def item(role: Role, **told: Any) -> MediaInput:
    kind = "video/mp4" if "video" in role else "image/png"
    return MediaInput(**{"role": role, "content_type": kind, "content": tiny_png()} | told)


def sent(vendor: GeminiServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vendor.seen[-1].body)
    return found


def blocks(vendor: GeminiServer) -> list[dict[str, Any]]:
    (step,) = sent(vendor)["input"]
    assert step["type"] == "user_input"
    found: list[dict[str, Any]] = step["content"]
    return found


def text(vendor: GeminiServer) -> str:
    return str(blocks(vendor)[-1]["text"])


async def read(provider: Provider, operation: Operation, file: ResultFile) -> bytes:
    return b"".join([chunk async for chunk in provider.fetch(operation, file)])


class TestContract(VendorContract):
    provider_name = "gemini"
    routes: ClassVar = [
        ("POST", r"/v1beta/interactions", "create"), ("GET", r"/v1beta/interactions/[^/]+", "poll"),
    ]  # fmt: skip
    states: ClassVar = {"queued": "queued", "running": "in_progress", "done": "completed", "failed": "failed"}
    moderated: ClassVar = {"code": "https://errors.googleapis.com/prohibited_content", "message": "Not this."}
    codes: ClassVar = {
        "invalid_value": "invalid_request", "moderation_blocked": "PROHIBITED_CONTENT",
        "server_error": "internal", "invalid_api_key": "UNAUTHENTICATED",
    }  # fmt: skip

    def request(self) -> GenerationRequest:
        return make_request(seconds=8)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        return {"error": {"code": self.codes[code], "message": message}}


# ---- the vendor's own SDK ----


def sdk(vendor: GeminiServer, **told: Any) -> genai.Client:
    return genai.Client(api_key=SECRET, http_options=types.HttpOptions(base_url=vendor.url, **told))


def test_sdk(vendor: GeminiServer) -> None:
    vendor.reset()
    vendor.states, vendor.host = ["in_progress", "completed"], "https://generativelanguage.googleapis.com"
    with sdk(vendor) as client:
        made = client.interactions.create(
            model="gemini-omni-1.1-flash", input="A red kite", background=True,
            response_format={"type": "video", "delivery": "uri", "duration": "8s"},
        )  # fmt: skip
        assert made.id
        assert client.interactions.get(made.id).status == "in_progress"
        done = client.interactions.get(made.id)
        assert done.status == "completed"
        assert done.output_video
        assert done.output_video.uri
        assert done.usage
        assert done.usage.total_tokens == 57_960
        assert client.files.download(file=done.output_video.uri) == tiny_mp4()
        again = client.interactions.create(
            model="gemini-omni-1.1-flash",
            input="A red kite",
            background=True,
            response_format={"type": "video"},
        )
        assert again.id
        assert client.interactions.cancel(again.id).status == "cancelled"


@pytest.mark.parametrize("version", ["v1beta", "v1"])
async def test_says_what_the_sdk_says(vendor: GeminiServer, version: str) -> None:
    with sdk(vendor, api_version=version) as client:
        client.interactions.create(
            model="gemini-omni-1.1-flash", background=True, store=True,
            input=[
                {"type": "image", "data": DATA, "mime_type": "image/png"},
                {"type": "text", "text": "A red kite"},
            ],
            response_format={
                "type": "video", "delivery": "uri", "aspect_ratio": "9:16", "resolution": "1080p", "duration": "8s",
            },
            generation_config={"seed": 7, "video_config": {"task": "image_to_video"}},
        )  # fmt: skip
    theirs = vendor.seen[-1]
    async with open_provider("gemini", vendor, version=version) as gemini:
        asked = make_request(seconds=8, size="1080x1920", seed=7, media=(item("first_frame"),))
        await gemini.start(asked, SUBMISSION)
    ours = vendor.seen[-1]
    assert (ours.path, json.loads(ours.body)) == (theirs.path, json.loads(theirs.body))
    assert ours.headers["x-goog-api-key"] == theirs.headers["x-goog-api-key"] == SECRET
    assert ours.headers["api-revision"] == "2026-05-20"


# ---- submit ----


async def test_least(vendor: GeminiServer, gemini: Provider) -> None:
    extra = {"labels": {"a": "b"}, "generation_config": {"top_p": 0.5}}
    operation = await gemini.start(make_request(extra=extra), SUBMISSION)
    assert sent(vendor) == {
        "model": "gemini-omni-1.1-flash", "input": [{"type": "user_input", "content": [{"type": "text", "text": "A red kite"}]}],
        "background": True, "store": True, "response_format": {"type": "video", "delivery": "uri"},
        "generation_config": {"top_p": 0.5}, "labels": {"a": "b"},
    }  # fmt: skip
    assert operation.data == {}


async def test_frames_and_references_are_named_in_the_prompt(vendor: GeminiServer, gemini: Provider) -> None:
    media = (item("first_frame"), item("last_frame"))
    await gemini.start(make_request(media=media, negative_prompt="rain"), SUBMISSION)
    assert text(vendor) == (
        "[# Sources <FIRST_FRAME>@Image1 <LAST_FRAME>@Image2]\nA red kite\nDo not show: rain"
    )
    assert sent(vendor)["generation_config"] == {"video_config": {"task": "image_to_video"}}
    media = (
        item("reference_image"), item("first_frame"), item("reference_image"), item("reference_video"),
    )  # fmt: skip
    await gemini.start(make_request(media=media), SUBMISSION)
    assert text(vendor).splitlines() == [
        "[# Sources <FIRST_FRAME>@Image2]",
        "[# References <IMAGE_REF_0>@Image1 <IMAGE_REF_1>@Image3 <VIDEO_REF_0>@Video1]",
        "A red kite",
    ]
    assert sent(vendor)["generation_config"] == {"video_config": {"task": "reference_to_video"}}
    await gemini.start(make_request(media=media, prompt="<IMAGE_REF_0> flies"), SUBMISSION)
    assert text(vendor) == "<IMAGE_REF_0> flies"


@pytest.mark.parametrize(("action", "task"), [("remix", "edit"), ("edit", "edit"), ("extend", "extend")])
async def test_change_of_an_own_video(vendor: GeminiServer, gemini: Provider, action: str, task: str) -> None:
    await gemini.start(make_request(action=action, media=(item("source_video"),)), EARLIER)
    told = sent(vendor)
    assert told["previous_interaction_id"] == "v1_earlier"
    assert told["generation_config"] == {"video_config": {"task": task}}
    assert [block["type"] for block in blocks(vendor)] == ["text"]


async def test_change_of_a_sent_video(vendor: GeminiServer, gemini: Provider) -> None:
    film = item("source_video", content=None, url="https://generativelanguage.googleapis.com/v1beta/files/a")
    await gemini.start(make_request(action="edit", media=(film, item("reference_image"))), SUBMISSION)
    told = sent(vendor)
    assert blocks(vendor)[0] == {"type": "video", "uri": film.url, "mime_type": "video/mp4"}
    assert "[# References <IMAGE_REF_0>@Image1]" in text(vendor)
    assert "previous_interaction_id" not in told


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(seconds=4.5), "seconds"),
        (make_request(aspect_ratio="1:1"), "aspect_ratio"),
        (make_request(resolution="8k"), "resolution"),
        (make_request(action="remix"), "video"),
        (make_request(media=(item("audio"),)), "audio"),
        (make_request(media=(item("first_frame"),) * 2), "first_frame"),
        (make_request(media=(item("first_frame", content=None),)), "first_frame"),
        (make_request(kind="image"), "model"),
        (make_request(characters=("kim",)), "characters"),
        (make_request(watermark=True), "watermark"),
        (make_request(sound=False), "generate_audio"),
        (make_request(media=(item("reference_image"),) * 7), "reference_image"),
        (make_request(extra={"background": False}), "background"),
        (make_request(extra={"GENERATION_CONFIG": {}}), "GENERATION_CONFIG"),
        (make_request(extra={"generation_config": 7}), "generation_config"),
        (
            make_request(extra={"generation_config": {"candidateCount": 4}}),
            "generation_config.candidateCount",
        ),
    ],
    ids=str,
)
async def test_what_cannot_be_told_is_refused(
    vendor: GeminiServer, gemini: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await gemini.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.seen == []


async def test_wrong_key_is_no_wrong_request(vendor: GeminiServer, gemini: Provider) -> None:
    operation = await gemini.start(make_request(), SUBMISSION)
    vendor.keys = ["another"]
    with pytest.raises(UpstreamAuthFailed):
        await gemini.start(make_request(), SUBMISSION)
    with pytest.raises(UpstreamAuthFailed):
        await gemini.poll(operation)


async def test_refusals(vendor: GeminiServer, gemini: Provider) -> None:
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12s"}
    error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota", "details": [detail]}
    vendor.refuse = (429, [{"error": error}], {})
    with pytest.raises(UpstreamBusy) as caught:
        await gemini.start(make_request(), SUBMISSION)
    assert caught.value.retry_after == 12.0
    vendor.refuse = (200, {"status": "failed", "error": {"code": "safety", "message": "No"}}, {})
    with pytest.raises(UpstreamModerated):
        await gemini.start(make_request(), SUBMISSION)
    vendor.refuse = (200, {"status": "in_progress"}, {})
    with pytest.raises(OutcomeUnknown):
        await gemini.start(make_request(), SUBMISSION)


# ---- looks and results ----


async def test_result_behind_the_key(vendor: GeminiServer, gemini: Provider) -> None:
    operation = await gemini.start(make_request(), SUBMISSION)
    answer = await gemini.poll(operation)
    assert isinstance(answer, Succeeded)
    path = f"/v1beta/files/{operation.id.replace('-', '')}:download"
    assert answer.files[0].data == {"path": path, "query": {"alt": "media"}}
    assert answer.usage == {
        "total_tokens": 57_960, "total_input_tokens": 20, "total_output_tokens": 57_940,
        "output_tokens_video": 57_920, "output_tokens_text": 20,
    }  # fmt: skip
    assert await read(gemini, operation, answer.files[0]) == tiny_mp4()
    assert vendor.seen[-1].headers["x-goog-api-key"] == SECRET


async def test_result_on_googles_host_is_read_through_ours(vendor: GeminiServer, gemini: Provider) -> None:
    vendor.host = "https://generativelanguage.googleapis.com"
    operation = await gemini.start(make_request(), SUBMISSION)
    answer = await gemini.poll(operation)
    assert isinstance(answer, Succeeded)
    assert await read(gemini, operation, answer.files[0]) == tiny_mp4()


async def test_result_elsewhere_goes_without_the_key(vendor: GeminiServer, gemini: Provider) -> None:
    vendor.host = "https://videos.test"
    answer = await gemini.poll(await gemini.start(make_request(), SUBMISSION))
    assert isinstance(answer, Succeeded)
    assert str(answer.files[0].url).startswith("https://videos.test/")


async def test_inline_result_stays_out_of_the_row(vendor: GeminiServer, gemini: Provider) -> None:
    vendor.host = "inline"
    operation = await gemini.start(make_request(), SUBMISSION)
    answer = await gemini.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].data == {"index": 0}
    assert await read(gemini, operation, answer.files[0]) == tiny_mp4()
    vendor.jobs[operation.id].states = ["nothing"]
    with pytest.raises(PollFailed):
        await read(gemini, operation, answer.files[0])


async def test_json_in_place_of_a_video(vendor: GeminiServer, gemini: Provider) -> None:
    operation = await gemini.start(make_request(), SUBMISSION)
    file = ResultFile("video", "video/mp4", data={"path": "/v1beta/files/a", "query": {}})
    with pytest.raises(PollFailed):
        await read(gemini, operation, file)


async def test_broken_base64(vendor: GeminiServer, gemini: Provider) -> None:
    operation = await gemini.start(make_request(), SUBMISSION)
    block = {"type": "video", "data": "a"}
    vendor.refuse_poll = (
        200, {"status": "completed", "steps": [{"type": "model_output", "content": [block]}]}, {},
    )  # fmt: skip
    with pytest.raises(PollFailed):
        await read(gemini, operation, ResultFile("video", "video/mp4", data={"index": 0}))


@pytest.mark.parametrize("state", ["nothing", "lost"])
async def test_done_without_a_video_is_looked_at_again(
    vendor: GeminiServer, gemini: Provider, state: str
) -> None:
    vendor.states = [state]
    answer = await gemini.poll(await gemini.start(make_request(), SUBMISSION))
    assert isinstance(answer, Succeeded)
    assert answer.files == ()


@pytest.mark.parametrize(
    ("state", "code", "message"),
    [
        ("refusal", "upstream_error", "Gemini answered without a video: I can't make that."),
        ("cancelled", "cancelled", "The interaction was cancelled."),
        ("budget_exceeded", "upstream_error", "Gemini says: budget_exceeded"),
        ("incomplete", "upstream_error", "Gemini says: incomplete"),
        ("requires_action", "upstream_error", "Gemini says: requires_action"),
    ],
)
async def test_ended_without_a_video(
    vendor: GeminiServer, gemini: Provider, state: str, code: str, message: str
) -> None:
    vendor.states = [state]
    assert await gemini.poll(await gemini.start(make_request(), SUBMISSION)) == Failed(code, message)


async def test_cancel(vendor: GeminiServer, gemini: Provider) -> None:
    vendor.states = ["in_progress"]
    operation = await gemini.start(make_request(), SUBMISSION)
    assert isinstance(await gemini.poll(operation), Running)
    assert await gemini.cancel(operation) is True
    assert await gemini.cancel(operation) is False
    assert await gemini.cancel(Operation(id="gone")) is False
    vendor.refuse_poll = (401, {"error": {"status": "UNAUTHENTICATED"}}, {})
    with pytest.raises(UpstreamAuthFailed):
        await gemini.cancel(operation)
    vendor.refuse_poll = (500, {"error": {"status": "INTERNAL"}}, {})
    with pytest.raises(PollFailed):
        await gemini.cancel(operation)


# ---- text, and the rest ----


async def test_relay(vendor: GeminiServer, gemini: Provider) -> None:
    target = gemini.relay_target("chat/completions")
    assert target is not None
    assert target.url == f"{vendor.url}/v1beta/openai/chat/completions"
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            target.url, json={"model": "m", "messages": []}, headers=dict(target.headers)
        )
    assert answer.json()["choices"][0]["message"]["content"] == "A kite"
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("", "https://generativelanguage.googleapis.com"),
        ("https://proxy.test/gemini/v1beta/", "https://proxy.test/gemini"),
    ],
)
def test_address(given: str, address: str) -> None:
    assert (
        GeminiProvider.base_url_for(Account(id="a", provider="gemini", name="n", base_url=given)) == address
    )


def test_version_that_cannot_work() -> None:
    with pytest.raises(InvalidRequest) as caught:
        GeminiProvider.base_url_for(
            Account(id="a", provider="gemini", name="n", options={"version": "../v1"})
        )
    assert caught.value.param == "options.version"


async def test_capabilities(gemini: Provider) -> None:
    assert gemini.capabilities("").kinds == {"video", "text"}
    assert gemini.capabilities("gemini-3.8-flash").kinds == {"text"}
    assert gemini.capabilities("gemini-omni-1.2-flash").seconds == (3, 15)
    assert gemini.capabilities("gemini-omni-1.1-flash").remix is True


async def test_new_generation_has_no_bounds(gemini: Provider) -> None:
    able = gemini.capabilities("gemini-omni-2.0-pro")
    assert (able.kinds, able.seconds, able.max_pixels, able.ratios) == ({"video"}, None, None, ())
    gemini.check(make_request(model="gemini-omni-2.0-pro", seconds=60, aspect_ratio="1:1", resolution="8k"))


DAILY = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaMetric": "x", "quotaId": "GenerateRequestsPerDayPerProjectPerModel"}],
}


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (429, {"status": "RESOURCE_EXHAUSTED", "message": "Your prepayment credits are depleted. Please go to AI Studio."},
         UpstreamQuotaExhausted),
        (429, {"status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota.", "details": [DAILY]},
         UpstreamQuotaExhausted),
        (429, {"status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota."}, UpstreamBusy),
        (400, {"code": "invalid_request", "message": "The prompt was blocked: PROHIBITED_CONTENT"},
         UpstreamModerated),
        (400, {"status": "FAILED_PRECONDITION", "message": "User location is not supported for the API use."},
         UpstreamModelForbidden),
        (400, {"status": "INVALID_ARGUMENT", "message": "Unknown field: x"}, UpstreamRejected),
    ],
)  # fmt: skip
async def test_what_a_refusal_means(
    vendor: GeminiServer, gemini: Provider, status: int, error: dict[str, Any], expected: type[UpstreamError]
) -> None:
    vendor.refuse = (status, {"error": error}, {})
    with pytest.raises(UpstreamError) as caught:
        await gemini.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected
