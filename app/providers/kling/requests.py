"""Builds Kling's requests: which of its paths, and the fields of that path. https://kling.ai/document-api"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import UpstreamRejected
from app.generation import GenerationRequest, Role, Shot
from app.providers.inputs import (
    as_base64,
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

TEXT = "/v1/videos/text2video"
IMAGE = "/v1/videos/image2video"
IMAGES = "/v1/videos/multi-image2video"
OMNI = "/v1/videos/omni-video"
MOTION = "/v1/videos/motion-control"

RATIOS = ("16:9", "9:16", "1:1")
MODES = {"720p": 720, "1080p": 1080, "4k": 2160}
MODE_WORDS = {"720p": "std", "1080p": "pro", "4k": "4k"}
MOST_SHOTS = 6
FRAMES: frozenset[Role] = frozenset({"first_frame", "last_frame"})
CLIPS: Mapping[Role, str] = {"source_video": "base", "reference_video": "feature"}
OMNI_ROLES: frozenset[Role] = FRAMES | {"reference_image", "reference_video", "source_video"}
RESERVED = {
    "model", "model_name", "prompt", "duration", "mode", "image", "image_tail", "image_list", "image_url",
    "video_list", "video_url", "keep_original_sound", "multi_prompt", "callback_url", "external_task_id",
}  # fmt: skip
"""What ``extra`` can't set: these choose the model, the price, the inputs or the id that the task is found by."""


@dataclass(frozen=True, slots=True)
class KlingModel:
    """What one family of models can take; its models' names begin with ``name``."""

    name: str
    seconds: tuple[float, float] = (5, 10)
    roles: frozenset[Role] = FRAMES
    shots: bool = False
    omni: bool = False


# Longer names first, as the first that fits is taken.
MODELS = (
    KlingModel("kling-v3-omni", (3, 15), OMNI_ROLES, shots=True, omni=True),
    KlingModel("kling-video-o1", (3, 10), OMNI_ROLES, omni=True),
    KlingModel("kling-v3", (3, 15), FRAMES | {"reference_video"}, shots=True),
    KlingModel("kling-v2-6", roles=FRAMES | {"reference_video"}),
    KlingModel("kling-v2-5"),
    KlingModel("kling-v2-1-master", roles=frozenset({"first_frame"})),
    KlingModel("kling-v2-1"),
    KlingModel("kling-v2-master", roles=frozenset({"first_frame"})),
    KlingModel("kling-v1-6", roles=FRAMES | {"reference_image"}),
    KlingModel("kling-v1", roles=FRAMES),
)
NEWER = KlingModel("kling", (3, 15), OMNI_ROLES - {"source_video"}, shots=True)
"""For names unknown here: Kling decides."""


def model_of(name: str) -> KlingModel:
    return next((model for model in MODELS if name.lower().startswith(model.name)), NEWER)


def path_of(request: GenerationRequest) -> str:
    """The path that starts the work. The same path is polled, so the operation keeps it."""
    if model_of(request.model).omni or "omni" in request.model.lower():
        return OMNI
    if request.media_with("reference_video"):
        return MOTION
    if request.media_with("reference_image"):
        return IMAGES
    return IMAGE if request.media else TEXT


