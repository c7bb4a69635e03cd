"""What a request for a film says beside its prompt and its inputs, for every dialect that makes films."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from starlette.requests import HTTPConnection

from app.catalog.presets import PRESETS, STYLES, ModelPreset
from app.dialects.fields.inputs import INPUT_WORDS
from app.dialects.fields.misspelt import refuse_misspelt
from app.dialects.fields.queueing import read_priority, read_start
from app.dialects.fields.shape import Shape, is_quality_tier
from app.dialects.fields.words import (
    HOOK,
    OPTION_WORDS,
    SECONDS,
    SHOTS,
    SOUND,
    is_flag,
    read_text,
    read_word,
    refuse_fields,
    require_single,
)
from app.dialects.http.body import Body
from app.dialects.http.gateway import request_context
from app.errors import InvalidRequest
from app.generation import Shot
from app.tasks.service import RequestContext

FIELD_WORDS = OPTION_WORDS | INPUT_WORDS.keys()
"""Every word that is read in all of these dialects."""


@dataclass(frozen=True, slots=True)
class FilmOptions:
    """The fields of a ``GenerationRequest`` that every dialect reads alike."""

    style: str | None
    seed: int | None
    negative_prompt: str | None
    watermark: bool | None
    sound: bool | None
    private: bool
    max_cost: Decimal | None
    priority: int | None
    start_after: float | None
    extra: dict[str, Any]

    def request_fields(self, shape: Shape, shots: tuple[Shot, ...]) -> dict[str, Any]:
        return {
            "size": shape.size,
            "aspect_ratio": shape.aspect_ratio,
            "resolution": shape.resolution,
            "shots": shots,
            "style": self.style,
            "seed": self.seed,
            "negative_prompt": self.negative_prompt,
            "watermark": self.watermark,
            "sound": self.sound,
            "private": self.private,
            "max_cost": self.max_cost,
            "priority": self.priority,
            "start_after": self.start_after,
            "extra": self.extra,
        }


def read_options(
    body: Body,
    preset: ModelPreset,
    *,
    known: Collection[str],
    named_styles: bool = False,
    directive_style: str | None = None,
) -> FilmOptions:
    """``known`` are the fields that the dialect reads itself; what nobody reads goes to the upstream.

    With ``named_styles``, only the styles of the manuals are taken. Raises ``InvalidRequest``.
    """
    require_single(body)
    sound = read_word(SOUND, lambda name: _read_sound(body, name))
    if preset.kind == "image":
        flags = [sound.name] if sound else []
        refuse_fields([*(name for name in (*SECONDS, *SHOTS) if name in body), *flags], preset)
    passed = set() if is_quality_tier(body) else {"quality"}
    extra = body.unknown_fields((FIELD_WORDS | set(known)) - passed)
    refuse_misspelt(extra, FIELD_WORDS | set(known))
    return FilmOptions(
        style=_read_style(body, named=named_styles) or directive_style,
        seed=body.integer("seed"),
        negative_prompt=body.text("negative_prompt") or None,
        watermark=body.boolean("watermark"),
        sound=sound.value if sound else None,
        private=body.boolean("private") or False,
        max_cost=read_max_cost(body),
        priority=read_priority(body),
        start_after=read_start(body),
        extra=extra,
    )


def read_max_cost(body: Body) -> Decimal | None:
    """The most that the client will pay, in US dollars. Raises ``InvalidRequest``."""
    most = body.number("max_cost", low=0, high=1_000_000)
    return None if most is None else Decimal(str(most))


def read_hd(body: Body, preset: ModelPreset) -> bool:
    """Whether ``hd`` is requested. Raises ``InvalidRequest`` for a preset without hd."""
    hd = body.boolean("hd") or False
    if hd and preset.name in PRESETS and "pro" not in preset.needs:
        raise InvalidRequest(f"hd is only for sora-2-pro, not for {preset.name}", param="hd")
    return hd


def film_context(
    connection: HTTPConnection, dialect: str, body: Body, *, more: Sequence[str] = ()
) -> RequestContext:
    """The context of a task that calls the client's webhook at its end. ``more`` are the dialect's own fields for it."""
    hook = read_word((*more, *HOOK), lambda name: read_text(body, name))
    if hook is None:
        return request_context(connection, dialect)
    return request_context(connection, dialect, hook_url=hook.value, hook_param=hook.name)


def _read_sound(body: Body, name: str) -> bool | None:
    """``audio`` may also be a sound that goes into the film."""
    return None if name == "audio" and not is_flag(body.value(name)) else body.boolean(name)


def _read_style(body: Body, *, named: bool) -> str | None:
    style = body.text("style") or None
    if named and style and style not in STYLES:
        raise InvalidRequest(f"style must be one of {', '.join(STYLES)}", param="style")
    return style
