"""A Suno-style proxy against its simulator. There is no SDK; the fields are those of the open proxy and of the
gateways that speak its protocol."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app.errors import (
    InvalidRequest,
    OperationNotFound,
    OutcomeUnknown,
    PollFailed,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamFailed,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput
from app.providers.base import Account, Failed, Operation, Provider, Running, Submission, Succeeded
from app.providers.suno.provider import SunoProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.vendors.suno import SunoServer

SUBMISSION = Submission("filmgate-0123")


@pytest.fixture(scope="module")
def vendor() -> Iterator[SunoServer]:
    with SunoServer() as server:
        yield server


@pytest.fixture
async def suno(vendor: SunoServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("suno", vendor) as provider:
        yield provider


def make_request(model: str = "suno_music", **told: Any) -> GenerationRequest:
    return GenerationRequest(**({"kind": "audio", "model": model, "prompt": "A song of a kite"} | told))


def sent(vendor: SunoServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vendor.seen[-1].body)
    return found


class TestContract(VendorContract):
    provider_name = "suno"
    routes = [("POST", r"/suno/submit/MUSIC", "create"), ("POST", r"/suno/fetch", "poll")]  # noqa: RUF012
    states = {"queued": "QUEUED", "running": "IN_PROGRESS", "done": "SUCCESS", "failed": "FAILURE"}  # noqa: RUF012
    moderated = {"message": "moderation_failure"}  # noqa: RUF012
    codes = {"invalid_value": "invalid_request", "server_error": "internal_error"}  # noqa: RUF012

    def request(self) -> GenerationRequest:
        return make_request()

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        text = "Blocked by moderation" if code == "moderation_blocked" else message
        return {"code": self.codes.get(code, code), "message": text, "data": None}


async def test_description(vendor: SunoServer, suno: Provider) -> None:
    await suno.start(make_request("chirp-v4", style="folk", extra={"title": "Kite"}), SUBMISSION)
    assert vendor.seen[-1].path == "/suno/submit/MUSIC"
    assert vendor.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert sent(vendor) == {
        "gpt_description_prompt": "A song of a kite", "mv": "chirp-v4", "tags": "folk", "title": "Kite",
        "make_instrumental": False,
    }  # fmt: skip


async def test_lyrics_of_the_clients_own(vendor: SunoServer, suno: Provider) -> None:
    extra = {
        "lyrics": "[Verse] Up it goes",
        "make_instrumental": False,
        "continue_clip_id": "c",
        "task_id": "t",
    }
    await suno.start(make_request(negative_prompt="drums", extra=extra), SUBMISSION)
    assert sent(vendor) == {
        "prompt": "[Verse] Up it goes", "tags": "A song of a kite", "negative_tags": "drums",
        "make_instrumental": False, "continue_clip_id": "c", "task_id": "t",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(seconds=30), "seconds"),
        (make_request(seed=7), "seed"),
        (make_request(watermark=True), "watermark"),
        (make_request(extra={"mv": "dearer"}), "mv"),
        (make_request("suno_lyrics"), "model"),
        (make_request(kind="video"), "model"),
        (make_request(media=(MediaInput(role="audio", content_type="audio/wav", content=b"RIFF"),)), "audio"),
    ],
)
async def test_what_cannot_be_told(
    vendor: SunoServer, suno: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await suno.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.counts["submit"] == 0


@pytest.mark.parametrize(
    ("status", "code", "text", "expected"),
    [
        (200, "insufficient_user_quota", "empty", UpstreamQuotaExhausted),
        (200, "invalid_api_key", "who", UpstreamAuthFailed),
        (401, "unauthorized", "who", UpstreamAuthFailed),
        (200, "anything", "Song description contained artist name", UpstreamModerated),
        (400, "invalid_request", "prompt is empty", UpstreamRejected),
        (200, "internal_error", f"broken {SECRET}", UpstreamFailed),
        (500, "internal_error", "task failed", UpstreamFailed),
    ],
)
async def test_codes(
    vendor: SunoServer, suno: Provider, status: int, code: str, text: str, expected: type
) -> None:
    vendor.refuse = (status, {"code": code, "message": text, "data": None}, {})
    with pytest.raises(UpstreamError) as caught:
        await suno.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected
    assert SECRET not in caught.value.message


async def test_accepted_without_a_task(vendor: SunoServer, suno: Provider) -> None:
    vendor.refuse = (200, {"code": "success", "data": ""}, {})
    with pytest.raises(OutcomeUnknown):
        await suno.start(make_request(), SUBMISSION)


async def test_songs_and_usage(vendor: SunoServer, suno: Provider) -> None:
    vendor.states = ["IN_PROGRESS", "SUCCESS"]
    operation = await suno.start(make_request(), SUBMISSION)
    assert await suno.poll(operation) == Running(progress=30.0)
    assert sent(vendor) == {"ids": [operation.id]}
    answer = await suno.poll(operation)
    assert isinstance(answer, Succeeded)
    assert [(file.kind, file.url) for file in answer.files] == [
        ("audio", f"https://songs.test/{operation.id}-0.mp3"),
        ("audio", f"https://songs.test/{operation.id}-1.mp3"),
    ]
    assert answer.usage == {"songs": 2, "seconds": 238.5}


async def test_failure(vendor: SunoServer, suno: Provider) -> None:
    vendor.states = ["FAILURE"]
    assert await suno.poll(await suno.start(make_request(), SUBMISSION)) == Failed(
        "upstream_error", "The proxy did not say why."
    )


async def test_unknown_task(vendor: SunoServer, suno: Provider) -> None:
    with pytest.raises(OperationNotFound):
        await suno.poll(Operation(id="gone"))
    vendor.refuse_poll = (400, {"code": "task_not_exist", "message": "task_not_exist"}, {})
    with pytest.raises(OperationNotFound):
        await suno.poll(Operation(id="gone"))
    vendor.refuse_poll = (200, {}, {})
    with pytest.raises(PollFailed):
        await suno.poll(Operation(id="gone"))


async def test_recover_is_impossible(vendor: SunoServer, suno: Provider) -> None:
    with pytest.raises(OutcomeUnknown):
        await suno.recover(make_request(), SUBMISSION)
    assert suno.capabilities("suno_music").kinds == {"audio"}


def test_address() -> None:
    account = Account(id="a", provider="suno", name="s", base_url="https://proxy.test/suno")
    assert SunoProvider.base_url_for(account) == "https://proxy.test"
    with pytest.raises(InvalidRequest):
        SunoProvider.base_url_for(Account(id="a", provider="suno", name="s"))


async def test_a_style_is_told_as_a_tag(suno: Provider) -> None:
    """Not in the prompt, which would be sung."""
    assert suno.capabilities("chirp-v4").native_styles is True
