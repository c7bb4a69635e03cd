"""Schemas of new-api's video route, for `/openapi.json`."""

from typing import Any

from app.dialects.fields.schemas import film_body
from app.dialects.openapi.schemas import (
    BOAT,
    NUMBER,
    PERCENT,
    PROMPT,
    TEXT,
    UNIX_SECONDS,
    WHOLE,
    Schema,
    object_of,
    schema_ref,
)

SCHEMAS: dict[str, Schema] = {
    "NewApiCreate": film_body(
        ("model", "prompt"),
        model={"type": "string", "examples": ["sora-2", "veo3.1"]},
        prompt=PROMPT,
        response_format={"const": "url"},
        metadata={"type": "object", "description": "Any of the other fields, and the upstream's own options"},
    ),
    "NewApiSubmitted": object_of(
        ("id", "task_id", "status"),
        id=TEXT,
        task_id={"type": "string", "examples": ["task_0190f3a2c4d57e8f9a0b1c2d3e4f5a6b"]},
        object={"const": "video"},
        model=TEXT,
        status={"enum": ["completed", "failed", "in_progress", "queued"]},
        progress=PERCENT,
        created_at=UNIX_SECONDS,
    ),
    "NewApiTask": {
        "allOf": [
            schema_ref("NewApiSubmitted"),
            object_of(
                ("code", "data"),
                code={"const": "success"},
                message=TEXT,
                data={"allOf": [schema_ref("UnifiedTask"), object_of(result_url=TEXT)]},
                url=TEXT,
                format=TEXT,
                metadata=object_of(duration=NUMBER, fps=WHOLE, width=WHOLE, height=WHOLE, seed=WHOLE),
                error=object_of(("code", "message"), code=WHOLE, message=TEXT),
            ),
        ]
    },
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "NewApiCreate": {"model": "sora-2", "prompt": BOAT, "duration": 10, "width": 1280, "height": 720},
}
TAGS = {
    "new-api": "new-api's video route, in the form it documents and the one it answers with.",
}
