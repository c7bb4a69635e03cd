"""Whether a video is to be heard: told in each vendor's own word, or refused, never dropped."""

from typing import Any

import pytest

from app.errors import UpstreamRejected
from app.generation import GenerationRequest
from app.providers.ark import requests as ark
from app.providers.bfl import requests as bfl
from app.providers.dashscope import requests as dashscope
from app.providers.fal.models import known_family
from app.providers.hosted_models import model_input
from app.providers.jimeng import requests as jimeng
from app.providers.kling import requests as kling
from app.providers.ltx import requests as ltx
from app.providers.minimax import v2
from app.providers.openai_compatible import videos as openai_compatible
from app.providers.openai_compatible.options import OpenAICompatibleOptions
from app.providers.openrouter import requests as openrouter
from app.providers.runway import requests as runway
from app.providers.unified_relay import requests as unified
from app.providers.vertex_veo import messages as veo
from app.providers.vidu import requests as vidu
from app.providers.xai import requests as xai


def silent(model: str, **more: Any) -> GenerationRequest:
    return GenerationRequest(kind="video", model=model, prompt="A red kite", sound=False, **more)


def hosted(name: str) -> dict[str, Any]:
    family = known_family(name)
    assert family is not None
    return model_input(silent(name), family)


TOLD: dict[str, tuple[dict[str, Any], str, Any]] = {
    "ark": (ark.video_body(silent("doubao-seedance-2-0"), mark=None), "generate_audio", False),
    "bfl": (bfl.path_and_body(silent("flux-3-video"))[1], "generate_audio", False),
    "dashscope": (dashscope.video_body(silent("wan3.0-video"))["parameters"], "audio", False),
    "fal": (hosted("fal-ai/veo3.1"), "generate_audio", False),
    "kling": (kling.request_body(silent("kling-v3"), external_id="x"), "sound", "off"),
    "ltx": (ltx.path_and_body(silent("ltx-2-pro", seconds=6))[1], "generate_audio", False),
    "openai_compatible": (
        openai_compatible.submit_fields(silent("m"), OpenAICompatibleOptions(), with_model=True),
        "generate_audio",
        False,
    ),
    "openrouter": (openrouter.request_body(silent("google/veo-3.1"), None), "generate_audio", False),
    "runway": (runway.request_body(silent("veo3.1")), "audio", False),
    "unified_relay": (unified.request_body(silent("sora-2"), references=1), "generate_audio", False),
    "vertex_veo": (
        veo.request_body(silent("veo-3.1"), storage_uri=None)["parameters"],
        "generateAudio",
        False,
    ),
    "vidu": (vidu.request_body(silent("viduq3-pro"), payload="p"), "audio", False),
    "xai": (xai.video_path_and_body(silent("grok-imagine-video"))[1], "generate_audio", False),
}


@pytest.mark.parametrize("vendor", TOLD)
def test_silence_is_told(vendor: str) -> None:
    body, name, value = TOLD[vendor]
    assert body[name] is value or body[name] == value


@pytest.mark.parametrize(
    "fields",
    [
        lambda: jimeng.request_body(silent("jimeng_video_v40")),
        lambda: v2.request_body(silent("MiniMax-H3"), None),
    ],
)
def test_a_vendor_without_the_word_refuses(fields: Any) -> None:
    with pytest.raises(UpstreamRejected) as refused:
        fields()
    assert refused.value.param == "generate_audio"
