"""What a model costs: an estimate before a task or call, and the final cost from its result."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.catalog.call_fields import read_count
from app.catalog.presets import PRESETS
from app.db.tables import round_money
from app.generation import GenerationRequest
from app.usage.recorder import INPUT_TOKENS, OUTPUT_TOKENS, token_count
from app.validation import validate_document

Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000)]
RatesByName = dict[str, Dollars]
ANY_SIZE = "*"
MILLION = 1_000_000
HEIGHTS = (360, 480, 540, 720, 1080, 1440, 2160)
"""A resolution is named by the shorter side, rounded up to the next usual height: 1280x704 is 720p."""
DEFAULT_SECONDS = Decimal(10)
MAX_FILES = 16
BYTES_PER_TOKEN = 4
DEFAULT_MOST_OUTPUT_TOKENS = 65_536
NOTHING = Decimal(0)


class MadeFile(Protocol):
    """A file that came back; lengths in seconds, sizes in pixels. ``made_seconds``: what the vendor made, where our copy was
    trimmed."""

    @property
    def content_type(self) -> str: ...
    @property
    def width(self) -> int | None: ...
    @property
    def height(self) -> int | None: ...
    @property
    def seconds(self) -> float | None: ...
    @property
    def made_seconds(self) -> float | None: ...


class ModelPrice(BaseModel):
    """A price in US dollars; its parts add up.

    Rates are listed by size (``1280x720``, either way round), by resolution (``720p``), or for all others (``*``). Without
    ``*``, a size that is not listed costs as much as the most expensive one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_call: Dollars = NOTHING
    per_second: RatesByName = Field(default_factory=dict)
    per_image: RatesByName = Field(default_factory=dict)
    per_million_input: Dollars = NOTHING
    per_million_output: Dollars = NOTHING
    per_unit: RatesByName = Field(default_factory=dict)
    """By the names of the units that the upstream reports (``cost``, ``credits``). Where it reports one of these, they
    are the whole price, and the other parts are only used for the estimate."""
    most_output_tokens: int = Field(default=DEFAULT_MOST_OUTPUT_TOKENS, ge=1, le=10_000_000)
    """No part of the price: the longest answer of the model in tokens, which is held for a relayed call that states no
    length."""

    @field_validator("per_second", "per_image", mode="before")
    @classmethod
    def _one_rate(cls, value: Any) -> Any:
        return {ANY_SIZE: value} if isinstance(value, int | float | str | Decimal) else value

    @field_validator("per_second", "per_image", "per_unit")
    @classmethod
    def _check_rates(cls, value: RatesByName) -> RatesByName:
        if len(value) > 100 or any(not name.strip() or len(name) > 64 for name in value):
            raise ValueError("takes at most 100 rates, with names of 1 to 64 characters")
        return {name.strip().lower(): rate for name, rate in value.items()}

    @cached_property
    def parts(self) -> frozenset[str]:
        """The names of the parts that cost something."""
        rates = {
            name: max(by_size.values(), default=NOTHING) for name, by_size in self._rates_by_part.items()
        }
        fixed = {
            name: getattr(self, name) for name in ("per_call", "per_million_input", "per_million_output")
        }
        return frozenset(name for name, amount in (rates | fixed).items() if amount)

    @property
    def is_free(self) -> bool:
        return not self.parts

    @property
    def _rates_by_part(self) -> Mapping[str, RatesByName]:
        return {"per_second": self.per_second, "per_image": self.per_image, "per_unit": self.per_unit}

    @property
    def has_estimate(self) -> bool:
        """Whether an estimate covers what is billed: units and an answer's tokens are known only afterwards."""
        fixed = (self.per_call, *self.per_second.values(), *self.per_image.values())
        return any(fixed) and not self.per_million_output

    @cached_property
    def counts_tokens(self) -> bool:
        return bool(self.per_million_input or self.per_million_output)

    # ---- tasks ----------------------------------------------------------------------------------

    def estimate_request(self, request: GenerationRequest) -> Decimal:
        """The estimated cost of a request in US dollars."""
        size, resolution = _requested_size(request), (request.resolution or "").lower()
        count = _requested_count(request)
        total = self.per_call
        if request.kind in ("video", "audio"):
            total += count * _requested_seconds(request) * rate_for(self.per_second, size, resolution)
        if request.kind == "image":
            total += count * rate_for(self.per_image, size, resolution)
        return round_money(total + self._token_cost(_prompt_tokens(request), 0))

    def final_cost(
        self, request: GenerationRequest, files: Sequence[MadeFile], usage: Mapping[str, Any]
    ) -> Decimal:
        """The cost in US dollars of what came back: of the units that the upstream reports, else of files and tokens."""
        reported = self.reported_cost(usage)
        if reported is not None:
            return reported
        total = self.per_call
        for file in files:
            size = f"{file.width}x{file.height}" if file.width and file.height else _requested_size(request)
            if file.content_type.startswith("image/"):
                total += rate_for(self.per_image, size, "")
            else:
                total += billed_seconds(file, request, usage, alone=len(files) == 1) * rate_for(
                    self.per_second, size, ""
                )
        return round_money(
            total
            + self._token_cost(token_count(usage, INPUT_TOKENS) or 0, token_count(usage, OUTPUT_TOKENS) or 0)
        )

    def reported_cost(self, usage: Mapping[str, Any]) -> Decimal | None:
        """The cost in US dollars of the units that the upstream reports; None where it reports none."""
        return cost_of_units(self.per_unit, usage)

    def cost_of_tokens(self, read: int, written: int) -> Decimal:
        return round_money(self._token_cost(read, written))

    def _token_cost(self, read: int, written: int) -> Decimal:
        return (read * self.per_million_input + written * self.per_million_output) / MILLION


