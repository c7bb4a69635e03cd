"""Builds DashScope's video requests."""

import math
from typing import Any

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.dashscope.models import (
    RATIOS,
    SIZES,
    TIERS,
    VideoTraits,
    find_model,
    roles_of,
    video_traits,
)
from app.providers.fact_checks import settle_request
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    nearest_ratio,
    parse_size,
    public_url,
    refuse_fields,
    told_ratio,
    told_tier,
    whole_seconds,
    without_none,
)
from app.providers.model_facts import ModelFacts

VIDEOS = "/api/v1/services/aigc/video-generation/video-synthesis"
FRAMES = "/api/v1/services/aigc/image2video/video-synthesis"
RESERVED = {
    "model", "prompt", "input", "parameters", "size", "resolution", "ratio", "duration", "media", "img_url", "n",
    "audio_url", "first_frame_url", "last_frame_url", "reference_url", "reference_urls", "reference_video_urls",
}  # fmt: skip
"""What ``extra`` can't set: these choose the model, the price or the inputs."""
CLIPS: tuple[Role, ...] = ("source_video", "reference_video")
INPUT_OPTIONS = {"template", "function", "reference_video_description"}
"""Options that go into ``input``; all others are parameters."""


def path_of(request: GenerationRequest) -> str:
    return FRAMES if video_traits(find_model(request.model)).form == "frames" else VIDEOS


def needs_upload(request: GenerationRequest, item: MediaInput) -> bool:
    """The newer forms take everything by address, the older ones all but pictures."""
    newer = video_traits(find_model(request.model)).form in {"media", "references"}
    return item.content is not None and not item.url and (newer or not item.content_type.startswith("image/"))


def as_if_uploaded(request: GenerationRequest) -> GenerationRequest:
    """``request`` with placeholders for uploads, to check it before anything is uploaded."""
    media = (m.model_copy(update={"url": "oss://"}) if needs_upload(request, m) else m for m in request.media)
    return request.model_copy(update={"media": tuple(media)})


def video_body(request: GenerationRequest) -> dict[str, Any]:
    """The body for ``path_of(request)``. Raises ``UnsupportedWish`` for what it has no field for."""
    model = find_model(request.model)
    if model is not None and model.kind != "video":
        raise UnsupportedWish(f"{request.model} makes no video", param="model")
    traits = video_traits(model)
    check_request(request, roles_of(model), actions=traits.actions)
    request = settle_request(request, model)
    refuse_fields(request, "characters")
    if traits.one_of and not request.media_with(*traits.one_of):
        raise UnsupportedWish(
            f"{request.model} needs a {' or a '.join(traits.one_of)}", param=traits.one_of[0]
        )
    fields = {
        "prompt": _prompt_text(request),
        "negative_prompt": request.negative_prompt,
        **_input_fields(request, model, traits),
    }
    tier = told_tier(request, model.tiers if model else {}, usual=TIERS)
    parameters: dict[str, Any] = {
        "duration": whole_seconds(request),
        "seed": request.seed,
        "watermark": request.watermark,
    }
    if traits.form in {"sized", "references"}:
        parameters["size"] = _size_field(request, model, tier)
    else:
        parameters |= {"resolution": tier, "ratio": _ratio_field(request, model)}
    if request.shots:
        parameters |= {
            "shot_type": "multi", "prompt_extend": True, "duration": int(sum(s.seconds for s in request.shots)),
        }  # fmt: skip
    extra = extra_fields(request, RESERVED, sound="audio")
    beside = {name: extra.pop(name) for name in INPUT_OPTIONS & extra.keys()}
    return {
        "model": request.model,
        "input": beside | without_none(fields),
        "parameters": extra | without_none(parameters),
    }


