"""MiniMax's first video API (Hailuo and the 01 models). Errors are HTTP 200 with a code in ``base_resp``."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, Role
from app.providers.fact_checks import settle_request
from app.providers.http_errors import ErrorMeaning
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    parse_size,
    refuse_fields,
    told_tier,
    whole_seconds,
    without_none,
)
from app.providers.model_facts import ModelFacts
from app.providers.reading import State, Text

STATES: Mapping[str, State] = {
    "Preparing": "queued",
    "Queueing": "queued",
    "Processing": "running",
    "Success": "succeeded",
    "Fail": "failed",
}
# https://platform.minimax.io/docs/api-reference/errorcode
CODES: Mapping[int, ErrorMeaning] = {
    **dict.fromkeys((1004, 2038, 2049), "auth"),
    **dict.fromkeys((1008, 2056), "quota"),
    # 2045: the number of requests grew too fast. 2061: the account's plan lacks the model.
    **dict.fromkeys((1002, 1039, 1041, 2045), "busy"),
    2061: "forbidden",
    **dict.fromkeys((1026, 1027), "moderated"),
    **dict.fromkeys((1042, 2013), "rejected"),
    **dict.fromkeys((1000, 1024, 1033), "failed"),
    1001: "unknown",
}
SHORT_SECONDS = 6
TIERS = {"512P": 512, "720P": 720, "768P": 768, "1080P": 1080}
RESERVED = {
    "model", "prompt", "duration", "resolution", "first_frame_image", "last_frame_image",
    "subject_reference", "callback_url",
}  # fmt: skip
"""Fields that ``extra`` must not set: they choose the model, the price or the inputs."""


class V1Traits(BaseModel):
    """The traits of a family of v1's models."""

    model_config = ConfigDict(extra="forbid")

    api: Literal["v1"] = "v1"
    needs: tuple[Role, ...] = ()
    needs_subject: bool = False
    long_tiers: tuple[str, ...] = ()
    """The resolutions in which it makes more than 6 seconds, where not all of them."""
    frame_tiers: tuple[str, ...] = ()
    """The resolutions that need a first frame."""


class BaseResponse(BaseModel):
    status_code: int = 0
    status_msg: Text = ""


class V1Answer(BaseModel):
    """The answer to a submit or a poll."""

    task_id: Text = ""
    status: Text = ""
    file_id: Text = ""
    video_width: int | None = None
    video_height: int | None = None
    base_resp: BaseResponse = BaseResponse()

    def is_error(self) -> bool:
        return self.base_resp.status_code != 0

    @property
    def error_meaning(self) -> ErrorMeaning | None:
        return CODES.get(self.base_resp.status_code)

    @property
    def error_text(self) -> str:
        response = self.base_resp
        return (
            f"{response.status_msg} ({response.status_code})"
            if response.status_code
            else "MiniMax gave no reason."
        )

    @property
    def usage_facts(self) -> dict[str, Any]:
        has_size = self.video_width and self.video_height
        return {"size": f"{self.video_width}x{self.video_height}"} if has_size else {}


class V1File(BaseModel):
    download_url: Text = ""


class FileAnswer(BaseModel):
    file: V1File = V1File()
    base_resp: BaseResponse = BaseResponse()


def request_body(request: GenerationRequest, model: ModelFacts) -> dict[str, Any]:
    """The body of ``/v1/video_generation``. Raises ``UnsupportedWish`` for a value without a field there."""
    traits = V1Traits.model_validate(model.traits)
    request = settle_request(request, model)
    check_request(request, frozenset(model.inputs))
    refuse_fields(request, "characters", "negative_prompt", "seed")
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    subjects = request.media_with("subject", "reference_image")
    if len(subjects) > 1:
        raise UnsupportedWish(f"{request.model} takes one subject", param=subjects[1].role)
    if traits.needs_subject and not subjects:
        raise UnsupportedWish(f"{request.model} needs a subject", param="reference_image")
    if not first:
        _check_shape(request)
    elif request.aspect_ratio:
        raise UnsupportedWish(f"{request.model} keeps the shape of its first frame", param="aspect_ratio")
    tier = told_tier(request, model.tiers, usual=TIERS)
    _check_tier(request, traits, tier, framed=bool(first) and not last)
    fields = {
        "model": request.model,
        "prompt": request.prompt or None,
        "duration": whole_seconds(request),
        "resolution": tier,
        "first_frame_image": as_data_uri(first[0]) if first else None,
        "last_frame_image": as_data_uri(last[0]) if last else None,
        "subject_reference": [{"type": "character", "image": [as_data_uri(subjects[0])]}]
        if subjects
        else None,
        "aigc_watermark": request.watermark,
    }
    return extra_fields(request, RESERVED) | without_none(fields)


def _check_tier(request: GenerationRequest, traits: V1Traits, tier: str | None, *, framed: bool) -> None:
    """Raises ``UnsupportedWish`` for a resolution that the model does not make in this length or without a frame."""
    param = "resolution" if request.resolution else "size"
    if tier in traits.frame_tiers and not framed:
        text = f"{request.model} makes {tier} only from a first frame, without a last one"
        raise UnsupportedWish(text, param=param)
    if (
        traits.long_tiers
        and tier
        and tier not in traits.long_tiers
        and (request.seconds or 0) > SHORT_SECONDS
    ):
        text = f"{request.model} makes {tier} in {SHORT_SECONDS} seconds only, not in {request.seconds:g}"
        raise UnsupportedWish(text, param="seconds")


def _check_shape(request: GenerationRequest) -> None:
    """Without a first frame v1 always makes 16:9: it has no field for the shape."""
    if request.aspect_ratio not in (None, "", "16:9"):
        raise UnsupportedWish(f"{request.model} makes 16:9 only", param="aspect_ratio")
    if request.size and not request.aspect_ratio:
        width, height = parse_size(request.size)
        if width <= height:
            raise UnsupportedWish(f"{request.model} makes 16:9 only, not {request.size}", param="size")
