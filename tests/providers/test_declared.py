"""Upstreams that a TOML file declares: the shipped example against the simulator of the adapter that it replaces."""

import copy
import json
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.errors import InvalidRequest, OperationNotFound, OutcomeUnknown, PollFailed, UpstreamError
from app.generation import GenerationRequest
from app.providers.base import (
    Account,
    AccountBalance,
    Failed,
    Operation,
    Provider,
    Queued,
    Running,
    Submission,
    Succeeded,
)
from app.providers.declared.answers import DeclaredAnswer, read_poll
from app.providers.declared.declaration import Declaration, read_declaration
from app.providers.declared.provider import EXAMPLE, DeclaredProvider
from app.providers.declared.requests import submit_body
from app.providers.declared.templates import fill_template
from tests.providers import test_siliconflow
from tests.providers.contract import SECRET
from tests.providers.test_siliconflow import IMAGE, TEXT, make_request, picture, sent
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.vendors.siliconflow import SiliconFlowServer

SUBMISSION = Submission("filmgate-0123")
DECLARATION = tomllib.loads(EXAMPLE.read_text())


@pytest.fixture(scope="module")
def vendor() -> Iterator[SiliconFlowServer]:
    with SiliconFlowServer() as server:
        yield server


@pytest.fixture
async def made(vendor: SiliconFlowServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("declared", vendor, declaration=DECLARATION) as provider:
        yield provider


@pytest.fixture
async def adapter(vendor: SiliconFlowServer) -> AsyncIterator[Provider]:
    async with open_provider("siliconflow", vendor) as provider:
        yield provider


class TestContract(test_siliconflow.TestContract):
    """What the adapter of today keeps, word for word."""

    provider_name = "declared"

    def account(self, origin: str) -> Account:
        options = {"declaration": DECLARATION}
        return Account("a1", "declared", "fake", base_url=origin, secret=SECRET, options=options)


assert issubclass(TestContract, VendorContract)

ASKED = [
    make_request(),
    make_request(seconds=5),
    make_request(size="720x1280"),
    make_request(aspect_ratio="1:1"),
    make_request(aspect_ratio="9:16", resolution="720p"),
    make_request(seed=7, negative_prompt="rain"),
    make_request(sound=False, watermark=False),
    make_request(IMAGE, media=(picture(),), aspect_ratio="9:16"),
    make_request("Wan-AI/Wan2.9-T2V", size="1280x720", extra={"camera": "slow"}),
    make_request(aspect_ratio="21:9"),
    make_request(resolution="1080p"),
    make_request(size="640x640"),
    make_request(sound=True),
    make_request(watermark=True),
    make_request(characters=("kim",)),
    make_request(style="anime"),
    make_request(media=(picture(),)),
    make_request(IMAGE),
    make_request(IMAGE, media=(picture(), picture("last_frame"))),
    make_request(IMAGE, media=(picture(), picture())),
    make_request(action="edit"),
    make_request(extra={"Image_Size": "960x960"}),
    make_request(extra={"n": 2}),
    make_request("Wan-AI/Wan9", seconds=5),
    make_request("Wan-AI/Wan9", aspect_ratio="1:1"),
    make_request("Wan-AI/Wan9", sound=False),
]


async def outcome_of(provider: Provider, vendor: SiliconFlowServer, asked: GenerationRequest) -> Any:
    """What was sent, or why nothing was."""
    vendor.reset()
    try:
        await provider.start(asked, SUBMISSION)
    except UpstreamError as error:
        body = sent(vendor) if vendor.seen else None
        return type(error), getattr(error, "param", None), body
    return sent(vendor), vendor.seen[-1].path, vendor.seen[-1].headers["authorization"]


@pytest.mark.parametrize("asked", ASKED, ids=str)
async def test_the_example_says_what_the_adapter_says(
    vendor: SiliconFlowServer, made: Provider, adapter: Provider, asked: GenerationRequest
) -> None:
    assert await outcome_of(made, vendor, asked) == await outcome_of(adapter, vendor, asked)
    assert made.capabilities(asked.model) == adapter.capabilities(asked.model)


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, 30001), (403, 30003), (400, 20012), (400, 20015), (429, 0), (503, 50505), (500, 1), (504, 0)],
)
async def test_the_example_reads_refusals_as_the_adapter_does(
    vendor: SiliconFlowServer, made: Provider, adapter: Provider, status: int, code: int
) -> None:
    found = []
    for provider in (made, adapter):
        vendor.refuse = (status, json.dumps({"code": code, "message": "no", "data": None}), {})
        with pytest.raises(UpstreamError) as caught:
            await provider.start(make_request(), SUBMISSION)
        found.append((type(caught.value), caught.value.message))
    assert found[0] == found[1]


