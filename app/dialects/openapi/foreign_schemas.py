"""The shapes of other services' dialects (OpenRouter, new-api, Ark), for `/openapi.json`."""

from app.dialects.openapi.schemas import (
    FLAG,
    HOOK,
    MEDIA,
    MOMENT,
    PROMPT,
    SIZE,
    TEXT,
    WHOLE,
    Schema,
    list_of,
    nullable,
    object_of,
    schema_ref,
)
from app.tasks.states import ARK, NEW_API, OPENROUTER

SECONDS: Schema = {"type": "integer", "minimum": 1, "maximum": 3600, "examples": [5, 10]}
RATIO: Schema = {"type": "string", "examples": ["16:9", "9:16"]}
QUALITY: Schema = {"type": "string", "examples": ["720p", "1080p"]}
ADDRESS = object_of(("url",), url={"type": "string", "description": "A link or a data URI"})
NUMBER: Schema = {"type": "number"}
FRAME = object_of(
    ("type", "image_url", "frame_type"),
    type={"const": "image_url"},
    image_url=ADDRESS,
    frame_type={"enum": ["first_frame", "last_frame"]},
)
REFERENCE = object_of(
    ("type",),
    type={"enum": ["image_url", "video_url", "audio_url"]},
    image_url=ADDRESS,
    video_url=ADDRESS,
    audio_url=ADDRESS,
)
ARK_PART = object_of(
    ("type",),
    type={"enum": ["text", "image_url", "video_url", "audio_url"]},
    text={"type": "string", "examples": ["A paper boat on a rainy street --ratio 16:9 --dur 5"]},
    image_url=ADDRESS,
    video_url=ADDRESS,
    audio_url=ADDRESS,
    role={"enum": ["first_frame", "last_frame", "reference_image", "reference_video", "reference_audio"]},
)
FAILURE = object_of(("code", "message"), code=TEXT, message=TEXT)

FOREIGN_SCHEMAS: dict[str, Schema] = {
    "OpenRouterError": object_of(
        ("error",),
        error=object_of(("code", "message"), code=WHOLE, message=TEXT, metadata={"type": "object"}),
    ),
    "OpenRouterCreate": object_of(
        ("model", "prompt"),
        model={"type": "string", "examples": ["sora-2", "veo3.1"]},
        prompt=PROMPT,
        duration=SECONDS,
        resolution=QUALITY,
        aspect_ratio=RATIO,
        size=SIZE,
        seed=WHOLE,
        frame_images=list_of(FRAME),
        input_references=list_of(REFERENCE),
        previous_job_id=TEXT,
        callback_url=HOOK,
    ),
    "OpenRouterVideo": object_of(
        ("id", "polling_url", "status"),
        id={"type": "string", "examples": ["gen-vid-0190f3a2c4d57e8f9a0b1c2d3e4f5a6b"]},
        polling_url=TEXT,
        status={"enum": sorted(set(OPENROUTER.values()))},
        error=TEXT,
        generation_id=TEXT,
        unsigned_urls=list_of({"type": "string", "description": "Needs no key here"}),
        urls=list_of(TEXT),
        expires_at=MOMENT,
        usage=object_of(cost=NUMBER, is_byok=FLAG),
    ),
    "OpenRouterModels": object_of(
        ("data",),
        data=list_of(
            object_of(
                ("id", "name", "created", "supported_durations", "supported_sizes"),
                id=TEXT,
                canonical_slug=TEXT,
                name=TEXT,
                created=MOMENT,
                supported_durations=nullable(list_of(WHOLE)),
                supported_sizes=nullable(list_of(TEXT)),
                supported_frame_images=list_of(TEXT),
                allowed_passthrough_parameters=list_of(TEXT),
            )
        ),
    ),
    "NewApiCreate": object_of(
        ("model", "prompt"),
        model={"type": "string", "examples": ["sora-2", "veo3.1"]},
        prompt=PROMPT,
        image=MEDIA,
        images=list_of(MEDIA),
        image_tail=MEDIA,
        duration={"anyOf": [NUMBER, TEXT], "examples": [5.0, "10"]},
        seconds={"anyOf": [TEXT, WHOLE]},
        size=SIZE,
        width={"type": "integer", "minimum": 0},
        height={"type": "integer", "minimum": 0},
        seed=WHOLE,
        n={"const": 1},
        response_format={"const": "url"},
        metadata={"type": "object", "description": "Any of the other fields, and the upstream's own options"},
    ),
    "NewApiSubmitted": object_of(
        ("id", "task_id", "status"),
        id=TEXT,
        task_id={"type": "string", "examples": ["task_0190f3a2c4d57e8f9a0b1c2d3e4f5a6b"]},
        object={"const": "video"},
        model=TEXT,
        status={"enum": sorted(set(NEW_API.values()))},
        progress={"type": "integer", "minimum": 0, "maximum": 100},
        created_at=MOMENT,
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
    "ArkCreate": object_of(
        ("model", "content"),
        model={"type": "string", "examples": ["doubao-seedance-2-0-260128", "sora-2"]},
        content={**list_of(ARK_PART), "minItems": 1},
        resolution=QUALITY,
        ratio={"type": "string", "examples": ["16:9", "adaptive"]},
        duration={"type": "integer", "minimum": -1, "maximum": 3600, "examples": [5]},
        seed=WHOLE,
        watermark=FLAG,
        callback_url=HOOK,
    ),
    "ArkCreated": object_of(
        ("id",), id={"type": "string", "examples": ["cgt-0190f3a2c4d57e8f9a0b1c2d3e4f5a6b"]}
    ),
    "ArkTask": object_of(
        ("id", "model", "status", "created_at", "updated_at"),
        id=TEXT,
        model=TEXT,
        status={"enum": sorted(set(ARK.values()))},
        created_at=MOMENT,
        updated_at=MOMENT,
        content=object_of(("video_url",), video_url=TEXT),
        error=FAILURE,
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
