"""The relayed routes for `/openapi.json`: they are raw ASGI, of which FastAPI knows nothing."""

from dataclasses import dataclass
from typing import Any

from app.dialects.openapi.error_responses import FORM, JSON
from app.dialects.openapi.examples import EXAMPLES
from app.dialects.openapi.schemas import Schema, schema_ref

ANY_JSON: Schema = {JSON: {"schema": {}}}
EVENT_STREAM: Schema = {"text/event-stream": {"schema": {}}}
AUDIO_FILE: Schema = {"audio/mpeg": {"schema": {"type": "string", "format": "binary"}}}
PLAIN_TEXT: Schema = {"text/plain": {"schema": {"type": "string"}}}
STREAMED: Schema = ANY_JSON | EVENT_STREAM
TEXT, IMAGES, AUDIO, MESSAGES = "Chat and text", "Images", "Audio", "Anthropic Messages"


@dataclass(frozen=True, slots=True)
class RelayedRoute:
    """``body`` names the shape of the request, ``kinds`` the media types that it comes in."""

    tag: str
    summary: str
    body: str
    answer: Schema
    content_types: tuple[str, ...] = (JSON,)


RELAYED_ROUTES: dict[str, RelayedRoute] = {
    "chat/completions": RelayedRoute(
        TEXT,
        "Chat: text is relayed; video and image models answer with progress and a link",
        "ChatRequest",
        STREAMED,
    ),
    "responses": RelayedRoute(TEXT, "Answer in the form of the Responses API", "CreateResponse", STREAMED),
    "completions": RelayedRoute(TEXT, "Complete a text", "CreateCompletion", STREAMED),
    "embeddings": RelayedRoute(TEXT, "Turn text into vectors", "CreateEmbedding", ANY_JSON),
    "moderations": RelayedRoute(TEXT, "Judge a text", "CreateModeration", ANY_JSON),
    "rerank": RelayedRoute(TEXT, "Order documents by how well they answer", "Rerank", ANY_JSON),
    "images/generations": RelayedRoute(
        IMAGES,
        "Make images: relayed where an upstream speaks it, else made by a task",
        "CreateImages",
        {JSON: {"schema": schema_ref("Images")}} | EVENT_STREAM,
        (JSON, FORM),
    ),
    "images/edits": RelayedRoute(
        IMAGES,
        "Change images",
        "EditImages",
        {JSON: {"schema": schema_ref("Images")}} | EVENT_STREAM,
        (JSON, FORM),
    ),
    "images/variations": RelayedRoute(
        IMAGES, "Vary an image", "VaryImage", {JSON: {"schema": schema_ref("Images")}}, (JSON, FORM)
    ),
    "audio/speech": RelayedRoute(AUDIO, "Speak a text", "CreateSpeech", AUDIO_FILE | EVENT_STREAM),
    "audio/transcriptions": RelayedRoute(
        AUDIO, "Write down what is said", "Transcribe", STREAMED | PLAIN_TEXT, (FORM, JSON)
    ),
    "audio/translations": RelayedRoute(
        AUDIO, "Write down in English what is said", "Transcribe", ANY_JSON | PLAIN_TEXT, (FORM, JSON)
    ),
    "messages": RelayedRoute(
        MESSAGES,
        "Answer: passed through where the upstream speaks it, else said as chat and back",
        "CreateMessage",
        STREAMED,
    ),
    "messages/count_tokens": RelayedRoute(
        MESSAGES, "Count the tokens of a message, where the upstream can", "CountTokens", ANY_JSON
    ),
}
"""By the path below ``/v1/``."""


def relayed_paths() -> dict[str, Any]:
    return {f"/v1/{path}": {"post": _post_operation(told)} for path, told in RELAYED_ROUTES.items()}


def _post_operation(told: RelayedRoute) -> Schema:
    content: Schema = {kind: {"schema": schema_ref(told.body)} for kind in told.content_types}
    if told.body in EXAMPLES:
        content[JSON]["example"] = EXAMPLES[told.body]
    return {
        "tags": [told.tag],
        "summary": told.summary,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "Successful Response", "content": told.answer}},
    }
