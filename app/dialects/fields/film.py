"""Builds the request for a film from a dialect's own fields and the words that all dialects share."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from app.catalog.presets import ModelPreset
from app.dialects.fields.characters import read_character
from app.dialects.fields.inputs import ClientInputs, add_inputs
from app.dialects.fields.length import fitting_shots, read_seconds, read_shots, together, video_length
from app.dialects.fields.options import read_hd, read_options
from app.dialects.fields.shape import Shape, read_shape
from app.dialects.fields.words import HD, SECONDS, Stated
from app.dialects.http.body import Body
from app.dialects.http.gateway import Gateway
from app.dialects.prompt.directives import Directives
from app.dialects.prompt.storyboard import write_storyboard
from app.generation import GenerationRequest, MediaInput, MediaKind, Shot
from app.keys.key import ClientKey

StatedShots = Stated[tuple[Shot, ...]]
LengthRule = Callable[[Stated[float] | None, StatedShots], float | None]
"""Makes the length in seconds of the stated one and of the shots."""


@dataclass(frozen=True, slots=True)
class FilmRequest:
    """What a dialect knows of a request before its shared words are read.

    ``known`` are the fields that the dialect reads itself. ``default_seconds`` and ``implied_size`` count where the client
    says nothing else. ``length`` replaces the usual rule, ``without_hd_at`` is a length for which hd has no effect.
    ``zero_unset``: 0 means "not given" in numbers. ``more`` are inputs that need no reading. ``picture_factor``: a picture may
    be so many times as large as usual.
    """

    preset: ModelPreset
    prompt: str
    inputs: ClientInputs
    known: Collection[str]
    kind: MediaKind = "video"
    default_seconds: float | None = None
    implied_size: str | None = None
    length: LengthRule | None = None
    without_hd_at: float | None = None
    directives: Directives = field(default_factory=lambda: Directives(""))
    in_prompt: StatedShots | None = None
    named_styles: bool = False
    fractions: bool = False
    zero_unset: bool = False
    more: tuple[MediaInput, ...] = ()
    picture_factor: int = 1


async def build_film(
    film: FilmRequest, body: Body, services: Gateway, *, key: ClientKey
) -> GenerationRequest:
    """Raises ``InvalidRequest`` that names the client's field. Inputs are fetched last."""
    preset = film.preset
    options = read_options(
        body,
        preset,
        known=film.known,
        named_styles=film.named_styles,
        directive_style=film.directives.style,
    )
    shots = read_shots(body, in_prompt=film.in_prompt)
    seconds = _film_seconds(film, body, shots)
    fitted = _fitting_shots(film, body, shots=shots, seconds=seconds)
    shape = _film_shape(film, body, seconds)
    generation = GenerationRequest(
        kind=film.kind,
        model=preset.name,
        prompt=write_storyboard(film.prompt, shots.value) if shots.name == "shots" else film.prompt,
        seconds=seconds,
        shots_asked=together(shots.value) if fitted != shots.value else None,
        **options.request_fields(shape, fitted),
    )
    generation = await add_inputs(
        generation,
        film.inputs,
        services,
        preset=preset,
        more=film.more,
        picture_factor=film.picture_factor,
    )
    character = tuple(await read_character(body, services, key))
    return generation.model_copy(update={"media": generation.media + character}) if character else generation


def _film_seconds(film: FilmRequest, body: Body, shots: StatedShots) -> float | None:
    if film.kind == "image":
        return None
    stated = read_seconds(body, fractions=film.fractions, zero_unset=film.zero_unset)
    if film.length is not None:
        return film.length(stated, shots)
    asked = stated.value if stated else film.directives.seconds
    return video_length(film.preset, asked, shots=shots, default=film.default_seconds)


def _fitting_shots(
    film: FilmRequest, body: Body, *, shots: StatedShots, seconds: float | None
) -> tuple[Shot, ...]:
    stated = film.directives.seconds or any(name in body for name in SECONDS)
    preset = replace(film.preset, seconds=None) if stated else film.preset
    return fitting_shots(shots, seconds, preset=preset)


def _film_shape(film: FilmRequest, body: Body, seconds: float | None) -> Shape:
    read_hd(body, film.preset)
    counts = film.without_hd_at is None or seconds != film.without_hd_at
    return read_shape(
        body,
        film.preset,
        implied=film.implied_size or film.preset.size,
        turned=film.directives.orientation,
        hd=counts and (film.directives.hd or film.preset.hd),
        flags=HD if counts else HD[1:],
        zero_unset=film.zero_unset,
    )
