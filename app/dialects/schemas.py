"""The shapes of requests and answers, for `/openapi.json`; the readers themselves are more lenient."""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "integer", "description": "Unix seconds"}


def maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def listed(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def shape(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
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
        shape(image_url=TEXT, video_url=TEXT, url=TEXT),
    ],
}
OWN_OR_SENT: Schema = {"anyOf": [shape(("id",), id=TEXT), MEDIA]}
STATUSES: Schema = {"enum": ["queued", "in_progress", "completed", "failed"]}
EVENT: Schema = {"enum": ["video.completed", "video.failed"]}
HOOK: Schema = {"type": "string", "maxLength": 2048, "examples": ["https://example.com/hook"]}
WEBHOOK_ENDPOINT = shape(
    ("id", "object", "name", "url", "event_types", "created_at"),
    id=TEXT,
    object={"const": "webhook_endpoint"},
    name=TEXT,
    url=HOOK,
    event_types=listed(EVENT),
    created_at=MOMENT,
    updated_at=MOMENT,
    signing_secret_hint=maybe(TEXT),
    enabled=FLAG,
    disabled_reason=maybe(TEXT),
)
USED = ("requests", "failed", "input_tokens", "output_tokens", "cost")
USED_FIGURES: Schema = dict.fromkeys(USED[:-1], WHOLE) | {
    "cost": {"type": "string", "description": "US dollars", "examples": ["0.15"]}
}
PART = shape(
    ("type",),
    type={"enum": ["text", "image_url", "video_url"]},
    text=TEXT,
    image_url=shape(("url",), url=TEXT),
    video_url=shape(("url",), url=TEXT),
)
MESSAGE = shape(("role", "content"), role=TEXT, content={"anyOf": [TEXT, listed(PART)]})

SCHEMAS: dict[str, Schema] = {
    "Error": shape(
        ("error",),
        error=shape(
            ("message", "type", "param", "code"), message=TEXT, type=TEXT, param=maybe(TEXT), code=TEXT
        ),
    ),
    "CreateVideo": shape(
        ("prompt",),
        prompt=PROMPT,
        model=MODEL,
        seconds=SECONDS,
        size=SIZE,
        input_reference=MEDIA,
        characters=listed(shape(("id",), id=TEXT)),
        seed=WHOLE,
        negative_prompt=TEXT,
        style=TEXT,
        watermark=FLAG,
        generate_audio=FLAG,
        notify_hook=HOOK,
    ),
    "RemixVideo": shape(("prompt",), prompt=PROMPT),
    "EditVideo": shape(("prompt", "video"), prompt=PROMPT, video=OWN_OR_SENT, model=MODEL),
    "ExtendVideo": shape(("prompt", "seconds", "video"), prompt=PROMPT, seconds=SECONDS, video=OWN_OR_SENT),
    "CreateCharacter": shape(("name", "video"), name={"type": "string", "maxLength": 80}, video=MEDIA),
    "Character": shape(("id", "name", "created_at"), id=TEXT, name=TEXT, created_at=MOMENT),
    "Video": shape(
        ("id", "object", "model", "status", "progress", "created_at", "seconds", "size"),
        id={"type": "string", "examples": ["video_0190f3a2c4d57e8f9a0b1c2d3e4f5a6b"]},
        object={"const": "video"},
        model=TEXT,
        status=STATUSES,
        progress={"type": "integer", "minimum": 0, "maximum": 100},
        created_at=MOMENT,
        completed_at=maybe(MOMENT),
        expires_at=maybe(MOMENT),
        prompt=maybe(TEXT),
        seconds=TEXT,
        size=TEXT,
        remixed_from_video_id=maybe(TEXT),
        error=maybe(shape(("code", "message"), code=TEXT, message=TEXT)),
        url=maybe({"type": "string", "description": "A signed link that needs no key"}),
    ),
    "VideoList": shape(
        ("object", "data", "first_id", "last_id", "has_more"),
        object={"const": "list"},
        data=listed(ref("Video")),
        first_id=maybe(TEXT),
        last_id=maybe(TEXT),
        has_more=FLAG,
    ),
    "VideoDeleted": shape(
        ("id", "object", "deleted"), id=TEXT, object={"const": "video.deleted"}, deleted={"const": True}
    ),
    "Task": shape(
        ("task_id", "status", "progress", "model", "prompt", "result_urls", "created_at"),
        task_id=TEXT,
        status={"enum": ["processing", "completed", "failed"]},
        progress={"type": "number", "minimum": 0, "maximum": 100},
        model=TEXT,
        prompt=TEXT,
        result_urls=listed(TEXT),
        error_message=maybe(TEXT),
        created_at={"type": "string", "format": "date-time"},
        completed_at=maybe({"type": "string", "format": "date-time"}),
        queue_position={"type": "integer", "minimum": 1},
        estimated_wait_seconds=maybe({"type": "number", "minimum": 0}),
    ),
    "TaskList": shape(
        ("object", "data", "has_more"), object={"const": "list"}, data=listed(ref("Task")), has_more=FLAG
    ),
    "Model": shape(
        ("id", "object", "created", "owned_by"),
        id=TEXT,
        object={"const": "model"},
        created=MOMENT,
        owned_by=TEXT,
        permission=listed({"type": "object"}),
        root=TEXT,
        parent=maybe(TEXT),
        capabilities=maybe({"type": "object"}),
    ),
    "ModelList": shape(("object", "data"), object={"const": "list"}, data=listed(ref("Model")), success=FLAG),
    "Usage": shape(
        ("object", "from", "to", "data", "total", "budgets"),
        **{"from": MOMENT},
        object={"const": "usage"},
        to=MOMENT,
        data=listed(shape(USED, day=TEXT, model=TEXT, **USED_FIGURES)),
        total=shape(USED, **USED_FIGURES),
        budgets=listed(
            shape(
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
    "WebhookEndpointList": shape(
        ("object", "data", "first_id", "last_id", "has_more"),
        object={"const": "list"},
        data=listed(ref("WebhookEndpoint")),
        first_id=maybe(TEXT),
        last_id=maybe(TEXT),
        has_more=FLAG,
    ),
    "WebhookEndpointDeleted": shape(
        ("id", "object", "deleted"),
        id=TEXT,
        object={"const": "webhook_endpoint.deleted"},
        deleted={"const": True},
    ),
    "WebhookEndpointTest": shape(
        ("object", "event_type", "status_code", "success", "webhook_endpoint_id"),
        object={"const": "webhook_endpoint.test"},
        event_type=EVENT,
        status_code=WHOLE,
        success={"const": True},
        webhook_endpoint_id=TEXT,
    ),
    "WebhookEventTypes": shape(("object", "data"), object={"const": "list"}, data=listed(EVENT)),
    "CreateWebhookEndpoint": shape(
        ("name", "url", "event_types"), name=TEXT, url=HOOK, event_types=listed(EVENT)
    ),
    "UpdateWebhookEndpoint": shape(name=TEXT, url=HOOK, event_types=listed(EVENT)),
    "RotateWebhookSecret": shape(keep_old_secret_active_for_24_hours=FLAG),
    "TestWebhookEndpoint": shape(("event_type",), event_type=EVENT),
    "HookSecret": shape(
        ("object", "signing_secret"), object={"const": "webhook_hook_secret"}, signing_secret=TEXT
    ),
}
