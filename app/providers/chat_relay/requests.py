"""Builds the one chat message that asks for a film, with shape and length in the model's name, the prompt, or beside it."""

from collections.abc import Collection
from typing import Any, Literal

from app.errors import UnsupportedWish
from app.generation import Action, GenerationRequest, Kind, Role
from app.providers.gateway import (
    NAMED_SECONDS,
    allowed_seconds,
    is_option_name,
    model_name_for,
    orientation_of,
    storyboard_prompt,
    wants_hd,
    without_empty,
)
from app.providers.inputs import as_data_uri, check_request, extra_fields, refuse_fields, refuse_flags

OptionStyle = Literal["name", "prompt", "fields"]
"""Where shape, length and quality go."""

KINDS: frozenset[Kind] = frozenset({"video", "image"})
ROLES: frozenset[Role] = frozenset({"first_frame", "reference_image", "subject", "source_video"})
ACTIONS: Collection[Action] = ("generate", "edit")
RESERVED = {
    "model", "messages", "prompt", "stream", "n", "seconds", "duration", "size", "aspect_ratio", "resolution",
    "api_key", "key", "images", "videos",
}  # fmt: skip
"""What ``extra`` can't set: these choose the model, the account, the price or the inputs."""
# These gateways read Chinese words at the beginning of a prompt as settings.
SHAPE_WORDS = {"portrait": "竖屏", "landscape": "横屏"}
HD_WORD = "高清"


def option_style(model: str, configured: OptionStyle | None) -> OptionStyle:
    return configured or ("name" if is_option_name(model) else "prompt")


def allowed_range(model: str, configured: OptionStyle | None) -> tuple[float, float] | None:
    """Shortest and longest video in seconds; None when the upstream decides."""
    lengths = allowed_lengths(model, configured)
    return (lengths[0], lengths[-1]) if lengths else None


def allowed_lengths(model: str, configured: OptionStyle | None) -> tuple[float, ...]:
    """The only lengths in seconds; empty when the upstream decides."""
    return () if option_style(model, configured) == "fields" else NAMED_SECONDS


def request_body(request: GenerationRequest, *, style: OptionStyle | None, references: int) -> dict[str, Any]:
    """The body of the request. Raises ``UnsupportedWish`` for what a chat message can't express."""
    check_request(request, ROLES, kinds=KINDS, actions=ACTIONS)
    images = request.media_with("first_frame", "reference_image", "subject")
    if len(images) > references:
        raise UnsupportedWish(f"{request.model} takes {references} image(s)", param="input_reference")
    style = option_style(request.model, style)
    model, directives, options = request.model, "", {}
    if style == "fields":
        options = _option_fields(request)
    else:
        refuse_fields(request, "seed", "negative_prompt")
        refuse_flags(request, "watermark", "private")
        model = model_name_for(request) if style == "name" else model
        directives = _prompt_directives(request, with_shape=style == "prompt")
    prompt = storyboard_prompt(request) if request.shots else request.prompt
    content: list[dict[str, Any]] = [{"type": "text", "text": directives + prompt}]
    content += [{"type": "image_url", "image_url": {"url": as_data_uri(image)}} for image in images]
    for clip in request.media_with("source_video"):
        content.append({"type": "video_url", "video_url": {"url": as_data_uri(clip)}})
    message = {"role": "user", "content": content}
    return (
        extra_fields(request, RESERVED, sound="generate_audio")
        | options
        | {"model": model, "stream": True, "messages": [message]}
    )


def _prompt_directives(request: GenerationRequest, *, with_shape: bool) -> str:
    """The words at the beginning of a prompt that these gateways read as settings."""
    words: list[str] = []
    if with_shape:
        shape = orientation_of(request)
        words += [SHAPE_WORDS[shape]] if shape else []
    if with_shape and request.kind == "video":
        seconds = allowed_seconds(request)
        words += [f"{seconds}s"] if seconds and not request.shots else []
        words += [HD_WORD] if wants_hd(request) else []
    elif with_shape:
        refuse_fields(request, "resolution")
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
