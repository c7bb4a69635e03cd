"""`/v1/chat/completions`: text is relayed; video and image models create tasks (chat-video manual)."""

import json
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.dialects.account_api.answer import cameo_object
from app.dialects.base import DialectRoutes, RelayedRoute
from app.dialects.http.form_folding import RepeatedValues
from app.dialects.http.gateway import gateway_of, request_context
from app.dialects.http.media_sources import read_source
from app.dialects.openai_chat.answer import OpenAIChatDialect
from app.dialects.openai_chat.request import character_clip, read_chat
from app.dialects.openapi.schemas import ANY_JSON, EVENT_STREAM
from app.dialects.prompt.chat_answer import answer_as_chat, answer_character, read_chat_options
from app.keys.key import ClientKey
from app.relay.routes import ChatEndpoint, replay_body

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
    """Creates the task and answers with its progress as a stream, or when it has ended. A message with only a clip creates a
    character."""
    services = gateway_of(request)
    body = await services.read_body(request)
    options = read_chat_options(body)
    clip_source = character_clip(body, services)
    if clip_source is not None:
        clip = await read_source(clip_source, services, role="source_video", param="video_url")
        character = await services.characters.create(clip, key=key, param="video_url")
        document = cameo_object(character, base=services.base_url(request), signer=services.signer)
        return answer_character(character, document, options=options)
    generation = await read_chat(body, services, key)
    context = request_context(request, OpenAIChatDialect.name, hook_url=body.text("notify_hook"))
    task = await services.tasks.create(generation, key=key, context=context)
    return await answer_as_chat(request, services, task, options=options)


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
