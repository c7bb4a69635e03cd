"""A wish told in a prompt, as chat and the feature endpoints take it: directives, pictures, clips, shots."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from app.catalog.presets import ModelPreset, preset_for
from app.dialects.http.body import Body, MediaSource
from app.dialects.http.gateway import Gateway, check_prompt
from app.dialects.http.media_sources import read_source
from app.dialects.http.task_files import own_video_input
from app.dialects.prompt.directives import Directives, read_directives
from app.dialects.prompt.storyboard import read_storyboard
from app.dialects.prompt.video_options import (
    CHARACTER_FIELDS,
    read_character,
    read_hd,
    read_resolution,
    read_style,
    size_and_ratio,
)
from app.errors import InvalidRequest, MissingField, NotFound
from app.generation import GenerationRequest, MediaInput, Shot
from app.keys.key import ClientKey
from app.tasks.task import Task

DEFAULT_SECONDS = 10
MOST_SECONDS = 3_600
PROMPT_FIELDS = frozenset(
    {
        "model",
        "stream",
        "stream_options",
        "seconds",
        "duration",
        "size",
        "aspect_ratio",
        "resolution",
        "hd",
        "enable_upsample",
        "style",
        "seed",
        "negative_prompt",
        "watermark",
        "generate_audio",
        "private",
        "notify_hook",
        *CHARACTER_FIELDS,
    }
)


@dataclass(frozen=True, slots=True)
class FieldNames:
    """What the fields are called, for messages."""

    text: str
    images: str
    videos: str
    target: str


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """A prompt and what came with it. ``target`` is what shall be remixed, if the prompt does not say it."""

    kind: Literal["video", "image"]
    model: str
    text: str
    field_names: FieldNames
    images: tuple[MediaSource, ...] = ()
    videos: tuple[MediaSource, ...] = ()
    remix_target: str | None = None
    media: tuple[MediaInput, ...] = ()


async def build_request(
    wish: PromptRequest, body: Body, services: Gateway, *, key: ClientKey, known: Collection[str]
) -> GenerationRequest:
    """The waist's form; options come from ``body``, and what is not ``known`` goes to the upstream's own.

    Raises what the client must be told, naming the field.
    """
    preset = preset_for(wish.model, kind=wish.kind)
    check_prompt(wish.text, param=wish.field_names.text)
    found = read_directives(wish.text)
    shots = read_storyboard(found.prompt) if wish.kind == "video" else ()
    remixed = await _remix_source(wish, found, services, key=key)
    size, ratio = size_and_ratio(body, preset, found)
    wanted = GenerationRequest(
        kind=wish.kind,
        model=wish.model,
        action="remix" if remixed else "edit" if wish.videos else "generate",
        prompt=found.prompt,
        seconds=_video_seconds(body, preset, found=found, shots=shots, name=wish.field_names.text)
        if wish.kind == "video"
        else None,
        size=size,
        aspect_ratio=ratio,
        resolution=read_resolution(body, hd=read_hd(body, preset) or found.hd or preset.hd),
        shots=shots,
        style=read_style(body, told=found.style),
        seed=body.integer("seed"),
        negative_prompt=body.text("negative_prompt"),
        remix_of=remixed.id if remixed else None,
        watermark=body.boolean("watermark"),
        sound=body.boolean("generate_audio"),
        private=body.boolean("private") or False,
        extra=body.unknown_fields(known),
    )
    # Last, as they may have to be fetched from afar.
    media = [
        *wish.media,
        *await _read_media(wish, services, preset),
        *await read_character(body, services, key),
    ]
    if remixed is not None:
        media.append(own_video_input(remixed, param=wish.field_names.target))
    if not found.prompt.strip() and not media:
        raise MissingField(wish.field_names.text)
    return wanted.model_copy(update={"media": tuple(media)})


async def _read_media(wish: PromptRequest, services: Gateway, preset: ModelPreset) -> list[MediaInput]:
    roles = preset.image_roles(len(wish.images))
    found = [
        await read_source(image, services, role=role, param=wish.field_names.images)
        for image, role in zip(wish.images, roles, strict=True)
    ]
    param = wish.field_names.videos
    if len(wish.videos) > 1:
        raise InvalidRequest(f"One video can be worked on at a time, not {len(wish.videos)}", param=param)
    clips = [await read_source(clip, services, role="source_video", param=param) for clip in wish.videos]
    return [*found, *clips]


async def _remix_source(
    wish: PromptRequest, found: Directives, services: Gateway, *, key: ClientKey
) -> Task | None:
    target = wish.remix_target or found.remix_of
    if target is None:
        return None
    try:
        return await services.tasks.get(target.removeprefix("s_"), key)
    except NotFound:
        text = f"{target[:100]} is not a video of this gateway; Sora's own share links ended with Sora."
        raise InvalidRequest(text, param=wish.field_names.target) from None


def _video_seconds(
    body: Body, preset: ModelPreset, *, found: Directives, shots: tuple[Shot, ...], name: str
) -> float:
    asked = body.number("seconds", low=1, high=MOST_SECONDS) or body.number(
        "duration", low=1, high=MOST_SECONDS
    )
    told = sum(shot.seconds for shot in shots)
    length = asked or found.seconds or preset.seconds
    if length is not None and told > length:
        text = f"The shots take {told:g} seconds together; {preset.name} makes {length:g}"
        raise InvalidRequest(text, param=name)
    return length or told or DEFAULT_SECONDS
