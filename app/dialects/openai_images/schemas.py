"""Schemas of the images API, for `/openapi.json`."""

from typing import Any

from app.dialects.openapi.schemas import (
    BOAT,
    FLAG,
    IMAGE_MODEL,
    MEDIA,
    PICTURE,
    PROMPT,
    SIZE,
    TEXT,
    UNIX_SECONDS,
    Schema,
    list_of,
    object_of,
)

IMAGE_COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": 10, "default": 1}
RESPONSE_FORMAT: Schema = {"enum": ["url", "b64_json"], "description": "Both, unless given"}

SCHEMAS: dict[str, Schema] = {
    "CreateImages": object_of(
        ("prompt",),
        prompt=PROMPT,
        model=IMAGE_MODEL,
        n=IMAGE_COUNT,
        size=SIZE,
        response_format=RESPONSE_FORMAT,
        stream=FLAG,
    ),
    "EditImages": object_of(
        ("prompt",),
        prompt=PROMPT,
        image=MEDIA,
        images=list_of(MEDIA),
        model=IMAGE_MODEL,
        n=IMAGE_COUNT,
        size=SIZE,
        response_format=RESPONSE_FORMAT,
        stream=FLAG,
    ),
    "VaryImage": object_of(
        ("image",),
        image=MEDIA,
        model=IMAGE_MODEL,
        n=IMAGE_COUNT,
        size=SIZE,
        response_format=RESPONSE_FORMAT,
    ),
    "Images": object_of(
        ("created", "data"),
        created=UNIX_SECONDS,
        data=list_of(object_of(url=TEXT, b64_json=TEXT)),
        size=TEXT,
        quality=TEXT,
        background=TEXT,
        output_format=TEXT,
        usage={"type": "object"},
    ),
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "CreateImages": {"model": "gpt-image", "prompt": BOAT, "response_format": "url"},
    "EditImages": {"model": "gpt-image", "prompt": BOAT, "images": [{"image_url": PICTURE}]},
    "VaryImage": {"model": "gpt-image", "image": PICTURE},
}
TAGS = {
    "Images": "OpenAI's images API: relayed, or made by a task where the upstream only makes tasks.",
}
