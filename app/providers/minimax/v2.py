"""MiniMax's second video API (H3): content parts with roles, errors with a type.

https://platform.minimax.io/docs/api-reference/video-generation-v2-list
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.errors import UpstreamRejected
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.http_errors import ErrorMeaning
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    nearest_ratio,
    nearest_tier,
    refuse_fields,
    whole_seconds,
    without_none,
)
from app.providers.minimax.v1 import CODES, BaseResponse
from app.providers.reading import State, Text

STATES: Mapping[str, State] = {
    word: word for word in ("queued", "running", "succeeded", "failed", "cancelled", "expired")
}
ERROR_TYPES: Mapping[str, ErrorMeaning] = {
    "bad_request_error": "rejected",
    "authorized_error": "auth",
    "insufficient_balance_error": "quota",
    # MiniMax answers 422 for moderated content, and 400 for wrong parameters.
    "unprocessable_entity_error": "moderated",
    "rate_limit_error": "busy",
    "server_error": "failed",
}
TIERS = {"768P": 768, "2K": 1440}
RATIOS = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16", "adaptive")
SECONDS = (4.0, 15.0)
# MiniMax has no defaults for these fields.
DEFAULTS = {"resolution": "2K", "duration": 5}
# Our role: (MiniMax's role, type of the content part, how many).
PARTS: Mapping[Role, tuple[str, str, int]] = {
    "first_frame": ("first_frame", "image_url", 1),
    "last_frame": ("last_frame", "image_url", 1),
    "reference_image": ("reference_image", "image_url", 9),
    "reference_video": ("reference_video", "video_url", 3),
    "audio": ("reference_audio", "audio_url", 3),
}
FRAMES = {"first_frame", "last_frame"}
RESERVED = {"model", "prompt", "content", "duration", "resolution", "ratio", "callback_url"}
"""Fields that ``extra`` must not set: they choose the model, the price or the inputs."""


class V2Error(BaseModel):
    type: Text = ""
    message: Text = ""
    code: Text = ""

    @property
    def error_meaning(self) -> ErrorMeaning | None:
        """By the code in brackets at the end of the message, which is more specific than the type."""
        number = re.search(r"\((\d{4})\)\s*$", self.message)
        meaning = CODES.get(int(number[1])) if number else None
        return meaning or ERROR_TYPES.get(self.type)


class V2Content(BaseModel):
    url: Text = ""


class V2Task(BaseModel):
    status: Text = ""
    content: V2Content | None = None
    error: V2Error | None = None
    resolution: Text = ""
    duration: float | None = None
    ratio: Text = ""
    usage: dict[str, Any] | None = None

    @property
    def usage_facts(self) -> dict[str, Any]:
        fields = {"resolution": self.resolution, "seconds": self.duration, "ratio": self.ratio}
        return {name: value for name, value in fields.items() if value} | (self.usage or {})

    @property
    def is_moderated(self) -> bool:
        error = self.error or V2Error()
        number = int(error.code) if error.code.isdecimal() else 0
        return "moderated" in (error.error_meaning, CODES.get(number), ERROR_TYPES.get(error.code))


class V2Answer(BaseModel):
    """The answer to a submit or a poll, or an error."""

    task_id: Text = ""
    task: V2Task | None = None
    error: V2Error | None = None
    base_resp: BaseResponse = BaseResponse()

    def is_error(self) -> bool:
        return self.error is not None or self.base_resp.status_code != 0

    @property
    def error_meaning(self) -> ErrorMeaning | None:
        return self.error.error_meaning if self.error else CODES.get(self.base_resp.status_code)

    @property
    def error_text(self) -> str:
        if self.error:
            return f"{self.error.message} ({self.error.type})"
        return f"{self.base_resp.status_msg} ({self.base_resp.status_code})"


def request_body(request: GenerationRequest) -> dict[str, Any]:
    """The body of ``/v2/video_generation``. Raises ``UpstreamRejected`` for a value without a field there."""
    check_request(request, PARTS.keys())
    refuse_fields(request, "style", "characters", "negative_prompt", "seed", "shots")
    roles = {item.role for item in request.media}
    if roles & FRAMES and roles - FRAMES:
        raise UpstreamRejected("frames and references can't go together", param=min(roles - FRAMES))
    ratio = nearest_ratio(request, RATIOS)
    if roles & FRAMES:
        # The first frame determines the shape; only an explicit aspect_ratio is sent along, and MiniMax decides.
        ratio = request.aspect_ratio
    elif not roles:
        ratio = ratio or "16:9"
    media = [_content_part(item) for role in PARTS for item in at_most(request, role, PARTS[role][2])]
    fields = {
        "model": request.model,
        "content": [{"type": "text", "text": request.prompt}, *media],
        "resolution": nearest_tier(request, TIERS),
        "duration": whole_seconds(request),
        "ratio": ratio,
        "aigc_watermark": request.watermark,
    }
    return extra_fields(request, RESERVED) | DEFAULTS | without_none(fields)


def _content_part(item: MediaInput) -> dict[str, Any]:
    role, kind, _ = PARTS[item.role]
    return {"type": kind, kind: {"url": as_data_uri(item)}, "role": role}
