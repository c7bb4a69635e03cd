"""Reads requests for unified tasks, with the manual's rules on the length of videos."""

from typing import Literal

from app.catalog.presets import PRESETS, ModelPreset, preset_for
from app.dialects.http.body import Body, MediaSource
from app.dialects.http.gateway import Gateway, check_prompt
from app.dialects.http.media_sources import read_source
from app.dialects.prompt.directives import Directives
from app.dialects.prompt.storyboard import read_storyboard
from app.dialects.prompt.video_options import (
    CHARACTER_FIELDS,
    LONGEST_SECONDS,
    read_character,
    read_hd,
    read_resolution,
    read_style,
    size_and_ratio,
)
from app.errors import InvalidRequest, UnknownModel
from app.generation import GenerationRequest, MediaInput, MediaKind, Shot
from app.keys.key import ClientKey

SORA = ("sora-2", "sora-2-pro")
LENGTHS = (10, 15, 25)
ONLY_PRO = 25
DEFAULT_SECONDS = 10
KNOWN_FIELDS = {
    "prompt",
    "model",
    "duration",
    "seconds",
    "aspect_ratio",
    "size",
    "resolution",
    "hd",
    "images",
    "videos",
    "watermark",
    "generate_audio",
    "private",
    "notify_hook",
    "enable_upsample",
    "style",
    "seed",
    "negative_prompt",
    *CHARACTER_FIELDS,
}


async def read_create(body: Body, services: Gateway, key: ClientKey, *, kind: MediaKind) -> GenerationRequest:
    prompt = body.required_text("prompt")
    preset = _require_preset(body.required_text("model"), kind)
    check_prompt(prompt, param="prompt")
    shots = read_storyboard(prompt) if kind == "video" else ()
    seconds = _read_seconds(body, preset, shots=shots) if kind != "image" else None
    hd = read_hd(body, preset) or preset.hd
    size, ratio = size_and_ratio(body, preset, Directives(prompt))
    images, videos = body.sources("images"), body.sources("videos")
    generation = GenerationRequest(
        kind=kind,
        model=preset.name,
        action="edit" if videos else "generate",
        prompt=prompt,
        seconds=seconds,
        size=size,
        aspect_ratio=ratio,
        resolution=read_resolution(
            body, hd=hd and seconds != ONLY_PRO
        ),  # at 25 s hd has no effect (unified manual)
        shots=shots,
        style=read_style(body),
        seed=body.integer("seed"),
        negative_prompt=body.text("negative_prompt"),
        watermark=body.boolean("watermark"),
        sound=body.boolean("generate_audio"),
        private=body.boolean("private") or False,
        extra=body.unknown_fields(KNOWN_FIELDS),
    )
    # Last, because they may have to be downloaded.
    media = [*await _read_media(services, preset, images=images, videos=videos)]
    media += await read_character(body, services, key)
    return generation.model_copy(update={"media": tuple(media)})


def _require_preset(model: str, kind: MediaKind) -> ModelPreset:
    """Raises ``UnknownModel`` for a model of another kind."""
    if model in PRESETS and PRESETS[model].kind != kind:
        raise UnknownModel(model)
    return preset_for(model, kind="image" if kind == "image" else "video")


def _read_seconds(body: Body, preset: ModelPreset, *, shots: tuple[Shot, ...]) -> float | None:
    """Sora makes 10, 15 and 25 seconds; a longer storyboard takes the next of these lengths."""
    name = "seconds" if "seconds" in body and "duration" not in body else "duration"
    requested = body.integer(name, low=1, high=LONGEST_SECONDS)
    shots_seconds = sum(shot.seconds for shot in shots)
    if preset.base not in SORA:
        return requested or preset.seconds or shots_seconds or None
    pro = "pro" in preset.needs
    if requested is not None and requested not in LENGTHS:
        raise InvalidRequest(f"{name} must be one of {', '.join(map(str, LENGTHS))}", param=name)
    if requested == ONLY_PRO != preset.seconds and not pro:
        raise InvalidRequest(f"{name} {ONLY_PRO} is only for sora-2-pro, not for {preset.name}", param=name)
    length = requested or preset.seconds or DEFAULT_SECONDS
    if shots_seconds <= length:
        return length
    longer = [allowed for allowed in LENGTHS if allowed >= shots_seconds and (pro or allowed != ONLY_PRO)]
    if not longer:
        longest = LENGTHS[-1] if pro else LENGTHS[-2]
        text = f"The shots take {shots_seconds:g} seconds together; {preset.name} makes at most {longest}"
        raise InvalidRequest(text, param="prompt")
    return longer[0]


async def _read_media(
    services: Gateway,
    preset: ModelPreset,
    *,
    images: tuple[MediaSource, ...],
    videos: tuple[MediaSource, ...],
) -> list[MediaInput]:
    """A single clip is the source of the video; several clips are references."""
    media = [
        await read_source(image, services, role=role, param="images")
        for image, role in zip(images, preset.image_roles(len(images)), strict=True)
    ]
    for clip in videos:
        single = len(videos) == 1
        role: Literal["source_video", "reference_video"] = "source_video" if single else "reference_video"
        media.append(await read_source(clip, services, role=role, param="videos"))
    return media
