"""What goes into a vendor's request: pictures as text, whole seconds, extra fields, and what is refused."""

import base64
from collections.abc import Collection
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
