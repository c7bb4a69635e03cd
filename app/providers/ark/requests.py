"""Builds the bodies of Ark's video tasks: ``content`` parts with roles, and options beside them.

https://www.volcengine.com/docs/82379/1520757
"""

from typing import Any

from app.errors import UnsupportedWish
from app.generation import Action, GenerationRequest, Role
from app.providers.fact_checks import settle_request
from app.providers.inputs import (
    GENERATE,
    VIDEO,
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    public_url,
    refuse_fields,
    told_ratio,
    told_tier,
    whole_seconds,
    without_none,
)
from app.providers.model_facts import ModelFacts, read_facts

RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive")
TIERS = {"480p": 480, "720p": 720, "1080p": 1080, "4k": 2160}
"""The words of all models, for those that are not known."""
ROLES: frozenset[Role] = frozenset(
    {"first_frame", "last_frame", "reference_image", "reference_video", "source_video", "audio"}
)
PICTURES: tuple[Role, ...] = ("first_frame", "last_frame", "reference_image")
CHANGES: frozenset[Action] = frozenset({"generate", "edit", "extend"})
UNSAID_SECONDS = 5
"""What every Seedance before 2.5 makes when no length is said. 2.5 decides itself, up to 30 seconds, which no budget has
held: so the length is always said."""
RESERVED = {
    "model", "content", "prompt", "duration", "frames", "resolution", "ratio", "tools", "callback_url", "api_key",
}  # fmt: skip
"""What ``extra`` can't set: these choose the model, the account, the price, the inputs or the callback.
``service_tier`` (``flex`` is slow and half the price) and ``priority`` are the client's to choose."""


def find_video(name: str) -> ModelFacts | None:
    """None for the operator's own endpoint names (``ep-…``) and models unknown here: Ark decides."""
    return read_facts("ark").find_model(name)


def roles_of(model: ModelFacts | None) -> frozenset[Role]:
    return ROLES if model is None else frozenset(model.inputs)


def video_body(request: GenerationRequest, *, mark: str | None) -> dict[str, Any]:
    """The body of a task; ``mark`` identifies it in the list of tasks. Raises ``UnsupportedWish``."""
    model = find_video(request.model)
    request = settle_request(request, model)
    roles = roles_of(model)
    actions = CHANGES if "source_video" in roles else GENERATE
    check_request(request, roles, kinds=VIDEO if model is None else {model.kind} & VIDEO, actions=actions)
    refuse_fields(request, "negative_prompt", "characters")
    fields: dict[str, Any] = {
        "model": request.model,
        "content": _content_parts(request, model),
        "duration": whole_seconds(request) or UNSAID_SECONDS,
        "resolution": told_tier(request, model.tiers if model else {}, usual=TIERS),
        "ratio": told_ratio(request, model.ratios if model else (), usual=RATIOS),
        "seed": request.seed,
        "watermark": request.watermark,
        "safety_identifier": mark,
    }
    fields |= _adaptive_fields(request, model)
    reserved = RESERVED if mark is None else {*RESERVED, "safety_identifier"}
    return extra_fields(request, reserved, sound="generate_audio") | without_none(fields)


def _adaptive_fields(request: GenerationRequest, model: ModelFacts | None) -> dict[str, Any]:
    """For the newest models, which take the shape (and, when editing, the length) from their inputs."""
    edits, framed = request.action != "generate", bool(request.media_with("first_frame"))
    if model is None or not model.traits.get("tasks") or not (edits or framed):
        return {}
    if request.aspect_ratio not in (None, "adaptive"):
        text = f"{request.model} takes the shape of what it is given, not an aspect_ratio"
        raise UnsupportedWish(text, param="aspect_ratio")
    if request.action == "edit":
        refuse_fields(request, "seconds")
    fields: dict[str, Any] = {"ratio": "adaptive"}
    if edits:
        fields["omni_reference_task_type"] = request.action
    # An edited video keeps the length of its source.
    return fields | ({"duration": -1} if request.action == "edit" else {})


def _content_parts(request: GenerationRequest, model: ModelFacts | None) -> list[dict[str, Any]]:
    _check_numbers(request, model)
    _check_together(request)
    parts = [{"type": "text", "text": request.prompt}] if request.prompt else []
    for role in PICTURES:
        for item in request.media_with(role):
            parts.append(_content_part("image_url", as_data_uri(item), role=role))
    # Pictures and sounds may be sent in the request itself; videos only as addresses, which Ark fetches.
    for item in request.media_with("source_video", "reference_video"):
        parts.append(_content_part("video_url", public_url(item), role="reference_video"))
    for item in request.media_with("audio"):
        parts.append(_content_part("audio_url", as_data_uri(item), role="reference_audio"))
    return parts


def _check_numbers(request: GenerationRequest, model: ModelFacts | None) -> None:
    at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    if model is None:
        return
    for role, most in model.inputs.items():
        at_most(request, role, most)
    most = model.inputs.get("reference_video", 0)
    if len(request.media_with("source_video", "reference_video")) > most:
        raise UnsupportedWish(f"{request.model} takes at most {most} videos", param="video")


def _check_together(request: GenerationRequest) -> None:
    """Raises ``UnsupportedWish`` for inputs that don't go together in any model."""
    first, last = request.media_with("first_frame"), request.media_with("last_frame")
    sounds, seen = (
        request.media_with("audio"),
        request.media_with("reference_image", "source_video", "reference_video"),
    )
    if request.action != "generate" and not request.media_with("source_video"):
        raise UnsupportedWish("there is no video to change", param="video")
    if last and not first:
        raise UnsupportedWish("a last frame needs a first frame", param="last_frame")
    if first and (seen or sounds):
        raise UnsupportedWish("frames and references can't go together", param=(*seen, *sounds)[0].role)
    if sounds and not seen:
        raise UnsupportedWish("a sound needs a picture or a video beside it", param="audio")


def _content_part(kind: str, address: str, *, role: str) -> dict[str, Any]:
    return {"type": kind, kind: {"url": address}, "role": role}
