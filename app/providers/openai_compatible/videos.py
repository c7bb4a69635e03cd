"""What is sent for a video or a picture: OpenAI's ``/v1/videos`` and ``/v1/images``, and the forms of known engines.

https://platform.openai.com/docs/api-reference/videos
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, MediaInput, MediaKind, Role
from app.providers.base import Operation
from app.providers.http_messages import FormFile
from app.providers.inputs import file_ending, refuse_fields, without_none
from app.providers.openai_compatible.engines import engine_request
from app.providers.openai_compatible.options import Engine, OpenAICompatibleOptions
from app.providers.openai_compatible.passing import passed_fields

KINDS: frozenset[MediaKind] = frozenset({"video", "image"})
PICTURES: tuple[Role, ...] = ("first_frame", "reference_image")
ROLES: Mapping[Engine, frozenset[Role]] = {
    "": frozenset({*PICTURES, "source_video"}),
    "vllm_omni": frozenset({*PICTURES, "last_frame", "reference_video", "audio"}),
    "sglang": frozenset({*PICTURES, "reference_video"}),
}
DEFAULT_REFERENCES: Mapping[Engine, int | None] = {"": 1, "vllm_omni": None, "sglang": 1}
"""The most pictures of a server whose operator does not say; None: as many as its model takes."""


@dataclass(frozen=True)
class OutgoingRequest:
    """A submit as it is sent: as JSON, or as a form whose values are texts."""

    path: str
    fields: Mapping[str, Any]
    files: tuple[FormFile, ...] = ()
    is_form: bool = False

    def form_fields(self) -> dict[str, str]:
        return {name: form_text(value) for name, value in self.fields.items()}


def outgoing_request(
    request: GenerationRequest, options: OpenAICompatibleOptions, earlier: Operation | None
) -> OutgoingRequest:
    """What is sent for ``request``. ``earlier``: the video that is changed, when this upstream made it. Raises
    ``UnsupportedWish`` for what can't be told."""
    _check_inputs(request, options)
    if options.engine and request.kind == "video":
        fields, parts = engine_request(request, options)
        return OutgoingRequest("/videos", fields, parts, is_form=True)
    path, earlier_video = submit_target(request, earlier)
    fields = submit_fields(request, options, with_model=earlier_video is None) | (earlier_video or {})
    files = form_files(request)
    return OutgoingRequest(path, fields, files, is_form=bool(files))


def form_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def submit_target(request: GenerationRequest, earlier: Operation | None) -> tuple[str, dict[str, Any] | None]:
    """The path, and the fields that name the video to change if the upstream made it; no model is sent then."""
    if request.kind == "image":
        return ("/images/edits" if request.media else "/images/generations"), None
    if request.action == "generate":
        return "/videos", None
    if request.action == "remix":
        if earlier is None:
            raise UnsupportedWish("the video to remix is not known to this upstream", param="remix_of")
        return f"/videos/{quote(earlier.id, safe='')}/remix", {}
    path = "/videos/edits" if request.action == "edit" else "/videos/extensions"
    if request.media_with("source_video"):
        return path, None
    if earlier is None:
        raise UnsupportedWish("there is no video to change", param="video")
    return path, {"video": {"id": earlier.id}}


def submit_fields(
    request: GenerationRequest, options: OpenAICompatibleOptions, *, with_model: bool
) -> dict[str, Any]:
    refuse_fields(request, "characters")
    fields = {
        "model": request.model if with_model else None,
        "prompt": request.prompt or None,
        "seconds": f"{request.seconds:g}" if request.seconds is not None else None,
        "size": request.size,
        "aspect_ratio": request.aspect_ratio,
        "resolution": request.resolution,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
        "watermark": request.watermark,
        "private": request.private or None,
    }
    extra = passed_fields(request, options.engine, allow=options.allow, sound="generate_audio")
    return extra | without_none(fields) | _linked_inputs(request)


def form_files(request: GenerationRequest) -> tuple[FormFile, ...]:
    """The inputs whose bytes are at hand, as parts of a form."""
    items = [item for item in request.media if item.content is not None]
    several = sum(item.role != "source_video" for item in items) > 1
    return tuple(_form_file(item, request=request, several=several) for item in items)


def _check_inputs(request: GenerationRequest, options: OpenAICompatibleOptions) -> None:
    if request.kind not in KINDS:
        raise UnsupportedWish(f"this upstream makes no {request.kind}", param="model")
    roles = ROLES[options.engine] if request.kind == "video" else frozenset(PICTURES)
    for item in request.media:
        if item.role not in roles:
            raise UnsupportedWish(f"this upstream takes no {item.role}", param=item.role)
        if item.content is None and not item.url:
            raise UnsupportedWish(f"the {item.role} is no longer there", param=item.role)
    most = options.capabilities.references
    most = DEFAULT_REFERENCES[options.engine] if most is None else most
    if request.kind == "video" and most is not None and len(request.media_with(*PICTURES)) > most:
        raise UnsupportedWish(f"this upstream takes {most} reference image(s)", param="input_reference")


def _form_file(item: MediaInput, *, request: GenerationRequest, several: bool) -> FormFile:
    if item.role == "source_video":
        name = "video"
    else:
        name = ("image" if request.kind == "image" else "input_reference") + ("[]" if several else "")
    return FormFile(name, item.content or b"", item.content_type, f"{item.role}.{file_ending(item)}")


def _linked_inputs(request: GenerationRequest) -> dict[str, Any]:
    """The inputs that are known only by URL, in the JSON form of the same fields."""
    videos = [item.url for item in request.media_with("source_video") if item.content is None]
    images = [{"image_url": item.url} for item in request.media_with(*PICTURES) if item.content is None]
    fields: dict[str, Any] = {"video": {"url": videos[0]}} if videos else {}
    if images and request.kind == "image":
        fields["images"] = images
    elif images:
        fields["input_reference"] = images[0] if len(images) == 1 else images
    return fields
