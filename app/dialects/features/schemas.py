"""Schemas of the feature endpoints, for `/openapi.json`."""

from typing import Any

from app.dialects.fields.schemas import film_body
from app.dialects.openapi.schemas import (
    BOAT,
    CLIP,
    IMAGE_MODEL,
    MEDIA,
    OWN_VIDEO,
    PICTURE,
    PROMPT,
    STYLE,
    TEXT,
    TIME_SPAN,
    Schema,
    object_of,
    schema_ref,
)

VIDEO_MODEL: Schema = {"type": "string", "default": "sora2-landscape-10s"}
ANSWER_OPTIONS: dict[str, Schema] = {
    "stream": {"type": "boolean", "default": False},
    "async_mode": {"type": "boolean", "default": False, "description": "Wins over `stream`"},
}

SCHEMAS: dict[str, Schema] = {
    "MakeImage": film_body(("prompt",), prompt=PROMPT, model=IMAGE_MODEL, **ANSWER_OPTIONS),
    "TransformImage": film_body(
        ("prompt", "image"), prompt=PROMPT, image=MEDIA, model=IMAGE_MODEL, **ANSWER_OPTIONS
    ),
    "MakeVideo": film_body(("prompt",), prompt=PROMPT, model=VIDEO_MODEL, style=STYLE, **ANSWER_OPTIONS),
    "MakeStoryboard": film_body(
        ("prompt",),
        prompt={**PROMPT, "description": "[seconds]what happens, or Shot 1: / duration: / Scene:"},
        model=VIDEO_MODEL,
        style=STYLE,
        **ANSWER_OPTIONS,
    ),
    "TransformVideo": film_body(
        ("prompt", "image"), prompt=PROMPT, image=MEDIA, model=VIDEO_MODEL, style=STYLE, **ANSWER_OPTIONS
    ),
    "RemixFeature": film_body(
        ("prompt", "remix_target_id"),
        prompt=PROMPT,
        remix_target_id={"type": "string", "description": "s_<32 hex>, a share link, or a task of this key"},
        model=VIDEO_MODEL,
        style=STYLE,
        **ANSWER_OPTIONS,
    ),
    "MakeCharacter": object_of(
        ("video",), video=MEDIA, name=TEXT, timestamps=TIME_SPAN, stream=ANSWER_OPTIONS["stream"]
    ),
    "MakeVideoWithCharacter": film_body(
        ("prompt", "video"),
        prompt=PROMPT,
        video=MEDIA,
        name=TEXT,
        timestamps=TIME_SPAN,
        model=VIDEO_MODEL,
        **ANSWER_OPTIONS,
    ),
    "ChatOrTask": {"anyOf": [schema_ref("ChatCompletion"), schema_ref("Task")]},
}
ASYNC_PROMPT = {"prompt": BOAT, "async_mode": True}
EXAMPLES: dict[str, dict[str, Any]] = {
    "MakeImage": ASYNC_PROMPT,
    "TransformImage": {**ASYNC_PROMPT, "image": PICTURE},
    "MakeVideo": {**ASYNC_PROMPT, "model": "sora2-landscape-10s", "style": "anime"},
    "TransformVideo": {**ASYNC_PROMPT, "image": PICTURE},
    "MakeStoryboard": {**ASYNC_PROMPT, "prompt": f"[5.0s]{BOAT} [5.0s]It reaches the sea"},
    "RemixFeature": {**ASYNC_PROMPT, "remix_target_id": OWN_VIDEO},
    "MakeCharacter": {"video": CLIP},
    "MakeVideoWithCharacter": {**ASYNC_PROMPT, "video": CLIP},
}
TAGS = {
    "Feature endpoints": "One route for each kind of generation, answered in chat form.",
}