async def test_the_example_ends_as_the_adapter_does(
    vendor: SiliconFlowServer, made: Provider, adapter: Provider
) -> None:
    vendor.states = ["InQueue", "InProgress", "Succeed"]
    operation = await made.start(make_request(), SUBMISSION)
    assert await made.poll(operation) == Queued()
    assert await made.poll(operation) == Running()
    assert sent(vendor) == {"requestId": operation.id}
    answer = await made.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == f"{vendor.url}/files/3/{operation.id}.mp4"
    assert answer.usage == {"seed": 7, "inference_seconds": 61.5}
    assert await made.balance() == await adapter.balance() == AccountBalance(88.88, "CNY")
    assert (await made.check_account()).verdict == "accepted"
    mine, theirs = made.relay_target("chat/completions"), adapter.relay_target("chat/completions")
    assert mine == theirs


# ---- what answers may hold ----

OTHER: dict[str, Any] = {
    "title": "Acme",
    "submit": {"path": "/jobs", "body": {"input": {"text": "{prompt}", "length": "{seconds_text}s"}}, "id": "job"},
    "poll": {
        "path": "/jobs/{id}", "state": "phase", "progress": "percent", "reason": "why",
        "states": {"succeeded": "ready", "failed": ["broken"], "missing": "gone", "cancelled": "stopped"},
    },
    "fetch": {"path": "/jobs/{id}/film"},
}  # fmt: skip


def declare(change: Callable[[dict[str, Any]], object] = lambda _: None) -> Declaration:
    document = copy.deepcopy(OTHER)
    change(document)
    return read_declaration(Account("", "declared", "x", options={"declaration": document}))


def read(document: Any) -> Any:
    return read_poll(DeclaredAnswer(document), Operation(id="j/1"), declare(), reason="", provider="declared")


@pytest.mark.parametrize(
    "odd", [None, [], "text", 5, {"phase": {"a": 1}}, {"phase": True}, {"phase": "defragmenting"}]
)
def test_what_nobody_knows_is_running(odd: Any) -> None:
    assert read(odd) == Running(progress=None)


def test_the_film_that_needs_the_key_is_fetched_at_its_path() -> None:
    answer = read({"phase": "ready"})
    assert answer.files[0].data == {"path": "/jobs/j%2F1/film"}
    assert (read({"phase": "broken"}).message, read({"phase": "stopped"}).code) == (
        "Acme gave no reason.",
        "cancelled",
    )
    assert read({"phase": "running", "percent": 45}) == Running(progress=45.0)
    with pytest.raises(OperationNotFound):
        read({"phase": "gone"})


def test_a_pick_whose_function_does_not_fit_finds_nothing() -> None:
    declared = declare(
        lambda document: document["poll"].update(files="join('', phase)", progress="length(percent)")
    )
    answer = read_poll(
        DeclaredAnswer({"phase": "drawing"}), Operation(id="1"), declared, reason="", provider="x"
    )
    assert answer == Running(progress=None)
    no_film = declare(lambda document: [document.pop("fetch"), document["poll"].update(files="film")])
    with pytest.raises(PollFailed, match="names no video"):
        read_poll(DeclaredAnswer({"phase": "ready"}), Operation(id="1"), no_film, reason="", provider="x")
    failed = read_poll(
        DeclaredAnswer({"phase": "failed"}), Operation(id="1"), no_film, reason="nsfw", provider="x"
    )
    assert failed == Failed("content_policy_violation", "nsfw")


def test_what_has_no_value_is_left_out() -> None:
    said = {"a": "{x}", "b": "{y}", "c": ["{x}", 1], "d": {"e": "{x}"}, "f": "{y}s", "g": "{x}s", "h": {}}
    assert fill_template(said, {"x": None, "y": 5}) == {"b": 5, "c": [1], "f": "5s", "h": {}}
    asked = GenerationRequest(kind="video", model="acme", prompt="A kite")
    assert submit_body(asked, declare()) == {"input": {"text": "A kite"}}
    longer = asked.model_copy(update={"seconds": 8.0, "extra": {"camera": "slow"}})
    assert submit_body(longer, declare()) == {"camera": "slow", "input": {"text": "A kite", "length": "8s"}}


