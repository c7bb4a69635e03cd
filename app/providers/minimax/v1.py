"""MiniMax's first video API (Hailuo and the 01 models). Errors are HTTP 200 with a code in ``base_resp``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from app.errors import UpstreamRejected
from app.generation import GenerationRequest, Role
from app.providers.http_errors import ErrorMeaning
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    nearest_tier,
    parse_size,
    refuse_fields,
    whole_seconds,
    without_none,
)
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
    **dict.fromkeys((1002, 1039, 1041), "busy"),
    **dict.fromkeys((1026, 1027), "moderated"),
    **dict.fromkeys((1042, 2013), "rejected"),
    **dict.fromkeys((1000, 1024, 1033), "failed"),
    1001: "unknown",
}
TIERS = {"512P": 512, "720P": 720, "768P": 768, "1080P": 1080}
RESERVED = {
    "model", "prompt", "duration", "resolution", "first_frame_image", "last_frame_image",
    "subject_reference", "callback_url",
}  # fmt: skip
"""Fields that ``extra`` must not set: they choose the model, the price or the inputs."""
SUBJECTS: frozenset[Role] = frozenset({"subject", "reference_image"})
FRAMES: frozenset[Role] = frozenset({"first_frame", "last_frame"})


@dataclass(frozen=True, slots=True)
class V1Model:
    """What one family of models accepts; ``name`` is the prefix of its model names."""

    name: str
    roles: frozenset[Role] = frozenset()
    seconds: tuple[float, float] = (6, 6)
    tiers: tuple[str, ...] = ("720P",)


MODELS = (
    V1Model("minimax-hailuo-2.3", frozenset({"first_frame"}), (6, 10), ("768P", "1080P")),
    V1Model("minimax-hailuo-02", FRAMES, (6, 10), ("512P", "768P", "1080P")),
    V1Model("t2v-01"),
    V1Model("i2v-01", frozenset({"first_frame"})),
    V1Model("s2v-01", SUBJECTS),
)
UNKNOWN_MODEL = V1Model("", FRAMES | SUBJECTS, (6, 10), tuple(TIERS))
"""For model names that this table lacks; MiniMax decides what they accept."""


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


def model_of(name: str) -> V1Model:
    return next((model for model in MODELS if name.lower().startswith(model.name)), UNKNOWN_MODEL)


def request_body(request: GenerationRequest) -> dict[str, Any]:
    """The body of ``/v1/video_generation``. Raises ``UpstreamRejected`` for a value without a field there."""
    model = model_of(request.model)
    check_request(request, model.roles)
    refuse_fields(request, "style", "characters", "negative_prompt", "seed", "shots")
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    subjects = request.media_with("subject", "reference_image")
    if len(subjects) > 1:
        raise UpstreamRejected(f"{request.model} takes one subject", param=subjects[1].role)
    if not first:
        _check_shape(request)
    elif request.aspect_ratio:
        raise UpstreamRejected(f"{request.model} keeps the shape of its first frame", param="aspect_ratio")
    fields = {
        "model": request.model,
        "prompt": request.prompt or None,
        "duration": whole_seconds(request),
        "resolution": nearest_tier(request, {word: TIERS[word] for word in model.tiers}),
        "first_frame_image": as_data_uri(first[0]) if first else None,
        "last_frame_image": as_data_uri(last[0]) if last else None,
        "subject_reference": [{"type": "character", "image": [as_data_uri(subjects[0])]}]
        if subjects
        else None,
        "aigc_watermark": request.watermark,
    }
    return extra_fields(request, RESERVED) | without_none(fields)


def _check_shape(request: GenerationRequest) -> None:
    """Without a first frame v1 always makes 16:9: it has no field for the shape."""
    if request.aspect_ratio not in (None, "", "16:9"):
        raise UpstreamRejected(f"{request.model} makes 16:9 only", param="aspect_ratio")
    if request.size and not request.aspect_ratio:
        width, height = parse_size(request.size)
        if width <= height:
            raise UpstreamRejected(f"{request.model} makes 16:9 only, not {request.size}", param="size")
