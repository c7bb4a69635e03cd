"""Requests that stand in a prompt (chat, feature endpoints): directives, pictures, clips, shots."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from app.catalog.presets import ModelPreset, preset_for
from app.dialects.http.body import Body, MediaSource
from app.dialects.http.gateway import Gateway, check_prompt
from app.dialects.http.media_sources import read_source
from app.dialects.prompt.directives import Directives, read_directives
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
from app.errors import InvalidRequest, MissingField, NotFound
from app.generation import GenerationRequest, MediaInput, Shot
from app.keys.key import ClientKey
from app.tasks.task import Task, own_video_input

DEFAULT_SECONDS = 10
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
    """The client's names of the fields, for error messages."""

    text: str
    images: str
    videos: str
    target: str


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """A prompt and its media. ``remix_target`` is the video to remix, unless the prompt names it."""

    kind: Literal["video", "image"]
    model: str
    text: str
    field_names: FieldNames
    images: tuple[MediaSource, ...] = ()
    videos: tuple[MediaSource, ...] = ()
    remix_target: str | None = None
    media: tuple[MediaInput, ...] = ()


async def build_request(
    prompt_request: PromptRequest, body: Body, services: Gateway, *, key: ClientKey, known: Collection[str]
) -> GenerationRequest:
    """Options are read from ``body``; its fields that are not ``known`` are passed on to the upstream.

    Raises ``InvalidRequest`` or ``MissingField``.
    """
    preset = preset_for(prompt_request.model, kind=prompt_request.kind)
    check_prompt(prompt_request.text, param=prompt_request.field_names.text)
    directives = read_directives(prompt_request.text)
    shots = read_storyboard(directives.prompt) if prompt_request.kind == "video" else ()
    remixed = await _remix_source(prompt_request, directives, services, key=key)
    size, ratio = size_and_ratio(body, preset, directives)
    generation = GenerationRequest(
        kind=prompt_request.kind,
        model=prompt_request.model,
        action="remix" if remixed else "edit" if prompt_request.videos else "generate",
        prompt=directives.prompt,
        seconds=_video_seconds(
            body, preset, directives=directives, shots=shots, name=prompt_request.field_names.text
        )
        if prompt_request.kind == "video"
        else None,
        size=size,
        aspect_ratio=ratio,
        resolution=read_resolution(body, hd=read_hd(body, preset) or directives.hd or preset.hd),
        shots=shots,
        style=read_style(body, directive=directives.style),
        seed=body.integer("seed"),
        negative_prompt=body.text("negative_prompt"),
        remix_of=remixed.id if remixed else None,
        watermark=body.boolean("watermark"),
        sound=body.boolean("generate_audio"),
        private=body.boolean("private") or False,
        extra=body.unknown_fields(known),
    )
    # Last, because they may have to be downloaded.
    media = [
        *prompt_request.media,
        *await _read_media(prompt_request, services, preset),
        *await read_character(body, services, key),
    ]
    if remixed is not None:
        media.append(own_video_input(remixed, param=prompt_request.field_names.target))
    if not directives.prompt.strip() and not media:
        raise MissingField(prompt_request.field_names.text)
    return generation.model_copy(update={"media": tuple(media)})


async def _read_media(
    prompt_request: PromptRequest, services: Gateway, preset: ModelPreset
) -> list[MediaInput]:
    roles = preset.image_roles(len(prompt_request.images))
    found = [
        await read_source(image, services, role=role, param=prompt_request.field_names.images)
        for image, role in zip(prompt_request.images, roles, strict=True)
    ]
    param = prompt_request.field_names.videos
    if len(prompt_request.videos) > 1:
        raise InvalidRequest(
            f"One video can be worked on at a time, not {len(prompt_request.videos)}", param=param
        )
    clips = [
        await read_source(clip, services, role="source_video", param=param) for clip in prompt_request.videos
    ]
    return [*found, *clips]


async def _remix_source(
    prompt_request: PromptRequest, directives: Directives, services: Gateway, *, key: ClientKey
) -> Task | None:
    target = prompt_request.remix_target or directives.remix_of
    if target is None:
        return None
    try:
        return await services.tasks.get(target.removeprefix("s_"), key)
    except NotFound:
        text = f"{target[:100]} is not a video of this gateway; Sora's own share links ended with Sora."
        raise InvalidRequest(text, param=prompt_request.field_names.target) from None


def _video_seconds(
    body: Body, preset: ModelPreset, *, directives: Directives, shots: tuple[Shot, ...], name: str
) -> float:
    requested = body.number("seconds", low=1, high=LONGEST_SECONDS) or body.number(
        "duration", low=1, high=LONGEST_SECONDS
    )
    shots_seconds = sum(shot.seconds for shot in shots)
    length = requested or directives.seconds or preset.seconds
    if length is not None and shots_seconds > length:
        text = f"The shots take {shots_seconds:g} seconds together; {preset.name} makes {length:g}"
        raise InvalidRequest(text, param=name)
    return length or shots_seconds or DEFAULT_SECONDS
