"""Reads requests to OpenRouter's video API."""

from app.catalog.presets import video_preset
from app.dialects.http.body import Body
from app.dialects.http.gateway import Gateway, check_prompt
from app.dialects.http.media_sources import read_media_parts, read_source
from app.dialects.openrouter.answer import FRAMES
from app.dialects.prompt.directives import Directives
from app.dialects.prompt.video_options import (
    LONGEST_SECONDS,
    read_resolution,
    size_and_ratio,
    video_seconds,
)
from app.errors import InvalidRequest, MissingField
from app.generation import GenerationRequest, MediaInput, Role
from app.keys.key import ClientKey
from app.tasks.task import own_video_input

REFERENCES: dict[str, Role] = {
    "image_url": "reference_image",
    "video_url": "reference_video",
    "audio_url": "audio",
}
KNOWN_FIELDS = {
    "model",
    "prompt",
    "duration",
    "resolution",
    "aspect_ratio",
    "size",
    "seed",
    "frame_images",
    "input_references",
    "previous_job_id",
    "callback_url",
    # OpenRouter does not pass these on either.
    "user",
    "session_id",
    "trace",
}


async def read_create(body: Body, services: Gateway, key: ClientKey) -> GenerationRequest:
    preset = video_preset(body.required_text("model"))
    prompt = body.text("prompt") or ""
    check_prompt(prompt, param="prompt")
    earlier = body.text("previous_job_id")
    source = await services.tasks.get(earlier, key) if earlier else None
    size, ratio = size_and_ratio(body, preset, Directives(prompt))
    generation = GenerationRequest(
        kind="video",
        action="edit" if source else "generate",
        model=preset.name,
        prompt=prompt,
        seconds=video_seconds(preset, body.integer("duration", low=1, high=LONGEST_SECONDS)),
        size=size,
        aspect_ratio=ratio,
        resolution=read_resolution(body, hd=preset.hd),
        seed=body.integer("seed"),
        remix_of=source.id if source else None,
        extra=body.unknown_fields(KNOWN_FIELDS),
    )
    # Last, because they may have to be downloaded.
    media = [*await _read_frames(body, services), *await _read_references(body, services)]
    if source is not None:
        media.append(own_video_input(source, param="previous_job_id"))
    if not prompt.strip() and not media:
        raise MissingField("prompt")
    return generation.model_copy(update={"media": tuple(media)})


async def _read_frames(body: Body, services: Gateway) -> list[MediaInput]:
    frames: list[MediaInput] = []
    for part in read_media_parts(body, "frame_images", types=("image_url",)):
        role = FRAMES.get(part.fields.text("frame_type") or "")
        if role is None or role in [item.role for item in frames]:
            text = f"{part.fields.path}.frame_type must be first_frame or last_frame, each once"
            raise InvalidRequest(text, param="frame_images")
        frames.append(await read_source(part.address, services, role=role, param="frame_images"))
    return frames


async def _read_references(body: Body, services: Gateway) -> list[MediaInput]:
    name = "input_references"
    return [
        await read_source(part.address, services, role=REFERENCES[part.type], param=name)
        for part in read_media_parts(body, name)
    ]
