"""vLLM-Omni and SGLang behind ``openai_compatible``: their own forms, and what may never reach them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.base import Account, Failed, Provider, Running, Submission, Succeeded
from app.providers.steering import steers
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.vendors.engines import EngineServer, SGLangServer, VllmOmniServer

SUBMISSION = Submission("engine-key-1")
ENGINES: dict[str, type[EngineServer]] = {"vllm_omni": VllmOmniServer, "sglang": SGLangServer}


@pytest.fixture(scope="module", params=sorted(ENGINES))
def vendor(request: pytest.FixtureRequest) -> Iterator[EngineServer]:
    with ENGINES[request.param]() as server:
        yield server


@pytest.fixture(scope="module")
def vllm() -> Iterator[VllmOmniServer]:
    with VllmOmniServer() as server:
        yield server


@pytest.fixture(scope="module")
def sglang() -> Iterator[SGLangServer]:
    with SGLangServer() as server:
        yield server


def engine_of(vendor: Any) -> str:
    return "vllm_omni" if isinstance(vendor, VllmOmniServer) else "sglang"


class TestContract(VendorContract):
    provider_name = "openai_compatible"
    routes = [  # noqa: RUF012
        ("POST", "/v1/videos", "create"),
        ("GET", "/v1/videos/[^/]+", "poll"),
    ]

    @pytest.fixture(autouse=True)
    def know_vendor(self, vendor: EngineServer) -> None:
        self.vendor = vendor

    def account(self, origin: str) -> Account:
        return replace(super().account(origin), options={"engine": engine_of(self.vendor)})

    async def test_moderated_while_running(self, upstream: FakeUpstream, provider: Provider) -> None:
        """Neither has a content filter: whatever stops a job is an error of the server."""
        upstream.script(final="failed", error={"message": "CUDA out of memory"})
        assert await provider.poll(await self.start(provider)) == Failed(
            "upstream_error", "CUDA out of memory"
        )


def make_request(*media: MediaInput, **told: Any) -> GenerationRequest:
    return GenerationRequest(kind="video", model="fake-video", prompt="A red kite", media=media, **told)


def picture(role: Role = "first_frame") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def opened(vendor: EngineServer, **options: Any) -> Any:
    vendor.reset()
    return open_provider("openai_compatible", vendor, engine=engine_of(vendor), **options)


async def test_text_alone_goes_as_a_form(vendor: EngineServer) -> None:
    async with opened(vendor) as provider:
        wish = make_request(
            seconds=4, size="832x480", seed=7, negative_prompt="rain", extra={"flow_shift": 5.0}
        )
        operation = await provider.start(wish, SUBMISSION)
        assert vendor.seen[-1].headers["content-type"].startswith("multipart/form-data")
        assert vendor.forms[-1] == {
            "model": "fake-video", "prompt": "A red kite", "seconds": "4", "size": "832x480", "seed": "7",
            "negative_prompt": "rain", "flow_shift": "5.0",
        }  # fmt: skip
        assert isinstance(await provider.poll(operation), Succeeded)


async def test_the_form_is_what_the_engine_needs(vendor: EngineServer) -> None:
    """Without the engine's name the same text goes as JSON, which neither reads as it is meant."""
    vendor.reset()
    async with open_provider("openai_compatible", vendor) as plain:
        with pytest.raises(Exception, match=r"Field required|Invalid request body"):
            await plain.start(make_request(), SUBMISSION)


async def test_one_picture(vendor: EngineServer) -> None:
    async with opened(vendor) as provider:
        await provider.start(make_request(picture()), SUBMISSION)
        assert vendor.files[-1] == [("input_reference", "image/png")]


async def test_several_pictures_for_vllm_omni(vllm: VllmOmniServer) -> None:
    async with opened(vllm) as provider:
        await provider.start(make_request(picture("reference_image"), picture("reference_image")), SUBMISSION)
        assert vllm.files[-1] == [("input_references", "image/png")] * 2
        await provider.start(make_request(picture("last_frame"), picture("first_frame")), SUBMISSION)
        assert vllm.files[-1] == [("input_references", "image/png")] * 2
        assert vllm.seen[-1].body.index(b"first_frame.png") < vllm.seen[-1].body.index(b"last_frame.png")
        for wrong in ((picture("last_frame"),), (picture(), picture("reference_image"))):
            with pytest.raises(UnsupportedWish):
                await provider.start(make_request(*wrong), SUBMISSION)


async def test_several_pictures_for_sglang(sglang: SGLangServer) -> None:
    """It keeps the first one and drops the others."""
    async with opened(sglang) as provider:
        with pytest.raises(UnsupportedWish) as refused:
            provider.check(make_request(picture("reference_image"), picture("reference_image")))
        assert refused.value.param == "input_reference"


async def test_clips_and_sounds(vllm: VllmOmniServer, sglang: SGLangServer) -> None:
    clip = MediaInput(role="reference_video", content_type="video/mp4", content=tiny_mp4())
    sound = MediaInput(role="audio", content_type="audio/wav", content=b"RIFF")
    async with opened(vllm) as provider:
        await provider.start(make_request(clip), SUBMISSION)
        assert vllm.files[-1] == [("input_reference", "video/mp4")]
        await provider.start(make_request(picture("reference_image"), sound), SUBMISSION)
        assert vllm.files[-1] == [("input_references", "image/png"), ("input_references", "audio/wav")]
    async with opened(sglang) as provider:
        await provider.start(make_request(picture(), clip), SUBMISSION)
        assert vllm.files and sglang.files[-1] == [
            ("input_reference", "image/png"),
            ("video_reference", "video/mp4"),
        ]
        with pytest.raises(UnsupportedWish, match="takes no audio"):
            provider.check(make_request(sound))


