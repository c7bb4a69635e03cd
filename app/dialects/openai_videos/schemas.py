"""Schemas of the Videos API, for `/openapi.json`."""

from typing import Any

from app.dialects.fields.schemas import FILM_SCHEMA, film_body
from app.dialects.openapi.schemas import (
    BOAT,
    FITTED,
    FLAG,
    MEDIA,
    OWN_VIDEO,
    PERCENT,
    PROMPT,
    SECONDS,
    TEXT,
    UNIX_SECONDS,
    Schema,
    list_of,
    nullable,
    object_of,
    schema_ref,
)

MODEL: Schema = {"type": "string", "default": "sora-2", "examples": ["sora-2", "sora_video2-landscape-15s"]}
OWN_OR_UPLOADED: Schema = {"anyOf": [object_of(("id",), id=TEXT), MEDIA]}

SCHEMAS: dict[str, Schema] = {
    "FilmFields": FILM_SCHEMA,
    "CreateVideo": film_body(
        ("prompt",),
        prompt=PROMPT,
        model=MODEL,
        seconds=SECONDS,
        characters=list_of(object_of(("id",), id=TEXT)),
    ),
    "RemixVideo": film_body(("prompt",), prompt=PROMPT),
    "EditVideo": film_body(("prompt", "video"), prompt=PROMPT, video=OWN_OR_UPLOADED, model=MODEL),
    "ExtendVideo": film_body(
        ("prompt", "seconds", "video"), prompt=PROMPT, seconds=SECONDS, video=OWN_OR_UPLOADED
    ),
    "CreateCharacter": object_of(("name", "video"), name={"type": "string", "maxLength": 80}, video=MEDIA),
    "Character": object_of(("id", "name", "created_at"), id=TEXT, name=TEXT, created_at=UNIX_SECONDS),
    "Video": object_of(
        ("id", "object", "model", "status", "progress", "created_at", "seconds", "size"),
        id={"type": "string", "examples": [OWN_VIDEO]},
        object={"const": "video"},
        model=TEXT,
        status={"enum": ["queued", "in_progress", "completed", "failed"]},
        progress=PERCENT,
        created_at=UNIX_SECONDS,
        completed_at=nullable(UNIX_SECONDS),
        expires_at=nullable(UNIX_SECONDS),
        prompt=nullable(TEXT),
        seconds=TEXT,
        size=TEXT,
        remixed_from_video_id=nullable(TEXT),
        fitted=FITTED,
        wait_reason={"type": "string", "description": "Only while no account can take it: why"},
        estimated_wait_seconds=nullable({"type": "number", "minimum": 0}),
        codec={"type": "string", "description": "Of a film that could be measured: h264, hevc, vp9, av1 …"},
        fps=nullable({"type": "number", "minimum": 0}),
        sound=nullable(FLAG),
        error=nullable(object_of(("code", "message"), code=TEXT, message=TEXT)),
        url=nullable({"type": "string", "description": "A signed link that needs no key"}),
    ),
    "VideoList": object_of(
        ("object", "data", "first_id", "last_id", "has_more"),
        object={"const": "list"},
        data=list_of(schema_ref("Video")),
        first_id=nullable(TEXT),
        last_id=nullable(TEXT),
        has_more=FLAG,
    ),
    "VideoDeleted": object_of(
        ("id", "object", "deleted"), id=TEXT, object={"const": "video.deleted"}, deleted={"const": True}
    ),
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "CreateVideo": {"model": "sora-2", "prompt": BOAT, "seconds": "4", "size": "1280x720"},
    "RemixVideo": {"prompt": "The same street at night"},
    "EditVideo": {"prompt": "Make it snow", "video": {"id": OWN_VIDEO}},
    "ExtendVideo": {"prompt": "The boat sails on", "seconds": "4", "video": {"id": OWN_VIDEO}},
}
TAGS = {
    "OpenAI Videos": "OpenAI's Videos API in full; its SDKs work with `base_url` and `api_key` changed.",
}
