"""Video and image models through `/v1/chat/completions`: the chat-video manual's dialect."""

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

# Of a chat request, what stays text even where it looks like something else.
TEXT_FIELDS = {"model", "user", "safety_identifier", "prompt_cache_key", "service_tier", "stop"}


class GenerationChat:
    """Takes over from the relay when the model makes videos or images."""

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
    """A form has only text: numbers, words like true, lists and objects are read out of it."""
    if isinstance(value, RepeatedValues):
        value = value[-1]
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return value if isinstance(found, str) or found is None else found


async def answer_chat(request: Request, key: ClientKey) -> Response:
    """Make the task, then tell its story: as a stream, or at the end. A clip alone makes a character."""
    services = gateway_of(request)
    body = await services.read_body(request)
    manner = read_chat_options(body)
    alone = character_clip(body, services)
    if alone is not None:
        clip = await read_source(alone, services, role="source_video", param="video_url")
        made = await services.characters.create(clip, key=key, param="video_url")
        document = cameo_object(made, base=services.base_url(request), signer=services.signer)
        return answer_character(made, document, options=manner)
    wanted = await read_chat(body, services, key)
    how = request_context(request, OpenAIChatDialect.name, hook_url=body.text("notify_hook"))
    task = await services.tasks.create(wanted, key=key, context=how)
    return await answer_as_chat(request, services, task, manner=manner)


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
