"""Parts of vendors' requests: media as text, sizes, whole seconds, extra fields, and what is refused."""

import base64
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from app.errors import AddressNeeded, UnsupportedWish
from app.generation import Action, GenerationRequest, MediaInput, Role
from app.json_bodies import by_folded_name, fold_name

SAME_SHAPE, SAME_TIER = 0.1, 0.2
"""How far the shape and the short side of a client's size may be off a vendor's for the film to count as that size: Sora's
1792x1024 is 16:9 in 1080p everywhere."""
VIDEO: frozenset[str] = frozenset({"video"})
LINES_OF_K = {1: 1080, 2: 1440, 4: 2160, 8: 4320}
GENERATE: frozenset[Action] = frozenset({"generate"})


def check_request(
    request: GenerationRequest,
    roles: Collection[Role],
    *,
    kinds: Collection[str] = VIDEO,
    actions: Collection[Action] = GENERATE,
) -> None:
    """Raises ``UnsupportedWish`` for a kind, an action or an input that the model has no field for."""
    if request.kind not in kinds:
        raise UnsupportedWish(f"{request.model} makes no {request.kind}", param="model")
    if request.action not in actions:
        raise UnsupportedWish(f"{request.model} can't {request.action} a video", param="video")
    for item in request.media:
        if item.role not in roles:
            raise UnsupportedWish(f"{request.model} takes no {item.role}", param=item.role)


def refuse_fields(request: GenerationRequest, *fields: str) -> None:
    """Raises ``UnsupportedWish`` for a field of ``fields`` that the client set and the vendor has no field for."""
    for name in fields:
        if getattr(request, name) not in (None, "", ()):
            raise UnsupportedWish(f"{request.model} has no {name}", param=name)


def refuse_flags(request: GenerationRequest, *flags: str) -> None:
    """Raises ``UnsupportedWish`` for a flag of ``flags`` that is true; false is what every vendor does anyway."""
    for name in flags:
        if getattr(request, name):
            raise UnsupportedWish(f"{request.model} has no {name}", param=name)


def refuse_unsupported(request: GenerationRequest, *more: str) -> None:
    """Refuses what hardly any vendor has a field for, and ``more``."""
    refuse_fields(request, "style", "characters", *more)
    refuse_flags(request, "watermark")


def at_most(request: GenerationRequest, role: Role, number: int) -> tuple[MediaInput, ...]:
    """The inputs of ``role``. Raises ``UnsupportedWish`` when there are more than ``number``."""
    items = request.media_with(role)
    if len(items) > number:
        raise UnsupportedWish(f"{request.model} takes at most {number} {role}(s)", param=role)
    return items


def as_data_uri(item: MediaInput) -> str:
    """The bytes as a ``data:`` URI, else the client's address. Raises ``UnsupportedWish`` without either."""
    if item.content is None:
        return public_url(item)
    return f"data:{item.content_type};base64,{base64.b64encode(item.content).decode()}"


def as_base64(item: MediaInput) -> str:
    """The bytes as bare base64, else the client's address. Raises ``UnsupportedWish`` without either."""
    if item.content is None:
        return public_url(item)
    return base64.b64encode(item.content).decode()


def public_url(item: MediaInput) -> str:
    """For vendors that take only addresses. Raises ``AddressNeeded`` without one."""
    if not item.url:
        raise AddressNeeded(f"this upstream takes a {item.role} only as a public address", param=item.role)
    return item.url


def file_ending(item: MediaInput) -> str:
    """The ending of a file name for its type, as ``png``."""
    return item.content_type.rsplit("/", 1)[-1].removeprefix("x-") or "bin"


def whole_seconds(request: GenerationRequest) -> int | None:
    """The length in whole seconds. Raises ``UnsupportedWish`` for a fraction."""
    if request.seconds is None:
        return None
    if request.seconds != int(request.seconds):
        text = f"seconds must be a whole number for {request.model}, not {request.seconds:g}"
        raise UnsupportedWish(text, param="seconds")
    return int(request.seconds)


def extra_fields(
    request: GenerationRequest, reserved: Collection[str], *, uses: Collection[str] = (), sound: str = ""
) -> dict[str, Any]:
    """``request.extra`` without ``uses``, the names that the adapter reads itself.

    Raises ``UnsupportedWish`` for a name of ``reserved``, however a server may spell it: these choose the model, the
    account, the price or the inputs, which other fields of a request do. ``sound`` is the vendor's field for
    ``request.sound``; without such a field a client that set it is refused.
    """
    fields = without_none(without_names(request.extra, uses))
    folded = by_folded_name(frozenset(reserved))
    refused = next((name for name in fields if fold_name(name) in folded), None)
    if refused is not None:
        raise UnsupportedWish(f"{refused} can't be passed on to {request.model}", param=refused)
    if request.sound is None:
        return fields
    if not sound:
        text = f"{request.model} has no field for whether to make sound"
        raise UnsupportedWish(text, param="generate_audio")
    return {**fields, sound: request.sound}


