"""Building blocks of schemas in `/openapi.json`. The readers of requests accept more than the schemas describe."""

from typing import Any

from app.catalog.presets import STYLES

Schema = dict[str, Any]
JSON = "application/json"
FORM = "multipart/form-data"

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
UNIX_SECONDS: Schema = {"type": "integer", "description": "Unix seconds"}
PERCENT: Schema = {"type": "integer", "minimum": 0, "maximum": 100}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def schema_ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def object_of(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


# Fields of several dialects.
FITTED: Schema = {
    "type": "object",
    "required": ["asked", "made"],
    "properties": {"asked": {"type": "object"}, "made": {"type": "object"}, "trim_to": NUMBER},
    "description": "By field: what was asked and what is made instead; the film is cut to `trim_to` seconds",
}
REVISED_PROMPT: Schema = {
    "type": "string",
    "description": "Only where the operator's gates rewrote the prompt: what is sent in its place",
}
ATTEMPT: Schema = {
    "type": "integer",
    "minimum": 2,
    "description": "Only after a vendor has failed and another one was asked: which attempt this is",
}
PROMPT: Schema = {"type": "string", "maxLength": 32_000, "examples": ["A paper boat on a rainy street"]}
SECONDS: Schema = {"anyOf": [TEXT, WHOLE], "default": "4", "examples": ["4", 10]}
WHOLE_SECONDS: Schema = {"type": "integer", "minimum": 1, "maximum": 3600, "examples": [5, 10]}
SIZE: Schema = {"type": "string", "pattern": r"^\d+x\d+$", "examples": ["1280x720", "720x1280"]}
RATIO: Schema = {"type": "string", "examples": ["16:9", "9:16"]}
RESOLUTION: Schema = {"type": "string", "examples": ["720p", "1080p"]}
STYLE: Schema = {"enum": list(STYLES)}
MEDIA: Schema = {
    "description": "A file, a data URI, base64, an http(s) address, or an object that holds one of them.",
    "anyOf": [
        {"type": "string", "format": "binary"},
        TEXT,
        object_of(image_url=TEXT, video_url=TEXT, url=TEXT),
    ],
}
MEDIA_ADDRESS = object_of(("url",), url={"type": "string", "description": "A link or a data URI"})
TIME_SPAN: Schema = {
    "type": "string",
    "description": "start,end in seconds, one to three apart",
    "examples": ["1,3"],
}
WEBHOOK_URL: Schema = {"type": "string", "maxLength": 2048, "examples": ["https://example.com/hook"]}
IMAGE_MODEL: Schema = {"type": "string", "default": "gpt-image"}
ANY_MODEL: Schema = {"type": "string", "description": "Any name that an account maps"}

# Contents of answers.
ANY_JSON: Schema = {JSON: {"schema": {}}}
EVENT_STREAM: Schema = {"text/event-stream": {"schema": {}}}

# Examples that several dialects share.
BOAT = "A paper boat on a rainy street"
OWN_VIDEO = "video_0190f3a2c4d57e8f9a0b1c2d3e4f5a6b"
"""A placeholder for a video of the reader's own."""
OWN_FILE = "file-0190f3a2c4d57e8f9a0b1c2d3e4f5a6b"
"""A placeholder for a file of the reader's own."""
PICTURE = "https://example.com/boat.png"
CLIP = "https://example.com/boat.mp4"
TEXT_MODEL = "gpt-5-mini"
"""A placeholder for any text model that an account maps."""
CHAT_BODY = {"model": TEXT_MODEL, "messages": [{"role": "user", "content": "Name a boat."}]}

ERROR_SCHEMA = object_of(
    ("error",),
    error=object_of(
        ("message", "type", "param", "code"), message=TEXT, type=TEXT, param=nullable(TEXT), code=TEXT
    ),
)
"""``Error``: the gateway's own envelope. Dialects with another envelope bring their own schema."""
