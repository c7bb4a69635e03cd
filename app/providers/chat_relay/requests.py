"""How a wish is put into one chat message, with shape and length in the model's name, the prompt, or beside it."""

from collections.abc import Collection
from typing import Any, Literal

from app.errors import UpstreamRejected
from app.generation import Action, GenerationRequest, Kind, Role
from app.providers.gateway import (
    SECONDS,
    allowed_seconds,
    is_option_name,
    model_name_for,
    orientation_of,
    storyboard_prompt,
    wants_hd,
    without_empty,
)
from app.providers.inputs import as_data_uri, check_request, extra_fields, refuse_fields

OptionStyle = Literal["name", "prompt", "fields"]

KINDS: frozenset[Kind] = frozenset({"video", "image"})
ROLES: frozenset[Role] = frozenset({"first_frame", "reference_image", "subject", "source_video"})
ACTIONS: Collection[Action] = ("generate", "edit")
RESERVED = {
    "model", "messages", "prompt", "stream", "n", "seconds", "duration", "size", "aspect_ratio", "resolution",
    "api_key", "key", "images", "videos",
}  # fmt: skip
"""What ``extra`` can't set: these choose the model, the account, the price or the inputs."""
SHAPES = {"portrait": "竖屏", "landscape": "横屏"}


def option_style(model: str, told_by: OptionStyle | None) -> OptionStyle:
    return told_by or ("name" if is_option_name(model) else "prompt")


def allowed_range(model: str, told_by: OptionStyle | None) -> tuple[float, float] | None:
    return None if option_style(model, told_by) == "fields" else (SECONDS[0], SECONDS[-1])


def request_body(
    request: GenerationRequest, *, told_by: OptionStyle | None, references: int
) -> dict[str, Any]:
    """The body of the request. Raises ``UpstreamRejected`` for what a chat message can't say."""
    check_request(request, ROLES, kinds=KINDS, actions=ACTIONS)
    images = request.media_with("first_frame", "reference_image", "subject")
    if len(images) > references:
        raise UpstreamRejected(f"{request.model} takes {references} image(s)", param="input_reference")
    how = option_style(request.model, told_by)
    model, words, beside = request.model, "", {}
    if how == "fields":
        beside = _option_fields(request)
    else:
        refuse_fields(request, "seed", "negative_prompt")
        if request.watermark or request.private:
            name = "watermark" if request.watermark else "private"
            raise UpstreamRejected(f"{request.model} has no {name}", param=name)
        model = model_name_for(request) if how == "name" else model
        words = _prompt_directives(request, shape=how == "prompt")
    told = storyboard_prompt(request) if request.shots else request.prompt
    content: list[dict[str, Any]] = [{"type": "text", "text": words + told}]
    content += [{"type": "image_url", "image_url": {"url": as_data_uri(image)}} for image in images]
    for clip in request.media_with("source_video"):
        content.append({"type": "video_url", "video_url": {"url": as_data_uri(clip)}})
    message = {"role": "user", "content": content}
    return (
        extra_fields(request, RESERVED, sound="generate_audio")
        | beside
        | {"model": model, "stream": True, "messages": [message]}
    )


def _prompt_directives(request: GenerationRequest, *, shape: bool) -> str:
    """The words at the beginning of a prompt that these gateways read as settings."""
    words: list[str] = []
    if shape and request.kind == "video":
        way, seconds = orientation_of(request), allowed_seconds(request)
        words += [SHAPES[way]] if way else []
        words += [f"{seconds}s"] if seconds and not request.shots else []
        words += ["高清"] if wants_hd(request) else []
    elif shape:
        refuse_fields(request, "resolution")
        way = orientation_of(request)
        words += [SHAPES[way]] if way else []
    style = f"{{{request.style}}}" if request.style else ""
    return style + ",".join(words) + (" " if words or style else "")


def _option_fields(request: GenerationRequest) -> dict[str, Any]:
    return without_empty(
        {
            "duration": request.seconds,
            "size": request.size,
            "aspect_ratio": request.aspect_ratio,
            "resolution": request.resolution,
            "style": request.style,
            "seed": request.seed,
            "negative_prompt": request.negative_prompt,
            "watermark": request.watermark,
            "private": request.private or None,
        }
    )
