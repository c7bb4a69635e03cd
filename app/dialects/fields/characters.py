"""Characters in a request: the clip, and the moment of it that shows one."""

import math
import re

from app.dialects.fields.inputs import find_own_task
from app.dialects.http.body import Body, MediaSource
from app.dialects.http.gateway import Gateway
from app.dialects.http.media_sources import read_source
from app.errors import InvalidRequest
from app.generation import MediaInput
from app.keys.key import ClientKey
from app.tasks.characters import ClipRange
from app.tasks.task import own_video_input

MOMENT = re.compile(r"\s*(\d{1,5}(?:\.\d{1,3})?)\s*[,，]\s*(\d{1,5}(?:\.\d{1,3})?)\s*")
SHORTEST_MOMENT, LONGEST_MOMENT = 1.0, 3.0


def read_time_span(body: Body, name: str) -> ClipRange | None:
    """``start,end`` in seconds, one to three seconds apart. Raises ``InvalidRequest``."""
    text = body.text(name)
    if not text:
        return None
    match = MOMENT.fullmatch(text)
    if match is None:
        raise InvalidRequest(f"{name} must be start,end in seconds, like 1,3", param=name)
    start, end = float(match[1]), float(match[2])
    length = end - start
    if length < SHORTEST_MOMENT and not math.isclose(length, SHORTEST_MOMENT):
        raise InvalidRequest(f"{name} must span at least {SHORTEST_MOMENT:g} second", param=name)
    if length > LONGEST_MOMENT and not math.isclose(length, LONGEST_MOMENT):
        raise InvalidRequest(f"{name} must span at most {LONGEST_MOMENT:g} seconds", param=name)
    return ClipRange(start, end, param=name)


async def read_clip(source: MediaSource, services: Gateway, key: ClientKey, *, param: str) -> MediaInput:
    """A clip to make a character of; a film of the key comes from our store, by its id or by our link to it."""
    own = await find_own_task(source, services, key, param=param)
    if own is None:
        return await read_source(source, services, role="source_video", param=param)
    video = own_video_input(own, param=param)
    return video.model_copy(update={"content": await services.store.get(video.key)})


async def read_character(body: Body, services: Gateway, key: ClientKey) -> list[MediaInput]:
    """The character in ``character_url``, which is created on first use."""
    moment = read_time_span(body, "character_timestamps")
    source = body.source("character_url")
    if source is None:
        if moment is not None:
            raise InvalidRequest("character_timestamps needs character_url", param="character_timestamps")
        return []
    clip = await read_clip(source, services, key, param="character_url")
    character = await services.characters.create(clip, key=key, clip_range=moment, param="character_url")
    return [character.as_input()]
