"""Schemas of the unified tasks, for `/openapi.json`."""

from typing import Any

from app.dialects.fields.schemas import film_body
from app.dialects.openapi.schemas import (
    ATTEMPT,
    BOAT,
    FITTED,
    FLAG,
    MEDIA,
    PROMPT,
    REVISED_PROMPT,
    STYLE,
    TEXT,
    UNIX_SECONDS,
    WHOLE,
    Schema,
    list_of,
    nullable,
    object_of,
)

SCHEMAS: dict[str, Schema] = {
    "CreateUnified": film_body(
        ("prompt", "model"),
        prompt=PROMPT,
        model={"type": "string", "examples": ["sora-2", "sora-2-pro", "veo3.1"]},
        duration={"anyOf": [TEXT, WHOLE], "examples": ["10", 15, 25]},
        images=list_of(MEDIA),
        videos=list_of(MEDIA),
        style=STYLE,
        enhance_prompt=FLAG,
    ),
    "UnifiedCreated": object_of(("task_id",), task_id={"type": "string", "format": "uuid"}),
    "UnifiedTask": object_of(
        ("task_id", "status", "fail_reason", "submit_time", "start_time", "finish_time", "progress", "data"),
        task_id={"type": "string", "description": "A UUID"},
        platform=TEXT,
        action=TEXT,
        status={"enum": ["FAILURE", "IN_PROGRESS", "NOT_START", "QUEUED", "SUBMITTED", "SUCCESS"]},
        fail_reason=TEXT,
        submit_time=UNIX_SECONDS,
        start_time=UNIX_SECONDS,
        finish_time=UNIX_SECONDS,
        progress={"type": "string", "pattern": r"^\d{1,3}%$"},
        data=nullable(object_of(("output", "outputs"), output=TEXT, outputs=list_of(TEXT))),
        search_item=TEXT,
        fitted=FITTED,
        attempt=ATTEMPT,
        revised_prompt=REVISED_PROMPT,
    ),
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "CreateUnified": {"model": "sora-2", "prompt": BOAT, "duration": 10, "aspect_ratio": "16:9"},
}
TAGS = {
    "Unified tasks": "One form for videos, images and audio: submit, then poll.",
}
