"""`/admin/api/keys/{key_id}/statement`: what a key bought in a month or in any days, as CSV or PDF."""

import time
from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.admin.access import AdminRequest, AdminRoute
from app.admin.lists import download_headers
from app.usage.statement_files import MEDIA_TYPES, read_form, read_language, statement_file
from app.usage.statements import make_statement, read_statement_span

router = APIRouter(route_class=AdminRoute, prefix="/keys")
ShortText = Annotated[str, Query(max_length=64)]


@router.get("/{key_id}/statement", summary="The statement of a client key", response_class=Response)
async def get_statement(
    key_id: str,
    request: AdminRequest,
    *,
    month: ShortText = "",
    since: Annotated[str, Query(alias="from", max_length=40)] = "",
    until: Annotated[str, Query(alias="to", max_length=40)] = "",
    zone: ShortText = "",
    file_format: Annotated[str, Query(alias="format", max_length=8)] = "",
    lang: Annotated[str, Query(max_length=8)] = "",
    costs: bool = False,
) -> Response:
    """Of a `month` (like 2026-11), or `from` one day `to` another, which are days of `zone`; without any, of this month.
    `format` is csv or pdf, `lang` en or zh. Its sums are those of the ledger.
    With `costs` it also says what vendors charge, and the margin: for you, not for the key's holder."""
    now, reports = time.time(), request.panel.gateway.reports
    form, language = read_form(file_format), read_language(lang)
    given = {"month": month, "from": since, "to": until, "zone": zone}
    span = read_statement_span(given, key_id, now=now)
    key = await request.panel.gateway.keys.get(key_id)
    statement = await make_statement(reports, key, span, now=now)
    currency = await request.panel.gateway.currency()
    content = await statement_file(statement, form, language, currency=currency, with_costs=costs)
    headers = download_headers(f"{statement.file_name}{'-costs' if costs else ''}.{form}")
    return Response(content, media_type=MEDIA_TYPES[form], headers=headers)