# ---- mistakes ----


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.pop("submit"), "acme.toml: submit: is required"),
        (lambda d: d["submit"].pop("id"), "acme.toml: submit.id: is required"),
        (lambda d: d["submit"].update(id="a["), "acme.toml: submit.id: is no JMESPath"),
        (lambda d: d["submit"].update(path="jobs"), "acme.toml: submit.path: must be a path that begins with /"),
        (lambda d: d["submit"]["body"].update(a=["{promt}"]), "acme.toml: submit.body: {promt} stands for nothing here"),
        (lambda d: d["poll"].update(path="/{task}"), "acme.toml: poll.path: {task} stands for nothing here; there are id"),
        (lambda d: d["poll"]["states"].update(done="x"), "acme.toml: poll.states.done: should be 'queued'"),
        (lambda d: d["poll"]["states"].pop("failed"), "acme.toml: declaration: poll.states must say"),
        (lambda d: d.pop("fetch"), "acme.toml: declaration: poll.files or fetch must say where the film is"),
        (lambda d: d["submit"].update(defaults={"size": "1x1"}), "acme.toml: declaration: submit.defaults.size is not used"),
        (lambda d: d.update(polls={}), "acme.toml: polls: is not known here; known are"),
        (lambda d: d.update(errors={"codes": {"bad": "1"}}), "acme.toml: errors.codes.bad: should be 'auth'"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_and_field(change: Callable[[dict[str, Any]], object], told: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        declare(lambda document: [document.update(file="acme.toml"), change(document)])
    assert caught.value.message.startswith(told), caught.value.message
    assert caught.value.param == "options.declaration"


def test_an_account_needs_a_declaration_and_an_address() -> None:
    with pytest.raises(InvalidRequest, match=r"options\.declaration is required: the content of a TOML file"):
        read_declaration(Account("", "declared", "x"))
    with pytest.raises(InvalidRequest, match="base_url is required here, or in the declaration"):
        DeclaredProvider.base_url_for(Account("", "declared", "x", options={"declaration": OTHER}))


def test_the_text_of_a_file_is_read_as_it_is_pasted() -> None:
    pasted = Account("", "declared", "x", options={"declaration": EXAMPLE.read_text()})
    as_file = Account("", "declared", "x", options={"declaration": DECLARATION})
    assert read_declaration(pasted) == read_declaration(as_file)
    with pytest.raises(InvalidRequest, match=r"options\.declaration is no TOML: Invalid value"):
        read_declaration(Account("", "declared", "x", options={"declaration": "title ="}))


def test_the_example_knows_the_models_of_the_adapter() -> None:
    facts = tomllib.loads((Path(__file__).parents[2] / "app/catalog/models/siliconflow.toml").read_text())
    assert DECLARATION["models"] == facts["models"]
    assert TEXT.lower() in DECLARATION["models"][0]["ids"]


def test_the_declaration_of_the_guide_is_valid() -> None:
    page = (Path(__file__).parents[2] / "docs/providers.md").read_text()
    document = tomllib.loads(page.split("```toml\n")[1].split("```")[0])
    declared = read_declaration(Account("", "declared", "x", options={"declaration": document}))
    told = {"seconds": 5.0, "aspect_ratio": "9:16", "resolution": "720p"}
    body = submit_body(GenerationRequest(kind="video", model="acme-3", prompt="A kite", **told), declared)
    assert body["settings"] == {"duration": 5, "ratio": "9:16", "quality": "720p"}
    assert body["input"] == {"text": "A kite"}


# ---- cancel, and asking again ----


class PlainServer(SiliconFlowServer):
    """The same jobs, which can be stopped by a POST and a DELETE."""

    stopped: int = 200

    def routes(self) -> list[BaseRoute]:
        paths = [Route("/jobs/{job}/cancel", self.stop_job, methods=["POST", "DELETE", "PUT"])]
        return [*super().routes(), *paths]

    async def stop_job(self, request: Request) -> Response:
        await self.record_request(request)
        return JSONResponse({"code": 0, "message": "no"}, self.stopped)


@pytest.fixture(scope="module")
def plain() -> Iterator[PlainServer]:
    with PlainServer() as server:
        yield server


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_cancel(plain: PlainServer, method: str) -> None:
    said = DECLARATION | {"cancel": {"path": "/jobs/{id}/cancel", "method": method}}
    async with open_provider("declared", plain, declaration=said) as provider:
        assert provider.capabilities(TEXT).cancel
        for plain.stopped, agreed in ((200, True), (409, False)):
            assert await provider.cancel(Operation(id="j-1")) is agreed
        plain.stopped = 500
        with pytest.raises(PollFailed):
            await provider.cancel(Operation(id="j-1"))
    assert (plain.seen[-1].method, plain.seen[-1].path) == (method, "/jobs/j-1/cancel")


async def test_a_lost_answer_is_asked_for_again_only_where_that_is_declared(
    vendor: SiliconFlowServer, made: Provider
) -> None:
    with pytest.raises(OutcomeUnknown):
        await made.recover(make_request(), SUBMISSION)
    assert vendor.seen == []
    said = copy.deepcopy(DECLARATION)
    said["submit"]["idempotency_header"] = "Idempotency-Key"
    async with open_provider("declared", vendor, declaration=said) as provider:
        assert provider.capabilities(TEXT).idempotency_key
        assert await provider.recover(make_request(), SUBMISSION)
    assert vendor.seen[-1].headers["idempotency-key"] == SUBMISSION.idempotency_key