def _prompt_text(request: GenerationRequest) -> str | None:
    """With the storyboard, which comes here only for models that have it."""
    if not request.shots:
        return request.prompt or None
    lines, start = [request.prompt] if request.prompt else [], 0.0
    for number, shot in enumerate(request.shots, 1):
        lines.append(f"Shot {number} [{start:g}-{start + shot.seconds:g}s] {shot.prompt}")
        start += shot.seconds
    if start != int(start):
        raise UnsupportedWish(f"the shots must last whole seconds, not {start:g}", param="shots")
    return "\n".join(lines)


def _ratio_field(request: GenerationRequest, model: ModelFacts | None) -> str | None:
    """None for a frame or a clip, which has a shape of its own, unless the client named a ratio."""
    if model is not None and not model.ratios:
        refuse_fields(request, "aspect_ratio")
        return None
    if request.media_with("first_frame", "source_video") and request.aspect_ratio is None:
        return None
    return told_ratio(request, model.ratios if model else (), usual=RATIOS)


def _size_field(request: GenerationRequest, model: ModelFacts | None, tier: str | None) -> str | None:
    """The nearest of the sizes that these models make: first by tier, then by shape."""
    ratio = nearest_ratio(request, model.ratios if model else RATIOS)
    if tier is None and ratio is None:
        return None
    wide, high = (
        parse_size(request.size)
        if request.size and not request.aspect_ratio
        else _aspect_sides(ratio or "16:9")
    )
    sizes = SIZES[tier or "720P"]
    return min(sizes, key=lambda size: abs(math.log(wide / high) - math.log(_aspect_value(size))))


def _aspect_sides(ratio: str) -> tuple[int, int]:
    wide, high = ratio.split(":")
    return int(wide), int(high)


def _aspect_value(size: str) -> float:
    width, height = parse_size(size.replace("*", "x"))
    return width / height


def _input_fields(
    request: GenerationRequest, model: ModelFacts | None, traits: VideoTraits
) -> dict[str, Any]:
    _check_inputs(request, model)
    if traits.form == "media":
        return {"media": _media_list(request, traits) or None}
    first, last = request.media_with("first_frame"), request.media_with("last_frame")
    sounds = request.media_with("audio")
    sound = public_url(sounds[0]) if sounds else None
    if traits.form == "image":
        return {"img_url": as_data_uri(first[0]), "audio_url": sound}
    if traits.form == "frames":
        frames = {"first_frame_url": first, "last_frame_url": last}
        return {name: as_data_uri(items[0]) for name, items in frames.items() if items}
    if traits.form == "references":
        pictures, clips = request.media_with("reference_image"), request.media_with("reference_video")
        return {"reference_urls": [public_url(item) for item in (*pictures, *clips)]}
    return {"audio_url": sound}


def _check_inputs(request: GenerationRequest, model: ModelFacts | None) -> None:
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    clips = request.media_with(*CLIPS)
    for role, most in (model.inputs if model else {}).items():
        at_most(request, role, most)
    clips_most = max(model.inputs.get(role, 0) for role in CLIPS) if model else len(clips)
    if len(clips) > clips_most:
        raise UnsupportedWish(f"{request.model} takes at most {clips_most} video(s)", param="video")
    if request.action != "generate" and not request.media_with("source_video"):
        raise UnsupportedWish("there is no video to change", param="video")
    if last and not first and not request.media_with("source_video"):
        raise UnsupportedWish("a last frame needs a first frame", param="last_frame")


def _media_list(request: GenerationRequest, traits: VideoTraits) -> list[dict[str, str]]:
    led = [item for item in request.media if item.role not in {"first_frame", "last_frame"}]
    # Where a sound and a clip are references themselves, no frames may stand beside them.
    if traits.sound_as == "reference_audio" and led and len(led) < len(request.media):
        raise UnsupportedWish("frames and references can't go together", param=led[0].role)
    words = {"audio": traits.sound_as, "source_video": traits.clip}
    return [{"type": words.get(item.role, item.role), "url": public_url(item)} for item in request.media]
