"""Schemas of chat completions, for `/openapi.json`."""

from typing import Any

from app.dialects.account_api.schemas import CAMEO
from app.dialects.fields.schemas import film_body
from app.dialects.openapi.schemas import (
    BOAT,
    FLAG,
    TEXT,
    UNIX_SECONDS,
    WHOLE,
    Schema,
    list_of,
    object_of,
)

PART = object_of(
    ("type",),
    type={"enum": ["text", "image_url", "video_url", "audio_url"]},
    text=TEXT,
    image_url=object_of(("url",), url=TEXT),
    video_url=object_of(("url",), url=TEXT),
    audio_url=object_of(("url",), url=TEXT),
    role={"enum": ["first_frame", "last_frame", "reference_image", "reference_video", "reference_audio"]},
)
MESSAGE = object_of(("role", "content"), role=TEXT, content={"anyOf": [TEXT, list_of(PART)]})
CHOICE = object_of(
    ("index", "message", "finish_reason"),
    index=WHOLE,
    message=object_of(("role", "content"), role={"const": "assistant"}, content=TEXT),
    finish_reason={"const": "stop"},
)

SCHEMAS: dict[str, Schema] = {
    "ChatRequest": film_body(
        ("model", "messages"),
        model={"type": "string", "examples": ["sora_video2", "sora2-landscape-10s", "gpt-image"]},
        messages=list_of(MESSAGE),
        stream=FLAG,
        stream_options=object_of(include_usage=FLAG),
    ),
    "ChatCompletion": object_of(
        ("id", "object", "created", "model", "choices"),
        id=TEXT,
        object={"const": "chat.completion"},
        created=UNIX_SECONDS,
        model=TEXT,
        choices=list_of(CHOICE),
        usage={"type": "object"},
        character=object_of(**CAMEO),
    ),
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "ChatRequest": {
        "model": "sora_video2",
        "stream": True,
        "messages": [{"role": "user", "content": BOAT}],
    },
}
TAGS = {
    "Chat and text": "Text goes to the upstream byte for byte; video and image models answer in chat form.",
}
