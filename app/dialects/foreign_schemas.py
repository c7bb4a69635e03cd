"""The shapes of other services' dialects (OpenRouter, new-api, Ark), for `/openapi.json`."""

from app.dialects.schemas import (
    FLAG,
    HOOK,
    MEDIA,
    MOMENT,
    PROMPT,
    SIZE,
    TEXT,
    WHOLE,
    Schema,
    listed,
    maybe,
    ref,
    shape,
)
from app.tasks.status import ARK, NEW_API, OPENROUTER

SECONDS: Schema = {"type": "integer", "minimum": 1, "maximum": 3600, "examples": [5, 10]}
RATIO: Schema = {"type": "string", "examples": ["16:9", "9:16"]}
QUALITY: Schema = {"type": "string", "examples": ["720p", "1080p"]}
ADDRESS = shape(("url",), url={"type": "string", "description": "A link or a data URI"})
NUMBER: Schema = {"type": "number"}
FRAME = shape(
    ("type", "image_url", "frame_type"),
    type={"const": "image_url"},
    image_url=ADDRESS,
    frame_type={"enum": ["first_frame", "last_frame"]},
)
REFERENCE = shape(
    ("type",),
    type={"enum": ["image_url", "video_url", "audio_url"]},
    image_url=ADDRESS,
    video_url=ADDRESS,
    audio_url=ADDRESS,
)
ARK_PART = shape(
    ("type",),
    type={"enum": ["text", "image_url", "video_url", "audio_url"]},
    text={"type": "string", "examples": ["A paper boat on a rainy street --ratio 16:9 --dur 5"]},
    image_url=ADDRESS,
    video_url=ADDRESS,
    audio_url=ADDRESS,
    role={"enum": ["first_frame", "last_frame", "reference_image", "reference_video", "reference_audio"]},
)
FAILURE = shape(("code", "message"), code=TEXT, message=TEXT)

FOREIGN_SCHEMAS: dict[str, Schema] = {
    "OpenRouterError": shape(
        ("error",),
        error=shape(("code", "message"), code=WHOLE, message=TEXT, metadata={"type": "object"}),
    ),
    "OpenRouterCreate": shape(
        ("model", "prompt"),
        model={"type": "string", "examples": ["sora-2", "veo3.1"]},
        prompt=PROMPT,
        duration=SECONDS,
        resolution=QUALITY,
        aspect_ratio=RATIO,
        size=SIZE,
        seed=WHOLE,
        frame_images=listed(FRAME),
        input_references=listed(REFERENCE),
        previous_job_id=TEXT,
        callback_url=HOOK,
    ),
    "OpenRouterVideo": shape(
        ("id", "polling_url", "status"),
        id={"type": "string", "examples": ["gen-vid-0190f3a2c4d57e8f9a0b1c2d3e4f5a6b"]},
        polling_url=TEXT,
        status={"enum": sorted(set(OPENROUTER.values()))},
        error=TEXT,
        generation_id=TEXT,
        unsigned_urls=listed({"type": "string", "description": "Needs no key here"}),
        urls=listed(TEXT),
        expires_at=MOMENT,
        usage=shape(cost=NUMBER, is_byok=FLAG),
    ),
    "OpenRouterModels": shape(
        ("data",),
        data=listed(
            shape(
                ("id", "name", "created", "supported_durations", "supported_sizes"),
                id=TEXT,
                canonical_slug=TEXT,
                name=TEXT,
                created=MOMENT,
                supported_durations=maybe(listed(WHOLE)),
                supported_sizes=maybe(listed(TEXT)),
                supported_frame_images=listed(TEXT),
                allowed_passthrough_parameters=listed(TEXT),
            )
        ),
    ),
    "NewApiCreate": shape(
        ("model", "prompt"),
        model={"type": "string", "examples": ["sora-2", "veo3.1"]},
        prompt=PROMPT,
        image=MEDIA,
        images=listed(MEDIA),
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
    "NewApiSubmitted": shape(
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
            ref("NewApiSubmitted"),
            shape(
                ("code", "data"),
                code={"const": "success"},
                message=TEXT,
                data={"allOf": [ref("UnifiedTask"), shape(result_url=TEXT)]},
                url=TEXT,
                format=TEXT,
                metadata=shape(duration=NUMBER, fps=WHOLE, width=WHOLE, height=WHOLE, seed=WHOLE),
                error=shape(("code", "message"), code=WHOLE, message=TEXT),
            ),
        ]
    },
    "ArkCreate": shape(
        ("model", "content"),
        model={"type": "string", "examples": ["doubao-seedance-2-0-260128", "sora-2"]},
        content={**listed(ARK_PART), "minItems": 1},
        resolution=QUALITY,
        ratio={"type": "string", "examples": ["16:9", "adaptive"]},
        duration={"type": "integer", "minimum": -1, "maximum": 3600, "examples": [5]},
        seed=WHOLE,
        watermark=FLAG,
        callback_url=HOOK,
    ),
    "ArkCreated": shape(("id",), id={"type": "string", "examples": ["cgt-0190f3a2c4d57e8f9a0b1c2d3e4f5a6b"]}),
    "ArkTask": shape(
        ("id", "model", "status", "created_at", "updated_at"),
        id=TEXT,
        model=TEXT,
        status={"enum": sorted(set(ARK.values()))},
        created_at=MOMENT,
        updated_at=MOMENT,
        content=shape(("video_url",), video_url=TEXT),
        error=FAILURE,
        usage=shape(completion_tokens=WHOLE, total_tokens=WHOLE),
        seed=WHOLE,
        resolution=TEXT,
        ratio=TEXT,
        duration=WHOLE,
        framespersecond=WHOLE,
        service_tier=TEXT,
    ),
    "ArkTasks": shape(("total", "items"), total=WHOLE, items=listed(ref("ArkTask"))),
    "ArkDeleted": shape(),
}
