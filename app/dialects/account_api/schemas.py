"""Schemas of tasks, characters, models, usage and webhook endpoints, for `/openapi.json`."""

from typing import Any

from app.dialects.openapi.schemas import (
    ATTEMPT,
    FITTED,
    FLAG,
    MEDIA,
    OWN_VIDEO,
    REVISED_PROMPT,
    TEXT,
    TIME_SPAN,
    UNIX_SECONDS,
    WEBHOOK_URL,
    WHOLE,
    Schema,
    list_of,
    nullable,
    object_of,
    schema_ref,
)

DATE_TIME: Schema = {"type": "string", "format": "date-time"}
EVENT_TYPE: Schema = {"enum": ["video.completed", "video.failed"]}
USAGE_FIELDS = ("requests", "failed", "films", "film_seconds", "input_tokens", "output_tokens", "cost")
USAGE_FIGURES: Schema = dict.fromkeys(USAGE_FIELDS[:-1], WHOLE) | {
    "film_seconds": {"type": "number", "minimum": 0},
    "cost": {"type": "string", "description": "US dollars", "examples": ["0.15"]},
}
CAMEO: dict[str, Schema] = {
    "id": {"type": "string", "examples": ["ch_691155df38588191b3ae5f2d390a4359"]},
    "username": {"type": "string", "description": "Written in a prompt as @username, set off by spaces"},
    "permalink": TEXT,
    "profile_picture_url": TEXT,
}
WEBHOOK_ENDPOINT = object_of(
    ("id", "object", "name", "url", "event_types", "created_at"),
    id=TEXT,
    object={"const": "webhook_endpoint"},
    name=TEXT,
    url=WEBHOOK_URL,
    event_types=list_of(EVENT_TYPE),
    created_at=UNIX_SECONDS,
    updated_at=UNIX_SECONDS,
    signing_secret_hint=nullable(TEXT),
    enabled=FLAG,
    disabled_reason=nullable(TEXT),
)
BUDGET = object_of(
    period={"enum": ["daily", "monthly", "total"]}, budget=TEXT, reserved=TEXT, spent=TEXT, left=TEXT
)
KEY = object_of(
    ("object", "id", "name", "models", "may_rotate", "budgets"),
    object={"const": "key"},
    id=TEXT,
    name=TEXT,
    project=nullable(TEXT),
    created_at=UNIX_SECONDS,
    expires_at=nullable({"type": "number"}),
    old_secret_until=nullable({"type": "number"}),
    models=list_of(TEXT),
    networks=list_of(TEXT),
    rpm=nullable(WHOLE),
    tasks_limit=nullable(WHOLE),
    may_rotate=FLAG,
    currency={"type": "string", "description": "What amounts are called", "examples": ["USD"]},
    budgets=list_of(BUDGET),
)

TASK_SCHEMAS: dict[str, Schema] = {
    "Task": object_of(
        ("task_id", "status", "progress", "model", "prompt", "result_urls", "created_at"),
        task_id=TEXT,
        status={"enum": ["processing", "completed", "failed"]},
        progress={"type": "number", "minimum": 0, "maximum": 100},
        model=TEXT,
        prompt=TEXT,
        result_urls=list_of(TEXT),
        error_message=nullable(TEXT),
        created_at=DATE_TIME,
        completed_at=nullable(DATE_TIME),
        queue_position={"type": "integer", "minimum": 1},
        estimated_wait_seconds=nullable({"type": "number", "minimum": 0}),
        wait_reason={"type": "string", "description": "Only while no account can take it: why"},
        fitted=FITTED,
        attempt=ATTEMPT,
        revised_prompt=REVISED_PROMPT,
    ),
    "TaskList": object_of(
        ("object", "data", "has_more"),
        object={"const": "list"},
        data=list_of(schema_ref("Task")),
        has_more=FLAG,
    ),
    "CreateCameo": object_of(("timestamps",), url=MEDIA, from_task=TEXT, timestamps=TIME_SPAN),
    "Cameo": object_of(tuple(CAMEO), **CAMEO, display_name=TEXT, created_at=UNIX_SECONDS),
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
MODEL_SCHEMAS: dict[str, Schema] = {
    "Model": object_of(
        ("id", "object", "created", "owned_by"),
        id=TEXT,
        object={"const": "model"},
        created=UNIX_SECONDS,
        owned_by=TEXT,
        permission=list_of({"type": "object"}),
        root=TEXT,
        parent=nullable(TEXT),
        capabilities=nullable({"type": "object"}),
    ),
    "ModelList": object_of(
        ("object", "data"), object={"const": "list"}, data=list_of(schema_ref("Model")), success=FLAG
    ),
    "Key": KEY,
    "KeyWithSecret": {**KEY, "properties": {**KEY["properties"], "secret": TEXT}},
    "RotateKey": object_of(overlap_seconds={"type": "number", "minimum": 0, "maximum": 604800}),
    "Usage": object_of(
        ("object", "from", "to", "data", "total", "budgets"),
        **{"from": UNIX_SECONDS},
        object={"const": "usage"},
        to=UNIX_SECONDS,
        zone=TEXT,
        data=list_of(object_of(USAGE_FIELDS, day=TEXT, model=TEXT, **USAGE_FIGURES)),
        total=object_of(USAGE_FIELDS, **USAGE_FIGURES),
        budgets=list_of(BUDGET),
    ),
}
WEBHOOK_SCHEMAS: dict[str, Schema] = {
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
        event_type=EVENT_TYPE,
        status_code=WHOLE,
        success={"const": True},
        webhook_endpoint_id=TEXT,
    ),
    "WebhookEventTypes": object_of(("object", "data"), object={"const": "list"}, data=list_of(EVENT_TYPE)),
    "CreateWebhookEndpoint": object_of(
        ("name", "url", "event_types"), name=TEXT, url=WEBHOOK_URL, event_types=list_of(EVENT_TYPE)
    ),
    "UpdateWebhookEndpoint": object_of(name=TEXT, url=WEBHOOK_URL, event_types=list_of(EVENT_TYPE)),
    "RotateWebhookSecret": object_of(keep_old_secret_active_for_24_hours=FLAG),
    "TestWebhookEndpoint": object_of(("event_type",), event_type=EVENT_TYPE),
    "HookSecret": object_of(
        ("object", "signing_secret"), object={"const": "webhook_hook_secret"}, signing_secret=TEXT
    ),
}
SCHEMAS = TASK_SCHEMAS | MODEL_SCHEMAS | WEBHOOK_SCHEMAS

EXAMPLES: dict[str, dict[str, Any]] = {
    "RotateKey": {"overlap_seconds": 86400},
    "CreateCameo": {"from_task": OWN_VIDEO, "timestamps": "1,3"},
    "CreateWebhookEndpoint": {
        "name": "mine",
        "url": "https://example.com/hook",
        "event_types": ["video.completed", "video.failed"],
    },
    "UpdateWebhookEndpoint": {"url": "https://example.com/other"},
    "RotateWebhookSecret": {"keep_old_secret_active_for_24_hours": True},
    "TestWebhookEndpoint": {"event_type": "video.completed"},
}
TAGS = {
    "Tasks": "Tasks created through any of these APIs.",
    "Characters": "Kept by this gateway. `@username` in any prompt uses one.",
    "Models": "The models that this gateway serves now, with their capabilities.",
    "Webhooks": "Signed notifications when a task ends.",
    "Usage": "What the key has used, and what is left of its budgets.",
    "Files": "Downloads by signed link.",
}
