"""Schemas of the Messages API, for `/openapi.json`: the fields that most clients send. All others are passed on."""

from typing import Any

from app.dialects.openapi.schemas import (
    ANY_MODEL,
    CHAT_BODY,
    FLAG,
    TEXT,
    Schema,
    list_of,
    object_of,
)

TEXT_OR_PARTS: Schema = {"anyOf": [TEXT, list_of({})]}
MESSAGE = object_of(("role", "content"), role={"enum": ["user", "assistant"]}, content=TEXT_OR_PARTS)

SCHEMAS: dict[str, Schema] = {
    "CreateMessage": object_of(
        ("model", "max_tokens", "messages"),
        model=ANY_MODEL,
        max_tokens={"type": "integer", "minimum": 1},
        messages=list_of(MESSAGE),
        system=TEXT_OR_PARTS,
        stream=FLAG,
        tools=list_of({"type": "object"}),
    ),
    "CountTokens": object_of(
        ("model", "messages"), model=ANY_MODEL, messages=list_of(MESSAGE), system=TEXT_OR_PARTS
    ),
    "AnthropicError": object_of(
        ("type", "error"),
        type={"const": "error"},
        error=object_of(("type", "message"), type=TEXT, message=TEXT),
        request_id=TEXT,
    ),
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "CreateMessage": {**CHAT_BODY, "max_tokens": 256},
    "CountTokens": CHAT_BODY,
}
TAGS = {
    "Anthropic Messages": "For Anthropic's SDKs and Claude Code; their base address is this host without a path.",
}
