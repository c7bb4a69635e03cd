"""Builds Runway requests: the endpoint and its JSON body."""

from collections.abc import Mapping
from typing import Any

from app.errors import UnsupportedWish
from app.generation import Action, GenerationRequest, MediaInput, MediaKind, Role
from app.providers.fact_checks import settle_request
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    refuse_fields,
    refuse_flags,
    whole_seconds,
    without_none,
)
from app.providers.runway.models import EDIT, FRAMES, IMAGE, TEXT, Endpoint, endpoints_of, model_of
from app.providers.runway.sizes import size_fields

KINDS: frozenset[MediaKind] = frozenset({"video", "image"})
ACTIONS: frozenset[Action] = frozenset({"generate", "edit", "extend", "remix"})
ROLES: frozenset[Role] = frozenset(
    {"first_frame", "last_frame", "source_video", "reference_image", "reference_video", "audio"}
)
RESERVED = frozenset(
    {"model", "prompt", "promptText", "promptImage", "promptVideo", "videoUri", "duration", "ratio", "seed"}
    | {"resolution", "targetAspectRatio", "negativePrompt", "outputFormat", "proresProfile", "outputCount"}
    | {"draft", "draftTaskId", "references", "referenceImages", "referenceVideos", "referenceAudio"}
    | {"mode", "providerSettings"}
)
WISHES: Mapping[str, str] = {
    "promptText": "prompt", "seed": "seed", "negativePrompt": "negative_prompt", "duration": "seconds",
    "references": "reference_image", "referenceImages": "reference_image", "referenceVideos": "reference_video",
    "referenceAudio": "audio", "providerSettings": "shots", "mode": "video",
}  # fmt: skip
"""Runway's fields and the client's fields that they stand for."""
DEFAULT_SECONDS = 5
"""Sent to models that require a length when the client gave none."""
MAX_INLINE_CHARACTERS = 5 * 1024 * 1024
"""The longest data URI that Runway accepts."""


def submit_path(request: GenerationRequest) -> str:
    return f"/v1/{_endpoint_name(request)}"


def _endpoint_name(request: GenerationRequest) -> str:
    if request.kind == "image":
        return IMAGE
    if request.media_with("source_video"):
        return EDIT
    return FRAMES if request.media_with("first_frame", "last_frame") else TEXT


def request_body(request: GenerationRequest) -> dict[str, Any]:
    """JSON body for ``submit_path(request)``. Raises ``UnsupportedWish`` for a value without a field there."""
    known, name = model_of(request.model), _endpoint_name(request)
    request = settle_request(request, known)
    check_request(request, known.inputs if known else ROLES, kinds=KINDS, actions=ACTIONS)
    refuse_fields(request, "characters")
    refuse_flags(request, "watermark")
    if request.action != "generate" and name != EDIT:
        raise UnsupportedWish("Runway changes a video only when it is sent along", param="video")
    endpoint = _find_endpoint(request, name)
    fields = {
        "model": request.model,
        "promptText": request.prompt or None,
        "seed": request.seed,
        "negativePrompt": request.negative_prompt or None,
        **size_fields(request, endpoint, follows_input=name in {FRAMES, EDIT}),
        **_input_fields(request, name, endpoint),
        **_mode_field(request, endpoint),
    }
    if name == IMAGE:
        refuse_fields(request, "seconds", "shots")
    else:
        fields |= _seconds_fields(request, endpoint)
    fields = without_none(fields)
    if endpoint is not None:
        _refuse_others(request, fields, endpoint)
    sound = "audio" if endpoint is None or "audio" in endpoint.takes else ""
    return extra_fields(request, RESERVED, sound=sound) | fields


