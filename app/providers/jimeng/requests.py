"""Builds Jimeng's requests: a ``req_key`` for each kind of work, and its fields. https://www.volcengine.com/docs/85621"""

from dataclasses import dataclass
from typing import Any

from app.errors import UpstreamRejected
from app.generation import GenerationRequest, Role
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

RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9")
TIERS = {"720p": 720, "1080p": 1080}
LENGTHS = (5, 10)
"""Seconds."""
FRAME_RATE = 24
RESERVED = {
    "req_key", "prompt", "frames", "binary_data_base64", "image_urls", "image_base64", "aspect_ratio", "callback_url",
}  # fmt: skip
"""What ``extra`` can't set: these choose the model, the price or the inputs."""


@dataclass(frozen=True, slots=True)
class JimengWork:
    """What one ``req_key`` makes: from how many frames, and in which resolution."""

    frames: tuple[int, ...]
    tier: str


KEYS = {
    "jimeng_t2v_v30": JimengWork((0,), "720p"),
    "jimeng_t2v_v30_1080p": JimengWork((0,), "1080p"),
    "jimeng_i2v_first_v30": JimengWork((1,), "720p"),
    "jimeng_i2v_first_v30_1080": JimengWork((1,), "1080p"),
    "jimeng_i2v_first_tail_v30": JimengWork((2,), "720p"),
    "jimeng_i2v_first_tail_v30_1080": JimengWork((2,), "1080p"),
    "jimeng_i2v_recamera_v30": JimengWork((1,), "720p"),
    "jimeng_ti2v_v30_pro": JimengWork((0, 1), "1080p"),
    "jimeng_vgfm_t2v_l20": JimengWork((0,), "720p"),
    "jimeng_vgfm_i2v_l20": JimengWork((1,), "720p"),
}
FAMILY = "jimeng_v30"
"""A name of our own: the ``req_key`` follows from the frames and the resolution."""
FAMILY_KEYS = {
    (0, "720p"): "jimeng_t2v_v30",
    (0, "1080p"): "jimeng_t2v_v30_1080p",
    (1, "720p"): "jimeng_i2v_first_v30",
    (1, "1080p"): "jimeng_i2v_first_v30_1080",
    (2, "720p"): "jimeng_i2v_first_tail_v30",
    (2, "1080p"): "jimeng_i2v_first_tail_v30_1080",
}
ROLES: tuple[Role, ...] = ("first_frame", "last_frame")


def roles_of(model: str) -> frozenset[Role]:
    known = KEYS.get(model)
    return frozenset(ROLES[: max(known.frames)] if known else ROLES)


def request_body(request: GenerationRequest) -> dict[str, Any]:
    """The body of a submit, ``req_key`` first. Raises ``UpstreamRejected`` for what it has no field for."""
    check_request(request, roles_of(request.model))
    refuse_fields(request, "negative_prompt", "shots", "style", "characters")
    if request.watermark:
        raise UpstreamRejected(f"{request.model} sets no watermark", param="watermark")
    frames = (*at_most(request, "first_frame", 1), *at_most(request, "last_frame", 1))
    if frames and frames[0].role == "last_frame":
        raise UpstreamRejected("a last frame needs a first frame", param="last_frame")
    key = _request_key(request, len(frames))
    seconds = _checked_seconds(request)
    if frames:
        # The picture has a shape of its own; there is no field for another one.
        refuse_fields(request, "aspect_ratio")
    fields: dict[str, Any] = {
        "req_key": key,
        "prompt": request.prompt,
        "seed": request.seed,
        "frames": None if seconds is None else FRAME_RATE * seconds + 1,
        "aspect_ratio": None if frames else nearest_ratio(request, RATIOS),
    }
    if any(item.content is None for item in frames):
        fields["image_urls"] = [public_url(item) for item in frames]
    elif frames:
        fields["binary_data_base64"] = [as_base64(item) for item in frames]
    return extra_fields(request, RESERVED) | without_none(fields)


def _request_key(request: GenerationRequest, frames: int) -> str:
    tier = nearest_tier(request, TIERS)
    if request.model == FAMILY:
        return FAMILY_KEYS[frames, tier or "720p"]
    known = KEYS.get(request.model)
    if known is None:
        return request.model
    if request.resolution and tier != known.tier:
        raise UpstreamRejected(f"{request.model} makes {known.tier} only", param="resolution")
    if frames not in known.frames:
        wanted = " or ".join(str(number) for number in known.frames)
        raise UpstreamRejected(
            f"{request.model} takes {wanted} frame(s), not {frames}", param="input_reference"
        )
    return request.model


def _checked_seconds(request: GenerationRequest) -> int | None:
    seconds = whole_seconds(request)
    if seconds is not None and seconds not in LENGTHS:
        raise UpstreamRejected(f"seconds must be 5 or 10 for {request.model}, not {seconds}", param="seconds")
    return seconds
