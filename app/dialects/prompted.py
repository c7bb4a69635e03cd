"""A wish told in a prompt, as chat and the feature endpoints take it: directives, pictures, clips, shots."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from app.catalog.presets import Preset, preset_for
from app.dialects.body import Body, Source
from app.dialects.content import own_video
from app.dialects.directives import Directives, read_directives
from app.dialects.gateway import Gateway, check_prompt
from app.dialects.sources import read_source
from app.dialects.storyboard import read_storyboard
from app.dialects.video_options import (
    CHARACTER_FIELDS,
    quality,
    read_character,
    read_hd,
    read_style,
    shape,
)
from app.errors import InvalidRequest, MissingField, NotFound
from app.generation import GenerationRequest, MediaInput, Shot
from app.keys.service import Key
from app.tasks.task import Task

DEFAULT_SECONDS = 10
MOST_SECONDS = 3_600
KNOWN = frozenset(
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
class Named:
    """What the fields are called, for messages."""

    text: str
    images: str
    videos: str
    target: str


@dataclass(frozen=True, slots=True)
class Wish:
    """A prompt and what came with it. ``target`` is what shall be remixed, if the prompt does not say it."""

    kind: Literal["video", "image"]
    model: str
    text: str
    named: Named
    images: tuple[Source, ...] = ()
    videos: tuple[Source, ...] = ()
    target: str | None = None
    media: tuple[MediaInput, ...] = ()


async def read_wish(
    wish: Wish, body: Body, services: Gateway, *, key: Key, known: Collection[str]
) -> GenerationRequest:
    """The waist's form; options come from ``body``, and what is not ``known`` goes to the upstream's own.

    Raises what the client must be told, naming the field.
    """
    preset = preset_for(wish.model, kind=wish.kind)
    check_prompt(wish.text, param=wish.named.text)
    found = read_directives(wish.text)
    shots = read_storyboard(found.prompt) if wish.kind == "video" else ()
    remixed = await _remixed(wish, found, services, key=key)
    size, ratio = shape(body, preset, found)
    wanted = GenerationRequest(
        kind=wish.kind,
        model=wish.model,
        action="remix" if remixed else "edit" if wish.videos else "generate",
        prompt=found.prompt,
        seconds=_seconds(body, preset, found=found, shots=shots, name=wish.named.text)
        if wish.kind == "video"
        else None,
        size=size,
        aspect_ratio=ratio,
        resolution=quality(body, hd=read_hd(body, preset) or found.hd or preset.hd),
        shots=shots,
        style=read_style(body, told=found.style),
        seed=body.integer("seed"),
        negative_prompt=body.text("negative_prompt"),
        remix_of=remixed.id if remixed else None,
        watermark=body.boolean("watermark"),
        sound=body.boolean("generate_audio"),
        private=body.boolean("private") or False,
        extra=body.rest(known),
    )
    # Last, as they may have to be fetched from afar.
    media = [*wish.media, *await _media(wish, services, preset), *await read_character(body, services, key)]
    if remixed is not None:
        media.append(own_video(remixed, param=wish.named.target))
    if not found.prompt.strip() and not media:
        raise MissingField(wish.named.text)
    return wanted.model_copy(update={"media": tuple(media)})


async def _media(wish: Wish, services: Gateway, preset: Preset) -> list[MediaInput]:
    roles = preset.image_roles(len(wish.images))
    found = [
        await read_source(image, services, role=role, param=wish.named.images)
        for image, role in zip(wish.images, roles, strict=True)
    ]
    param = wish.named.videos
    if len(wish.videos) > 1:
        raise InvalidRequest(f"One video can be worked on at a time, not {len(wish.videos)}", param=param)
    clips = [await read_source(clip, services, role="source_video", param=param) for clip in wish.videos]
    return [*found, *clips]


async def _remixed(wish: Wish, found: Directives, services: Gateway, *, key: Key) -> Task | None:
    target = wish.target or found.remix_of
    if target is None:
        return None
    try:
        return await services.tasks.get(target.removeprefix("s_"), key)
    except NotFound:
        text = f"{target[:100]} is not a video of this gateway; Sora's own share links ended with Sora."
        raise InvalidRequest(text, param=wish.named.target) from None


def _seconds(body: Body, preset: Preset, *, found: Directives, shots: tuple[Shot, ...], name: str) -> float:
    asked = body.number("seconds", low=1, high=MOST_SECONDS) or body.number(
        "duration", low=1, high=MOST_SECONDS
    )
    told = sum(shot.seconds for shot in shots)
    length = asked or found.seconds or preset.seconds
    if length is not None and told > length:
        text = f"The shots take {told:g} seconds together; {preset.name} makes {length:g}"
        raise InvalidRequest(text, param=name)
    return length or told or DEFAULT_SECONDS
