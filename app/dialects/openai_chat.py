"""Video and image models through `/v1/chat/completions`: the chat-video manual's dialect."""

import json
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.dialects.characters import tell_character
from app.dialects.chat_request import lone_clip, read_chat
from app.dialects.folding import Repeated
from app.dialects.gateway import asked, gateway
from app.dialects.sources import read_source
from app.dialects.telling import read_manner, tell
from app.keys.service import Key
from app.relay.endpoint import replayed

# Of a chat request, what stays text even where it looks like something else.
WORDS = {"model", "user", "safety_identifier", "prompt_cache_key", "service_tier", "stop"}


class GenerationChat:
    """Takes over from the relay when the model makes videos or images."""

    async def as_json(self, scope: Scope, *, body: bytes) -> bytes | None:
        request = Request(scope, replayed(body, scope_ended))
        services = gateway(request)
        form = await services.read(request)
        if services.catalog.kind_of(form.required_text("model")) != "text":
            return None
        fields = form.rest(())
        return json.dumps({n: v if n in WORDS else _meant(v) for n, v in fields.items()}).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send, *, body: bytes, key: Key) -> None:
        request = Request(scope, replayed(body, receive))
        response = await answer(request, key)
        await response(scope, receive, send)


async def scope_ended() -> Message:
    return {"type": "http.disconnect"}


def _meant(value: Any) -> Any:
    """A form has only text: numbers, words like true, lists and objects are read out of it."""
    if isinstance(value, Repeated):
        value = value[-1]
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return value if isinstance(found, str) or found is None else found


async def answer(request: Request, key: Key) -> Response:
    """Make the task, then tell its story: as a stream, or at the end. A clip alone makes a character."""
    services = gateway(request)
    body = await services.read(request)
    manner = read_manner(body)
    alone = lone_clip(body, services)
    if alone is not None:
        clip = await read_source(alone, services, role="source_video", param="video_url")
        made = await services.characters.create(clip, key=key, param="video_url")
        return tell_character(request, services, made, manner=manner)
    wanted = await read_chat(body, services, key)
    how = asked(request, "openai_chat", hook_url=body.text("notify_hook"))
    task = await services.tasks.create(wanted, key=key, asked=how)
    return await tell(request, services, task, manner=manner)
