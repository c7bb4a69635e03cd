"""How long a film is to be: seconds in any of their words, and shots."""

import math
from collections.abc import Sequence

from app.catalog.presets import ModelPreset
from app.dialects.fields.words import SECONDS, Stated, one_value, read_text, read_word
from app.dialects.http.body import Body
from app.errors import InvalidRequest
from app.generation import Shot

LONGEST_SECONDS = 3_600
MOST_SHOTS = 100
SORA = ("sora-2", "sora-2-pro")
SORA_SECONDS = 10
SHOT_SECONDS = ("seconds", "duration")
SHOT_TEXTS = ("prompt", "text", "scene")


def read_seconds(body: Body, *, fractions: bool = False, zero_unset: bool = False) -> Stated[float] | None:
    """``zero_unset``: some clients write 0 for a length that they leave open."""
    low = 0 if zero_unset else 1

    def read(name: str) -> float | None:
        if fractions:
            return body.number(name, low=low, high=LONGEST_SECONDS) or None
        return body.integer(name, low=low, high=LONGEST_SECONDS) or None

    return read_word(SECONDS, read)


def read_shots(body: Body, *, in_prompt: Stated[tuple[Shot, ...]] | None = None) -> Stated[tuple[Shot, ...]]:
    """``shots``, a list of objects with a length and a text, else the shots of a storyboard ``in_prompt``; maybe none.

    Raises ``InvalidRequest``, also when both are there and differ.
    """
    shots = tuple(_read_shot(body, number, item) for number, item in enumerate(body.list("shots")))
    found = [stated for stated in (Stated("shots", shots), in_prompt) if stated and stated.value]
    return one_value(found) or Stated("shots", ())


def _read_shot(body: Body, number: int, item: object) -> Shot:
    where = f"shots[{number}]"
    if not isinstance(item, dict) or number >= MOST_SHOTS:
        raise InvalidRequest(f"shots must be a list of at most {MOST_SHOTS} objects", param=where)
    shot = Body(item, limits=body.limits, path=where)
    unknown = next((name for name in shot.fields if name not in (*SHOT_SECONDS, *SHOT_TEXTS)), None)
    if unknown is not None:
        raise InvalidRequest(f"A shot has no field {unknown[:100]}", param=f"{where}.{unknown[:100]}")
    seconds = read_word(SHOT_SECONDS, lambda name: shot.number(name, low=0.1, high=LONGEST_SECONDS))
    text = read_word(SHOT_TEXTS, lambda name: read_text(shot, name))
    if seconds is None or text is None:
        missing = f"{where}.{SHOT_SECONDS[0] if seconds is None else SHOT_TEXTS[0]}"
        raise InvalidRequest(f"{missing} is required", param=missing)
    return Shot(seconds=seconds.value, prompt=text.value)


def video_length(
    preset: ModelPreset, stated: float | None, *, shots: Stated[tuple[Shot, ...]], default: float | None
) -> float | None:
    """The length in seconds: what was stated or the model's name says, else that of the shots, else ``default``."""
    return stated or preset.seconds or together(shots.value) or default


def fitting_shots(
    shots: Stated[tuple[Shot, ...]], seconds: float | None, *, preset: ModelPreset
) -> tuple[Shot, ...]:
    """The shots as they fit into ``seconds``. Where only the model's name says how long the film is, as in the manual's own
    sample, longer shots are shortened alike. Raises ``InvalidRequest`` where the client says both."""
    whole = together(shots.value)
    if seconds is None or whole <= seconds:
        return shots.value
    if seconds == preset.seconds and len(shots.value) <= seconds:
        return _shortened(shots.value, seconds)
    text = f"The shots take {whole:g} seconds together; {preset.name} makes {seconds:g}"
    raise InvalidRequest(text, param=shots.name)


def together(shots: tuple[Shot, ...]) -> float:
    return sum(shot.seconds for shot in shots)


def _shortened(shots: tuple[Shot, ...], seconds: float) -> tuple[Shot, ...]:
    """Whole seconds stay whole, as several vendors take no others."""
    factor = seconds / together(shots)
    if not all(shot.seconds.is_integer() for shot in shots):
        parts = [max(math.floor(shot.seconds * factor * 1000), 1) / 1000 for shot in shots]
        return _with_lengths(shots, parts)
    lengths = [max(math.floor(shot.seconds * factor), 1) for shot in shots]
    while sum(lengths) != seconds:
        # One second more to the shot that lost most by rounding, or less to the one that gained most.
        step = 1 if sum(lengths) < seconds else -1
        able = [at for at, length in enumerate(lengths) if length + step >= 1]
        lengths[max(able, key=lambda at: step * (shots[at].seconds * factor - lengths[at]))] += step
    return _with_lengths(shots, lengths)


def _with_lengths(shots: tuple[Shot, ...], lengths: Sequence[float]) -> tuple[Shot, ...]:
    return tuple(
        Shot(seconds=length, prompt=shot.prompt) for shot, length in zip(shots, lengths, strict=True)
    )


def manual_default(preset: ModelPreset) -> int | None:
    """What the manuals make of Sora without a length, in seconds; None leaves it to the upstream."""
    return SORA_SECONDS if preset.base in SORA else None
