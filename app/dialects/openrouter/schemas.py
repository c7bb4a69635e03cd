"""Schemas of OpenRouter's video API, for `/openapi.json`."""

from typing import Any

from app.dialects.fields.schemas import film_body
from app.dialects.openapi.schemas import (
    BOAT,
    FLAG,
    MEDIA_ADDRESS,
    NUMBER,
    PROMPT,
    TEXT,
    UNIX_SECONDS,
    WHOLE,
    WHOLE_SECONDS,
    Schema,
    list_of,
    nullable,
    object_of,
)

FRAME = object_of(
    ("type", "image_url", "frame_type"),
    type={"const": "image_url"},
    image_url=MEDIA_ADDRESS,
    frame_type={"enum": ["first_frame", "last_frame"]},
)
REFERENCE = object_of(
    ("type",),
    type={"enum": ["image_url", "video_url", "audio_url"]},
    image_url=MEDIA_ADDRESS,
    video_url=MEDIA_ADDRESS,
    audio_url=MEDIA_ADDRESS,
)

SCHEMAS: dict[str, Schema] = {
    "OpenRouterError": object_of(
        ("error",),
        error=object_of(("code", "message"), code=WHOLE, message=TEXT, metadata={"type": "object"}),
    ),
    "OpenRouterCreate": film_body(
        ("model", "prompt"),
        model={"type": "string", "examples": ["sora-2", "veo3.1"]},
        prompt=PROMPT,
        duration=WHOLE_SECONDS,
        frame_images=list_of(FRAME),
        input_references=list_of(REFERENCE),
        previous_job_id=TEXT,
    ),
    "OpenRouterVideo": object_of(
        ("id", "polling_url", "status"),
        id={"type": "string", "examples": ["gen-vid-0190f3a2c4d57e8f9a0b1c2d3e4f5a6b"]},
        polling_url=TEXT,
        status={"enum": ["cancelled", "completed", "failed", "in_progress", "pending"]},
        error=TEXT,
        generation_id=TEXT,
        unsigned_urls=list_of({"type": "string", "description": "Needs no key here"}),
        urls=list_of(TEXT),
        expires_at=UNIX_SECONDS,
        usage=object_of(cost=NUMBER, is_byok=FLAG),
    ),
    "OpenRouterModelCount": object_of(("data",), data=object_of(("count",), count=WHOLE)),
    "OpenRouterModelList": object_of(
        ("data", "total_count", "links"),
        data=list_of(
            object_of(
                ("id", "name", "created", "pricing", "architecture"),
                id=TEXT,
                canonical_slug=TEXT,
                name=TEXT,
                created=UNIX_SECONDS,
                architecture=object_of(
                    ("input_modalities", "output_modalities"),
                    input_modalities=list_of(TEXT),
                    output_modalities=list_of(TEXT),
                ),
                pricing=object_of(("prompt", "completion"), prompt=TEXT, completion=TEXT, request=TEXT),
            )
        ),
        total_count=WHOLE,
        links=object_of(("next",), next=nullable(TEXT)),
    ),
    "OpenRouterModels": object_of(
        ("data",),
        data=list_of(
            object_of(
                ("id", "name", "created", "supported_durations", "supported_sizes"),
                id=TEXT,
                canonical_slug=TEXT,
                name=TEXT,
                created=UNIX_SECONDS,
                supported_durations=nullable(list_of(WHOLE)),
                supported_sizes=nullable(list_of(TEXT)),
                supported_frame_images=list_of(TEXT),
                supported_aspect_ratios=nullable(list_of(TEXT)),
                supported_resolutions=nullable(list_of(TEXT)),
                generate_audio=nullable(FLAG),
                pricing_skus=nullable({"type": "object", "additionalProperties": TEXT}),
                allowed_passthrough_parameters=list_of(TEXT),
            )
        ),
    ),
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "OpenRouterCreate": {"model": "sora-2", "prompt": BOAT, "duration": 10, "aspect_ratio": "16:9"},
}
TAGS = {
    "OpenRouter": "OpenRouter's video API; its base address here ends with `/api/v1`. Chat and all other relayed routes are there too.",
}
