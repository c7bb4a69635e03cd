"""How a wish is put into Midjourney's prompt language."""

import math
from typing import Any

from app.errors import UpstreamRejected
from app.generation import GenerationRequest, Role
from app.providers.inputs import as_data_uri, check, passed_on, refuse
from app.providers.sizes import pixels

ROLES: frozenset[Role] = frozenset({"first_frame", "reference_image", "subject"})
RESERVED = {"prompt", "base64Array", "base64", "notifyHook", "state", "model", "mode", "api_key", "key"}
"""What ``extra`` can't set: these choose the account, the speed that is paid for, or the inputs."""
MOST_PICTURES = 5
LARGEST_SEED = 4_294_967_295


def fields(request: GenerationRequest, *, state: str) -> dict[str, Any]:
    """Raises ``UpstreamRejected`` for what Midjourney has no word for."""
    check(request, ROLES, kinds={"image"})
    refuse(request, "seconds", "resolution", "shots")
    pictures = request.media_with("first_frame", "reference_image", "subject")
    if len(pictures) > MOST_PICTURES:
        raise UpstreamRejected(f"{request.model} takes {MOST_PICTURES} images", param="image")
    if any(item.content is None for item in pictures):
        raise UpstreamRejected("an input image is no longer there", param="image")
    told: dict[str, Any] = {"prompt": f"{request.prompt}{_settings(request)}", "state": state}
    if pictures:
        told["base64Array"] = [as_data_uri(item) for item in pictures]
    if "niji" in request.model.lower():
        told["botType"] = "NIJI_JOURNEY"
    return passed_on(request, RESERVED) | told


def _settings(request: GenerationRequest) -> str:
    words: list[str] = []
    if ratio := _ratio(request):
        words.append(f"--ar {ratio}")
    if request.seed is not None:
        if not 0 <= request.seed <= LARGEST_SEED:
            raise UpstreamRejected(f"seed must be from 0 to {LARGEST_SEED}", param="seed")
        words.append(f"--seed {request.seed}")
    if request.negative_prompt:
        # Two dashes would begin another setting.
        words.append(f"--no {request.negative_prompt.replace('--', ' ')}")
    return "".join(f" {word}" for word in words)


def _ratio(request: GenerationRequest) -> str | None:
    """Midjourney knows shapes, no pixels."""
    if request.aspect_ratio:
        return request.aspect_ratio
    if not request.size:
        return None
    width, height = pixels(request.size)
    shared = math.gcd(width, height)
    return f"{width // shared}:{height // shared}"