@pytest.mark.parametrize("sound", [True, False])
async def test_sound(vllm: VllmOmniServer, sglang: SGLangServer, sound: bool) -> None:
    async with opened(vllm) as provider:
        await provider.start(make_request(sound=sound), SUBMISSION)
        assert vllm.forms[-1]["generate_sound"] == str(sound).lower()
    async with opened(sglang) as provider:
        with pytest.raises(UnsupportedWish) as refused:
            provider.check(make_request(sound=sound))
        assert refused.value.param == "generate_audio"


async def test_what_an_engine_has_no_field_for(vendor: EngineServer) -> None:
    wrong: dict[str, dict[str, Any]] = {
        "resolution": {"resolution": "1080p"}, "watermark": {"watermark": True}, "seconds": {"seconds": 4.5},
        "video": {"action": "extend"}, "private": {"private": True}, "characters": {"characters": ("kim",)},
    }  # fmt: skip
    async with opened(vendor) as provider:
        for param, told in wrong.items():
            with pytest.raises(UnsupportedWish) as refused:
                provider.check(make_request(**told))
            assert refused.value.param == param


async def test_steps_are_progress(vendor: EngineServer) -> None:
    async with opened(vendor) as provider:
        vendor.states = ["in_progress", "completed"]
        operation = await provider.start(make_request(), SUBMISSION)
        assert await provider.poll(operation) == Running(progress=45.0)
        assert isinstance(await provider.poll(operation), Succeeded)


STEERING: dict[str, Any] = {
    "output_path": "/etc/cron.d", "perf_dump_path": "/tmp/x", "video_path": "/etc/passwd", "image_path": "/etc/passwd",
    "reference_url": "http://169.254.169.254/", "video_url": "http://10.0.0.1/", "callback_url": "http://10.0.0.1/",
    "upscaling_model_path": "evil/weights", "frame_interpolation_model_path": "evil/weights",
    "lora": {"path": "evil/weights"}, "lora_path": "evil", "num_outputs_per_prompt": 10, "num_frames": 4000, "fps": 240,
    "width": 8000, "height": 8000, "num_inference_steps": 200, "enable_upscaling": True, "generator_device": "cuda",
    "extra_body": {"output_path": "/etc"}, "extra_params": {"a": 1}, "diffusers_kwargs": {}, "OutputPath": "/etc",
    "OUTPUT-PATH": "/etc", "numFrames": 4000, "profile": True,
}  # fmt: skip


@pytest.mark.parametrize("name", STEERING)
async def test_what_steers_the_server_never_passes(vendor: EngineServer, name: str) -> None:
    """Of a server that names its engine, and of one that names none."""
    wish = make_request(extra={name: STEERING[name]})
    vendor.reset()
    for options in ({"engine": engine_of(vendor)}, {}):
        async with open_provider("openai_compatible", vendor, **options) as provider:
            with pytest.raises(UnsupportedWish) as refused:
                provider.check(wish)
            assert refused.value.param == name
            with pytest.raises(UnsupportedWish):
                await provider.start(wish, SUBMISSION)
    assert vendor.forms == [] and vendor.seen == []


async def test_what_the_operator_allows(vendor: EngineServer) -> None:
    async with opened(vendor, allow=["num_inference_steps", "fps"]) as provider:
        await provider.start(make_request(extra={"num_inference_steps": 20, "fps": 16}), SUBMISSION)
        assert {"num_inference_steps": "20", "fps": "16"}.items() <= vendor.forms[-1].items()
        with pytest.raises(UnsupportedWish):
            provider.check(make_request(extra={"output_path": "/etc"}))


async def test_nobody_can_be_allowed_to_choose_the_model(vendor: EngineServer) -> None:
    async with opened(vendor, allow=["model"]) as provider:
        with pytest.raises(UnsupportedWish, match="model can't be passed on"):
            provider.check(make_request(extra={"model": "dearer"}))


async def test_an_unknown_name_is_refused_by_an_engine_only(vendor: EngineServer) -> None:
    wish = make_request(extra={"camera_control": "pan"})
    async with opened(vendor) as provider:
        with pytest.raises(UnsupportedWish) as refused:
            provider.check(wish)
        assert refused.value.param == "camera_control"
    async with open_provider("openai_compatible", vendor) as plain:
        plain.check(wish)


@pytest.mark.parametrize(
    "name", ["mode", "camera_control", "user", "guidance_scale", "profiled", "style", "filter"]
)
def test_what_does_not_steer(name: str) -> None:
    assert not steers(name)


@pytest.mark.parametrize("told", ["", "vllm_omni", "sglang"])
async def test_the_engine_is_recognised(vendor: EngineServer, told: str) -> None:
    vendor.reset()
    async with open_provider("openai_compatible", vendor, engine=told) as provider:
        check = await provider.check_account()
    proposal = f'set engine = "{engine_of(vendor)}" in the account\'s options'
    assert (proposal in check.text) is (told != engine_of(vendor))


async def test_nothing_is_recognised(vendor: EngineServer) -> None:
    vendor.reset()
    vendor.describes_itself = False
    async with open_provider("openai_compatible", vendor) as provider:
        assert "engine" not in (await provider.check_account()).text
    with FakeUpstream() as plain:
        async with open_provider("openai_compatible", plain, secret=SECRET) as provider:  # type: ignore[arg-type]
            assert "engine" not in (await provider.check_account()).text
