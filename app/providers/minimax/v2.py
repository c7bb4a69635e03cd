"""MiniMax's second video API (H3): content parts with roles, errors with a type.

https://platform.minimax.io/docs/api-reference/video-generation-v2-list
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.fact_checks import settle_request
from app.providers.http_errors import ErrorMeaning
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    refuse_fields,
    told_ratio,
    told_tier,
    whole_seconds,
    without_none,
)
from app.providers.minimax.v1 import CODES, BaseResponse
from app.providers.model_facts import ModelFacts
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
TIERS = {"480P": 480, "768P": 768, "2K": 1440}
RATIOS = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16", "adaptive")
"""The words of all models, for those that are not known."""
UNSAID_SECONDS = 5
UNSAID_TIER = "768P"
"""v2 has no defaults for these fields."""
# Our role: (MiniMax's role, type of the content part).
PARTS: Mapping[Role, tuple[str, str]] = {
    "first_frame": ("first_frame", "image_url"),
    "last_frame": ("last_frame", "image_url"),
    "reference_image": ("reference_image", "image_url"),
    "reference_video": ("reference_video", "video_url"),
    "audio": ("reference_audio", "audio_url"),
}
FRAMES: frozenset[Role] = frozenset({"first_frame", "last_frame"})
RESERVED = {"model", "prompt", "content", "duration", "resolution", "ratio", "callback_url"}
"""Fields that ``extra`` must not set: they choose the model, the price or the inputs."""


class V2Traits(BaseModel):
    """The traits of one of v2's models."""

    model_config = ConfigDict(extra="forbid")

    api: Literal["v2"] = "v2"
    default_tier: str = UNSAID_TIER


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


def request_body(request: GenerationRequest, model: ModelFacts | None) -> dict[str, Any]:
    """The body of ``/v2/video_generation``; ``model`` is None for one that is not known, whose bounds MiniMax knows.

    Raises ``UnsupportedWish`` for a value without a field there.
    """
    traits = V2Traits.model_validate(model.traits) if model else V2Traits()
    request = settle_request(request, model)
    check_request(request, PARTS.keys() if model is None else model.inputs.keys())
    refuse_fields(request, "characters", "negative_prompt", "seed")
    for role, most in (model.inputs if model else dict.fromkeys(FRAMES, 1)).items():
        at_most(request, role, most)
    _check_together(request)
    fields = {
        "model": request.model,
        "content": [{"type": "text", "text": request.prompt}, *_content_parts(request)],
        "resolution": told_tier(request, model.tiers if model else {}, usual=TIERS) or traits.default_tier,
        "duration": whole_seconds(request) or UNSAID_SECONDS,
        "ratio": _ratio_field(request, model),
        "aigc_watermark": request.watermark,
    }
    return extra_fields(request, RESERVED) | without_none(fields)


def _check_together(request: GenerationRequest) -> None:
    roles = {item.role for item in request.media}
    if roles & FRAMES and roles - FRAMES:
        raise UnsupportedWish("frames and references can't go together", param=min(roles - FRAMES))
    if "last_frame" in roles and "first_frame" not in roles:
        raise UnsupportedWish("a last frame needs a first frame", param="last_frame")
    if roles == {"audio"}:
        raise UnsupportedWish("a sound needs a reference image or video beside it", param="audio")


def _ratio_field(request: GenerationRequest, model: ModelFacts | None) -> str | None:
    if request.media_with("first_frame"):
        if request.aspect_ratio not in (None, "adaptive"):
            text = f"{request.model} keeps the shape of its first frame"
            raise UnsupportedWish(text, param="aspect_ratio")
        return request.aspect_ratio
    ratio = told_ratio(request, model.ratios if model else (), usual=RATIOS)
    if request.media:
        return ratio
    if ratio == "adaptive":
        text = f"{request.model} has no picture or video whose shape it could take"
        raise UnsupportedWish(text, param="aspect_ratio")
    return ratio or "16:9"


def _content_parts(request: GenerationRequest) -> list[dict[str, Any]]:
    return [_content_part(item) for role in PARTS for item in request.media_with(role)]


def _content_part(item: MediaInput) -> dict[str, Any]:
    role, kind = PARTS[item.role]
    return {"type": kind, kind: {"url": as_data_uri(item)}, "role": role}
