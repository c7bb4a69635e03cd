"""Builds DashScope's video requests."""

import math
from typing import Any

from app.errors import UpstreamRejected
from app.generation import GenerationRequest, MediaInput
from app.providers.dashscope.models import RATIOS, SIZES, TIERS, DashScopeVideoModel, model_of
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    nearest_ratio,
    nearest_tier,
    parse_size,
    public_url,
    refuse_fields,
    whole_seconds,
    without_none,
)

VIDEOS = "/api/v1/services/aigc/video-generation/video-synthesis"
FRAMES = "/api/v1/services/aigc/image2video/video-synthesis"
RESERVED = {
    "model", "prompt", "input", "parameters", "size", "resolution", "ratio", "duration", "media", "img_url", "n",
    "audio_url", "first_frame_url", "last_frame_url", "reference_url", "reference_urls", "reference_video_urls",
}  # fmt: skip
"""What ``extra`` can't set: these choose the model, the price or the inputs."""
INPUT_OPTIONS = {"template", "function", "reference_video_description"}
"""Options that go into ``input``; all others are parameters."""


def path_of(request: GenerationRequest) -> str:
    return FRAMES if model_of(request.model).form == "frames" else VIDEOS


def needs_upload(request: GenerationRequest, item: MediaInput) -> bool:
    """The newer forms take everything by address, the older ones all but pictures."""
    newer = model_of(request.model).form in {"media", "references"}
    return item.content is not None and not item.url and (newer or not item.content_type.startswith("image/"))


def as_if_uploaded(request: GenerationRequest) -> GenerationRequest:
    """``request`` with placeholders for uploads, to check it before anything is uploaded."""
    media = (m.model_copy(update={"url": "oss://"}) if needs_upload(request, m) else m for m in request.media)
    return request.model_copy(update={"media": tuple(media)})


def video_body(request: GenerationRequest) -> dict[str, Any]:
    """The body for ``path_of(request)``. Raises ``UpstreamRejected`` for what it has no field for."""
    model = model_of(request.model)
    check_request(request, model.roles, actions=model.actions)
    refuse_fields(request, "style", "characters")
    fields = {
        "prompt": _prompt_text(request, model),
        "negative_prompt": request.negative_prompt,
        **_input_fields(request, model),
    }
    tiers = {word: TIERS[word] for word in model.tiers}
    parameters: dict[str, Any] = {
        "duration": whole_seconds(request),
        "seed": request.seed,
        "watermark": request.watermark,
    }
    if model.form in {"sized", "references"}:
        parameters["size"] = _size_field(request, model)
    else:
        parameters |= {"resolution": nearest_tier(request, tiers), "ratio": _ratio_field(request, model)}
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


def _prompt_text(request: GenerationRequest, model: DashScopeVideoModel) -> str | None:
    if not request.shots:
        return request.prompt or None
    if not model.shots:
        raise UpstreamRejected(f"{request.model} takes no storyboard", param="shots")
    lines, start = [request.prompt] if request.prompt else [], 0.0
    for number, shot in enumerate(request.shots, 1):
        lines.append(f"Shot {number} [{start:g}-{start + shot.seconds:g}s] {shot.prompt}")
        start += shot.seconds
    if start != int(start):
        raise UpstreamRejected(f"the shots must last whole seconds, not {start:g}", param="shots")
    return "\n".join(lines)


def _ratio_field(request: GenerationRequest, model: DashScopeVideoModel) -> str | None:
    """None for a frame or a clip, which has a shape of its own, unless the client named a ratio."""
    ratios = (*RATIOS, "adaptive") if model.is_adaptive else RATIOS
    shaped = bool(request.media_with("first_frame", "source_video"))
    if model.form == "media" and not (shaped and request.aspect_ratio is None):
        return nearest_ratio(request, ratios)
    if model.form == "text":
        return nearest_ratio(request, ratios)
    refuse_fields(request, "aspect_ratio")
    return None


def _size_field(request: GenerationRequest, model: DashScopeVideoModel) -> str | None:
    """The nearest of the sizes that these models make: first by tier, then by shape."""
    tier, ratio = (
        nearest_tier(request, {word: TIERS[word] for word in model.tiers}),
        nearest_ratio(request, RATIOS),
    )
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


def _input_fields(request: GenerationRequest, model: DashScopeVideoModel) -> dict[str, Any]:
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    pictures = at_most(request, "reference_image", model.pictures)
    sounds = at_most(request, "audio", model.clips if model.form == "media" else 1)
    clips = request.media_with("source_video", "reference_video")
    if len(clips) > model.clips:
        raise UpstreamRejected(f"{request.model} takes at most {model.clips} video(s)", param="video")
    if request.action != "generate" and not request.media_with("source_video"):
        raise UpstreamRejected("there is no video to change", param="video")
    if model.form == "media":
        return {"media": _media_list(request, model) or None}
    sound = public_url(sounds[0]) if sounds else None
    if model.form == "image":
        if not first:
            raise UpstreamRejected(f"{request.model} needs a picture to begin with", param="input_reference")
        return {"img_url": as_data_uri(first[0]), "audio_url": sound}
    if model.form == "frames":
        if last and not first:
            raise UpstreamRejected("a last frame needs a first frame", param="last_frame")
        frames = {"first_frame_url": first, "last_frame_url": last}
        return {name: as_data_uri(items[0]) for name, items in frames.items() if items}
    if model.form == "references":
        return {"reference_urls": [public_url(item) for item in (*pictures, *clips)] or None}
    return {"audio_url": sound}


def _media_list(request: GenerationRequest, model: DashScopeVideoModel) -> list[dict[str, str]]:
    framed, led = (
        request.media_with("first_frame", "last_frame"),
        request.media_with("reference_image", "reference_video"),
    )
    if framed and led and model.is_adaptive:
        raise UpstreamRejected("frames and references can't go together", param="reference_image")
    words = {"audio": model.sound, "source_video": model.clip}
    return [{"type": words.get(item.role, item.role), "url": public_url(item)} for item in request.media]