def without_names(fields: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """``fields`` without those that a server may take for one of ``names``."""
    folded = by_folded_name(frozenset(names))
    return {name: value for name, value in fields.items() if fold_name(name) not in folded}


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """``fields`` that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def nearest_ratio(request: GenerationRequest, ratios: Sequence[str]) -> str | None:
    """The client's own ratio, else the one of ``ratios`` nearest to its size; None when it named neither.

    Raises ``UnsupportedWish`` for a ratio that is not in ``ratios``, and for a size whose shape differs from all of
    them by more than ``SAME_SHAPE``.
    """
    if request.aspect_ratio:
        if request.aspect_ratio not in ratios:
            known = ", ".join(ratios)
            text = f"aspect_ratio must be one of {known} for {request.model}, not {request.aspect_ratio}"
            raise UnsupportedWish(text, param="aspect_ratio")
        return request.aspect_ratio
    if not request.size:
        return None
    width, height = parse_size(request.size)
    off = {ratio: abs(math.log(width / height / _ratio_value(ratio))) for ratio in ratios if ":" in ratio}
    nearest = min(off, key=lambda ratio: off[ratio])
    if off[nearest] > math.log1p(SAME_SHAPE):
        text = f"{request.model} makes only the shapes {', '.join(off)}, which {request.size} is not"
        raise UnsupportedWish(text, param="size")
    return nearest


def nearest_tier(request: GenerationRequest, tiers: Mapping[str, int]) -> str | None:
    """The client's own resolution, else the tier whose short side (in pixels) is nearest to that of its size.

    Raises ``UnsupportedWish`` for a resolution that is not in ``tiers``, and for a size whose short side differs from all
    of them by more than ``SAME_TIER``.
    """
    if request.resolution:
        tier = next((name for name in tiers if name.lower() == request.resolution.lower()), None)
        if tier is None:
            known = ", ".join(tiers)
            text = f"resolution must be one of {known} for {request.model}, not {request.resolution}"
            raise UnsupportedWish(text, param="resolution")
        return tier
    if not request.size:
        return None
    short = min(parse_size(request.size))
    off = {name: abs(math.log(lines / short)) for name, lines in tiers.items()}
    nearest = min(off, key=lambda name: off[name])
    if off[nearest] > math.log1p(SAME_TIER):
        text = f"{request.model} makes only {', '.join(tiers)}, which {request.size} is not"
        raise UnsupportedWish(text, param="size")
    return nearest


def told_ratio(request: GenerationRequest, known: Sequence[str], *, usual: Sequence[str]) -> str | None:
    """``nearest_ratio`` of the ratios that the model is known to make. Where none are known, the client's own word is
    passed on for the vendor to judge, and a size becomes one of ``usual``."""
    if known:
        return nearest_ratio(request, known)
    return request.aspect_ratio or nearest_ratio(request, usual)


def told_tier(
    request: GenerationRequest, known: Mapping[str, int], *, usual: Mapping[str, int]
) -> str | None:
    """``nearest_tier`` of the tiers that the model is known to make. Where none are known, the client's own word is passed
    on, as ``usual`` spells it, and a size becomes one of ``usual``."""
    if known:
        return nearest_tier(request, known)
    given = request.resolution
    if not given:
        return nearest_tier(request, usual)
    return next((name for name in usual if name.lower() == given.lower()), given)


def lines_of(tier: str) -> int:
    """The short side in pixels that a word for a resolution states: ``1080p`` is 1080, ``2K`` is 1440; 0 for a word that
    states none."""
    number, unit = tier[:-1], tier[-1:].lower()
    if not (number.isascii() and number.isdecimal()) or unit not in {"p", "k"}:
        return 0
    return int(number) if unit == "p" else LINES_OF_K.get(int(number), 0)


def parse_size(size: str) -> tuple[int, int]:
    """Width and height of ``WxH``, in pixels."""
    width, height = (int(part) for part in size.lower().split("x"))
    return width, height


def _ratio_value(ratio: str) -> float:
    width, height = ratio.split(":")
    return float(width) / float(height)
