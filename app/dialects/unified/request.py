"""Reads requests for unified tasks, with the manual's rules on the length of videos."""

from app.catalog.presets import PRESETS, ModelPreset, preset_for
from app.dialects.fields.film import FilmRequest, StatedShots, build_film
from app.dialects.fields.inputs import read_inputs
from app.dialects.fields.length import SORA
from app.dialects.fields.words import Stated
from app.dialects.http.body import Body
from app.dialects.http.gateway import Gateway, check_prompt
from app.dialects.prompt.storyboard import read_storyboard
from app.errors import InvalidRequest, UnknownModel
from app.generation import GenerationRequest, MediaKind
from app.keys.key import ClientKey

LENGTHS = (10, 15, 25)
ONLY_PRO = 25
DEFAULT_SECONDS = 10
KNOWN_FIELDS = {"model", "prompt"}
PICTURE_FACTOR = 2
"""The platform manual allows pictures of 20 MB, twice what the others do."""


async def read_create(body: Body, services: Gateway, key: ClientKey, *, kind: MediaKind) -> GenerationRequest:
    prompt = body.required_text("prompt")
    preset = _require_preset(body.required_text("model"), kind)
    check_prompt(prompt, param="prompt")
    film = FilmRequest(
        preset,
        prompt,
        await read_inputs(body, services, key),
        KNOWN_FIELDS,
        kind=kind,
        length=lambda stated, shots: _task_seconds(preset, stated, shots),
        without_hd_at=ONLY_PRO,  # as the unified manual says
        in_prompt=Stated("prompt", read_storyboard(prompt) if kind == "video" else ()),
        named_styles=True,
        picture_factor=PICTURE_FACTOR,
    )
    return await build_film(film, body, services, key=key)


def _require_preset(model: str, kind: MediaKind) -> ModelPreset:
    """Raises ``UnknownModel`` for a model of another kind."""
    if model in PRESETS and PRESETS[model].kind != kind:
        raise UnknownModel(model)
    return preset_for(model, kind="image" if kind == "image" else "video")


def _task_seconds(preset: ModelPreset, stated: Stated[float] | None, shots: StatedShots) -> float | None:
    """Sora makes 10, 15 and 25 seconds; a longer storyboard takes the next of these lengths."""
    requested = stated.value if stated else None
    shots_seconds = sum(shot.seconds for shot in shots.value)
    if preset.base not in SORA:
        return requested or preset.seconds or shots_seconds or None
    pro = "pro" in preset.needs
    if stated is not None and requested not in LENGTHS:
        text = f"{stated.name} must be one of {', '.join(map(str, LENGTHS))}"
        raise InvalidRequest(text, param=stated.name)
    if stated is not None and requested == ONLY_PRO != preset.seconds and not pro:
        text = f"{stated.name} {ONLY_PRO} is only for sora-2-pro, not for {preset.name}"
        raise InvalidRequest(text, param=stated.name)
    length = requested or preset.seconds or DEFAULT_SECONDS
    if shots_seconds <= length:
        return length
    longer = [allowed for allowed in LENGTHS if allowed >= shots_seconds and (pro or allowed != ONLY_PRO)]
    if not longer:
        longest = LENGTHS[-1] if pro else LENGTHS[-2]
        text = f"The shots take {shots_seconds:g} seconds together; {preset.name} makes at most {longest}"
        raise InvalidRequest(text, param=shots.name)
    return longer[0]
