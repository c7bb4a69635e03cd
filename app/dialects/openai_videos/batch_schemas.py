"""Schemas of files and batches, for `/openapi.json`."""

from app.dialects.openapi.schemas import (
    OWN_FILE,
    TEXT,
    UNIX_SECONDS,
    WHOLE,
    Schema,
    list_of,
    nullable,
    object_of,
    schema_ref,
)

MOMENT = nullable(UNIX_SECONDS)
STATUSES = (
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
)


def _page(name: str) -> Schema:
    return object_of(
        ("object", "data", "first_id", "last_id", "has_more"),
        object={"const": "list"},
        data=list_of(schema_ref(name)),
        first_id=nullable(TEXT),
        last_id=nullable(TEXT),
        has_more={"type": "boolean"},
    )


BATCH_SCHEMAS: dict[str, Schema] = {
    "UploadFile": object_of(
        ("file", "purpose"),
        file={"type": "string", "format": "binary", "description": "JSONL, at most 20 MB and 1,000 lines"},
        purpose={"const": "batch"},
    ),
    "File": object_of(
        ("id", "object", "bytes", "created_at", "filename", "purpose", "status"),
        id=TEXT,
        object={"const": "file"},
        bytes=WHOLE,
        created_at=UNIX_SECONDS,
        expires_at=MOMENT,
        filename=TEXT,
        purpose={"enum": ["batch", "batch_output"]},
        status={"const": "processed"},
        status_details=nullable(TEXT),
    ),
    "FileList": _page("File"),
    "FileDeleted": object_of(
        ("id", "object", "deleted"), id=TEXT, object={"const": "file"}, deleted={"const": True}
    ),
    "CreateBatch": object_of(
        ("input_file_id", "endpoint", "completion_window"),
        input_file_id=TEXT,
        endpoint={"const": "/v1/videos"},
        completion_window={"const": "24h"},
        metadata={"type": "object", "additionalProperties": TEXT},
    ),
    "Batch": object_of(
        (
            "id",
            "object",
            "endpoint",
            "input_file_id",
            "completion_window",
            "status",
            "created_at",
            "request_counts",
        ),
        id=TEXT,
        object={"const": "batch"},
        endpoint={"const": "/v1/videos"},
        errors=nullable(object_of(("data",), object={"const": "list"}, data=list_of({"type": "object"}))),
        input_file_id=TEXT,
        completion_window={"const": "24h"},
        status={"enum": list(STATUSES)},
        output_file_id=nullable(TEXT),
        error_file_id=nullable(TEXT),
        created_at=UNIX_SECONDS,
        **{
            f"{word}_at": MOMENT
            for word in (
                *("in_progress", "expires", "finalizing", "completed", "failed", "expired", "cancelling"),
                "cancelled",
            )
        },
        request_counts=object_of(
            ("total", "completed", "failed"), total=WHOLE, completed=WHOLE, failed=WHOLE
        ),
        metadata=nullable({"type": "object"}),
    ),
    "BatchList": _page("Batch"),
}
BATCH_EXAMPLES = {
    "CreateBatch": {"input_file_id": OWN_FILE, "endpoint": "/v1/videos", "completion_window": "24h"}
}
