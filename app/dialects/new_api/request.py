"""Reads requests to new-api's video route."""

from app.catalog.presets import video_preset
from app.dialects.fields.film import FilmRequest, build_film
from app.dialects.fields.inputs import read_inputs
from app.dialects.fields.length import manual_default
from app.dialects.http.body import Body
from app.dialects.http.gateway import Gateway, check_prompt
from app.errors import InvalidRequest
from app.generation import GenerationRequest
from app.keys.key import ClientKey

KNOWN_FIELDS = {"model", "prompt", "metadata", "response_format", "user"}


async def read_create(body: Body, services: Gateway, key: ClientKey) -> GenerationRequest:
    """``body`` comes from ``merge_metadata``. new-api's clients write 5.0 for 5 seconds, and 0 for a number that they leave open."""
    if (body.text("response_format") or "url") != "url":
        raise InvalidRequest("response_format must be url", param="response_format")
    preset = video_preset(body.required_text("model"))
    prompt = body.required_text("prompt")
    check_prompt(prompt, param="prompt")
    film = FilmRequest(
        preset,
        prompt,
        await read_inputs(body, services, key),
        KNOWN_FIELDS,
        default_seconds=manual_default(preset),
        zero_unset=True,
    )
    return await build_film(film, body, services, key=key)


def merge_metadata(body: Body) -> Body:
    """The body with the fields of ``metadata`` added. The body's own fields win, and ``model`` is never read from it."""
    inner = body.object("metadata")
    if inner is None:
        return body
    own_fields = {name: value for name, value in body.fields.items() if value is not None}
    fields = {name: value for name, value in inner.fields.items() if name != "model"} | own_fields
    return Body(fields, limits=body.limits)
