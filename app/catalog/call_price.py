"""What a relayed call costs: the most it can cost before it is sent, and the final cost from its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from app.catalog.call_fields import AnswerLimits, read_count, read_limits
from app.catalog.call_input import (
    PICTURE_TOKENS,
    SOUND_TOKENS_PER_SECOND,
    InputSize,
    measure_input,
)
from app.catalog.price import MILLION, NOTHING, ModelPrice, rate_for
from app.db.tables import round_money
from app.errors import InvalidRequest
from app.media.sound_length import longest_seconds

MOST_HELD = Decimal(1_000_000)
"""US dollars: no call is held or charged at more, whatever numbers a client writes."""
SILENT_PATHS = ("embeddings", "moderations", "rerank")
"""Their answers are no text that is charged."""
COUNTING_PATH = "messages/count_tokens"
IMAGE_TOKENS = 6240
"""Of a large picture in high quality: https://platform.openai.com/docs/guides/image-generation#cost-and-latency"""
WORDS_TOKENS_PER_SECOND = 10
"""What a transcript can hold."""
SPEECH_TOKENS_PER_CHARACTER = 4
SPOKEN_CHARACTERS_PER_SECOND = 8
UNKNOWN_SECONDS = Decimal(3600)
"""Of a sound that is only named by its address."""
SOUND_ADDRESSES = ("url", "audio_url", "file_url")
UNITS_BY_PATH: tuple[tuple[str, frozenset[str]], ...] = (
    ("images/", frozenset({"per_call", "per_image", "per_million_input", "per_million_output"})),
    ("audio/", frozenset({"per_call", "per_second", "per_million_input", "per_million_output"})),
    ("", frozenset({"per_call", "per_million_input", "per_million_output"})),
)
"""The parts of a price that a relayed path counts, by how the path begins."""


@dataclass(frozen=True, slots=True)
class CallBody:
    """What a price can see of a call's body: its fields, and the bytes of its files."""

    fields: Mapping[str, Any]
    files: Sequence[memoryview] = ()


class CallDemand(NamedTuple):
    """The most that one call asks for. ``likely_input`` is what text usually is, for answers that state no usage."""

    path: str
    input_tokens: int = 0
    likely_input: int = 0
    output_tokens: int = 0
    images: int = 0
    size: str = ""
    seconds: Decimal = NOTHING
    ends_later: bool = False
    """Whether the answer only says that the work has begun."""


class ToldUsage(NamedTuple):
    """What an answer states, in tokens and seconds; None for what it does not."""

    read: int | None = None
    written: int | None = None
    seconds: Decimal | None = None


def read_demand(price: ModelPrice, path: str, body: CallBody) -> CallDemand:
    """Raises ``InvalidRequest`` for a number that can't be read, and for a path on which no part of the price counts."""
    _require_counted_units(price, path)
    if path.startswith("audio/"):
        return _sound_demand(path, body)
    if path == COUNTING_PATH:
        return CallDemand(path)
    needs_limits = price.counts_tokens or path.startswith("images/")
    limits = read_limits(body.fields) if needs_limits else AnswerLimits(None, 0, 1)
    size = measure_input(body.fields) if price.counts_tokens else InputSize()
    files = len(body.files) * PICTURE_TOKENS
    if path.startswith("images/"):
        return CallDemand(
            path,
            input_tokens=size.most_tokens + files,
            likely_input=size.likely_tokens + files,
            output_tokens=limits.answers * IMAGE_TOKENS,
            images=limits.answers,
            size=_image_size(body.fields),
        )
    return CallDemand(
        path,
        input_tokens=size.most_tokens,
        likely_input=size.likely_tokens,
        output_tokens=0 if path in SILENT_PATHS else _answer_tokens(price, limits, body.fields),
        ends_later=bool(body.fields.get("background") or body.fields.get("deferred")),
    )


def most_cost(price: ModelPrice, demand: CallDemand) -> Decimal:
    """The most that the call can cost, in US dollars."""
    return cost_of_left_call(price, demand, ToldUsage())


def final_cost(price: ModelPrice, demand: CallDemand, told: ToldUsage, *, measured_output: int) -> Decimal:
    """The cost of a complete answer; ``measured_output`` tokens where it does not state its own."""
    if told.written is None and demand.ends_later:
        return cost_of_left_call(price, demand, told)
    read = demand.likely_input if told.read is None else told.read
    written = measured_output if told.written is None else told.written
    return _call_cost(price, demand, ToldUsage(read, written, told.seconds), rate_of=_stated_rate)


