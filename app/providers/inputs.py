"""Parts of vendors' requests: media as text, sizes, whole seconds, extra fields, and what is refused."""

import base64
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from app.errors import UpstreamRejected
from app.generation import Action, GenerationRequest, MediaInput, Role

VIDEO: frozenset[str] = frozenset({"video"})
GENERATE: frozenset[Action] = frozenset({"generate"})


def check_request(
    request: GenerationRequest,
    roles: Collection[Role],
    *,
    kinds: Collection[str] = VIDEO,
    actions: Collection[Action] = GENERATE,
) -> None:
    """Raises ``UpstreamRejected`` for a kind, an action or an input that the model has no field for."""
    if request.kind not in kinds:
        raise UpstreamRejected(f"{request.model} makes no {request.kind}", param="model")
    if request.action not in actions:
        raise UpstreamRejected(f"{request.model} can't {request.action} a video", param="video")
    for item in request.media:
        if item.role not in roles:
            raise UpstreamRejected(f"{request.model} takes no {item.role}", param=item.role)


def refuse_fields(request: GenerationRequest, *fields: str) -> None:
    """Raises ``UpstreamRejected`` for a field of ``fields`` that the client set and the vendor has no field for."""
    for name in fields:
        if getattr(request, name) not in (None, "", ()):
            raise UpstreamRejected(f"{request.model} has no {name}", param=name)


def refuse_flags(request: GenerationRequest, *flags: str) -> None:
    """Raises ``UpstreamRejected`` for a flag of ``flags`` that is true; false is what every vendor does anyway."""
    for name in flags:
        if getattr(request, name):
            raise UpstreamRejected(f"{request.model} has no {name}", param=name)


def refuse_unsupported(request: GenerationRequest, *more: str) -> None:
    """Refuses what hardly any vendor has a field for, and ``more``."""
    refuse_fields(request, "style", "characters", *more)
    refuse_flags(request, "watermark")


def at_most(request: GenerationRequest, role: Role, number: int) -> tuple[MediaInput, ...]:
    """The inputs of ``role``. Raises ``UpstreamRejected`` when there are more than ``number``."""
    items = request.media_with(role)
    if len(items) > number:
        raise UpstreamRejected(f"{request.model} takes at most {number} {role}(s)", param=role)
    return items


def as_data_uri(item: MediaInput) -> str:
    """The bytes as a ``data:`` URI, else the client's address. Raises ``UpstreamRejected`` without either."""
    if item.content is None:
        return public_url(item)
    return f"data:{item.content_type};base64,{base64.b64encode(item.content).decode()}"


def as_base64(item: MediaInput) -> str:
    """The bytes as bare base64, else the client's address. Raises ``UpstreamRejected`` without either."""
    if item.content is None:
        return public_url(item)
    return base64.b64encode(item.content).decode()


def public_url(item: MediaInput) -> str:
    """For vendors that take only addresses. Raises ``UpstreamRejected`` without one."""
    if not item.url:
        raise UpstreamRejected(f"this upstream takes a {item.role} only as a public address", param=item.role)
    return item.url


def whole_seconds(request: GenerationRequest) -> int | None:
    """The length in whole seconds. Raises ``UpstreamRejected`` for a fraction."""
    if request.seconds is None:
        return None
    if request.seconds != int(request.seconds):
        text = f"seconds must be a whole number for {request.model}, not {request.seconds:g}"
        raise UpstreamRejected(text, param="seconds")
    return int(request.seconds)


def extra_fields(request: GenerationRequest, reserved: Collection[str], *, sound: str = "") -> dict[str, Any]:
    """``request.extra`` without ``reserved``, the fields that choose the model, the account, the price or the inputs.

    ``sound`` is the vendor's field for ``request.sound``. Without such a field, raises ``UpstreamRejected`` when the
    client set it.
    """
    fields = {name: value for name, value in request.extra.items() if name not in reserved}
    if request.sound is None:
        return fields
    if not sound:
        text = f"{request.model} has no field for whether to make sound"
        raise UpstreamRejected(text, param="generate_audio")
    return {**fields, sound: request.sound}


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """``fields`` that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def nearest_ratio(request: GenerationRequest, ratios: Sequence[str]) -> str | None:
    """The client's own ratio, else the one of ``ratios`` nearest to its size; None when it named neither.

    Raises ``UpstreamRejected`` for a ratio that is not in ``ratios``.
    """
    if request.aspect_ratio:
        if request.aspect_ratio not in ratios:
            known = ", ".join(ratios)
            text = f"aspect_ratio must be one of {known} for {request.model}, not {request.aspect_ratio}"
            raise UpstreamRejected(text, param="aspect_ratio")
        return request.aspect_ratio
    if not request.size:
        return None
    width, height = parse_size(request.size)
    numbers = [ratio for ratio in ratios if ":" in ratio]
    return min(numbers, key=lambda ratio: abs(math.log(width / height / _ratio_value(ratio))))


def nearest_tier(request: GenerationRequest, tiers: Mapping[str, int]) -> str | None:
    """The client's own resolution, else the tier whose short side (in pixels) is nearest to that of its size.

    Raises ``UpstreamRejected`` for a resolution that is not in ``tiers``.
    """
    if request.resolution:
        tier = next((name for name in tiers if name.lower() == request.resolution.lower()), None)
        if tier is None:
            known = ", ".join(tiers)
            text = f"resolution must be one of {known} for {request.model}, not {request.resolution}"
            raise UpstreamRejected(text, param="resolution")
        return tier
    if not request.size:
        return None
    short = min(parse_size(request.size))
    return min(tiers, key=lambda name: abs(math.log(tiers[name] / short)))


def parse_size(size: str) -> tuple[int, int]:
    """Width and height of ``WxH``, in pixels."""
    width, height = (int(part) for part in size.lower().split("x"))
    return width, height


def _ratio_value(ratio: str) -> float:
    width, height = ratio.split(":")
    return float(width) / float(height)
