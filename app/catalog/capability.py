"""Whether a model can do what is asked: what can't even be told to the upstream is a 400 that says so."""

from app.errors import InvalidRequest
from app.generation import GenerationRequest, Role
from app.providers.base import Capabilities

WORDS: dict[Role, tuple[str, str]] = {
    "first_frame": ("input_reference", "an image"),
    "last_frame": ("input_reference", "a last frame"),
    "reference_image": ("input_reference", "reference images"),
    "source_video": ("video", "a source video"),
    "reference_video": ("video", "a reference video"),
    "audio": ("audio", "a sound"),
    "subject": ("characters", "characters"),
}


def check_capability(request: GenerationRequest, capabilities: Capabilities) -> InvalidRequest | None:
    """The refusal, naming the field and what the model can do; None when all can be asked for."""
    if request.action == "remix" and not capabilities.remix:
        return InvalidRequest(f"{request.model} can't remix videos", param="video")
    for item in request.media:
        if item.role not in capabilities.roles:
            param, word = WORDS[item.role]
            able = sorted(capabilities.roles)
            return InvalidRequest(
                f"{request.model} does not take {word}; it takes {able or 'text only'}", param=param
            )
    return _check_seconds(request, capabilities) or _check_size(request, capabilities)


def _check_seconds(request: GenerationRequest, capabilities: Capabilities) -> InvalidRequest | None:
    if request.kind != "video" or request.seconds is None or capabilities.seconds is None:
        return None
    low, high = capabilities.seconds
    if low <= request.seconds <= high:
        return None
    text = f"seconds must be from {low:g} to {high:g} for {request.model}, not {request.seconds:g}"
    return InvalidRequest(text, param="seconds")


def _check_size(request: GenerationRequest, capabilities: Capabilities) -> InvalidRequest | None:
    if request.size is None:
        return None
    if capabilities.sizes and request.size not in capabilities.sizes:
        able = ", ".join(sorted(capabilities.sizes))
        return InvalidRequest(
            f"size must be one of {able} for {request.model}, not {request.size}", param="size"
        )
    width, height = (int(part) for part in request.size.split("x"))
    if capabilities.max_pixels and width * height > capabilities.max_pixels:
        text = (
            f"size may hold at most {capabilities.max_pixels} pixels for {request.model}, not {request.size}"
        )
        return InvalidRequest(text, param="size")
    return None
