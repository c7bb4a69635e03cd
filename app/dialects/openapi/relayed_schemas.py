"""The shapes of what is relayed, for `/openapi.json`: the fields that most clients send; all others pass too."""

from app.dialects.openapi.schemas import (
    FLAG,
    MEDIA,
    MESSAGE,
    MOMENT,
    PROMPT,
    SECONDS,
    SIZE,
    TEXT,
    WHOLE,
    Schema,
    list_of,
    nullable,
    object_of,
)

MODEL: Schema = {"type": "string", "description": "Any name that an account maps"}
IMAGE_MODEL: Schema = {"type": "string", "default": "gpt-image"}
IMAGE_COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": 10, "default": 1}
IMAGE_FORM: Schema = {"enum": ["url", "b64_json"], "description": "Both, unless said"}
INPUT: Schema = {"anyOf": [TEXT, list_of({})]}
FILE: Schema = {"type": "string", "format": "binary"}
ANTHROPIC_MESSAGE = object_of(("role", "content"), role={"enum": ["user", "assistant"]}, content=INPUT)

RELAYED_SCHEMAS: dict[str, Schema] = {
    "ChatRequest": object_of(
        ("model", "messages"),
        model={"type": "string", "examples": ["sora_video2", "sora2-landscape-10s", "gpt-image"]},
        messages=list_of(MESSAGE),
        stream=FLAG,
        stream_options=object_of(include_usage=FLAG),
        seconds=SECONDS,
        size=SIZE,
    ),
    "CreateResponse": object_of(
        ("model",), model=MODEL, input=INPUT, instructions=nullable(TEXT), stream=FLAG
    ),
    "CreateCompletion": object_of(("model",), model=MODEL, prompt=INPUT, max_tokens=WHOLE, stream=FLAG),
    "CreateEmbedding": object_of(
        ("model",), model=MODEL, input=INPUT, encoding_format={"enum": ["float", "base64"]}
    ),
    "CreateModeration": object_of(("model",), model=MODEL, input=INPUT),
    "Rerank": object_of(("model",), model=MODEL, query=TEXT, documents=list_of({}), top_n=WHOLE),
    "CreateImages": object_of(
        ("prompt",),
        prompt=PROMPT,
        model=IMAGE_MODEL,
        n=IMAGE_COUNT,
        size=SIZE,
        response_format=IMAGE_FORM,
        stream=FLAG,
    ),
    "EditImages": object_of(
        ("prompt",),
        prompt=PROMPT,
        image=MEDIA,
        images=list_of(MEDIA),
        model=IMAGE_MODEL,
        n=IMAGE_COUNT,
        size=SIZE,
        response_format=IMAGE_FORM,
        stream=FLAG,
    ),
    "VaryImage": object_of(
        ("image",), image=MEDIA, model=IMAGE_MODEL, n=IMAGE_COUNT, size=SIZE, response_format=IMAGE_FORM
    ),
    "Images": object_of(
        ("created", "data"),
        created=MOMENT,
        data=list_of(object_of(url=TEXT, b64_json=TEXT)),
        usage={"type": "object"},
    ),
    "CreateSpeech": object_of(
        ("model",), model=MODEL, input=TEXT, voice=TEXT, response_format=TEXT, speed={"type": "number"}
    ),
    "Transcribe": object_of(
        ("model", "file"), model=MODEL, file=FILE, language=TEXT, prompt=TEXT, response_format=TEXT
    ),
    "CreateMessage": object_of(
        ("model", "max_tokens", "messages"),
        model=MODEL,
        max_tokens={"type": "integer", "minimum": 1},
        messages=list_of(ANTHROPIC_MESSAGE),
        system=INPUT,
        stream=FLAG,
        tools=list_of({"type": "object"}),
    ),
    "CountTokens": object_of(
        ("model", "messages"), model=MODEL, messages=list_of(ANTHROPIC_MESSAGE), system=INPUT
    ),
    "AnthropicError": object_of(
        ("type", "error"),
        type={"const": "error"},
        error=object_of(("type", "message"), type=TEXT, message=TEXT),
        request_id=TEXT,
    ),
}
