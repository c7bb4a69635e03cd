"""Requests that make a character of a clip: at the feature endpoints and in a chat, with the same fields."""

from collections.abc import Collection

from app.dialects.fields.characters import read_clip, read_time_span
from app.dialects.http.body import Body, MediaSource
from app.dialects.http.gateway import Gateway
from app.errors import InvalidRequest
from app.keys.key import ClientKey
from app.tasks.characters import Character

CHARACTER_FIELDS = frozenset({"name", "timestamps"})
LONGEST_NAME = 80


async def create_character(
    source: MediaSource,
    body: Body,
    services: Gateway,
    *,
    key: ClientKey,
    param: str,
    only: Collection[str] | None = None,
) -> Character:
    """The character in the clip ``source``, whose field is ``param``; ``body`` may say its ``name`` and ``timestamps``, and
    nothing that is not in ``only``, where no film is made."""
    moment = read_time_span(body, "timestamps")
    name = (body.text("name") or "").strip()[:LONGEST_NAME]
    clip = await read_clip(source, services, key, param=param)
    if only is not None:
        _refuse_film_fields(body, {*only, *CHARACTER_FIELDS, param})
    return await services.characters.create(clip, key=key, name=name, clip_range=moment, param=param)


def _refuse_film_fields(body: Body, known: Collection[str]) -> None:
    for name in body.fields:
        if name in body and name not in known:
            text = (
                f"{name} is for a film, and this makes a character only; a prompt beside the clip makes both"
            )
            raise InvalidRequest(text, param=name)
