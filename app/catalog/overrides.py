"""What a route changes in a request before one of its candidates gets it."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.generation import GenerationRequest
from app.json_bodies import fold_name

RESERVED = frozenset(
    {"model", "version", "prompt", "key", "api_key", "apikey", "secret", "token", "authorization"}
    | {"price", "cost", "budget", "webhook", "webhook_url", "callback_url", "notify_hook"}
)
"""Names that no extra field may have: they choose the model, the account, the price, or whom the upstream calls."""

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Size = Annotated[str, Field(pattern=r"^[1-9]\d{0,4}x[1-9]\d{0,4}$")]
Word = Annotated[str, Field(min_length=1, max_length=200)]


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
    reserved = sorted(name for name in extra if fold_name(name) in RESERVED)
    if reserved:
        raise ValueError(
            f"{reserved[0]} can't be set by a route: it would choose the model, the account or the price"
        )
    return extra
