"""What goes into a vendor's request: pictures as text, whole seconds, extra fields, and what is refused."""

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
    """Refuse (``UpstreamRejected``) a kind, an action or an input that the model has no field for."""
    if request.kind not in kinds:
        raise UpstreamRejected(f"{request.model} makes no {request.kind}", param="model")
    if request.action not in actions:
        raise UpstreamRejected(f"{request.model} can't {request.action} a video", param="video")
    for item in request.media:
        if item.role not in roles:
            raise UpstreamRejected(f"{request.model} takes no {item.role}", param=item.role)


def refuse_fields(request: GenerationRequest, *fields: str) -> None:
    """Refuse the wishes in ``fields`` that the client made and the vendor has no word for."""
    for name in fields:
        if getattr(request, name) not in (None, "", ()):
            raise UpstreamRejected(f"{request.model} has no {name}", param=name)


def refuse_unsupported(request: GenerationRequest, *also: str) -> None:
    """``refuse`` of what hardly any vendor has a word for, and of ``also``; no watermark is what they all make."""
    refuse_fields(request, "style", "characters", *also)
    if request.watermark:
        raise UpstreamRejected(f"{request.model} has no watermark", param="watermark")


def at_most(request: GenerationRequest, role: Role, number: int) -> tuple[MediaInput, ...]:
    """The inputs of ``role``; refused when there are more than ``number``."""
    items = request.media_with(role)
    if len(items) > number:
        raise UpstreamRejected(f"{request.model} takes at most {number} {role}(s)", param=role)
    return items


def as_data_uri(item: MediaInput) -> str:
    """The input itself as a ``data:`` address, else where the client said it lies."""
    if item.content is None:
        return public_url(item)
    return f"data:{item.content_type};base64,{base64.b64encode(item.content).decode()}"


def as_base64(item: MediaInput) -> str:
    """The input itself as bare base64, else where the client said it lies."""
    if item.content is None:
        return public_url(item)
    return base64.b64encode(item.content).decode()


def public_url(item: MediaInput) -> str:
    """For vendors that take nothing but addresses. Raises ``UpstreamRejected`` without one."""
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
    """``extra`` without the fields that choose the model, the account, the price or the inputs.

    ``sound`` is the vendor's field for whether a video is to be heard; without one such a wish is refused.
    """
    passed = {name: value for name, value in request.extra.items() if name not in reserved}
    if request.sound is None:
        return passed
    if not sound:
        raise UpstreamRejected(f"{request.model} can't be told whether to make sound", param="generate_audio")
    return {**passed, sound: request.sound}


def nearest_ratio(request: GenerationRequest, able: Sequence[str]) -> str | None:
    """The client's own ratio, else the one in ``able`` nearest to its size; None when it named neither.

    Raises ``UpstreamRejected`` for a ratio that is not in ``able``.
    """
    if request.aspect_ratio:
        if request.aspect_ratio not in able:
            known = ", ".join(able)
            text = f"aspect_ratio must be one of {known} for {request.model}, not {request.aspect_ratio}"
            raise UpstreamRejected(text, param="aspect_ratio")
        return request.aspect_ratio
    if not request.size:
        return None
    width, height = parse_size(request.size)
    named = [word for word in able if ":" in word]
    return min(named, key=lambda word: abs(math.log(width / height / _ratio_value(word))))


def nearest_tier(request: GenerationRequest, able: Mapping[str, int]) -> str | None:
    """The client's own resolution, else the one whose short side (``able``, in pixels) is nearest to its size's.

    Raises ``UpstreamRejected`` for a resolution that is not in ``able``.
    """
    if request.resolution:
        found = next((word for word in able if word.lower() == request.resolution.lower()), None)
        if found is None:
            known = ", ".join(able)
            text = f"resolution must be one of {known} for {request.model}, not {request.resolution}"
            raise UpstreamRejected(text, param="resolution")
        return found
    if not request.size:
        return None
    short = min(parse_size(request.size))
    return min(able, key=lambda word: abs(math.log(able[word] / short)))


def parse_size(size: str) -> tuple[int, int]:
    """Width and height of ``WxH``."""
    width, height = (int(part) for part in size.lower().split("x"))
    return width, height


def _ratio_value(ratio: str) -> float:
    width, height = ratio.split(":")
    return float(width) / float(height)
