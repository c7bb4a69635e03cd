"""The relayed routes for `/openapi.json`: they are raw ASGI, of which FastAPI knows nothing."""

from dataclasses import dataclass
from typing import Any

from app.dialects.answers import FORM, JSON
from app.dialects.examples import EXAMPLES
from app.dialects.schemas import Schema, ref

ANYTHING: Schema = {JSON: {"schema": {}}}
EVENTS: Schema = {"text/event-stream": {"schema": {}}}
SOUND: Schema = {"audio/mpeg": {"schema": {"type": "string", "format": "binary"}}}
WORDS: Schema = {"text/plain": {"schema": {"type": "string"}}}
STREAMED: Schema = ANYTHING | EVENTS
TEXT, IMAGES, AUDIO, MESSAGES = "Chat and text", "Images", "Audio", "Anthropic Messages"


@dataclass(frozen=True, slots=True)
class Told:
    """``body`` names the shape of the request, ``kinds`` the media types that it comes in."""

    group: str
    summary: str
    body: str
    answer: Schema
    kinds: tuple[str, ...] = (JSON,)


RELAYED_ROUTES: dict[str, Told] = {
    "chat/completions": Told(
        TEXT,
        "Chat: text is relayed; video and image models answer with progress and a link",
        "ChatRequest",
        STREAMED,
    ),
    "responses": Told(TEXT, "Answer in the form of the Responses API", "CreateResponse", STREAMED),
    "completions": Told(TEXT, "Complete a text", "CreateCompletion", STREAMED),
    "embeddings": Told(TEXT, "Turn text into vectors", "CreateEmbedding", ANYTHING),
    "moderations": Told(TEXT, "Judge a text", "CreateModeration", ANYTHING),
    "rerank": Told(TEXT, "Order documents by how well they answer", "Rerank", ANYTHING),
    "images/generations": Told(
        IMAGES,
        "Make images: relayed where an upstream speaks it, else made by a task",
        "CreateImages",
        {JSON: {"schema": ref("Images")}} | EVENTS,
        (JSON, FORM),
    ),
    "images/edits": Told(
        IMAGES, "Change images", "EditImages", {JSON: {"schema": ref("Images")}} | EVENTS, (JSON, FORM)
    ),
    "images/variations": Told(
        IMAGES, "Vary an image", "VaryImage", {JSON: {"schema": ref("Images")}}, (JSON, FORM)
    ),
    "audio/speech": Told(AUDIO, "Speak a text", "CreateSpeech", SOUND | EVENTS),
    "audio/transcriptions": Told(
        AUDIO, "Write down what is said", "Transcribe", STREAMED | WORDS, (FORM, JSON)
    ),
    "audio/translations": Told(
        AUDIO, "Write down in English what is said", "Transcribe", ANYTHING | WORDS, (FORM, JSON)
    ),
    "messages": Told(
        MESSAGES,
        "Answer: passed through where the upstream speaks it, else said as chat and back",
        "CreateMessage",
        STREAMED,
    ),
    "messages/count_tokens": Told(
        MESSAGES, "Count the tokens of a message, where the upstream can", "CountTokens", ANYTHING
    ),
}
"""By the path below ``/v1/``."""


def relayed_paths() -> dict[str, Any]:
    return {f"/v1/{path}": {"post": _post(told)} for path, told in RELAYED_ROUTES.items()}


def _post(told: Told) -> Schema:
    content: Schema = {kind: {"schema": ref(told.body)} for kind in told.kinds}
    if told.body in EXAMPLES:
        content[JSON]["example"] = EXAMPLES[told.body]
    return {
        "tags": [told.group],
        "summary": told.summary,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "Successful Response", "content": told.answer}},
    }
