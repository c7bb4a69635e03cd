"""The shapes of the manuals' own dialects, for `/openapi.json`."""

from app.catalog.presets import STYLES
from app.dialects.schemas import (
    FLAG,
    HOOK,
    MEDIA,
    MOMENT,
    PROMPT,
    TEXT,
    WHOLE,
    Schema,
    listed,
    maybe,
    ref,
    shape,
)
from app.tasks.status import UNIFIED

DURATION: Schema = {"anyOf": [TEXT, WHOLE], "examples": ["10", 15, 25]}
RATIO: Schema = {"type": "string", "examples": ["16:9", "9:16"]}
SPAN: Schema = {
    "type": "string",
    "description": "start,end in seconds, one to three apart",
    "examples": ["1,3"],
}
VIDEO_MODEL: Schema = {"type": "string", "default": "sora2-landscape-10s"}
IMAGE_MODEL: Schema = {"type": "string", "default": "gpt-image"}
TOLD: dict[str, Schema] = {
    "stream": {"type": "boolean", "default": False},
    "async_mode": {"type": "boolean", "default": False, "description": "Wins over `stream`"},
    "notify_hook": HOOK,
}
STYLE: Schema = {"enum": list(STYLES)}
CAMEO: dict[str, Schema] = {
    "id": {"type": "string", "examples": ["ch_691155df38588191b3ae5f2d390a4359"]},
    "username": {"type": "string", "description": "Written in a prompt as @username, set off by spaces"},
    "permalink": TEXT,
    "profile_picture_url": TEXT,
}
CHOICE = shape(
    ("index", "message", "finish_reason"),
    index=WHOLE,
    message=shape(("role", "content"), role={"const": "assistant"}, content=TEXT),
    finish_reason={"const": "stop"},
)

MANUAL_SCHEMAS: dict[str, Schema] = {
    "CreateUnified": shape(
        ("prompt", "model"),
        prompt=PROMPT,
        model={"type": "string", "examples": ["sora-2", "sora-2-pro", "veo3.1"]},
        duration=DURATION,
        aspect_ratio=RATIO,
        size={"type": "string", "examples": ["1280x720"]},
        resolution={"type": "string", "examples": ["720p"]},
        hd=FLAG,
        images=listed(MEDIA),
        videos=listed(MEDIA),
        watermark=FLAG,
        generate_audio=FLAG,
        private={"type": "boolean", "default": False, "description": "Links need the key; no remix"},
        notify_hook=HOOK,
        enhance_prompt=FLAG,
        enable_upsample=FLAG,
        character_url=TEXT,
        character_timestamps=SPAN,
        style=STYLE,
        seed=WHOLE,
        negative_prompt=TEXT,
    ),
    "UnifiedCreated": shape(("task_id",), task_id={"type": "string", "format": "uuid"}),
    "UnifiedTask": shape(
        ("task_id", "status", "fail_reason", "submit_time", "start_time", "finish_time", "progress", "data"),
        task_id={"type": "string", "description": "A UUID"},
        platform=TEXT,
        action=TEXT,
        status={"enum": sorted(set(UNIFIED.values()))},
        fail_reason=TEXT,
        submit_time=MOMENT,
        start_time=MOMENT,
        finish_time=MOMENT,
        progress={"type": "string", "pattern": r"^\d{1,3}%$"},
        data=maybe(shape(("output", "outputs"), output=TEXT, outputs=listed(TEXT))),
        search_item=TEXT,
    ),
    "MakeImage": shape(("prompt",), prompt=PROMPT, model=IMAGE_MODEL, **TOLD),
    "TransformImage": shape(("prompt", "image"), prompt=PROMPT, image=MEDIA, model=IMAGE_MODEL, **TOLD),
    "MakeVideo": shape(("prompt",), prompt=PROMPT, model=VIDEO_MODEL, style=STYLE, **TOLD),
    "MakeStoryboard": shape(
        ("prompt",),
        prompt={**PROMPT, "description": "[seconds]what happens, or Shot 1: / duration: / Scene:"},
        model=VIDEO_MODEL,
        style=STYLE,
        **TOLD,
    ),
    "TransformVideo": shape(
        ("prompt", "image"), prompt=PROMPT, image=MEDIA, model=VIDEO_MODEL, style=STYLE, **TOLD
    ),
    "RemixFeature": shape(
        ("prompt", "remix_target_id"),
        prompt=PROMPT,
        remix_target_id={"type": "string", "description": "s_<32 hex>, a share link, or a task of this key"},
        model=VIDEO_MODEL,
        style=STYLE,
        **TOLD,
    ),
    "MakeCharacter": shape(("video",), video=MEDIA, name=TEXT, timestamps=SPAN, stream=TOLD["stream"]),
    "MakeVideoWithCharacter": shape(
        ("prompt", "video"), prompt=PROMPT, video=MEDIA, name=TEXT, timestamps=SPAN, model=VIDEO_MODEL, **TOLD
    ),
    "ChatCompletion": shape(
        ("id", "object", "created", "model", "choices"),
        id=TEXT,
        object={"const": "chat.completion"},
        created=MOMENT,
        model=TEXT,
        choices=listed(CHOICE),
        usage={"type": "object"},
        character=shape(**CAMEO),
    ),
    "ChatOrTask": {"anyOf": [ref("ChatCompletion"), ref("Task")]},
    "CreateCameo": shape(("timestamps",), url=MEDIA, from_task=TEXT, timestamps=SPAN),
    "Cameo": shape(tuple(CAMEO), **CAMEO, display_name=TEXT, created_at=MOMENT),
    "CameoList": shape(
        ("object", "data", "has_more"), object={"const": "list"}, data=listed(ref("Cameo")), has_more=FLAG
    ),
    "CameoDeleted": shape(
        ("id", "object", "deleted"), id=TEXT, object={"const": "character.deleted"}, deleted={"const": True}
    ),
}
