"""`/v1/chat/completions`: text is relayed; video and image models create tasks (chat-video manual)."""

import json
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from app.dialects.account_api.answer import cameo_object, task_object
from app.dialects.base import DialectRoutes, RelayedRoute
from app.dialects.fields.inputs import find_own_task
from app.dialects.fields.options import film_context
from app.dialects.http.body import Body
from app.dialects.http.form_folding import RepeatedValues
from app.dialects.http.gateway import Gateway, gateway_of
from app.dialects.openai_chat.answer import OpenAIChatDialect
from app.dialects.openai_chat.request import KNOWN_FIELDS, CharacterClip, character_clip, read_chat
from app.dialects.openapi.schemas import ANY_JSON, EVENT_STREAM
from app.dialects.prompt.character_request import create_character
from app.dialects.prompt.chat_answer import ChatOptions, answer_as_chat, answer_character, read_chat_options
from app.dialects.prompt.chat_stream import character_lines
from app.keys.key import ClientKey
from app.relay.routes import ChatEndpoint, replay_body
from app.tasks.characters import Character

# Fields that stay text even if they look like JSON.
TEXT_FIELDS = {"model", "user", "safety_identifier", "prompt_cache_key", "service_tier", "stop"}


class GenerationChat:
    """Answers chat requests for models that make videos or images; implements the relay's ``ChatFallback``."""

    async def as_json(self, scope: Scope, *, body: bytes) -> bytes | None:
        request = Request(scope, replay_body(body, receive_disconnect))
        services = gateway_of(request)
        form = await services.read_body(request)
        if services.catalog.kind_of(form.required_text("model")) != "text":
            return None
        fields = form.unknown_fields(())
        return json.dumps(
            {n: v if n in TEXT_FIELDS else _parse_form_value(v) for n, v in fields.items()}
        ).encode()

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, body: bytes, key: ClientKey
    ) -> None:
        request = Request(scope, replay_body(body, receive))
        response = await answer_chat(request, key)
        await response(scope, receive, send)


async def receive_disconnect() -> Message:
    return {"type": "http.disconnect"}


def _parse_form_value(value: Any) -> Any:
    """The JSON value of a form field: forms hold only text, so numbers, booleans, lists and objects are parsed."""
    if isinstance(value, RepeatedValues):
        value = value[-1]
    if not isinstance(value, str):
        return value
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return value if isinstance(parsed, str) or parsed is None else parsed


async def answer_chat(request: Request, key: ClientKey) -> Response:
    """Creates the task and answers with its progress as a stream, or when it has ended. A clip may make a character
    first."""
    services = gateway_of(request)
    body = await services.read_body(request)
    options, clip = read_chat_options(body), await _shown_clip(body, services, key)
    if clip is None:
        return await _make_film(request, body, key, options=options)
    only = None if clip.with_film else KNOWN_FIELDS - {"async_mode"}
    character = await create_character(
        clip.stated.source, body, services, key=key, param=clip.name, only=only
    )
    if clip.with_film:
        return await _make_film(request, body, key, options=options, clip=clip, character=character)
    document = cameo_object(character, base=services.base_url(request), signer=services.signer)
    return answer_character(character, document, options=options)


async def _make_film(
    request: Request,
    body: Body,
    key: ClientKey,
    *,
    options: ChatOptions,
    clip: CharacterClip | None = None,
    character: Character | None = None,
) -> Response:
    """``character`` was just made of ``clip``."""
    services = gateway_of(request)
    cast = (character.as_input(),) if character else ()
    generation = await read_chat(body, services, key, clip=clip, cast=cast)
    context = film_context(request, OpenAIChatDialect.name, body)
    task = await services.tasks.create(generation, key=key, context=context)
    if body.boolean("async_mode"):
        return JSONResponse(task_object(task, []), headers={"x-task-id": task.id})
    opening = character_lines(display_name=character.name, username=character.username) if character else ()
    return await answer_as_chat(request, services, task, options=options, opening=opening)


async def _shown_clip(body: Body, services: Gateway, key: ClientKey) -> CharacterClip | None:
    """The clip that a character is made of. A film of the key beside a text is changed, as everywhere."""
    clip = character_clip(body, services)
    if clip is None or not clip.with_film:
        return clip
    own = await find_own_task(clip.stated.source, services, key, param=clip.name)
    return None if own else clip


ROUTES = DialectRoutes(
    relayed=(
        RelayedRoute(
            ChatEndpoint.path,
            lambda relay, _: ChatEndpoint(relay, GenerationChat()),
            tag="Chat and text",
            summary="Chat: text is relayed; video and image models answer with progress and a link",
            body="ChatRequest",
            answer=ANY_JSON | EVENT_STREAM,
        ),
    )
)
