"""Builds Vidu requests: the path and its JSON body."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import UpstreamRejected
from app.generation import GenerationRequest, Role
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

TEXT = "/ent/v2/text2video"
IMAGE = "/ent/v2/img2video"
FRAMES = "/ent/v2/start-end2video"
REFERENCES = "/ent/v2/reference2video"

RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4")
TIERS = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080}
MAX_REFERENCES = 7
ROLES: frozenset[Role] = frozenset({"first_frame", "last_frame", "reference_image"})
RESERVED = {"model", "prompt", "images", "duration", "resolution", "payload", "callback_url", "off_peak"}
"""Fields that ``extra`` must not set: they choose the model, the price, the inputs or our idempotency key."""


@dataclass(frozen=True, slots=True)
class ViduModel:
    """What one family of models accepts; ``name`` is the prefix of its model names."""

    name: str
    seconds: tuple[float, float]
    tiers: tuple[str, ...]


MODELS = (
    ViduModel("viduq3", (1, 16), ("540p", "720p", "1080p")),
    ViduModel("viduq2", (1, 10), ("540p", "720p", "1080p")),
    ViduModel("viduq1", (5, 5), ("1080p",)),
    ViduModel("vidu2.0", (4, 8), ("360p", "720p", "1080p")),
)
UNKNOWN_MODEL = ViduModel("vidu", (1, 16), tuple(TIERS))
"""For model names that this table lacks; Vidu decides what they accept."""


def model_of(name: str) -> ViduModel:
    return next((model for model in MODELS if name.lower().startswith(model.name)), UNKNOWN_MODEL)


def submit_path(request: GenerationRequest) -> str:
    if request.media_with("reference_image"):
        return REFERENCES
    if request.media_with("last_frame"):
        return FRAMES
    return IMAGE if request.media else TEXT


def request_body(request: GenerationRequest, *, payload: str) -> dict[str, Any]:
    """The body for ``path_of(request)``. Raises ``UpstreamRejected`` for a value without a field there."""
    model, path = model_of(request.model), submit_path(request)
    check_request(request, ROLES)
    refuse_fields(request, "style", "characters", "negative_prompt", "shots")
    tiers: Mapping[str, int] = {word: TIERS[word] for word in model.tiers}
    fields: dict[str, Any] = {
        "model": request.model,
        "prompt": request.prompt or None,
        "images": _image_inputs(request, path) or None,
        "duration": whole_seconds(request),
        "seed": request.seed,
        "resolution": nearest_tier(request, tiers),
        # The first frame determines the shape; only an explicit aspect_ratio is sent along, and Vidu decides.
        "aspect_ratio": nearest_ratio(request, RATIOS)
        if path in {TEXT, REFERENCES}
        else request.aspect_ratio,
        "watermark": request.watermark,
        "payload": payload,
    }
    return extra_fields(request, RESERVED, sound="audio") | without_none(fields)


def _image_inputs(request: GenerationRequest, path: str) -> list[str]:
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    references = at_most(request, "reference_image", MAX_REFERENCES)
    if path == REFERENCES and (first or last):
        raise UpstreamRejected("frames and reference images can't go together", param="reference_image")
    if last and not first:
        raise UpstreamRejected("a last frame needs a first frame", param="last_frame")
    return [as_data_uri(item) for item in (*first, *last, *references)]
