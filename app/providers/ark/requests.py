"""Builds the bodies of Ark's video tasks: ``content`` parts with roles, and options beside them.

https://www.volcengine.com/docs/82379/1520757
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import UpstreamRejected
from app.generation import Action, GenerationRequest, Role
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    nearest_ratio,
    nearest_tier,
    public_url,
    refuse_fields,
    whole_seconds,
    without_none,
)

RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive")
TIERS = {"480p": 480, "720p": 720, "1080p": 1080, "4k": 2160}
FRAMES: frozenset[Role] = frozenset({"first_frame", "last_frame"})
REFERENCES: frozenset[Role] = frozenset({"reference_image", "reference_video", "source_video", "audio"})
RESERVED = {
    "model", "content", "prompt", "duration", "frames", "resolution", "ratio", "service_tier", "priority", "tools",
    "callback_url", "api_key",
}  # fmt: skip
"""What ``extra`` can't set: these choose the model, the account, the price, the inputs or the callback."""


@dataclass(frozen=True, slots=True)
class ArkVideoModel:
    """What one family of models can take; ``part`` occurs in its models' names."""

    part: str
    seconds: tuple[float, float] | None
    tiers: tuple[str, ...]
    roles: frozenset[Role]
    images: int = 9
    clips: int = 3
    """The most reference videos, and the most sounds."""
    tasks: bool = False
    """It has a field for whether to edit or to extend; the others read that in the prompt."""


MODELS = (
    ArkVideoModel("seedance-2-5", (4, 30), ("480p", "720p", "1080p"), FRAMES | REFERENCES, images=30, clips=10, tasks=True),
    ArkVideoModel("seedance-2-0-fast", (4, 15), ("480p", "720p"), FRAMES | REFERENCES),
    ArkVideoModel("seedance-2-0-mini", (4, 15), ("480p", "720p"), FRAMES | REFERENCES),
    ArkVideoModel("seedance-2-0", (4, 15), ("480p", "720p", "1080p", "4k"), FRAMES | REFERENCES),
    ArkVideoModel("seedance-1-5", (4, 12), ("480p", "720p", "1080p"), FRAMES),
    ArkVideoModel("seedance-1-0-pro-fast", (2, 12), ("480p", "720p", "1080p"), frozenset({"first_frame"})),
    ArkVideoModel("seedance-1-0-pro", (2, 12), ("480p", "720p", "1080p"), FRAMES),
    ArkVideoModel("seedance-1-0-lite-t2v", (2, 12), ("480p", "720p", "1080p"), frozenset()),
    ArkVideoModel("seedance-1-0-lite", (2, 12), ("480p", "720p", "1080p"), FRAMES | {"reference_image"}, images=4),
)  # fmt: skip
ANY = ArkVideoModel("", None, tuple(TIERS), FRAMES | REFERENCES, images=30, clips=10)
"""For the operator's own endpoint names (``ep-…``) and names unknown here: Ark decides."""


def model_of(name: str) -> ArkVideoModel:
    return next((model for model in MODELS if model.part in name.lower()), ANY)


def actions_of(model: ArkVideoModel) -> frozenset[Action]:
    if "source_video" in model.roles:
        return frozenset({"generate", "edit", "extend"})
    return frozenset({"generate"})


def video_body(request: GenerationRequest, *, mark: str | None) -> dict[str, Any]:
    """The body of a task; ``mark`` identifies it in the list of tasks. Raises ``UpstreamRejected``."""
    model = model_of(request.model)
    check_request(request, model.roles, actions=actions_of(model))
    refuse_fields(request, "negative_prompt", "shots", "style", "characters")
    tiers: Mapping[str, int] = {word: TIERS[word] for word in model.tiers}
    fields: dict[str, Any] = {
        "model": request.model,
        "content": _content_parts(request, model),
        "duration": whole_seconds(request),
        "resolution": nearest_tier(request, tiers),
        "ratio": nearest_ratio(request, RATIOS),
        "seed": request.seed,
        "watermark": request.watermark,
        "safety_identifier": mark,
    }
    fields |= _adaptive_fields(request, model)
    return extra_fields(request, RESERVED, sound="generate_audio") | without_none(fields)


def _adaptive_fields(request: GenerationRequest, model: ArkVideoModel) -> dict[str, Any]:
    """For the newest models, which take the shape (and, when editing, the length) from their inputs."""
    edits, framed = request.action != "generate", bool(request.media_with("first_frame"))
    if not model.tasks or not (edits or framed):
        return {}
    if request.aspect_ratio not in (None, "adaptive"):
        text = f"{request.model} takes the shape of what it is given, not an aspect_ratio"
        raise UpstreamRejected(text, param="aspect_ratio")
    if request.action == "edit":
        refuse_fields(request, "seconds")
    fields: dict[str, Any] = {"ratio": "adaptive"}
    if edits:
        fields["omni_reference_task_type"] = request.action
    return fields | ({"duration": -1} if request.action == "edit" else {})


def _content_parts(request: GenerationRequest, model: ArkVideoModel) -> list[dict[str, Any]]:
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    pictures = at_most(request, "reference_image", model.images)
    sounds = at_most(request, "audio", model.clips)
    clips = request.media_with("source_video", "reference_video")
    if len(clips) > model.clips:
        raise UpstreamRejected(f"{request.model} takes at most {model.clips} videos", param="video")
    if request.action != "generate" and not request.media_with("source_video"):
        raise UpstreamRejected("there is no video to change", param="video")
    if last and not first:
        raise UpstreamRejected("a last frame needs a first frame", param="last_frame")
    if first and (pictures or clips or sounds):
        raise UpstreamRejected("frames and references can't go together", param="reference_image")
    parts = [{"type": "text", "text": request.prompt}] if request.prompt else []
    for item in (*first, *last, *pictures):
        parts.append(_content_part("image_url", as_data_uri(item), role=item.role))
    # Pictures and sounds may be sent in the request itself; videos only as addresses, which Ark fetches.
    parts += [_content_part("video_url", public_url(item), role="reference_video") for item in clips]
    return parts + [_content_part("audio_url", as_data_uri(item), role="reference_audio") for item in sounds]


def _content_part(kind: str, address: str, *, role: str) -> dict[str, Any]:
    return {"type": kind, kind: {"url": address}, "role": role}
