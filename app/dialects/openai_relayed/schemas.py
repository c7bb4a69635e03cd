"""Schemas of the OpenAI routes that are only relayed, for `/openapi.json`: the fields that most clients send."""

from typing import Any

from app.dialects.openapi.schemas import (
    ANY_MODEL,
    BOAT,
    FLAG,
    TEXT,
    TEXT_MODEL,
    WHOLE,
    Schema,
    list_of,
    nullable,
    object_of,
)

INPUT: Schema = {"anyOf": [TEXT, list_of({})]}
FILE: Schema = {"type": "string", "format": "binary"}

SCHEMAS: dict[str, Schema] = {
    "CreateResponse": object_of(
        ("model",), model=ANY_MODEL, input=INPUT, instructions=nullable(TEXT), stream=FLAG
    ),
    "CreateCompletion": object_of(("model",), model=ANY_MODEL, prompt=INPUT, max_tokens=WHOLE, stream=FLAG),
    "CreateEmbedding": object_of(
        ("model",), model=ANY_MODEL, input=INPUT, encoding_format={"enum": ["float", "base64"]}
    ),
    "CreateModeration": object_of(("model",), model=ANY_MODEL, input=INPUT),
    "Rerank": object_of(("model",), model=ANY_MODEL, query=TEXT, documents=list_of({}), top_n=WHOLE),
    "CreateSpeech": object_of(
        ("model",), model=ANY_MODEL, input=TEXT, voice=TEXT, response_format=TEXT, speed={"type": "number"}
    ),
    "Transcribe": object_of(
        ("model", "file"), model=ANY_MODEL, file=FILE, language=TEXT, prompt=TEXT, response_format=TEXT
    ),
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "CreateResponse": {"model": TEXT_MODEL, "input": "Name a boat."},
    "CreateCompletion": {"model": TEXT_MODEL, "prompt": "The boat is called"},
    "CreateEmbedding": {"model": TEXT_MODEL, "input": [BOAT, "A lighthouse"]},
    "CreateModeration": {"model": TEXT_MODEL, "input": BOAT},
    "Rerank": {"model": TEXT_MODEL, "query": "boats", "documents": [BOAT, "A lighthouse"]},
    "CreateSpeech": {"model": TEXT_MODEL, "input": BOAT, "voice": "alloy"},
}
TAGS = {
    "Audio": "Speech and transcription, relayed. `WS /v1/realtime?model=` is relayed too, both ways.",
}
