"""Schemas of Ark's content generation tasks, for `/openapi.json`."""

from typing import Any

from app.dialects.fields.schemas import film_body
from app.dialects.openapi.schemas import (
    BOAT,
    MEDIA_ADDRESS,
    TEXT,
    UNIX_SECONDS,
    WHOLE,
    Schema,
    list_of,
    object_of,
    schema_ref,
)

PART = object_of(
    ("type",),
    type={"enum": ["text", "image_url", "video_url", "audio_url"]},
    text={"type": "string", "examples": ["A paper boat on a rainy street --ratio 16:9 --dur 5"]},
    image_url=MEDIA_ADDRESS,
    video_url=MEDIA_ADDRESS,
    audio_url=MEDIA_ADDRESS,
    role={"enum": ["first_frame", "last_frame", "reference_image", "reference_video", "reference_audio"]},
)

SCHEMAS: dict[str, Schema] = {
    "ArkCreate": film_body(
        ("model", "content"),
        model={"type": "string", "examples": ["doubao-seedance-2-0-260128", "sora-2"]},
        content={**list_of(PART), "minItems": 1},
        duration={
            "type": "integer",
            "minimum": -1,
            "maximum": 3600,
            "description": "-1 leaves it to the upstream, as does ratio adaptive",
            "examples": [5],
        },
    ),
    "ArkCreated": object_of(
        ("id",), id={"type": "string", "examples": ["cgt-0190f3a2c4d57e8f9a0b1c2d3e4f5a6b"]}
    ),
    "ArkTask": object_of(
        ("id", "model", "status", "created_at", "updated_at"),
        id=TEXT,
        model=TEXT,
        status={"enum": ["cancelled", "failed", "queued", "running", "succeeded"]},
        created_at=UNIX_SECONDS,
        updated_at=UNIX_SECONDS,
        content=object_of(("video_url",), video_url=TEXT),
        error=object_of(("code", "message"), code=TEXT, message=TEXT),
        usage=object_of(completion_tokens=WHOLE, total_tokens=WHOLE),
        seed=WHOLE,
        resolution=TEXT,
        ratio=TEXT,
        duration=WHOLE,
        framespersecond=WHOLE,
        service_tier=TEXT,
    ),
    "ArkTasks": object_of(("total", "items"), total=WHOLE, items=list_of(schema_ref("ArkTask"))),
    "ArkDeleted": object_of(),
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "ArkCreate": {
        "model": "sora-2",
        "content": [{"type": "text", "text": BOAT}],
        "ratio": "16:9",
        "duration": 10,
    },
}
TAGS = {
    "Ark": "Volcengine Ark's content generation tasks; the base address here ends with `/api/v3`.",
}
