"""The video forms of vLLM-Omni and SGLang, which know fewer fields than OpenAI's and name some of them otherwise.

vLLM-Omni takes forms only: https://docs.vllm.ai/projects/vllm-omni/en/latest/serving/videos_api/
SGLang reads a picture in JSON as a path on its own disk, so it gets a form too:
https://github.com/sgl-project/sglang/blob/main/python/sglang/multimodal_gen/runtime/entrypoints/openai/video_api.py
"""

from typing import Any

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, MediaInput
from app.providers.http_messages import FormFile
from app.providers.inputs import (
    at_most,
    check_request,
    file_ending,
    refuse_fields,
    refuse_flags,
    whole_seconds,
    without_none,
)
from app.providers.openai_compatible.options import OpenAICompatibleOptions
from app.providers.openai_compatible.passing import passed_fields

Form = tuple[dict[str, Any], tuple[FormFile, ...]]
"""The texts and the files of a form."""


def engine_request(request: GenerationRequest, options: OpenAICompatibleOptions) -> Form:
    """The form of ``request``. Raises ``UnsupportedWish`` for what the engine has no field for."""
    check_request(request, {item.role for item in request.media})
    refuse_fields(request, "characters", "resolution", "shots", "style")
    refuse_flags(request, "watermark", "private")
    return (
        _vllm_omni_form(request, options) if options.engine == "vllm_omni" else _sglang_form(request, options)
    )


def _common_fields(request: GenerationRequest) -> dict[str, Any]:
    seconds = whole_seconds(request)
    return {
        "model": request.model,
        "prompt": request.prompt,
        "seconds": None if seconds is None else str(seconds),
        "size": request.size,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
    }


def _vllm_omni_form(request: GenerationRequest, options: OpenAICompatibleOptions) -> Form:
    fields = _common_fields(request) | {"aspect_ratio": request.aspect_ratio}
    passed = passed_fields(request, "vllm_omni", allow=options.allow, sound="generate_sound")
    return passed | without_none(fields), _vllm_omni_files(request)


def _vllm_omni_files(request: GenerationRequest) -> tuple[FormFile, ...]:
    """One picture is an ``input_reference``; the order of several says what each is, a last frame comes after the first."""
    frames, references = (
        request.media_with("first_frame", "last_frame"),
        request.media_with("reference_image"),
    )
    if request.media_with("last_frame") and not request.media_with("first_frame"):
        raise UnsupportedWish(
            f"{request.model} takes a last frame only after a first one", param="last_frame"
        )
    if frames and references:
        raise UnsupportedWish(
            f"{request.model} takes frames or reference images, not both", param="reference_image"
        )
    at_most(request, "first_frame", 1)
    at_most(request, "last_frame", 1)
    items = (*request.media_with("first_frame"), *request.media_with("last_frame"), *references,
             *request.media_with("reference_video", "audio"))  # fmt: skip
    name = "input_reference" if len(items) == 1 and items[0].role != "audio" else "input_references"
    return tuple(_part(name, item) for item in items)


def _sglang_form(request: GenerationRequest, options: OpenAICompatibleOptions) -> Form:
    refuse_fields(request, "aspect_ratio")
    fields = without_none(_common_fields(request))
    fields |= passed_fields(request, "sglang", allow=options.allow, sound="")
    pictures = request.media_with("first_frame", "reference_image")
    clips = at_most(request, "reference_video", 1)
    files = [_part("input_reference", item) for item in pictures]
    return fields, (*files, *(_part("video_reference", item) for item in clips))


def _part(name: str, item: MediaInput) -> FormFile:
    """Addresses aren't passed on: the server would fetch them past the guard of outbound requests."""
    if item.content is None:
        raise UnsupportedWish(f"the {item.role} is no longer there", param=item.role)
    return FormFile(name, item.content, item.content_type, f"{item.role}.{file_ending(item)}")