def _find_endpoint(request: GenerationRequest, name: str) -> Endpoint | None:
    """None for a model that we don't know. Raises ``UnsupportedWish`` where the model lacks the endpoint."""
    endpoints = endpoints_of(request.model)
    if endpoints is None or name in endpoints:
        return endpoints[name] if endpoints else None
    if name == TEXT:
        needed = "first_frame" if FRAMES in endpoints else "source_video"
        raise UnsupportedWish(f"{request.model} makes nothing without a {needed}", param=needed)
    raise UnsupportedWish(f"{request.model} makes no {request.kind}", param="model")


def _refuse_others(request: GenerationRequest, fields: Mapping[str, Any], endpoint: Endpoint) -> None:
    for field, param in WISHES.items():
        if field in fields and field not in endpoint.takes:
            text = f"{request.model} takes no {param.replace('_', ' ')} beside these inputs"
            raise UnsupportedWish(text, param=param)
    for field in endpoint.needs:
        if field not in fields:
            param = WISHES.get(field, field)
            raise UnsupportedWish(f"{request.model} needs a {param.replace('_', ' ')}", param=param)


def _mode_field(request: GenerationRequest, endpoint: Endpoint | None) -> dict[str, str]:
    """An edit is what a source video is for; to extend one is a mode that few models have."""
    if request.action not in {"edit", "extend"}:
        return {}
    if endpoint is None or (request.action == "edit" and "mode" not in endpoint.takes):
        return {"mode": "extend"} if request.action == "extend" else {}
    return {"mode": request.action}


def _seconds_fields(request: GenerationRequest, endpoint: Endpoint | None) -> dict[str, Any]:
    seconds = whole_seconds(request)
    if not request.shots:
        needed = endpoint is not None and "duration" in endpoint.needs
        return {"duration": seconds or (DEFAULT_SECONDS if needed else None)}
    if any(shot.seconds != int(shot.seconds) for shot in request.shots):
        raise UnsupportedWish("a shot must last whole seconds", param="shots")
    parts = [{"prompt": shot.prompt, "duration": int(shot.seconds)} for shot in request.shots]
    total = sum(int(shot.seconds) for shot in request.shots)
    return {"duration": total, "providerSettings": {"shotType": "customize", "multiPrompt": parts}}


def _input_fields(request: GenerationRequest, name: str, endpoint: Endpoint | None) -> dict[str, Any]:
    known = model_of(request.model)
    for role, most in known.inputs.items() if known else ():
        at_most(request, role, most)
    pictures = [{"uri": _input_uri(item)} for item in request.media_with("reference_image")] or None
    if name == IMAGE:
        return {"referenceImages": pictures}
    fields: dict[str, Any] = {"references": pictures}
    for item in at_most(request, "source_video", 1):
        field = "videoUri" if endpoint is not None and "videoUri" in endpoint.takes else "promptVideo"
        fields[field] = _input_uri(item)
    frames = (*at_most(request, "first_frame", 1), *at_most(request, "last_frame", 1))
    if frames and name == EDIT:
        raise UnsupportedWish("Runway takes a source video or frames, not both", param=frames[0].role)
    if frames:
        fields["promptImage"] = [
            {"uri": _input_uri(item), "position": item.role.removesuffix("_frame")} for item in frames
        ]
    kind = {} if request.model.startswith("gemini_omni_flash") else {"type": "video"}
    videos = [kind | {"uri": _input_uri(item)} for item in request.media_with("reference_video")]
    sounds = [{"type": "audio", "uri": _input_uri(item)} for item in request.media_with("audio")]
    return fields | {"referenceVideos": videos or None, "referenceAudio": sounds or None}


def _input_uri(item: MediaInput) -> str:
    """A data URI if it is small enough, else the client's own https URL."""
    inline = as_data_uri(item) if item.content is not None else ""
    if inline and len(inline) <= MAX_INLINE_CHARACTERS:
        return inline
    if item.url and item.url.startswith("https://"):
        return item.url
    size = "of more than 5 MB " if inline else ""
    raise UnsupportedWish(f"Runway takes a {item.role} {size}only from an https URL", param=item.role)
