"""How a wish is put into one chat message, with shape and length in the model's name, the prompt, or beside it."""

from collections.abc import Collection
from typing import Any, Literal

from app.errors import UpstreamRejected
from app.generation import Action, GenerationRequest, Kind, Role
from app.providers.gateway import storyboard, without
from app.providers.gateway_names import SECONDS, is_named, named, orientation, spoken_seconds, wants_hd
from app.providers.inputs import as_data_uri, check, passed_on, refuse

ToldBy = Literal["name", "prompt", "fields"]

KINDS: frozenset[Kind] = frozenset({"video", "image"})
ROLES: frozenset[Role] = frozenset({"first_frame", "reference_image", "subject", "source_video"})
ACTIONS: Collection[Action] = ("generate", "edit")
RESERVED = {
    "model", "messages", "prompt", "stream", "n", "seconds", "duration", "size", "aspect_ratio", "resolution",
    "api_key", "key", "images", "videos",
}  # fmt: skip
"""What ``extra`` can't set: these choose the model, the account, the price or the inputs."""
SHAPES = {"portrait": "竖屏", "landscape": "横屏"}


def told_how(model: str, told_by: ToldBy | None) -> ToldBy:
    return told_by or ("name" if is_named(model) else "prompt")


def says_seconds(model: str, told_by: ToldBy | None) -> tuple[float, float] | None:
    return None if told_how(model, told_by) == "fields" else (SECONDS[0], SECONDS[-1])


def fields(request: GenerationRequest, *, told_by: ToldBy | None, references: int) -> dict[str, Any]:
    """The body of the request. Raises ``UpstreamRejected`` for what a chat message can't say."""
    check(request, ROLES, kinds=KINDS, actions=ACTIONS)
    images = request.media_with("first_frame", "reference_image", "subject")
    if len(images) > references:
        raise UpstreamRejected(f"{request.model} takes {references} image(s)", param="input_reference")
    how = told_how(request.model, told_by)
    model, words, beside = request.model, "", {}
    if how == "fields":
        beside = _beside(request)
    else:
        refuse(request, "seed", "negative_prompt")
        if request.watermark or request.private:
            name = "watermark" if request.watermark else "private"
            raise UpstreamRejected(f"{request.model} has no {name}", param=name)
        model = named(request) if how == "name" else model
        words = _directives(request, shape=how == "prompt")
    told = storyboard(request) if request.shots else request.prompt
    content: list[dict[str, Any]] = [{"type": "text", "text": words + told}]
    content += [{"type": "image_url", "image_url": {"url": as_data_uri(image)}} for image in images]
    for clip in request.media_with("source_video"):
        content.append({"type": "video_url", "video_url": {"url": as_data_uri(clip)}})
    message = {"role": "user", "content": content}
    return (
        passed_on(request, RESERVED, sound="generate_audio")
        | beside
        | {"model": model, "stream": True, "messages": [message]}
    )


def _directives(request: GenerationRequest, *, shape: bool) -> str:
    """The words at the beginning of a prompt that these gateways read as settings."""
    words: list[str] = []
    if shape and request.kind == "video":
        way, seconds = orientation(request), spoken_seconds(request)
        words += [SHAPES[way]] if way else []
        words += [f"{seconds}s"] if seconds and not request.shots else []
        words += ["高清"] if wants_hd(request) else []
    elif shape:
        refuse(request, "resolution")
        way = orientation(request)
        words += [SHAPES[way]] if way else []
    style = f"{{{request.style}}}" if request.style else ""
    return style + ",".join(words) + (" " if words or style else "")


def _beside(request: GenerationRequest) -> dict[str, Any]:
    return without(
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
