"""Reads requests to OpenRouter's video API."""

from app.catalog.presets import video_preset
from app.dialects.fields.film import FilmRequest, build_film
from app.dialects.fields.inputs import read_inputs
from app.dialects.fields.length import manual_default
from app.dialects.fields.words import Stated
from app.dialects.http.body import Body
from app.dialects.http.gateway import Gateway, check_prompt
from app.errors import MissingField
from app.generation import GenerationRequest
from app.keys.key import ClientKey

KNOWN_FIELDS = {
    "model",
    "prompt",
    "previous_job_id",
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
    sources = [Stated("previous_job_id", await services.tasks.get(earlier, key))] if earlier else []
    inputs = await read_inputs(body, services, key, sources=sources, action="edit" if sources else "generate")
    if not prompt.strip() and not inputs.stated and inputs.source is None:
        raise MissingField("prompt")
    film = FilmRequest(preset, prompt, inputs, KNOWN_FIELDS, default_seconds=manual_default(preset))
    return await build_film(film, body, services, key=key)