def read_price(fields: Mapping[str, Any]) -> ModelPrice:
    """Raises ``InvalidRequest`` that names the field."""
    return validate_document(ModelPrice, dict(fields), whole="price")


def rate_for(rates: Mapping[str, Decimal], size: str, resolution: str) -> Decimal:
    """The rate for a size ``WxH`` or a resolution's name; if it is not listed, that of ``*``, else the highest."""
    if not rates:
        return NOTHING
    width, _, height = size.lower().partition("x")
    names = [size.lower(), f"{height}x{width}", resolution, resolution_of(size)]
    listed = next((rates[name] for name in names if name and name in rates), None)
    return listed if listed is not None else rates.get(ANY_SIZE, max(rates.values()))


def resolution_of(size: str) -> str:
    """``1280x704`` is ``720p``; empty when ``size`` is not a size."""
    sides = [int(side) for side in size.lower().split("x") if side.isdigit()]
    if len(sides) != 2:
        return ""
    height = next((known for known in HEIGHTS if min(sides) <= known), min(sides))
    return f"{height}p"


def _requested_size(request: GenerationRequest) -> str:
    preset = PRESETS.get(request.model)
    return request.size or (preset.size if preset and preset.size else "")


def _requested_seconds(request: GenerationRequest) -> Decimal:
    if request.shots:
        return Decimal(str(sum(shot.seconds for shot in request.shots)))
    preset = PRESETS.get(request.model)
    seconds = request.seconds or (preset.seconds if preset else None)
    return Decimal(str(seconds)) if seconds else DEFAULT_SECONDS


def billed_seconds(
    file: MadeFile, request: GenerationRequest, usage: Mapping[str, Any], *, alone: bool
) -> Decimal:
    """The seconds that the upstream reports, else the measured length in whole seconds, as vendors count."""
    reported = _reported_units(usage, "seconds") if alone else None
    if reported:
        return reported
    made = file.made_seconds or file.seconds
    if made:
        return Decimal(max(1, int(made + 0.5)))
    return _requested_seconds(request)


def _requested_count(request: GenerationRequest) -> int:
    """Raises ``InvalidRequest`` for an ``n`` that is no number."""
    return min(read_count(request.extra.get("n"), "n") or 1, MAX_FILES)


def _prompt_tokens(request: GenerationRequest) -> int:
    return len(request.prompt) // BYTES_PER_TOKEN


def cost_of_units(rates: Mapping[str, Decimal], usage: Mapping[str, Any]) -> Decimal | None:
    """US dollars for those of the units in ``rates`` that an upstream reports; None where it reports none."""
    reported = {name: units for name in rates if (units := _reported_units(usage, name)) is not None}
    if not reported:
        return None
    return round_money(sum((units * rates[name] for name, units in reported.items()), NOTHING))


def _reported_units(usage: Mapping[str, Any], name: str) -> Decimal | None:
    value = usage.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        units = Decimal(str(value))
    except ArithmeticError:
        return None
    return units if units.is_finite() and 0 <= units < 10**15 else None
