"""`/v1/key` and `/v1/usage/statement`: what a key's holder may know of it, its statement, and a new secret for it."""

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.dialects.account_api.usage import budget_object
from app.dialects.http.callers import CallerKey, Services
from app.dialects.http.gateway import Gateway
from app.dialects.http.language import language_of
from app.dialects.openapi.operations import download_schema, operation_schema
from app.errors import PermissionDenied
from app.keys.key import ClientKey
from app.usage.statement_files import MEDIA_TYPES, read_form, read_language, statement_file
from app.usage.statements import make_statement, read_statement_span

router = APIRouter(tags=["Usage"])
MOST_OVERLAP = 7 * 86_400
STATEMENT_QUERY = ("month", "from", "to", "zone", "format", "lang")


@router.get("/v1/key", summary="What this key may do", openapi_extra=operation_schema(answer="Key"))
async def get_key(key: CallerKey, services: Services) -> Response:
    """Its limits, what is left of its budgets, and whether its holder may replace its secret."""
    return JSONResponse(await _key_object(services, key))


@router.post(
    "/v1/key/rotate",
    summary="Replace the secret of this key",
    openapi_extra=operation_schema(body="RotateKey", answer="KeyWithSecret"),
)
async def rotate_key(request: Request, key: CallerKey, services: Services) -> Response:
    """Only where the operator allows it. The new secret is returned only here; the old one works for `overlap_seconds`
    more (none by default, a week at most)."""
    if not key.may_rotate:
        raise PermissionDenied("The operator has not allowed the holder of this key to replace its secret.")
    if key.secret_until is not None:
        raise PermissionDenied("This is the secret before the last rotation; use the new one.")
    body = await services.read_body(request)
    overlap = body.number("overlap_seconds", low=0, high=MOST_OVERLAP) or 0.0
    secret = await services.keys.rotate(key.id, overlap_seconds=overlap)
    await services.record_change(
        f"key:{key.id}", "key.rotated", f"keys/{key.id}", after={"overlap_seconds": overlap}
    )
    changed = await services.keys.get(key.id)
    return JSONResponse(
        await _key_object(services, changed) | {"secret": secret}, headers={"cache-control": "no-store"}
    )


@router.get(
    "/v1/usage/statement",
    summary="The statement of this key",
    response_class=Response,
    openapi_extra=download_schema("text/csv", "application/pdf", query=STATEMENT_QUERY),
)
async def get_statement(request: Request, key: CallerKey, services: Services) -> Response:
    """Of a `month` (like 2026-11), or `from` one day `to` another, which are days of `zone`; without any, of this month.
    `format` is csv or pdf, `lang` en or zh."""
    query, now = services.read_query(request), time.time()
    given = {name: query.text(name) for name in STATEMENT_QUERY}
    span = read_statement_span(given, key.id, now=now)
    form = read_form(given["format"] or "")
    language = read_language(given["lang"] or language_of(request.headers))
    statement = await make_statement(services.reports, key, span, now=now)
    headers = {
        "content-disposition": f'attachment; filename="{statement.file_name}.{form}"',
        "cache-control": "no-store",
    }
    content = await statement_file(statement, form, language, currency=await services.currency())
    return Response(content, media_type=MEDIA_TYPES[form], headers=headers)


async def _key_object(services: Gateway, key: ClientKey) -> dict[str, Any]:
    now = time.time()
    return {
        "object": "key",
        "id": key.id,
        "name": key.name,
        "project": key.project,
        "created_at": int(key.created_at),
        "expires_at": key.expires_at,
        "old_secret_until": key.old_until if key.old_until and key.old_until > now else None,
        "models": list(key.models),
        "networks": list(key.networks),
        "rpm": key.rpm,
        "tasks_limit": key.tasks_limit,
        "currency": await services.currency(),
        "may_rotate": key.may_rotate and key.source != "file" and key.secret_until is None,
        "budgets": [budget_object(line) for line in await services.reports.budget_lines(key, now=now)],
    }
