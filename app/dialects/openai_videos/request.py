"""Reads requests to the Videos API: create, edit, extend and remix."""

from dataclasses import replace
from typing import Literal

from app.catalog.presets import ModelPreset, video_preset
from app.dialects.fields.film import FilmRequest, build_film
from app.dialects.fields.inputs import ClientInputs, read_inputs
from app.dialects.fields.length import read_seconds
from app.dialects.fields.words import Stated
from app.dialects.http.body import Body
from app.dialects.http.gateway import Gateway, check_prompt
from app.dialects.openai_videos.answer import speaks_manual
from app.errors import InvalidRequest, MissingField
from app.generation import GenerationRequest, MediaInput
from app.keys.key import ClientKey
from app.tasks.task import Task

DEFAULT_MODEL = "sora-2"
DEFAULT_SECONDS, MANUAL_SECONDS = 4, 10
KNOWN_FIELDS = {"model", "prompt", "characters"}


async def read_create(body: Body, services: Gateway, key: ClientKey) -> GenerationRequest:
    preset = video_preset(body.text("model") or DEFAULT_MODEL)
    prompt = read_prompt(body)
    inputs = await read_inputs(body, services, key)
    known_name = preset.base != preset.name or preset.size is not None
    default = MANUAL_SECONDS if speaks_manual(key) else DEFAULT_SECONDS
    film = FilmRequest(
        preset,
        prompt,
        inputs,
        KNOWN_FIELDS,
        default_seconds=default if known_name else None,
        more=await _read_characters(body, services, key),
    )
    return await build_film(film, body, services, key=key)


async def read_from_source(
    body: Body, services: Gateway, key: ClientKey, *, action: Literal["edit", "extend"]
) -> GenerationRequest:
    """An edit or extension. ``video`` is a file, or holds the id of a task; its length and size are kept where nothing
    else is asked for."""
    prompt = read_prompt(body)
    if action == "extend" and read_seconds(body) is None:
        raise MissingField("seconds")
    inputs = await read_inputs(body, services, key, action=action)
    if inputs.source is None and not inputs.names_of("clip"):
        raise MissingField("video")
    model = inputs.source.value.model if inputs.source else DEFAULT_MODEL
    preset = video_preset(body.text("model") or model)
    return await _read_change(body, services, key, preset=preset, prompt=prompt, inputs=inputs)


async def read_remix(body: Body, services: Gateway, key: ClientKey, *, source: Task) -> GenerationRequest:
    """Made by the model of its source, with its length, size and style where nothing else is asked for."""
    prompt = read_prompt(body)
    if (body.text("model") or source.model) != source.model:
        raise InvalidRequest(
            f"model must be {source.model}, which made the source of the remix", param="model"
        )
    inputs = await read_inputs(body, services, key, sources=[Stated("video_id", source)], action="remix")
    preset = video_preset(source.model)
    film = await _read_change(body, services, key, preset=preset, prompt=prompt, inputs=inputs)
    return film.model_copy(update={"style": film.style or source.request.style})


async def _read_change(
    body: Body, services: Gateway, key: ClientKey, *, preset: ModelPreset, prompt: str, inputs: ClientInputs
) -> GenerationRequest:
    """A source has a length and a size of its own, so those of the model's name don't count."""
    source = inputs.source.value.request if inputs.source else None
    film = FilmRequest(
        replace(preset, seconds=None, size=None, hd=False),
        prompt,
        inputs,
        KNOWN_FIELDS,
        default_seconds=source.seconds if source else None,
        implied_size=source.size if source else None,
        more=await _read_characters(body, services, key),
    )
    return await build_film(film, body, services, key=key)


async def _read_characters(body: Body, services: Gateway, key: ClientKey) -> tuple[MediaInput, ...]:
    media: list[MediaInput] = []
    for item in body.list("characters"):
        name = item.get("id") if isinstance(item, dict) else item
        if not isinstance(name, str):
            raise InvalidRequest("characters must be a list of objects with an id", param="characters")
        media.append((await services.characters.get(name, key=key)).as_input())
    return tuple(media)


def read_prompt(body: Body) -> str:
    prompt = body.required_text("prompt")
    check_prompt(prompt, param="prompt")
    return prompt
