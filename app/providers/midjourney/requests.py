"""Builds Midjourney prompts with their ``--parameters``."""

import math
from typing import Any

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, Role
from app.providers.inputs import (
    as_data_uri,
    check_request,
    extra_fields,
    parse_size,
    refuse_fields,
    refuse_flags,
)

ROLES: frozenset[Role] = frozenset({"first_frame", "reference_image", "subject"})
RESERVED = {"prompt", "base64Array", "base64", "notifyHook", "state", "model", "mode", "api_key", "key"}
"""Fields that ``extra`` must not set: they choose the account, the paid speed or the inputs."""
MAX_IMAGES = 5
MAX_SEED = 4_294_967_295


def request_body(request: GenerationRequest, *, state: str) -> dict[str, Any]:
    """JSON body. Raises ``UnsupportedWish`` for a value that Midjourney has no parameter for."""
    check_request(request, ROLES, kinds={"image"})
    refuse_fields(request, "seconds", "resolution", "shots")
    refuse_flags(request, "watermark")
    images = request.media_with("first_frame", "reference_image", "subject")
    if len(images) > MAX_IMAGES:
        raise UnsupportedWish(f"{request.model} takes {MAX_IMAGES} images", param="image")
    if any(item.content is None for item in images):
        raise UnsupportedWish("an input image is no longer there", param="image")
    fields: dict[str, Any] = {"prompt": f"{request.prompt}{_prompt_settings(request)}", "state": state}
    if images:
        fields["base64Array"] = [as_data_uri(item) for item in images]
    if "niji" in request.model.lower():
        fields["botType"] = "NIJI_JOURNEY"
    return extra_fields(request, RESERVED) | fields


def _prompt_settings(request: GenerationRequest) -> str:
    words: list[str] = []
    if ratio := _aspect_ratio(request):
        words.append(f"--ar {ratio}")
    if request.seed is not None:
        if not 0 <= request.seed <= MAX_SEED:
            raise UnsupportedWish(f"seed must be from 0 to {MAX_SEED}", param="seed")
        words.append(f"--seed {request.seed}")
    if request.negative_prompt:
        # Two dashes would begin another parameter.
        words.append(f"--no {request.negative_prompt.replace('--', ' ')}")
    return "".join(f" {word}" for word in words)


def _aspect_ratio(request: GenerationRequest) -> str | None:
    """``W:H`` in lowest terms: Midjourney takes aspect ratios, not pixels."""
    if request.aspect_ratio:
        return request.aspect_ratio
    if not request.size:
        return None
    width, height = parse_size(request.size)
    shared = math.gcd(width, height)
    return f"{width // shared}:{height // shared}"
