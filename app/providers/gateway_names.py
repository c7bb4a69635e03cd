"""Model names that say shape, length and quality themselves, as gateways in the manuals' manner have them."""

import re

from app.errors import UpstreamRejected
from app.generation import GenerationRequest
from app.providers.inputs import refuse_fields, whole_seconds
from app.providers.sizes import parse_size

OLD = re.compile(r"(sora_video2)(-portrait|-landscape)?(-hd)?(-15s|-25s)?")
NEW = re.compile(r"(sora2(?:pro)?)(-hd)?(-portrait|-landscape)(-10s|-15s|-25s)")
PICTURE = re.compile(r"(gpt-image)(-portrait|-landscape)?")
SECONDS = (10, 15, 25)
HD_FROM = 1000
"""Pixels on the short side."""


def is_option_name(model: str) -> bool:
    """Whether ``named`` can say a wish by this model's name."""
    return any(family.fullmatch(model) for family in (OLD, NEW, PICTURE))


def model_name_for(request: GenerationRequest) -> str:
    """The name in ``request.model``'s family that says its wishes. Raises ``UpstreamRejected``."""
    if found := OLD.fullmatch(request.model):
        base, way, hd, length = found.groups(default="")
        shape, seconds = orientation_of(request), allowed_seconds(request)
        if shape:  # a name without a shape is portrait
            way = "-landscape" if shape == "landscape" else "-portrait" if way == "-portrait" else ""
        length = length if seconds is None else "" if seconds == 10 else f"-{seconds}s"
        return f"{base}{way}{_quality_suffix(request, hd)}{length}"
    if found := NEW.fullmatch(request.model):
        base, hd, way, length = found.groups(default="")
        shape, seconds, hd = orientation_of(request), allowed_seconds(request), _quality_suffix(request, hd)
        length = f"-{seconds}s" if seconds else length
        if hd and (base != "sora2pro" or length == "-25s"):
            raise UpstreamRejected(f"{request.model} has no high definition", param="size")
        return f"{base}{hd}{f'-{shape}' if shape else way}{length}"
    return _image_name(request)


def orientation_of(request: GenerationRequest) -> str | None:
    """``portrait`` or ``landscape``; None when the client named no shape. A square can't be said."""
    if request.aspect_ratio:
        shape = {"16:9": "landscape", "9:16": "portrait"}.get(request.aspect_ratio)
        param = "aspect_ratio"
    elif request.size:
        width, height = parse_size(request.size)
        shape, param = "landscape" if width > height else "portrait" if height > width else None, "size"
    else:
        return None
    if shape is None:
        raise UpstreamRejected(f"{request.model} makes portrait and landscape only", param=param)
    return shape


def allowed_seconds(request: GenerationRequest) -> int | None:
    """The length, when it is one that these gateways have a word for. Raises ``UpstreamRejected``."""
    seconds = whole_seconds(request)
    if seconds is not None and seconds not in SECONDS:
        raise UpstreamRejected(f"{request.model} makes 10, 15 or 25 seconds, not {seconds}", param="seconds")
    return seconds


def wants_hd(request: GenerationRequest) -> bool | None:
    """None when the client named no quality."""
    if request.resolution:
        quality = {"480p": False, "720p": False, "1080p": True, "hd": True}.get(request.resolution.lower())
        if quality is None:
            raise UpstreamRejected(f"{request.model} has no {request.resolution}", param="resolution")
        return quality
    return min(parse_size(request.size)) >= HD_FROM if request.size else None


def _quality_suffix(request: GenerationRequest, hd: str) -> str:
    wanted = wants_hd(request)
    return hd if wanted is None else "-hd" if wanted else ""


def _image_name(request: GenerationRequest) -> str:
    refuse_fields(request, "resolution")
    base = request.model.removesuffix("-portrait").removesuffix("-landscape")
    square = request.aspect_ratio == "1:1" or (request.size and len(set(parse_size(request.size))) == 1)
    if square:
        return base
    shape = orientation_of(request)
    return f"{base}-{shape}" if shape else request.model
