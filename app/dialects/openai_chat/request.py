"""Reads a chat request for a video or an image: the last user message and its parts."""

from typing import Any

from app.dialects.http.body import Body, MediaSource
from app.dialects.http.gateway import Gateway
from app.dialects.prompt.prompt_request import PROMPT_FIELDS as OPTIONS
from app.dialects.prompt.prompt_request import FieldNames, PromptRequest, build_request
from app.errors import InvalidRequest, MissingField, UnknownModel
from app.generation import GenerationRequest
from app.keys.key import ClientKey

FIELD_NAMES = FieldNames(text="messages", images="image_url", videos="video_url", target="messages")
KNOWN_FIELDS = OPTIONS | {
    "messages",
    "images",
    "videos",
    # Sent by chat clients; no video model reads them.
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "frequency_penalty",
    "n",
    "user",
    "stop",
    "tools",
    "tool_choice",
    "response_format",
    "metadata",
    "store",
}


async def read_chat(body: Body, services: Gateway, key: ClientKey) -> GenerationRequest:
    """Raises ``InvalidRequest``, ``MissingField`` or ``UnknownModel``."""
    model = body.required_text("model")
    kind = services.catalog.kind_of(model)
    if kind not in ("video", "image"):
        raise UnknownModel(model)
    text, images, videos = _last_message(body)
    prompt_request = PromptRequest(
        kind=kind,
        model=model,
        text=text,
        field_names=FIELD_NAMES,
        images=(*images, *body.sources("images")),
        videos=(*videos, *body.sources("videos")),
    )
    return await build_request(prompt_request, body, services, key=key, known=KNOWN_FIELDS)


def character_clip(body: Body, services: Gateway) -> MediaSource | None:
    """The clip of a message that holds one clip and nothing else: it creates a character, not a video."""
    if services.catalog.kind_of(body.required_text("model")) != "video":
        return None
    text, images, videos = _last_message(body)
    return videos[0] if len(videos) == 1 and not images and not text.strip() else None


def _last_message(body: Body) -> tuple[str, list[MediaSource], list[MediaSource]]:
    """Text, pictures and clips of the last user message."""
    messages = [m for m in body.list("messages") if isinstance(m, dict) and m.get("role", "user") == "user"]
    if not messages:
        raise MissingField("messages")
    content = messages[-1].get("content")
    if isinstance(content, str):
        return content, [], []
    if not isinstance(content, list):
        raise InvalidRequest("messages: content must be a string or a list of parts", param="messages")
    parts = [part for part in content if isinstance(part, dict)]
    texts = [part.get("text") for part in parts if part.get("type") == "text"]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequest("messages: a part of type text must hold a string", param="messages")
    return (
        "\n".join(map(str, texts)),
        _part_addresses(parts, "image_url"),
        _part_addresses(parts, "video_url"),
    )


def _part_addresses(parts: list[dict[str, Any]], name: str) -> list[MediaSource]:
    sources: list[MediaSource] = []
    for part in parts:
        if part.get("type") != name:
            continue
        value = part.get(name)
        address = value.get("url") if isinstance(value, dict) else value
        if not isinstance(address, str) or not address:
            raise InvalidRequest(f"messages: a part of type {name} must hold {name}.url", param="messages")
        sources.append(address)
    return sources
