"""The shapes of requests and answers, for `/openapi.json`; the readers themselves are more lenient."""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "integer", "description": "Unix seconds"}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def schema_ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def object_of(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


MODEL: Schema = {"type": "string", "default": "sora-2", "examples": ["sora-2", "sora_video2-landscape-15s"]}
PROMPT: Schema = {"type": "string", "maxLength": 32_000, "examples": ["A paper boat on a rainy street"]}
SECONDS: Schema = {"anyOf": [TEXT, WHOLE], "default": "4", "examples": ["4", 10]}
SIZE: Schema = {"type": "string", "pattern": r"^\d+x\d+$", "examples": ["1280x720", "720x1280"]}
MEDIA: Schema = {
    "description": "A file, a data URI, base64, an http(s) address, or an object that holds one of them.",
    "anyOf": [
        {"type": "string", "format": "binary"},
        TEXT,
        object_of(image_url=TEXT, video_url=TEXT, url=TEXT),
    ],
}
OWN_OR_UPLOADED: Schema = {"anyOf": [object_of(("id",), id=TEXT), MEDIA]}
STATUSES: Schema = {"enum": ["queued", "in_progress", "completed", "failed"]}
EVENT: Schema = {"enum": ["video.completed", "video.failed"]}
HOOK: Schema = {"type": "string", "maxLength": 2048, "examples": ["https://example.com/hook"]}
WEBHOOK_ENDPOINT = object_of(
    ("id", "object", "name", "url", "event_types", "created_at"),
    id=TEXT,
    object={"const": "webhook_endpoint"},
    name=TEXT,
    url=HOOK,
    event_types=list_of(EVENT),
    created_at=MOMENT,
    updated_at=MOMENT,
    signing_secret_hint=nullable(TEXT),
    enabled=FLAG,
    disabled_reason=nullable(TEXT),
)
USAGE_FIELDS = ("requests", "failed", "input_tokens", "output_tokens", "cost")
USAGE_FIGURES: Schema = dict.fromkeys(USAGE_FIELDS[:-1], WHOLE) | {
    "cost": {"type": "string", "description": "US dollars", "examples": ["0.15"]}
}
PART = object_of(
    ("type",),
    type={"enum": ["text", "image_url", "video_url"]},
    text=TEXT,
    image_url=object_of(("url",), url=TEXT),
    video_url=object_of(("url",), url=TEXT),
)
MESSAGE = object_of(("role", "content"), role=TEXT, content={"anyOf": [TEXT, list_of(PART)]})

SCHEMAS: dict[str, Schema] = {
    "Error": object_of(
        ("error",),
        error=object_of(
            ("message", "type", "param", "code"), message=TEXT, type=TEXT, param=nullable(TEXT), code=TEXT
        ),
    ),
    "CreateVideo": object_of(
        ("prompt",),
        prompt=PROMPT,
        model=MODEL,
        seconds=SECONDS,
        size=SIZE,
        input_reference=MEDIA,
        characters=list_of(object_of(("id",), id=TEXT)),
        seed=WHOLE,
        negative_prompt=TEXT,
        style=TEXT,
        watermark=FLAG,
        generate_audio=FLAG,
        notify_hook=HOOK,
    ),
    "RemixVideo": object_of(("prompt",), prompt=PROMPT),
    "EditVideo": object_of(("prompt", "video"), prompt=PROMPT, video=OWN_OR_UPLOADED, model=MODEL),
    "ExtendVideo": object_of(
        ("prompt", "seconds", "video"), prompt=PROMPT, seconds=SECONDS, video=OWN_OR_UPLOADED
    ),
    "CreateCharacter": object_of(("name", "video"), name={"type": "string", "maxLength": 80}, video=MEDIA),
    "Character": object_of(("id", "name", "created_at"), id=TEXT, name=TEXT, created_at=MOMENT),
    "Video": object_of(
        ("id", "object", "model", "status", "progress", "created_at", "seconds", "size"),
        id={"type": "string", "examples": ["video_0190f3a2c4d57e8f9a0b1c2d3e4f5a6b"]},
        object={"const": "video"},
        model=TEXT,
        status=STATUSES,
        progress={"type": "integer", "minimum": 0, "maximum": 100},
        created_at=MOMENT,
        completed_at=nullable(MOMENT),
        expires_at=nullable(MOMENT),
        prompt=nullable(TEXT),
        seconds=TEXT,
        size=TEXT,
        remixed_from_video_id=nullable(TEXT),
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
    "Task": object_of(
        ("task_id", "status", "progress", "model", "prompt", "result_urls", "created_at"),
        task_id=TEXT,
        status={"enum": ["processing", "completed", "failed"]},
        progress={"type": "number", "minimum": 0, "maximum": 100},
        model=TEXT,
        prompt=TEXT,
        result_urls=list_of(TEXT),
        error_message=nullable(TEXT),
        created_at={"type": "string", "format": "date-time"},
        completed_at=nullable({"type": "string", "format": "date-time"}),
        queue_position={"type": "integer", "minimum": 1},
        estimated_wait_seconds=nullable({"type": "number", "minimum": 0}),
    ),
    "TaskList": object_of(
        ("object", "data", "has_more"),
        object={"const": "list"},
        data=list_of(schema_ref("Task")),
        has_more=FLAG,
    ),
    "Model": object_of(
        ("id", "object", "created", "owned_by"),
        id=TEXT,
        object={"const": "model"},
        created=MOMENT,
        owned_by=TEXT,
        permission=list_of({"type": "object"}),
        root=TEXT,
        parent=nullable(TEXT),
        capabilities=nullable({"type": "object"}),
    ),
    "ModelList": object_of(
        ("object", "data"), object={"const": "list"}, data=list_of(schema_ref("Model")), success=FLAG
    ),
    "Usage": object_of(
        ("object", "from", "to", "data", "total", "budgets"),
        **{"from": MOMENT},
        object={"const": "usage"},
        to=MOMENT,
        data=list_of(object_of(USAGE_FIELDS, day=TEXT, model=TEXT, **USAGE_FIGURES)),
        total=object_of(USAGE_FIELDS, **USAGE_FIGURES),
        budgets=list_of(
            object_of(
                period={"enum": ["daily", "monthly", "total"]},
                budget=TEXT,
                reserved=TEXT,
                spent=TEXT,
                left=TEXT,
            )
        ),
    ),
    "WebhookEndpoint": WEBHOOK_ENDPOINT,
    "WebhookEndpointWithSecret": {
        **WEBHOOK_ENDPOINT,
        "properties": {**WEBHOOK_ENDPOINT["properties"], "signing_secret": TEXT},
    },
    "WebhookEndpointList": object_of(
        ("object", "data", "first_id", "last_id", "has_more"),
        object={"const": "list"},
        data=list_of(schema_ref("WebhookEndpoint")),
        first_id=nullable(TEXT),
        last_id=nullable(TEXT),
        has_more=FLAG,
    ),
    "WebhookEndpointDeleted": object_of(
        ("id", "object", "deleted"),
        id=TEXT,
        object={"const": "webhook_endpoint.deleted"},
        deleted={"const": True},
    ),
    "WebhookEndpointTest": object_of(
        ("object", "event_type", "status_code", "success", "webhook_endpoint_id"),
        object={"const": "webhook_endpoint.test"},
        event_type=EVENT,
        status_code=WHOLE,
        success={"const": True},
        webhook_endpoint_id=TEXT,
    ),
    "WebhookEventTypes": object_of(("object", "data"), object={"const": "list"}, data=list_of(EVENT)),
    "CreateWebhookEndpoint": object_of(
        ("name", "url", "event_types"), name=TEXT, url=HOOK, event_types=list_of(EVENT)
    ),
    "UpdateWebhookEndpoint": object_of(name=TEXT, url=HOOK, event_types=list_of(EVENT)),
    "RotateWebhookSecret": object_of(keep_old_secret_active_for_24_hours=FLAG),
    "TestWebhookEndpoint": object_of(("event_type",), event_type=EVENT),
    "HookSecret": object_of(
        ("object", "signing_secret"), object={"const": "webhook_hook_secret"}, signing_secret=TEXT
    ),
}
