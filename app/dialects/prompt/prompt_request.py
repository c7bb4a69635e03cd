"""Requests that stand in a prompt (chat, feature endpoints): directives, shots, and the words beside them."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from app.catalog.presets import preset_for
from app.dialects.fields.film import FilmRequest, build_film
from app.dialects.fields.inputs import StatedInput, find_target, read_inputs
from app.dialects.fields.words import CHARACTER, Stated
from app.dialects.http.body import Body
from app.dialects.http.gateway import Gateway, check_prompt
from app.dialects.http.own_links import OwnLink, own_link_in
from app.dialects.prompt.directives import read_directives
from app.dialects.prompt.storyboard import read_storyboard
from app.errors import MissingField, NotFound
from app.generation import GenerationRequest, MediaInput
from app.keys.key import ClientKey
from app.tasks.task import Task

DEFAULT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """A prompt and its inputs. ``text_name`` is the client's field for the prompt; ``known`` are the fields that the
    dialect reads itself, of which ``taken`` are words for inputs."""

    kind: Literal["video", "image"]
    model: str
    text: str
    text_name: str
    known: Collection[str]
    inputs: tuple[StatedInput, ...] = ()
    media: tuple[MediaInput, ...] = ()
    taken: Collection[str] = ()


async def build_request(
    prompt_request: PromptRequest, body: Body, services: Gateway, *, key: ClientKey
) -> GenerationRequest:
    """Raises ``InvalidRequest`` or ``MissingField``."""
    name = prompt_request.text_name
    check_prompt(prompt_request.text, param=name)
    directives = read_directives(prompt_request.text)
    target = directives.remix_of
    found = await find_target(target, services, key, param=name) if target else None
    linked = None if found else own_link_in(directives.prompt, services.tasks.parse_id)
    if linked and (found := await _linked_task(linked, services, key)):
        directives = replace(directives, prompt=directives.prompt.replace(linked.address, " ").strip())
    inputs = await read_inputs(
        body,
        services,
        key,
        more=prompt_request.inputs,
        sources=[Stated(name, found)] if found else [],
        action="remix" if found else "generate",
        without=prompt_request.taken,
    )
    empty = not inputs.stated and inputs.source is None and not prompt_request.media
    if not directives.prompt.strip() and empty and CHARACTER[0] not in body:
        raise MissingField(name)
    is_video = prompt_request.kind == "video"
    film = FilmRequest(
        preset_for(prompt_request.model, kind=prompt_request.kind),
        directives.prompt,
        inputs,
        prompt_request.known,
        kind=prompt_request.kind,
        default_seconds=DEFAULT_SECONDS,
        directives=directives,
        in_prompt=Stated(name, read_storyboard(directives.prompt) if is_video else ()),
        named_styles=True,
        fractions=True,
        more=prompt_request.media,
    )
    return await build_film(film, body, services, key=key)


async def _linked_task(link: OwnLink, services: Gateway, key: ClientKey) -> Task | None:
    """The film of the key that a link in the prompt leads to; any other link stays text."""
    with suppress(NotFound):
        return await services.tasks.get(link.task_id, key)
    return None