def request_body(request: GenerationRequest, *, external_id: str) -> dict[str, Any]:
    """The body for ``path_of(request)``. Raises ``UpstreamRejected`` for what it has no field for."""
    model, path = model_of(request.model), path_of(request)
    check_request(request, model.roles)
    refuse_fields(request, "style", "characters", "seed")
    seconds = whole_seconds(request)
    tier = nearest_tier(request, MODES)
    fields: dict[str, Any] = {
        "model_name": request.model,
        "prompt": request.prompt or None,
        "negative_prompt": request.negative_prompt,
        "duration": None if seconds is None else str(seconds),
        "mode": MODE_WORDS[tier] if tier else None,
        # A frame has a shape of its own, so a ratio is sent only when the client named one; Kling judges it.
        "aspect_ratio": request.aspect_ratio
        if request.media_with(*FRAMES)
        else nearest_ratio(request, RATIOS),
        "watermark_info": None if request.watermark is None else {"enabled": request.watermark},
        "external_task_id": external_id,
    }
    fields |= _shot_fields(request, model) | _input_fields(request, path)
    if path in {OMNI, MOTION}:
        refuse_fields(request, "negative_prompt")
    if path == MOTION:
        refuse_fields(request, "seconds", "aspect_ratio")
        fields |= {"aspect_ratio": None, "mode": fields["mode"] or "std"}
    extra = extra_fields(request, RESERVED, sound="sound")
    if request.sound is not None:
        extra["sound"] = "on" if request.sound else "off"
    return extra | without_none(fields)


def _shot_fields(request: GenerationRequest, model: KlingModel) -> dict[str, Any]:
    if not request.shots:
        return {}
    if not model.shots:
        raise UpstreamRejected(f"{request.model} takes no storyboard", param="shots")
    if len(request.shots) > MOST_SHOTS:
        raise UpstreamRejected(f"{request.model} takes at most {MOST_SHOTS} shots", param="shots")
    lengths = [_shot_seconds(shot) for shot in request.shots]
    if request.seconds not in (None, sum(lengths)):
        raise UpstreamRejected(f"the shots last {sum(lengths)} seconds together", param="seconds")
    parts = [
        {"index": number, "prompt": shot.prompt, "duration": str(length)}
        for number, (shot, length) in enumerate(zip(request.shots, lengths, strict=True), 1)
    ]
    return {
        "multi_shot": True,
        "shot_type": "customize",
        "multi_prompt": parts,
        "duration": str(sum(lengths)),
    }


def _shot_seconds(shot: Shot) -> int:
    if shot.seconds != int(shot.seconds):
        raise UpstreamRejected(f"a shot must last whole seconds, not {shot.seconds:g}", param="shots")
    return int(shot.seconds)


def _input_fields(request: GenerationRequest, path: str) -> dict[str, Any]:
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    references = at_most(request, "reference_image", 7 if path == OMNI else 4)
    if path == OMNI:
        return _omni_inputs(request)
    if path == IMAGES:
        if first or last:
            raise UpstreamRejected("frames and reference images can't go together", param="reference_image")
        return {"image_list": [{"image": as_base64(item)} for item in references]}
    if path == MOTION:
        if last:
            raise UpstreamRejected("motion control takes no last frame", param="last_frame")
        clip = at_most(request, "reference_video", 1)[0]
        picture = {"image_url": as_base64(first[0])} if first else {}
        choices = {"character_orientation": "video", "keep_original_sound": "yes"}
        chosen = {name: request.extra.get(name, usual) for name, usual in choices.items()}
        return {"video_url": public_url(clip), **chosen, **picture}
    image = {"image": as_base64(first[0])} if first else {}
    return image | ({"image_tail": as_base64(last[0])} if last else {})


def _omni_inputs(request: GenerationRequest) -> dict[str, Any]:
    kinds: tuple[tuple[Role, str | None], ...] = (
        ("first_frame", "first_frame"), ("last_frame", "end_frame"), ("reference_image", None),
    )  # fmt: skip
    pictures = [
        {"image_url": as_base64(item)} | ({"type": word} if word else {})
        for role, word in kinds
        for item in request.media_with(role)
    ]
    sound = request.extra.get("keep_original_sound", "yes")
    clips = [
        {"video_url": public_url(item), "refer_type": word, "keep_original_sound": sound}
        for role, word in CLIPS.items()
        for item in request.media_with(role)
    ]
    if len(clips) > 1:
        raise UpstreamRejected(f"{request.model} takes one video", param="video")
    return ({"image_list": pictures} if pictures else {}) | ({"video_list": clips} if clips else {})
