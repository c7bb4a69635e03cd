"""Reads requests to the Videos API: create, edit, extend and remix."""

from typing import Any

from app.catalog.presets import video_preset
from app.dialects.http.body import Body
from app.dialects.http.gateway import (
    Gateway,
    check_prompt,
    read_size,
)
from app.dialects.http.media_sources import read_source
from app.dialects.openai_videos.answer import speaks_manual
from app.dialects.prompt.video_options import LONGEST_SECONDS
from app.errors import InvalidRequest, MissingField
from app.generation import GenerationRequest, MediaInput, Role
from app.keys.key import ClientKey
from app.tasks.task import own_video_input

DEFAULT_MODEL = "sora-2"
KNOWN_FIELDS = {
    "model",
    "prompt",
    "seconds",
    "size",
    "input_reference",
    "video",
    "characters",
    "seed",
    "negative_prompt",
    "style",
    "watermark",
    "generate_audio",
    "notify_hook",
}


async def read_create(body: Body, services: Gateway, key: ClientKey) -> GenerationRequest:
    model = body.text("model") or DEFAULT_MODEL
    preset = video_preset(model)
    default = 10 if speaks_manual(key) else 4
    seconds = body.integer("seconds", low=1, high=LONGEST_SECONDS)
    known_name = preset.base != preset.name or preset.size is not None
    generation = GenerationRequest(
        kind="video",
        model=model,
        prompt=read_prompt(body),
        seconds=seconds or preset.seconds or (default if known_name else None),
        size=read_size(body.text("size")) or preset.size,
        seed=body.integer("seed"),
        negative_prompt=body.text("negative_prompt"),
        style=body.text("style"),
        watermark=body.boolean("watermark"),
        sound=body.boolean("generate_audio"),
        extra=body.unknown_fields(KNOWN_FIELDS),
    )
    # Last, because they may have to be downloaded.
    media = (*await _read_references(body, services), *await _read_characters(body, services, key))
    return generation.model_copy(update={"media": media})


async def read_from_source(
    body: Body, services: Gateway, key: ClientKey, *, action: Any
) -> GenerationRequest:
    """An edit or extension. ``video`` is a file, or holds the id of a task."""
    prompt = read_prompt(body)
    video = body.source("video")
    if video is None:
        raise MissingField("video")
    task_id = video.text("id") if isinstance(video, Body) else None
    source_task = await services.tasks.get(task_id, key) if task_id else None
    seconds = body.integer("seconds", low=1, high=LONGEST_SECONDS)
    generation = GenerationRequest(
        kind="video",
        action=action,
        model=video_preset(body.text("model") or (source_task.model if source_task else DEFAULT_MODEL)).name,
        prompt=prompt,
        seconds=seconds or (source_task.request.seconds if source_task else None),
        size=read_size(body.text("size")) or (source_task.request.size if source_task else None),
        remix_of=source_task.id if source_task else None,
        extra=body.unknown_fields(KNOWN_FIELDS),
    )
    if source_task:
        media = own_video_input(source_task, param="video")
    else:
        media = await read_source(video, services, role="source_video", param="video")
    return generation.model_copy(update={"media": (media,)})


async def _read_references(body: Body, services: Gateway) -> list[MediaInput]:
    """The first picture is the first frame; all others are references."""
    media: list[MediaInput] = []
    for number, source in enumerate(body.sources("input_reference")):
        role: Role = "first_frame" if number == 0 else "reference_image"
        media.append(await read_source(source, services, role=role, param="input_reference"))
    return media


async def _read_characters(body: Body, services: Gateway, key: ClientKey) -> list[MediaInput]:
    media: list[MediaInput] = []
    for item in body.list("characters"):
        name = item.get("id") if isinstance(item, dict) else item
        if not isinstance(name, str):
            raise InvalidRequest("characters must be a list of objects with an id", param="characters")
        media.append((await services.characters.get(name, key=key)).as_input())
    return media


def read_prompt(body: Body) -> str:
    prompt = body.required_text("prompt")
    check_prompt(prompt, param="prompt")
    return prompt
