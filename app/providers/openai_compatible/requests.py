"""Builds requests for OpenAI's ``/v1/videos`` and ``/v1/images``.

https://platform.openai.com/docs/api-reference/videos
"""

from typing import Any
from urllib.parse import quote

from app.errors import UpstreamRejected
from app.generation import GenerationRequest, MediaInput, MediaKind, Role
from app.providers.base import Operation
from app.providers.http_messages import FormFile
from app.providers.inputs import extra_fields

KINDS: frozenset[MediaKind] = frozenset({"video", "image"})
ROLES: frozenset[Role] = frozenset({"first_frame", "reference_image", "source_video"})
RESERVED = {
    "model",
    "prompt",
    "seconds",
    "duration",
    "size",
    "n",
    "api_key",
    "key",
    "input_reference",
    "video",
}
"""Fields that ``extra`` must not set: they choose the model, the account, the price or the inputs."""


def check_inputs(request: GenerationRequest, *, references: int) -> None:
    """Raises ``UpstreamRejected`` for inputs that this protocol can't express; nothing is dropped silently."""
    if request.kind not in KINDS:
        raise UpstreamRejected(f"this upstream makes no {request.kind}", param="model")
    for item in request.media:
        if item.role not in ROLES:
            raise UpstreamRejected(f"this upstream takes no {item.role}", param=item.role)
        if item.content is None and not item.url:
            raise UpstreamRejected(f"the {item.role} is no longer there", param=item.role)
    if request.kind == "video" and len(_image_inputs(request)) > references:
        raise UpstreamRejected(
            f"this upstream takes {references} reference image(s)", param="input_reference"
        )


def submit_target(request: GenerationRequest, earlier: Operation | None) -> tuple[str, dict[str, Any] | None]:
    """The path, and the fields that name the video to change if the upstream made it; no model is sent then."""
    if request.kind == "image":
        return ("/images/edits" if request.media else "/images/generations"), None
    if request.action == "generate":
        return "/videos", None
    if request.action == "remix":
        if earlier is None:
            raise UpstreamRejected("the video to remix is not known to this upstream", param="remix_of")
        return f"/videos/{quote(earlier.id, safe='')}/remix", {}
    path = "/videos/edits" if request.action == "edit" else "/videos/extensions"
    if request.media_with("source_video"):
        return path, None
    if earlier is None:
        raise UpstreamRejected("there is no video to change", param="video")
    return path, {"video": {"id": earlier.id}}


def submit_fields(request: GenerationRequest, *, with_model: bool) -> dict[str, Any]:
    wishes = {
        "model": request.model if with_model else None,
        "prompt": request.prompt or None,
        "seconds": f"{request.seconds:g}" if request.seconds is not None else None,
        "size": request.size,
        "aspect_ratio": request.aspect_ratio,
        "resolution": request.resolution,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
        "watermark": request.watermark,
    }
    extra = extra_fields(request, RESERVED, sound="generate_audio")
    return (
        extra | {name: value for name, value in wishes.items() if value is not None} | _linked_inputs(request)
    )


def form_files(request: GenerationRequest) -> list[FormFile]:
    """The inputs whose bytes are at hand, as parts of a form."""
    items = [item for item in request.media if item.content is not None]
    many = sum(item.role != "source_video" for item in items) > 1
    return [_form_file(item, request=request, many=many) for item in items]


def _image_inputs(request: GenerationRequest) -> tuple[MediaInput, ...]:
    return request.media_with("first_frame", "reference_image")


def _form_file(item: MediaInput, *, request: GenerationRequest, many: bool) -> FormFile:
    if item.role == "source_video":
        name = "video"
    else:
        name = ("image" if request.kind == "image" else "input_reference") + ("[]" if many else "")
    ending = item.content_type.rsplit("/", 1)[-1].removeprefix("x-") or "bin"
    return FormFile(name, item.content or b"", item.content_type, f"{item.role}.{ending}")


def _linked_inputs(request: GenerationRequest) -> dict[str, Any]:
    """The inputs that are known only by URL, in the JSON form of the same fields."""
    videos = [item.url for item in request.media_with("source_video") if item.content is None]
    images = [{"image_url": item.url} for item in _image_inputs(request) if item.content is None]
    told: dict[str, Any] = {"video": {"url": videos[0]}} if videos else {}
    if images and request.kind == "image":
        told["images"] = images
    elif images:
        told["input_reference"] = images[0] if len(images) == 1 else images
    return told
