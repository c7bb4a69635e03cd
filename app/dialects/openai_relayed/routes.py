"""Responses, completions, embeddings, moderations, reranking, audio and realtime: relayed whatever the model."""

from app.dialects.base import DialectRoutes, RelayedRoute
from app.dialects.openapi.schemas import ANY_JSON, EVENT_STREAM, FORM, JSON, Schema
from app.relay.realtime import RealtimeEndpoint
from app.relay.routes import RelayEndpoint

AUDIO_FILE: Schema = {"audio/mpeg": {"schema": {"type": "string", "format": "binary"}}}
PLAIN_TEXT: Schema = {"text/plain": {"schema": {"type": "string"}}}


def _text_route(path: str, summary: str, body: str, *, answer: Schema = ANY_JSON) -> RelayedRoute:
    return RelayedRoute(path, RelayEndpoint, "Chat and text", summary, body, answer)


def _audio_route(path: str, summary: str, body: str, *, answer: Schema, is_form: bool = True) -> RelayedRoute:
    content_types = (FORM, JSON) if is_form else (JSON,)
    return RelayedRoute(path, RelayEndpoint, "Audio", summary, body, answer, content_types)


ROUTES = DialectRoutes(
    relayed=(
        _text_route(
            "responses",
            "Answer in the form of the Responses API",
            "CreateResponse",
            answer=ANY_JSON | EVENT_STREAM,
        ),
        _text_route("completions", "Complete a text", "CreateCompletion", answer=ANY_JSON | EVENT_STREAM),
        _text_route("embeddings", "Turn text into vectors", "CreateEmbedding"),
        _text_route("moderations", "Judge a text", "CreateModeration"),
        _text_route("rerank", "Order documents by how well they answer", "Rerank"),
        _audio_route(
            "audio/speech", "Speak a text", "CreateSpeech", answer=AUDIO_FILE | EVENT_STREAM, is_form=False
        ),
        _audio_route(
            "audio/transcriptions",
            "Transcribe speech",
            "Transcribe",
            answer=ANY_JSON | EVENT_STREAM | PLAIN_TEXT,
        ),
        _audio_route(
            "audio/translations", "Transcribe speech in English", "Transcribe", answer=ANY_JSON | PLAIN_TEXT
        ),
    ),
    websockets={"/v1/realtime": RealtimeEndpoint},
)
