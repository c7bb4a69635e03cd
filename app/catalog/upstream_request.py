"""A generation request as one candidate gets it: the route's overrides, the form of characters, the capability check."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.errors import InvalidRequest
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.base import Capabilities

RESERVED = frozenset(
    {"model", "version", "prompt", "key", "api_key", "apikey", "secret", "token", "authorization"}
    | {"price", "cost", "budget", "webhook", "webhook_url", "callback_url", "notify_hook"}
)
"""Names that no extra field may have: they choose the model, the account, the price, or whom the upstream calls."""

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Size = Annotated[str, Field(pattern=r"^[1-9]\d{0,4}x[1-9]\d{0,4}$")]
Word = Annotated[str, Field(min_length=1, max_length=200)]
ROLE_WORDS: dict[Role, tuple[str, str]] = {
    "first_frame": ("input_reference", "an image"),
    "last_frame": ("input_reference", "a last frame"),
    "reference_image": ("input_reference", "reference images"),
    "source_video": ("video", "a source video"),
    "reference_video": ("video", "a reference video"),
    "audio": ("audio", "a sound"),
    "subject": ("characters", "characters"),
}
"""The client's field for an input, and what the input is called in an error."""


# ---- overrides of a route -----------------------------------------------------------------------


class OverrideForm(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OverrideFields(OverrideForm):
    """Values for fields of a request; ``extra`` goes to the upstream as it is."""

    seconds: Seconds | None = None
    size: Size | None = None
    aspect_ratio: Word | None = None
    resolution: Word | None = None
    style: Word | None = None
    negative_prompt: str | None = Field(default=None, max_length=10_000)
    seed: int | None = None
    watermark: bool | None = None
    extra: dict[Word, Any] = {}

    @field_validator("extra")
    @classmethod
    def _check_extra_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _refuse_reserved(value)

    def stated_values(self) -> dict[str, Any]:
        """Every field but ``extra`` that has a value."""
        return {name: value for name, value in self if value is not None and name != "extra"}


class ValueMaps(OverrideForm):
    """By field: a client's value, and the value that the upstream gets instead. Lengths are written as text."""

    seconds: dict[Word, Seconds] = {}
    size: dict[Word, Size] = {}
    aspect_ratio: dict[Word, Word] = {}
    resolution: dict[Word, Word] = {}
    style: dict[Word, Word] = {}


class Overrides(OverrideForm):
    """Applied in this order: ``rename`` extra fields, ``map`` values, fill in ``default`` where the request has no
    value, and ``set`` in any case."""

    rename: dict[Word, Word] = {}
    map: ValueMaps = ValueMaps()
    default: OverrideFields = OverrideFields()
    set: OverrideFields = OverrideFields()

    @field_validator("rename")
    @classmethod
    def _check_new_names(cls, value: dict[str, str]) -> dict[str, str]:
        _refuse_reserved(dict.fromkeys(value.values()))
        return value


NO_OVERRIDES = Overrides()


def apply_overrides(request: GenerationRequest, overrides: Overrides) -> GenerationRequest:
    """The request with a route's overrides; its model, prompt, inputs and price never change."""
    if overrides == NO_OVERRIDES:
        return request
    extra = {overrides.rename.get(name, name): value for name, value in request.extra.items()}
    fields = {name: getattr(request, name) for name in OverrideFields.model_fields if name != "extra"}
    stated = {name: value for name, value in fields.items() if value is not None}
    values = (
        overrides.default.stated_values() | _map_values(stated, overrides.map) | overrides.set.stated_values()
    )
    extra = overrides.default.extra | extra | overrides.set.extra
    return request.model_copy(update={**values, "extra": extra})


def _map_values(stated: Mapping[str, Any], maps: ValueMaps) -> dict[str, Any]:
    by_field: dict[str, dict[str, Any]] = dict(maps)
    return {name: by_field.get(name, {}).get(_value_text(value), value) for name, value in stated.items()}


def _value_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _refuse_reserved(extra: dict[str, Any]) -> dict[str, Any]:
    reserved = sorted(name for name in extra if name.lower() in RESERVED)
    if reserved:
        raise ValueError(
            f"{reserved[0]} can't be set by a route: it would choose the model, the account or the price"
        )
    return extra


# ---- characters ---------------------------------------------------------------------------------


def adapt_characters(request: GenerationRequest, roles: Collection[Role]) -> GenerationRequest:
    """Characters as inputs that the upstream takes: a subject, else a reference image, else a reference video.

    The request stays unchanged when the upstream takes none of these ``roles``.
    """
    if "subject" in roles or not request.media_with("subject"):
        return request
    return request.model_copy(update={"media": tuple(_adapt_input(item, roles) for item in request.media)})


def _adapt_input(item: MediaInput, roles: Collection[Role]) -> MediaInput:
    if item.role != "subject":
        return item
    if "reference_image" in roles:
        return item.model_copy(update={"role": "reference_image"})
    if "reference_video" in roles and item.clip:
        clip = {"role": "reference_video", "content_type": "video/mp4", "key": item.clip}
        return item.model_copy(update=clip)
    return item


# ---- capabilities -------------------------------------------------------------------------------


def find_refusal(
    request: GenerationRequest, overrides: Overrides, capabilities: Capabilities
) -> InvalidRequest | None:
    """Why an upstream can't do the request, once the overrides are applied; None when it can."""
    adapted = adapt_characters(apply_overrides(request, overrides), capabilities.roles)
    return check_capability(adapted, capabilities)


def check_capability(request: GenerationRequest, capabilities: Capabilities) -> InvalidRequest | None:
    """An error that names the field and what the model can do; None when the upstream can be asked for it."""
    if request.action == "remix" and not capabilities.remix:
        return InvalidRequest(f"{request.model} can't remix videos", param="video")
    for item in request.media:
        if item.role not in capabilities.roles:
            param, word = ROLE_WORDS[item.role]
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