def cost_of_left_call(price: ModelPrice, demand: CallDemand, told: ToldUsage) -> Decimal:
    """The cost of a call that was sent and whose end nobody saw: what it stated so far, and else the most it can be."""
    read = demand.input_tokens if told.read is None else told.read
    written = demand.output_tokens if told.written is None else told.written
    return _call_cost(price, demand, ToldUsage(read, written, told.seconds), rate_of=_dearest_rate)


@lru_cache(maxsize=64)
def counted_units(path: str) -> frozenset[str]:
    return next(units for start, units in UNITS_BY_PATH if path.startswith(start))


def _require_counted_units(price: ModelPrice, path: str) -> None:
    """A call that costs something must not be free because it was made on another path."""
    if price.parts.isdisjoint(counted_units(path)):
        parts = " and ".join(sorted(price.parts))
        raise InvalidRequest(f"This model's price ({parts}) does not count on /v1/{path}.", param="model")


def _answer_tokens(price: ModelPrice, limits: AnswerLimits, fields: Mapping[str, Any]) -> int:
    tokens = price.most_output_tokens if limits.tokens is None else limits.tokens
    # Predicted text that does not come true is charged as output too.
    prediction = fields.get("prediction")
    predicted = measure_input(prediction).text_bytes if isinstance(prediction, dict) else 0
    return (tokens + limits.thinking) * limits.answers + predicted


def _sound_demand(path: str, body: CallBody) -> CallDemand:
    if path == "audio/speech":
        size = measure_input({name: body.fields.get(name) for name in ("input", "instructions")})
        seconds = Decimal(size.text_bytes) / SPOKEN_CHARACTERS_PER_SECOND / _speed_of(body.fields)
        spoken = size.text_bytes * SPEECH_TOKENS_PER_CHARACTER
        return CallDemand(path, size.most_tokens, _characters_of(body.fields), spoken, seconds=seconds)
    seconds = sum((longest_seconds(file) for file in body.files), NOTHING)
    if any(body.fields.get(name) for name in SOUND_ADDRESSES) or not body.files:
        seconds += UNKNOWN_SECONDS
    read = (
        int(seconds * SOUND_TOKENS_PER_SECOND)
        + measure_input({"prompt": body.fields.get("prompt")}).text_bytes
    )
    return CallDemand(path, read, read, int(seconds * WORDS_TOKENS_PER_SECOND) + 100, seconds=seconds)


def _characters_of(fields: Mapping[str, Any]) -> int:
    spoken = fields.get("input")
    return len(spoken) if isinstance(spoken, str) else 0


def _speed_of(fields: Mapping[str, Any]) -> Decimal:
    """How fast a text is spoken, 0.25 to 4."""
    value = fields.get("speed")
    if value is not None:
        read_count(value, "speed")  # refuses what is no number
    return min(max(Decimal(str(value or 1)), Decimal("0.25")), Decimal(4))


def _image_size(fields: Mapping[str, Any]) -> str:
    size = fields.get("size")
    if isinstance(size, str) and size.strip().lower() != "auto":
        return size.strip()
    width, height = (read_count(fields.get(name), name) for name in ("width", "height"))
    return f"{width}x{height}" if width and height else ""


RateReader = Callable[[Mapping[str, Decimal], str], Decimal]


def _stated_rate(rates: Mapping[str, Decimal], size: str) -> Decimal:
    return rate_for(rates, size, "")


def _dearest_rate(rates: Mapping[str, Decimal], size: str) -> Decimal:
    """Where the client names no size, the upstream chooses one."""
    return rate_for(rates, size, "") if size else max(rates.values(), default=NOTHING)


def _call_cost(price: ModelPrice, demand: CallDemand, usage: ToldUsage, *, rate_of: RateReader) -> Decimal:
    read, written = usage.read or 0, usage.written or 0
    total = price.per_call + (read * price.per_million_input + written * price.per_million_output) / MILLION
    if demand.images:
        total += demand.images * rate_of(price.per_image, demand.size)
    if demand.path.startswith("audio/"):
        seconds = demand.seconds if usage.seconds is None else usage.seconds
        total += seconds * rate_of(price.per_second, "")
    return round_money(min(total, MOST_HELD))
