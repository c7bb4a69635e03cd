"""ComfyUI against its simulator. ComfyUI publishes no Python SDK of its API; routes, fields and states are those of
its ``server.py`` and ``execution.py``."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app.errors import (
    InvalidRequest,
    OperationNotFound,
    PollFailed,
    UnsupportedWish,
    UpstreamBusy,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role, Shot
from app.providers.base import Account, Failed, Operation, Provider, Queued, Running, Submission, Succeeded
from app.providers.comfyui.answers import without_folders
from app.providers.comfyui.provider import ComfyUIProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.vendors.comfyui import ComfyServer, file

SUBMISSION = Submission("filmgate-0123")
GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 20, "positive": ["6", 0]}},
    "5": {"class_type": "EmptyLatent", "inputs": {"width": 640, "height": 640, "length": 81}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "default"}, "_meta": {"title": "Prompt"}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "bad"}},
    "9": {"class_type": "SaveVideo", "inputs": {"filename_prefix": "film"}},
    "10": {"class_type": "LoadImage", "inputs": {}},
    "11": {"class_type": "LoadImage", "inputs": {}},
}
WAN = {
    "graph": GRAPH,
    "inputs": {
        "prompt": {"node": "6", "field": "text"},
        "negative_prompt": {"node": "7", "field": "text"},
        "seed": [{"node": "3", "field": "seed"}],
        "width": {"node": "5", "field": "width"},
        "height": {"node": "5", "field": "height"},
        "frames": {"node": "5", "field": "length"},
        "steps": {"node": "3", "field": "steps"},
        "first_frame": {"node": "10", "field": "image"},
        "last_frame": {"node": "11", "field": "image"},
    },
    "fps": 16, "frame_step": 4, "frame_offset": 1, "seconds": [1, 6], "max_pixels": 921600,
}  # fmt: skip
STILL = {
    "graph": GRAPH,
    "inputs": {"prompt": {"node": "6", "field": "text"}},
    "kind": "image",
    "output": "12",
}
I2V = {
    "graph": {
        "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "2": {"class_type": "LoadImage", "inputs": {"image": ""}},
        "3": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "tail": ["2", 0], "fps": 16}},
    },
    "inputs": {"first_frame": {"node": "1", "field": "image"}, "last_frame": {"node": "2", "field": "image"}},
}
TWO_PICTURES = {
    "graph": {
        "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "2": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "3": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "more": ["2", 0], "fps": 16}},
    },
    "inputs": {"reference_image": [{"node": "1", "field": "image"}, {"node": "2", "field": "image"}]},
}
OPTIONS = {"workflows": {"wan": WAN, "still": STILL, "i2v": I2V, "two": TWO_PICTURES}}


@pytest.fixture(scope="module")
def vendor() -> Iterator[ComfyServer]:
    with ComfyServer() as server:
        yield server


@pytest.fixture
async def comfy(vendor: ComfyServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("comfyui", vendor, secret="", **OPTIONS) as provider:
        yield provider


def make_request(model: str = "wan", **told: Any) -> GenerationRequest:
    return GenerationRequest(**({"kind": "video", "model": model, "prompt": "A red kite"} | told))


def picture(role: Role = "first_frame") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def sent(vendor: ComfyServer) -> dict[str, Any]:
    body = next(seen for seen in reversed(vendor.seen) if seen.path == "/prompt").body
    found: dict[str, Any] = json.loads(body)
    return found


def inputs(vendor: ComfyServer, node: str) -> dict[str, Any]:
    found: dict[str, Any] = sent(vendor)["prompt"][node]["inputs"]
    return found


class TestContract(VendorContract):
    provider_name = "comfyui"
    routes = [("POST", r"/prompt", "create"), ("GET", r"/history/[^/]+", "poll")]  # noqa: RUF012
    states = {"queued": "pending", "running": "running", "done": "success", "failed": "error"}  # noqa: RUF012
    codes = {"invalid_value": "value_not_in_list"}  # noqa: RUF012

    def account(self, origin: str) -> Account:
        return Account(
            id="a1", provider="comfyui", name="fake", base_url=origin, secret=SECRET, options=OPTIONS
        )

    def request(self) -> GenerationRequest:
        return make_request()

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        error = {"type": self.codes.get(code, code), "message": message, "details": "", "extra_info": {}}
        return {"error": error, "node_errors": {}}

    async def test_moderated_while_running(self, upstream: FakeUpstream, provider: Provider) -> None:
        """ComfyUI filters nothing: what fails has failed."""
        upstream.script(final="error", error={"message": "Not this."})
        assert await provider.poll(await self.start(provider)) == Failed("upstream_error", "Not this.")


# ---- submit ----


async def test_a_workflow_needs_its_picture(vendor: ComfyServer, comfy: Provider) -> None:
    """The graph's example file stands for no client's picture."""
    for media, param in (((), "input_reference"), ((picture(),), "last_frame")):
        with pytest.raises(UnsupportedWish) as refused:
            await comfy.start(make_request("i2v", media=media), SUBMISSION)
        assert refused.value.param == param
        assert f"needs {param}" in refused.value.message
    assert vendor.seen == []
    with pytest.raises(UnsupportedWish, match="needs input_reference"):
        comfy.check(make_request("two"))
    comfy.check(make_request("two", media=(picture("reference_image"),)))


async def test_a_picture_may_be_optional(vendor: ComfyServer) -> None:
    vendor.reset()
    one = {"i2v": I2V | {"optional": ["first_frame", "last_frame"]}}
    async with open_provider("comfyui", vendor, secret="", workflows=one) as able:
        able.check(make_request("i2v"))


async def test_a_workflow_without_a_prompt(vendor: ComfyServer, comfy: Provider) -> None:
    """Every client must send one; the graph has no node for it. What would be written into it is refused."""
    await comfy.start(make_request("two", media=(picture("reference_image"),)), SUBMISSION)
    assert "A red kite" not in json.dumps(sent(vendor))
    able = comfy.capabilities("two")
    assert able.native_styles and able.native_shots
    for told in ({"style": "anime"}, {"shots": (Shot(seconds=2, prompt="A kite"),)}):
        with pytest.raises(UnsupportedWish) as refused:
            comfy.check(make_request("two", media=(picture("reference_image"),), **told))
        assert refused.value.param == next(iter(told))


async def test_no_path_of_the_server_is_told(vendor: ComfyServer, comfy: Provider) -> None:
    vendor.refuse = (
        400,
        {"error": {"type": "x", "message": "[Errno 21] Is a directory: '/home/op/ComfyUI/input/'"}},
        {},
    )
    with pytest.raises(UpstreamRejected) as refused:
        await comfy.start(make_request(), SUBMISSION)
    assert "home" not in refused.value.message and "Is a directory" in refused.value.message
    vendor.states, vendor.failure = (
        ["error"],
        {"message": r"No such file: C:\models\wan.safetensors, /srv/a/vae.pt"},
    )
    answer = await comfy.poll(await comfy.start(make_request(), SUBMISSION))
    assert isinstance(answer, Failed)
    assert answer.message == "No such file: wan.safetensors, vae.pt"


@pytest.mark.parametrize(
    "text", ["see https://docs.test/a/b", "value 1/2 is too long", "node 3: image - x.png", "and/or"]
)
def test_what_is_no_path(text: str) -> None:
    assert without_folders(text) == text


async def test_graph_is_filled(vendor: ComfyServer, comfy: Provider) -> None:
    asked = make_request(negative_prompt="rain", seed=7, size="832x480", seconds=3, extra={"steps": 4})
    operation = await comfy.start(asked, SUBMISSION)
    assert inputs(vendor, "6") == {"text": "A red kite"}
    assert inputs(vendor, "7") == {"text": "rain"}
    assert inputs(vendor, "3") == {"seed": 7, "steps": 4, "positive": ["6", 0]}
    assert inputs(vendor, "5") == {"width": 832, "height": 480, "length": 49}
    assert sent(vendor)["prompt"]["6"]["_meta"] == {"title": "Prompt"}
    assert sent(vendor)["client_id"] == "filmgate-0123"
    assert operation.id == sent(vendor)["prompt_id"]
    assert "authorization" not in vendor.seen[-1].headers


async def test_what_is_not_asked_stays(vendor: ComfyServer, comfy: Provider) -> None:
    await comfy.start(make_request(prompt=""), SUBMISSION)
    assert inputs(vendor, "6") == {"text": "default"}
    assert inputs(vendor, "5") == {"width": 640, "height": 640, "length": 81}


async def test_seed_of_its_own(vendor: ComfyServer, comfy: Provider) -> None:
    """An equal graph is answered from the cache, so another task gets another seed; the same task the same."""
    seeds = []
    for key in ("k1", "k1", "k2"):
        await comfy.start(make_request(), Submission(key))
        seeds.append(inputs(vendor, "3")["seed"])
    assert seeds[0] == seeds[1] != seeds[2]
    assert 0 <= seeds[0] < 2**32


async def test_pictures_are_uploaded(vendor: ComfyServer, comfy: Provider) -> None:
    await comfy.start(make_request(media=(picture("last_frame"), picture())), SUBMISSION)
    assert vendor.uploads == {
        "example.png": b"",
        "filmgate-0123-0-last_frame.png": tiny_png(), "filmgate-0123-1-first_frame.png": tiny_png(),
    }  # fmt: skip
    assert inputs(vendor, "10") == {"image": "filmgate-0123-1-first_frame.png"}
    assert inputs(vendor, "11") == {"image": "filmgate-0123-0-last_frame.png"}


@pytest.mark.parametrize("status", [200, 500, 502])
async def test_failed_upload_is_no_doubt(vendor: ComfyServer, comfy: Provider, status: int) -> None:
    vendor.refuse = (status, "<html>", {})
    with pytest.raises(UpstreamBusy):
        await comfy.start(make_request(media=(picture(),)), SUBMISSION)
    assert vendor.counts["submit"] == 0


async def test_refused_graph_says_why(vendor: ComfyServer, comfy: Provider) -> None:
    async with open_provider(
        "comfyui", vendor, secret="", workflows={"wan": WAN | {"graph": broken()}}
    ) as other:
        with pytest.raises(UpstreamRejected) as caught:
            await other.start(make_request(), SUBMISSION)
    assert "Node 10: Custom validation failed image - Invalid image file: gone.png" in caught.value.message


def broken() -> dict[str, Any]:
    return {**GRAPH, "10": {"class_type": "LoadImage", "inputs": {"image": "gone.png"}}}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request("still", kind="image", seed=7), "seed"),
        (make_request("still", kind="image", size="640x640"), "size"),
        (make_request("still", kind="image", negative_prompt="rain"), "negative_prompt"),
        (make_request("still", kind="image", media=(picture(),)), "first_frame"),
        (make_request("still"), "model"),
        (make_request("other"), "model"),
        (make_request(aspect_ratio="16:9"), "aspect_ratio"),
        (make_request(resolution="720p"), "resolution"),
        (make_request(style="anime"), "style"),
        (make_request(watermark=True), "watermark"),
        (make_request(extra={"cfg": 7}), "cfg"),
        (make_request(shots=(Shot(seconds=2, prompt="A"),)), "shots"),
        (make_request(media=(picture(), picture())), "first_frame"),
        (make_request(media=(MediaInput(role="first_frame", content_type="image/png", url="https://p.test"),)), "first_frame"),
        (make_request(action="extend"), "video"),
    ],
)  # fmt: skip
async def test_what_cannot_be_told(
    vendor: ComfyServer, comfy: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await comfy.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.counts["submit"] == 0


# ---- look ----


async def test_in_queue_then_running(vendor: ComfyServer, comfy: Provider) -> None:
    vendor.states = ["pending", "running", "success"]
    operation = await comfy.start(make_request(), SUBMISSION)
    assert await comfy.poll(operation) == Queued()
    assert await comfy.poll(operation) == Running()
    assert isinstance(await comfy.poll(operation), Succeeded)


async def test_ended_between_two_looks(vendor: ComfyServer, comfy: Provider) -> None:
    operation = await comfy.start(make_request(), SUBMISSION)
    vendor.refuse_poll = (200, {}, {})
    assert isinstance(await comfy.poll(operation), Succeeded)


async def test_forgotten(vendor: ComfyServer, comfy: Provider) -> None:
    with pytest.raises(OperationNotFound):
        await comfy.poll(Operation(id="gone", data={"model": "wan"}))


async def test_files(vendor: ComfyServer, comfy: Provider) -> None:
    vendor.outputs = {
        "8": {"images": [file("preview.mp4", "temp"), file("frame.png")]},
        "9": {"gifs": [file("film.mp4") | {"format": "video/h264-mp4"}], "text": ["done"], "broken": None},
    }
    operation = await comfy.start(make_request(), SUBMISSION)
    answer = await comfy.poll(operation)
    assert isinstance(answer, Succeeded)
    assert [made.data["filename"] for made in answer.files] == ["film.mp4"]
    found = b"".join([chunk async for chunk in comfy.fetch(operation, answer.files[0])])
    assert found == tiny_mp4()
    assert vendor.seen[-1].query == {"filename": "film.mp4", "subfolder": "films", "type": "output"}


async def test_files_of_one_node(vendor: ComfyServer, comfy: Provider) -> None:
    vendor.outputs = {
        "9": {"images": [file("other.png")]}, "12": {"images": [file("a.png", "temp"), file("b.png", "temp")]},
    }  # fmt: skip
    operation = await comfy.start(make_request("still", kind="image"), SUBMISSION)
    answer = await comfy.poll(operation)
    assert isinstance(answer, Succeeded)
    assert [(made.kind, made.data["filename"]) for made in answer.files] == [
        ("image", "a.png"),
        ("image", "b.png"),
    ]


async def test_without_a_file(vendor: ComfyServer, comfy: Provider) -> None:
    vendor.outputs = {}
    answer = await comfy.poll(await comfy.start(make_request(), SUBMISSION))
    assert answer == Failed("upstream_error", "The workflow ended without a file.")


async def test_lost_file(vendor: ComfyServer, comfy: Provider) -> None:
    vendor.outputs = {"9": {"images": [file("film.webm")]}}
    operation = await comfy.start(make_request(), SUBMISSION)
    answer = await comfy.poll(operation)
    assert isinstance(answer, Succeeded)
    with pytest.raises(PollFailed):
        async for _ in comfy.fetch(operation, answer.files[0]):
            pass


# ---- cancel, recover ----


async def test_cancel_in_queue(vendor: ComfyServer, comfy: Provider) -> None:
    vendor.states = ["pending"]
    operation = await comfy.start(make_request(), SUBMISSION)
    assert await comfy.cancel(operation) is True
    assert vendor.seen[-1].path == "/queue"
    assert vendor.jobs[operation.id].cancelled


async def test_cancel_running(vendor: ComfyServer, comfy: Provider) -> None:
    vendor.states = ["running"]
    operation = await comfy.start(make_request(), SUBMISSION)
    assert await comfy.cancel(operation) is True
    assert vendor.seen[-1].path == "/interrupt"
    assert await comfy.poll(operation) == Failed("cancelled", "It was interrupted at ComfyUI.")
    assert await comfy.cancel(operation) is False


@pytest.mark.parametrize("state", ["pending", "running", "success", "error"])
@pytest.mark.parametrize("chooses_ids", [False, True])
async def test_recover(vendor: ComfyServer, comfy: Provider, state: str, chooses_ids: bool) -> None:
    vendor.states, vendor.chooses_ids = [state], chooses_ids
    started = await comfy.start(make_request(), SUBMISSION)
    await comfy.start(make_request(), Submission("another"))
    assert await comfy.recover(make_request(), SUBMISSION) == started


async def test_missing_only_after_a_while(vendor: ComfyServer, comfy: Provider) -> None:
    with pytest.raises(PollFailed):
        await comfy.recover(make_request(), SUBMISSION)
    async with open_provider("comfyui", vendor, lost_after_seconds=0, **OPTIONS) as hasty:
        assert await hasty.recover(make_request(), SUBMISSION) is None


# ---- what it can ----


async def test_capabilities(comfy: Provider) -> None:
    wan = comfy.capabilities("wan")
    assert (wan.kinds, wan.seconds, wan.max_pixels) == (frozenset({"video"}), (1, 6), 921600)
    assert wan.roles == {"first_frame", "last_frame"}
    assert comfy.capabilities("still").kinds == {"image"}
    assert comfy.capabilities("").kinds == {"video", "image"}


@pytest.mark.parametrize(
    "workflows",
    [
        {},
        {"wan": {"graph": GRAPH, "inputs": {"prompt": {"node": "99", "field": "text"}}}},
        {"wan": {"graph": GRAPH, "inputs": {"frames": {"node": "5", "field": "length"}}}},
        {"wan": {"graph": {"nodes": []}}},
    ],
)
async def test_workflows_that_cannot_work(vendor: ComfyServer, workflows: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        async with open_provider("comfyui", vendor, workflows=workflows):
            pass
    assert str(caught.value.param).startswith("options.workflows")


def test_address() -> None:
    assert (
        ComfyUIProvider.base_url_for(Account(id="a", provider="comfyui", name="c")) == "http://127.0.0.1:8188"
    )
    account = Account(id="a", provider="comfyui", name="c", base_url="https://comfy.test/api/")
    assert ComfyUIProvider.base_url_for(account) == "https://comfy.test"
