"""Schemas of the unified tasks, for `/openapi.json`."""

from typing import Any

from app.dialects.openapi.schemas import (
    BOAT,
    FLAG,
    MEDIA,
    PROMPT,
    RATIO,
    STYLE,
    TEXT,
    TIME_SPAN,
    UNIX_SECONDS,
    WEBHOOK_URL,
    WHOLE,
    Schema,
    list_of,
    nullable,
    object_of,
)

SCHEMAS: dict[str, Schema] = {
    "CreateUnified": object_of(
        ("prompt", "model"),
        prompt=PROMPT,
        model={"type": "string", "examples": ["sora-2", "sora-2-pro", "veo3.1"]},
        duration={"anyOf": [TEXT, WHOLE], "examples": ["10", 15, 25]},
        aspect_ratio=RATIO,
        size={"type": "string", "examples": ["1280x720"]},
        resolution={"type": "string", "examples": ["720p"]},
        hd=FLAG,
        images=list_of(MEDIA),
        videos=list_of(MEDIA),
        watermark=FLAG,
        generate_audio=FLAG,
        private={"type": "boolean", "default": False, "description": "Links need the key; no remix"},
        notify_hook=WEBHOOK_URL,
        enhance_prompt=FLAG,
        enable_upsample=FLAG,
        character_url=TEXT,
        character_timestamps=TIME_SPAN,
        style=STYLE,
        seed=WHOLE,
        negative_prompt=TEXT,
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
    ),
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "CreateUnified": {"model": "sora-2", "prompt": BOAT, "duration": 10, "aspect_ratio": "16:9"},
}
TAGS = {
    "Unified tasks": "One form for videos, images and audio: submit, then poll.",
}
