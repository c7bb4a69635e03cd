"""How a wish is put into Runway's words: the endpoint, the lengths, and inputs inline or by address."""

from typing import Any

from app.errors import UpstreamRejected
from app.generation import Action, GenerationRequest, MediaInput, MediaKind
from app.providers.inputs import as_data_uri, at_most, check, passed_on, refuse, whole_seconds
from app.providers.runway.models import UNKNOWN, Model, SaidAs, model_of
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
UNTOLD_SECONDS = 5
"""For models that must be told a length and were not."""
LARGEST_INLINE = 5 * 1024 * 1024
"""Characters of a data URI that Runway reads."""
HAVE_MODES = {"seedance2_5", "gemini_omni_flash_1.1"}


def path_of(request: GenerationRequest) -> str:
    if request.kind == "image":
        return IMAGE
    if request.media_with("source_video"):
        return EDIT
    return FRAMES if request.media_with("first_frame", "last_frame") else TEXT


def body_of(request: GenerationRequest) -> dict[str, Any]:
    """Raises ``UpstreamRejected`` for what can't be told to Runway."""
    model, path = model_of(request.model), path_of(request)
    check(request, model.roles, kinds=KINDS, actions=ACTIONS)
    refuse(request, "characters")
    if request.action != "generate" and path != EDIT:
        raise UpstreamRejected("Runway changes a video only when it is sent along", param="video")
    if not model.seed:
        refuse(request, "seed")
    if not model.negative:
        refuse(request, "negative_prompt")
    styles: dict[str, SaidAs] = {FRAMES: model.frames, EDIT: model.edits}
    said_as = styles.get(path, "ratio")
    told = {
        "model": request.model,
        "promptText": request.prompt or None,
        "seed": request.seed,
        "negativePrompt": request.negative_prompt or None,
        **size_fields(request, model, said_as=said_as),
        **(_inputs(request, model, path) if path != IMAGE else {"referenceImages": _references(request)}),
    }
    if path == EDIT and said_as == "none":
        refuse(request, "seconds")
    elif path != IMAGE:
        told |= _length(request, model)
    return passed_on(request, RESERVED, sound="audio") | {
        name: value for name, value in told.items() if value is not None
    }


def _length(request: GenerationRequest, model: Model) -> dict[str, Any]:
    seconds = whole_seconds(request)
    if not request.shots or not model.shots or model is UNKNOWN:
        return {"duration": seconds or (UNTOLD_SECONDS if model.needs_seconds else None)}
    if any(shot.seconds != int(shot.seconds) for shot in request.shots):
        raise UpstreamRejected("a shot must last whole seconds", param="shots")
    parts = [{"prompt": shot.prompt, "duration": int(shot.seconds)} for shot in request.shots]
    total = sum(int(shot.seconds) for shot in request.shots)
    return {"duration": total, "providerSettings": {"shotType": "customize", "multiPrompt": parts}}


def _inputs(request: GenerationRequest, model: Model, path: str) -> dict[str, Any]:
    told: dict[str, Any] = {"references": _references(request)}
    for item in at_most(request, "source_video", 1):
        told[model.video_field] = _address(item)
        if request.model in HAVE_MODES and request.action in {"edit", "extend"}:
            told["mode"] = request.action
    frames = (*at_most(request, "first_frame", 1), *at_most(request, "last_frame", 1))
    if frames and path == EDIT:
        raise UpstreamRejected("Runway takes a source video or frames, not both", param=frames[0].role)
    if frames:
        told["promptImage"] = [
            {"uri": _address(item), "position": item.role.removesuffix("_frame")} for item in frames
        ]
    kind = {} if request.model == "gemini_omni_flash_1.1" else {"type": "video"}
    videos = [kind | {"uri": _address(item)} for item in request.media_with("reference_video")]
    sounds = [{"type": "audio", "uri": _address(item)} for item in request.media_with("audio")]
    return told | {"referenceVideos": videos or None, "referenceAudio": sounds or None}


def _references(request: GenerationRequest) -> list[dict[str, str]] | None:
    return [{"uri": _address(item)} for item in request.media_with("reference_image")] or None


def _address(item: MediaInput) -> str:
    """Inline when it is small enough, else the client's own https address."""
    inline = as_data_uri(item) if item.content is not None else ""
    if inline and len(inline) <= LARGEST_INLINE:
        return inline
    if item.url and item.url.startswith("https://"):
        return item.url
    size = "of more than 5 MB " if inline else ""
    raise UpstreamRejected(f"Runway takes a {item.role} {size}only from an https address", param=item.role)
