"""The shapes of the manuals' own dialects, for `/openapi.json`."""

from app.catalog.presets import STYLES
from app.dialects.openapi.schemas import (
    FLAG,
    HOOK,
    MEDIA,
    MOMENT,
    PROMPT,
    TEXT,
    WHOLE,
    Schema,
    list_of,
    nullable,
    object_of,
    schema_ref,
)
from app.tasks.states import UNIFIED

DURATION: Schema = {"anyOf": [TEXT, WHOLE], "examples": ["10", 15, 25]}
RATIO: Schema = {"type": "string", "examples": ["16:9", "9:16"]}
SPAN: Schema = {
    "type": "string",
    "description": "start,end in seconds, one to three apart",
    "examples": ["1,3"],
}
VIDEO_MODEL: Schema = {"type": "string", "default": "sora2-landscape-10s"}
IMAGE_MODEL: Schema = {"type": "string", "default": "gpt-image"}
CHAT_OPTIONS: dict[str, Schema] = {
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
CHOICE = object_of(
    ("index", "message", "finish_reason"),
    index=WHOLE,
    message=object_of(("role", "content"), role={"const": "assistant"}, content=TEXT),
    finish_reason={"const": "stop"},
)

MANUAL_SCHEMAS: dict[str, Schema] = {
    "CreateUnified": object_of(
        ("prompt", "model"),
        prompt=PROMPT,
        model={"type": "string", "examples": ["sora-2", "sora-2-pro", "veo3.1"]},
        duration=DURATION,
        aspect_ratio=RATIO,
        size={"type": "string", "examples": ["1280x720"]},
        resolution={"type": "string", "examples": ["720p"]},
        hd=FLAG,
        images=list_of(MEDIA),
        videos=list_of(MEDIA),
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
    "UnifiedCreated": object_of(("task_id",), task_id={"type": "string", "format": "uuid"}),
    "UnifiedTask": object_of(
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
        data=nullable(object_of(("output", "outputs"), output=TEXT, outputs=list_of(TEXT))),
        search_item=TEXT,
    ),
    "MakeImage": object_of(("prompt",), prompt=PROMPT, model=IMAGE_MODEL, **CHAT_OPTIONS),
    "TransformImage": object_of(
        ("prompt", "image"), prompt=PROMPT, image=MEDIA, model=IMAGE_MODEL, **CHAT_OPTIONS
    ),
    "MakeVideo": object_of(("prompt",), prompt=PROMPT, model=VIDEO_MODEL, style=STYLE, **CHAT_OPTIONS),
    "MakeStoryboard": object_of(
        ("prompt",),
        prompt={**PROMPT, "description": "[seconds]what happens, or Shot 1: / duration: / Scene:"},
        model=VIDEO_MODEL,
        style=STYLE,
        **CHAT_OPTIONS,
    ),
    "TransformVideo": object_of(
        ("prompt", "image"), prompt=PROMPT, image=MEDIA, model=VIDEO_MODEL, style=STYLE, **CHAT_OPTIONS
    ),
    "RemixFeature": object_of(
        ("prompt", "remix_target_id"),
        prompt=PROMPT,
        remix_target_id={"type": "string", "description": "s_<32 hex>, a share link, or a task of this key"},
        model=VIDEO_MODEL,
        style=STYLE,
        **CHAT_OPTIONS,
    ),
    "MakeCharacter": object_of(
        ("video",), video=MEDIA, name=TEXT, timestamps=SPAN, stream=CHAT_OPTIONS["stream"]
    ),
    "MakeVideoWithCharacter": object_of(
        ("prompt", "video"),
        prompt=PROMPT,
        video=MEDIA,
        name=TEXT,
        timestamps=SPAN,
        model=VIDEO_MODEL,
        **CHAT_OPTIONS,
    ),
    "ChatCompletion": object_of(
        ("id", "object", "created", "model", "choices"),
        id=TEXT,
        object={"const": "chat.completion"},
        created=MOMENT,
        model=TEXT,
        choices=list_of(CHOICE),
        usage={"type": "object"},
        character=object_of(**CAMEO),
    ),
    "ChatOrTask": {"anyOf": [schema_ref("ChatCompletion"), schema_ref("Task")]},
    "CreateCameo": object_of(("timestamps",), url=MEDIA, from_task=TEXT, timestamps=SPAN),
    "Cameo": object_of(tuple(CAMEO), **CAMEO, display_name=TEXT, created_at=MOMENT),
    "CameoList": object_of(
        ("object", "data", "has_more"),
        object={"const": "list"},
        data=list_of(schema_ref("Cameo")),
        has_more=FLAG,
    ),
    "CameoDeleted": object_of(
        ("id", "object", "deleted"), id=TEXT, object={"const": "character.deleted"}, deleted={"const": True}
    ),
}
