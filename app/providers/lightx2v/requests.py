"""Builds LightX2V's requests: frames instead of seconds, height before width, pictures as base64.

https://github.com/ModelTC/LightX2V/blob/main/lightx2v/server/schema.py
"""

from collections.abc import Mapping
from typing import Any, Literal

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, Role
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    parse_size,
    refuse_fields,
    refuse_flags,
    without_none,
)
from app.providers.own_hardware import OwnHardwareOptions
from app.providers.steering import refuse_steering

VIDEO_FIELDS: Mapping[Role, str] = {
    "first_frame": "image_path",
    "last_frame": "last_frame_path",
    "audio": "audio_path",
}
IMAGE_FIELDS: Mapping[Role, str] = {"first_frame": "image_path", "reference_image": "image_path"}
RESERVED = {
    "task_id", "prompt", "save_result_path", "presigned_url", "image_path", "last_frame_path", "audio_path",
    "video_path", "ref_image_paths", "src_ref_images", "target_video_length", "num_frames", "video_duration",
    "target_shape", "size", "model",
}  # fmt: skip
"""What ``extra`` can't set: these choose the file of the result, the length or the inputs."""


class LightX2VOptions(OwnHardwareOptions):
    """``account.options``, all optional."""

    length_field: Literal["target_video_length", "num_frames"] = "target_video_length"
    """Newer servers have ``num_frames``, and refuse the older field with a 422 that names it."""
    fps: float = 16
    frame_step: int = 4
    frame_offset: int = 1
    seconds: tuple[float, float] | None = None
    max_pixels: int | None = None
    allow: frozenset[str] = frozenset()
    """Names that a client may send though they steer the server's machine or the price, as ``infer_steps``."""
    lost_after_seconds: float = 60
    """How long a submission must be unknown to the server before it counts as never arrived."""


def allowed_roles(options: LightX2VOptions, *, video: bool) -> frozenset[Role]:
    """Without reference images for older servers, which take them only as paths on their own disk."""
    roles = frozenset(VIDEO_FIELDS if video else IMAGE_FIELDS)
    return roles | {"reference_image"} if video and options.length_field == "num_frames" else roles


def request_body(request: GenerationRequest, options: LightX2VOptions) -> dict[str, Any]:
    """The body of a submit. Raises ``UnsupportedWish`` for what the server has no field for."""
    video, new = request.kind == "video", options.length_field == "num_frames"
    check_request(request, allowed_roles(options, video=video), kinds={"video", "image"})
    refuse_fields(
        request, "shots", "style", "characters", "resolution", "aspect_ratio" if video else "seconds"
    )
    refuse_flags(request, "watermark", "private")
    fields: dict[str, Any] = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        "aspect_ratio": request.aspect_ratio,
    }
    if request.size:
        fields["size" if new else "target_shape"] = list(reversed(parse_size(request.size)))
    if request.seconds is not None:
        fields[options.length_field] = _frame_count(request.seconds, options)
    refuse_steering(request, allow=options.allow)
    fields |= _media_fields(request, VIDEO_FIELDS if video else IMAGE_FIELDS)
    return extra_fields(request, RESERVED) | without_none(fields)


def _frame_count(seconds: float, options: LightX2VOptions) -> int:
    """Wan models make 4n + 1 frames."""
    steps = round((seconds * options.fps - options.frame_offset) / options.frame_step)
    return max(steps, 1) * options.frame_step + options.frame_offset


def _media_fields(request: GenerationRequest, field_names: Mapping[Role, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for role, field in field_names.items():
        for item in at_most(request, role, 1):
            if field in fields:
                raise UnsupportedWish(f"{request.model} takes one image", param="input_reference")
            fields[field] = as_data_uri(item)
    if "reference_image" not in field_names and (pictures := request.media_with("reference_image")):
        fields["ref_image_paths"] = [as_data_uri(picture) for picture in pictures]
    return fields
