"""Builds Runway requests: the endpoint and its JSON body."""

from typing import Any

from app.errors import UpstreamRejected
from app.generation import Action, GenerationRequest, MediaInput, MediaKind
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    refuse_fields,
    whole_seconds,
    without_none,
)
from app.providers.runway.models import UNKNOWN_MODEL, RunwayModel, SizeForm, model_of
from app.providers.runway.sizes import size_fields

IMAGE, TEXT = "/v1/text_to_image", "/v1/text_to_video"
FRAMES, EDIT = "/v1/image_to_video", "/v1/video_to_video"
KINDS: frozenset[MediaKind] = frozenset({"video", "image"})
ACTIONS: frozenset[Action] = frozenset({"generate", "edit", "extend", "remix"})
RESERVED = frozenset(
    {"model", "prompt", "promptText", "promptImage", "promptVideo", "videoUri", "duration", "ratio", "seed"}
    | {"resolution", "targetAspectRatio", "negativePrompt", "outputFormat", "proresProfile", "outputCount"}
    | {"draft", "draftTaskId", "references", "referenceImages", "referenceVideos", "referenceAudio"}
)
DEFAULT_SECONDS = 5
"""Sent to models that require a length when the client gave none."""
MAX_INLINE_CHARACTERS = 5 * 1024 * 1024
"""The longest data URI that Runway accepts."""
HAVE_MODES = {"seedance2_5", "gemini_omni_flash_1.1"}


def submit_path(request: GenerationRequest) -> str:
    if request.kind == "image":
        return IMAGE
    if request.media_with("source_video"):
        return EDIT
    return FRAMES if request.media_with("first_frame", "last_frame") else TEXT


def request_body(request: GenerationRequest) -> dict[str, Any]:
    """JSON body for ``submit_path(request)``. Raises ``UpstreamRejected`` for a value without a field there."""
    model, path = model_of(request.model), submit_path(request)
    check_request(request, model.roles, kinds=KINDS, actions=ACTIONS)
    refuse_fields(request, "characters")
    if request.action != "generate" and path != EDIT:
        raise UpstreamRejected("Runway changes a video only when it is sent along", param="video")
    if not model.seed:
        refuse_fields(request, "seed")
    if not model.negative_prompt:
        refuse_fields(request, "negative_prompt")
    styles: dict[str, SizeForm] = {FRAMES: model.frames_size_form, EDIT: model.edits_size_form}
    size_form = styles.get(path, "ratio")
    fields = {
        "model": request.model,
        "promptText": request.prompt or None,
        "seed": request.seed,
        "negativePrompt": request.negative_prompt or None,
        **size_fields(request, model, size_form=size_form),
        **(
            _media_fields(request, model, path)
            if path != IMAGE
            else {"referenceImages": _reference_images(request)}
        ),
    }
    if path == EDIT and size_form == "none":
        refuse_fields(request, "seconds")
    elif path != IMAGE:
        fields |= _seconds_fields(request, model)
    return extra_fields(request, RESERVED, sound="audio") | without_none(fields)


def _seconds_fields(request: GenerationRequest, model: RunwayModel) -> dict[str, Any]:
    seconds = whole_seconds(request)
    if not request.shots or not model.shots or model is UNKNOWN_MODEL:
        return {"duration": seconds or (DEFAULT_SECONDS if model.needs_seconds else None)}
    if any(shot.seconds != int(shot.seconds) for shot in request.shots):
        raise UpstreamRejected("a shot must last whole seconds", param="shots")
    parts = [{"prompt": shot.prompt, "duration": int(shot.seconds)} for shot in request.shots]
    total = sum(int(shot.seconds) for shot in request.shots)
    return {"duration": total, "providerSettings": {"shotType": "customize", "multiPrompt": parts}}


def _media_fields(request: GenerationRequest, model: RunwayModel, path: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"references": _reference_images(request)}
    for item in at_most(request, "source_video", 1):
        fields[model.video_field] = _input_uri(item)
        if request.model in HAVE_MODES and request.action in {"edit", "extend"}:
            fields["mode"] = request.action
    frames = (*at_most(request, "first_frame", 1), *at_most(request, "last_frame", 1))
    if frames and path == EDIT:
        raise UpstreamRejected("Runway takes a source video or frames, not both", param=frames[0].role)
    if frames:
        fields["promptImage"] = [
            {"uri": _input_uri(item), "position": item.role.removesuffix("_frame")} for item in frames
        ]
    kind = {} if request.model == "gemini_omni_flash_1.1" else {"type": "video"}
    videos = [kind | {"uri": _input_uri(item)} for item in request.media_with("reference_video")]
    sounds = [{"type": "audio", "uri": _input_uri(item)} for item in request.media_with("audio")]
    return fields | {"referenceVideos": videos or None, "referenceAudio": sounds or None}


def _reference_images(request: GenerationRequest) -> list[dict[str, str]] | None:
    return [{"uri": _input_uri(item)} for item in request.media_with("reference_image")] or None


def _input_uri(item: MediaInput) -> str:
    """A data URI if it is small enough, else the client's own https URL."""
    inline = as_data_uri(item) if item.content is not None else ""
    if inline and len(inline) <= MAX_INLINE_CHARACTERS:
        return inline
    if item.url and item.url.startswith("https://"):
        return item.url
    size = "of more than 5 MB " if inline else ""
    raise UpstreamRejected(f"Runway takes a {item.role} {size}only from an https URL", param=item.role)
