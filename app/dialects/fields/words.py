"""The words that clients use for the same thing, and how one value is read from all of them."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.catalog.presets import ModelPreset
from app.dialects.http.body import BOOLEAN_WORDS, Body
from app.errors import InvalidRequest

Value = TypeVar("Value")

SECONDS = ("seconds", "duration", "n_seconds")
RATIO = ("aspect_ratio", "ratio", "orientation")
RESOLUTION = ("resolution", "quality")
SIZE = ("size", "width", "height")
HD = ("hd", "enable_upsample")
SOUND = ("generate_audio", "generate_sound", "sound", "audio")
COUNT = ("n", "n_variants")
HOOK = ("notify_hook", "callback_url")
TARGET = ("remix_target_id",)
CHARACTER = ("character_url", "character_timestamps")
SHOTS = ("shots",)
PLAIN = ("style", "seed", "negative_prompt", "watermark", "private", "max_cost", "priority", "start_after")
OPTION_WORDS = frozenset(
    (*SECONDS, *RATIO, *RESOLUTION, *SIZE, *HD, *SOUND, *COUNT, *HOOK, *TARGET, *CHARACTER, *SHOTS, *PLAIN)
)
"""Every word that is no picture, clip or sound."""


@dataclass(frozen=True, slots=True)
class Stated(Generic[Value]):
    """A value, and the client's name of the field that it came from."""

    name: str
    value: Value


def read_word(
    names: Iterable[str],
    read: Callable[[str], Value | None],
    *,
    same: Callable[[Value], Hashable] = lambda value: value,
) -> Stated[Value] | None:
    """The value of the first of ``names`` that has one. Raises ``InvalidRequest`` as ``one_value`` does."""
    return one_value([Stated(name, value) for name in names if (value := read(name)) is not None], same=same)


def one_value(
    found: Sequence[Stated[Value]], *, same: Callable[[Value], Hashable] = lambda value: value
) -> Stated[Value] | None:
    """The first value. Raises ``InvalidRequest``, naming both fields, when another one differs in what ``same`` returns."""
    for other in found[1:]:
        if same(other.value) != same(found[0].value):
            raise contradiction(found[0].name, other.name)
    return found[0] if found else None


def contradiction(name: str, other: str) -> InvalidRequest:
    return InvalidRequest(f"{name} and {other} say different things: send one of them", param=name)


def read_text(body: Body, name: str) -> str | None:
    """The text without space around it; None when that is empty."""
    return (body.text(name) or "").strip() or None


def is_flag(value: Any) -> bool:
    """Whether ``value`` is a boolean or a word for one."""
    return isinstance(value, bool | int) or (
        isinstance(value, str) and value.strip().lower() in BOOLEAN_WORDS
    )


def require_single(body: Body) -> None:
    """Raises ``InvalidRequest`` for more than one film: one task, which makes one, is all that a video route answers with."""
    for name in COUNT:
        if body.integer(name, low=1) not in (None, 1):
            raise InvalidRequest(f"{name} must be 1: one request makes one task", param=name)


def refuse_fields(names: Iterable[str], preset: ModelPreset) -> None:
    """Raises ``InvalidRequest`` for the first of ``names``: fields for videos, sent to a model that makes images."""
    for name in names:
        raise InvalidRequest(f"{name} is for videos; {preset.name} makes images", param=name)
