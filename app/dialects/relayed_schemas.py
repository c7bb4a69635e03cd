"""The shapes of what is relayed, for `/openapi.json`: the fields that most clients send; all others pass too."""

from app.dialects.schemas import (
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
    listed,
    maybe,
    shape,
)

MODEL: Schema = {"type": "string", "description": "Any name that an account maps"}
IMAGE_MODEL: Schema = {"type": "string", "default": "gpt-image"}
MANY: Schema = {"type": "integer", "minimum": 1, "maximum": 10, "default": 1}
IMAGE_FORM: Schema = {"enum": ["url", "b64_json"], "description": "Both, unless said"}
INPUT: Schema = {"anyOf": [TEXT, listed({})]}
FILE: Schema = {"type": "string", "format": "binary"}
SPOKEN = shape(("role", "content"), role={"enum": ["user", "assistant"]}, content=INPUT)

RELAYED_SCHEMAS: dict[str, Schema] = {
    "ChatRequest": shape(
        ("model", "messages"),
        model={"type": "string", "examples": ["sora_video2", "sora2-landscape-10s", "gpt-image"]},
        messages=listed(MESSAGE),
        stream=FLAG,
        stream_options=shape(include_usage=FLAG),
        seconds=SECONDS,
        size=SIZE,
    ),
    "CreateResponse": shape(("model",), model=MODEL, input=INPUT, instructions=maybe(TEXT), stream=FLAG),
    "CreateCompletion": shape(("model",), model=MODEL, prompt=INPUT, max_tokens=WHOLE, stream=FLAG),
    "CreateEmbedding": shape(
        ("model",), model=MODEL, input=INPUT, encoding_format={"enum": ["float", "base64"]}
    ),
    "CreateModeration": shape(("model",), model=MODEL, input=INPUT),
    "Rerank": shape(("model",), model=MODEL, query=TEXT, documents=listed({}), top_n=WHOLE),
    "CreateImages": shape(
        ("prompt",),
        prompt=PROMPT,
        model=IMAGE_MODEL,
        n=MANY,
        size=SIZE,
        response_format=IMAGE_FORM,
        stream=FLAG,
    ),
    "EditImages": shape(
        ("prompt",),
        prompt=PROMPT,
        image=MEDIA,
        images=listed(MEDIA),
        model=IMAGE_MODEL,
        n=MANY,
        size=SIZE,
        response_format=IMAGE_FORM,
        stream=FLAG,
    ),
    "VaryImage": shape(
        ("image",), image=MEDIA, model=IMAGE_MODEL, n=MANY, size=SIZE, response_format=IMAGE_FORM
    ),
    "Images": shape(
        ("created", "data"),
        created=MOMENT,
        data=listed(shape(url=TEXT, b64_json=TEXT)),
        usage={"type": "object"},
    ),
    "CreateSpeech": shape(
        ("model",), model=MODEL, input=TEXT, voice=TEXT, response_format=TEXT, speed={"type": "number"}
    ),
    "Transcribe": shape(
        ("model", "file"), model=MODEL, file=FILE, language=TEXT, prompt=TEXT, response_format=TEXT
    ),
    "CreateMessage": shape(
        ("model", "max_tokens", "messages"),
        model=MODEL,
        max_tokens={"type": "integer", "minimum": 1},
        messages=listed(SPOKEN),
        system=INPUT,
        stream=FLAG,
        tools=listed({"type": "object"}),
    ),
    "CountTokens": shape(("model", "messages"), model=MODEL, messages=listed(SPOKEN), system=INPUT),
    "AnthropicError": shape(
        ("type", "error"),
        type={"const": "error"},
        error=shape(("type", "message"), type=TEXT, message=TEXT),
        request_id=TEXT,
    ),
}
