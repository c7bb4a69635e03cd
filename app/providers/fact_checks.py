"""What the facts of a model say against a request, beside what the catalog compares (roles, lengths, sizes): sound, the
prompt's length and needed inputs; and which of a model's sizes a client means."""

from app.errors import UnsupportedWish
from app.generation import GenerationRequest
from app.providers.inputs import parse_size
from app.providers.model_facts import ModelFacts

RATIO_TOLERANCE = 0.02
"""How far a size may be from a ratio: vendors round to multiples of 16."""


def settle_request(request: GenerationRequest, facts: ModelFacts | None) -> GenerationRequest:
    """The request without a wish for sound or silence that the model fulfils anyway, as there is no field for it.

    Raises ``UnsupportedWish`` for sound that can't be had or avoided, a prompt that is too long, and a missing input
    (``traits.needs``: roles that the model can't do without).
    """
    if facts is None:
        return request
    if facts.prompt_limit and len(request.prompt) > facts.prompt_limit:
        text = f"the prompt of {request.model} may have {facts.prompt_limit} characters, not {len(request.prompt)}"
        raise UnsupportedWish(text, param="prompt")
    for role in facts.traits.get("needs", ()):
        if not request.media_with(role):
            raise UnsupportedWish(f"{request.model} needs a {role}", param=role)
    if request.sound is None or facts.sound not in {"always", "never"}:
        return request
    if request.sound != (facts.sound == "always"):
        text = f"{request.model} {facts.sound} makes sound"
        raise UnsupportedWish(text, param="generate_audio")
    return request.model_copy(update={"sound": None})


def pick_size(request: GenerationRequest, facts: ModelFacts) -> str | None:
    """The client's size, else the first of the model's that has its ratio (unless the model has a field for that) and its
    resolution; None when it named none of these. Raises ``UnsupportedWish``."""
    if request.size:
        if request.size not in facts.sizes:
            able = ", ".join(facts.sizes)
            raise UnsupportedWish(
                f"size must be one of {able} for {request.model}, not {request.size}", param="size"
            )
        return request.size
    sizes = facts.sizes
    if request.aspect_ratio and not facts.ratios:
        sizes = tuple(size for size in sizes if _has_ratio(size, request.aspect_ratio))
        if not sizes:
            text = f"{request.model} makes no {request.aspect_ratio}, only {', '.join(facts.sizes)}"
            raise UnsupportedWish(text, param="aspect_ratio")
    if request.resolution:
        short = _short_side(request, facts)
        sizes = tuple(size for size in sizes if min(parse_size(size)) == short)
        if not sizes:
            text = (
                f"{request.model} does not make that in {request.resolution}, only {', '.join(facts.sizes)}"
            )
            raise UnsupportedWish(text, param="resolution")
    asked = request.resolution or (request.aspect_ratio and not facts.ratios)
    return sizes[0] if asked else None


def _short_side(request: GenerationRequest, facts: ModelFacts) -> int:
    """Of the client's resolution, in pixels; 0 for one that the model does not have."""
    words = {word.lower(): pixels for word, pixels in facts.tiers.items()}
    return words.get((request.resolution or "").lower(), 0)


def _has_ratio(size: str, ratio: str) -> bool:
    width, height = parse_size(size)
    across, _, down = ratio.partition(":")
    try:
        wanted = float(across) / float(down)
    except (ValueError, ZeroDivisionError):
        return False
    return abs(width / height / wanted - 1) <= RATIO_TOLERANCE
