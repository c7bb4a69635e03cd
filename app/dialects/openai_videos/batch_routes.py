"""OpenAI's Files and Batch APIs, for batches of `/v1/videos`."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.dialects.http.body import Body
from app.dialects.http.callers import CallerKey, Services
from app.dialects.openapi.operations import download_schema, operation_schema
from app.errors import InvalidRequest, MissingField
from app.tasks.batches import ENDPOINT, MOST_BYTES, Row

router = APIRouter(prefix="/v1", tags=["Batches"])
WINDOW = "24h"
MOST_LABELS = 16
LONGEST_NAME, LONGEST_VALUE = 64, 512


@router.post(
    "/files", summary="Upload a file", openapi_extra=operation_schema(body="UploadFile", answer="File")
)
async def upload_file(request: Request, key: CallerKey, services: Services) -> Response:
    """The lines of a batch, as JSONL: at most 20 MB and 1,000 lines."""
    body = await services.read_body(request)
    if body.required_text("purpose") != "batch":
        raise InvalidRequest("purpose must be batch", param="purpose")
    upload = body.upload("file", limit=MOST_BYTES)
    if upload is None:
        raise MissingField("file")
    name = upload.file_name or "batch.jsonl"
    return JSONResponse(_file_object(await services.batches.add_file(key.owner, name, upload.content)))


@router.get(
    "/files",
    summary="List files",
    openapi_extra=operation_schema(answer="FileList", query=("after", "limit")),
)
async def list_files(request: Request, key: CallerKey, services: Services) -> Response:
    """Newest first."""
    after, limit = _page_of(services.read_query(request))
    found, more = await services.batches.files(key.owner, after=after, limit=limit)
    return JSONResponse(_list_object([_file_object(row) for row in found], more))


@router.get("/files/{file_id}", summary="Get a file", openapi_extra=operation_schema(answer="File"))
async def get_file(file_id: str, key: CallerKey, services: Services) -> Response:
    return JSONResponse(_file_object(await services.batches.file(key.owner, file_id)))


@router.get(
    "/files/{file_id}/content",
    summary="Download a file",
    response_class=Response,
    openapi_extra=download_schema("application/jsonl"),
)
async def get_file_content(file_id: str, key: CallerKey, services: Services) -> Response:
    content = await services.batches.file_content(key.owner, file_id)
    return Response(content, media_type="application/jsonl")


@router.delete(
    "/files/{file_id}", summary="Delete a file", openapi_extra=operation_schema(answer="FileDeleted")
)
async def delete_file(file_id: str, key: CallerKey, services: Services) -> Response:
    await services.batches.delete_file(key.owner, file_id)
    return JSONResponse({"id": file_id, "object": "file", "deleted": True})


@router.post(
    "/batches",
    summary="Create a batch",
    openapi_extra=operation_schema(body="CreateBatch", answer="Batch"),
)
async def create_batch(request: Request, key: CallerKey, services: Services) -> Response:
    """Each line of the file becomes a video, once; what is wrong with any of them is told before one is made."""
    body = await services.read_body(request)
    if body.required_text("endpoint") != ENDPOINT:
        raise InvalidRequest(f"endpoint must be {ENDPOINT}", param="endpoint")
    if body.required_text("completion_window") != WINDOW:
        raise InvalidRequest(f"completion_window must be {WINDOW}", param="completion_window")
    made = await services.batches.create(
        key.owner,
        key.id,
        input_file_id=body.required_text("input_file_id"),
        labels=_read_labels(body),
        base_url=services.base_url(request),
    )
    return JSONResponse(_batch_object(made))


@router.get(
    "/batches",
    summary="List batches",
    openapi_extra=operation_schema(answer="BatchList", query=("after", "limit")),
)
async def list_batches(request: Request, key: CallerKey, services: Services) -> Response:
    """Newest first."""
    after, limit = _page_of(services.read_query(request))
    found, more = await services.batches.page(key.owner, after=after, limit=limit)
    return JSONResponse(_list_object([_batch_object(row) for row in found], more))


@router.get("/batches/{batch_id}", summary="Get a batch", openapi_extra=operation_schema(answer="Batch"))
async def get_batch(batch_id: str, key: CallerKey, services: Services) -> Response:
    return JSONResponse(_batch_object(await services.batches.get(key.owner, batch_id)))


@router.post(
    "/batches/{batch_id}/cancel", summary="Cancel a batch", openapi_extra=operation_schema(answer="Batch")
)
async def cancel_batch(batch_id: str, key: CallerKey, services: Services) -> Response:
    """What is made stays, what runs is cancelled, and the rest is not begun."""
    return JSONResponse(_batch_object(await services.batches.request_cancel(key.owner, batch_id)))


def _page_of(query: Body) -> tuple[str | None, int]:
    return query.text("after") or None, query.integer("limit", low=1, high=100) or 20


def _read_labels(body: Body) -> dict[str, str]:
    """OpenAI's ``metadata``."""
    given = body.object("metadata")
    labels = dict(given.fields) if given else {}
    if len(labels) > MOST_LABELS or not all(
        isinstance(value, str) and len(value) <= LONGEST_VALUE and len(name) <= LONGEST_NAME
        for name, value in labels.items()
    ):
        raise InvalidRequest(
            f"metadata may hold {MOST_LABELS} texts of {LONGEST_VALUE} characters, with names of {LONGEST_NAME}",
            param="metadata",
        )
    return labels


def _list_object(data: list[dict[str, Any]], more: bool) -> dict[str, Any]:
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more}


def _file_object(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "file",
        "bytes": row.bytes,
        "created_at": int(row.created_at),
        "expires_at": None,
        "filename": row.name,
        "purpose": row.purpose,
        "status": "processed",
        "status_details": None,
    }


def _batch_object(row: Row) -> dict[str, Any]:
    ended = int(row.ended_at) if row.ended_at else None
    at = {f"{word}_at": ended if row.status == word else None for word in ("completed", "failed", "expired")}
    errors = json.loads(row.errors) if row.errors else None
    return {
        "id": row.id,
        "object": "batch",
        "endpoint": ENDPOINT,
        "errors": {"object": "list", "data": errors} if errors else None,
        "input_file_id": row.input_file_id,
        "completion_window": WINDOW,
        "status": row.status,
        "output_file_id": row.output_file_id,
        "error_file_id": row.error_file_id,
        "created_at": int(row.created_at),
        "in_progress_at": int(row.begun_at) if row.begun_at else None,
        "expires_at": int(row.expires_at),
        "finalizing_at": ended if row.status == "completed" else None,
        **at,
        "cancelling_at": int(row.cancelling_at) if row.cancelling_at else None,
        "cancelled_at": ended if row.status == "cancelled" else None,
        "request_counts": {"total": row.total, "completed": row.completed, "failed": row.failed},
        "metadata": json.loads(row.labels) or None,
    }
