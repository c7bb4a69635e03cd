"""How a wish is put into LightX2V's words: frames for seconds, height before width, pictures as data."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel

from app.errors import UpstreamRejected
from app.generation import GenerationRequest, Role
from app.providers.inputs import as_data_uri, at_most, check_request, extra_fields, parse_size, refuse_fields

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
"""What ``extra`` can't set: these choose the place of the result, the length or the inputs."""


class LightX2VOptions(BaseModel):
    """``account.options``, all optional."""

    length_field: Literal["target_video_length", "num_frames"] = "target_video_length"
    """Newer servers say ``num_frames``, and refuse the older word with a 422 that names it."""
    fps: float = 16
    frame_step: int = 4
    frame_offset: int = 1
    seconds: tuple[float, float] | None = None
    max_pixels: int | None = None
    lost_after_seconds: float = 60
    """How long the server must not know a submission before it counts as never arrived."""


def allowed_roles(options: LightX2VOptions, *, video: bool) -> frozenset[Role]:
    """Older servers take reference images only as paths of their own disk."""
    named = frozenset(VIDEO_FIELDS if video else IMAGE_FIELDS)
    return named | {"reference_image"} if video and options.length_field == "num_frames" else named


def request_body(request: GenerationRequest, options: LightX2VOptions) -> dict[str, Any]:
    """Raises ``UpstreamRejected`` for what the server has no field for."""
    video, new = request.kind == "video", options.length_field == "num_frames"
    check_request(request, allowed_roles(options, video=video), kinds={"video", "image"})
    refuse_fields(request, "shots", "style", "resolution", "aspect_ratio" if video else "seconds")
    if request.watermark or request.private:
        name = "watermark" if request.watermark else "private"
        raise UpstreamRejected(f"{request.model} has no {name}", param=name)
    told: dict[str, Any] = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        "aspect_ratio": request.aspect_ratio,
    }
    if request.size:
        told["size" if new else "target_shape"] = list(reversed(parse_size(request.size)))
    if request.seconds is not None:
        told[options.length_field] = _frame_count(request.seconds, options)
    told |= _media_fields(request, VIDEO_FIELDS if video else IMAGE_FIELDS)
    return extra_fields(request, RESERVED) | {
        name: value for name, value in told.items() if value is not None
    }


def _frame_count(seconds: float, options: LightX2VOptions) -> int:
    """Wan makes 4n + 1 frames."""
    steps = round((seconds * options.fps - options.frame_offset) / options.frame_step)
    return max(steps, 1) * options.frame_step + options.frame_offset


def _media_fields(request: GenerationRequest, named: Mapping[Role, str]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for role, field in named.items():
        for item in at_most(request, role, 1):
            if field in told:
                raise UpstreamRejected(f"{request.model} takes one image", param="input_reference")
            told[field] = as_data_uri(item)
    if "reference_image" not in named and (pictures := request.media_with("reference_image")):
        told["ref_image_paths"] = [as_data_uri(picture) for picture in pictures]
    return told
