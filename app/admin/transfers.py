"""`/admin/api/accounts/import` and `/export`: many accounts as JSON, CSV or lines, with a dry run."""

from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from app.accounts.bulk_import import ImportResult, apply_import, plan_import
from app.accounts.formats import TextFormat, as_csv, as_json, export_documents, read_rows
from app.admin.access import AdminRequest, AdminRoute
from app.admin.account_search import AccountFilter, AccountQuery, found_statuses
from app.admin.bodies import PanelAnswer, PanelBody
from app.admin.lists import download_headers
from app.admin.masking import mask_secrets, secret_hint
from app.admin.sign_in import confirm_password

router = APIRouter(route_class=AdminRoute, prefix="/accounts")
CONTENT_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}
RESULT_WORDS = {
    "would_add": "new",
    "would_update": "exists",
    "added": "added",
    "updated": "updated",
    "duplicate_name": "exists",
    "duplicate_secret": "exists",
    "left_out": "error",
    "invalid": "error",
}


class ImportBody(PanelBody):
    text: str = Field(max_length=20_000_000, repr=False)
    format: Literal["auto"] | TextFormat = "auto"
    defaults: dict[str, Any] = Field(default_factory=dict)
    dry_run: bool = True
    on_conflict: Literal["skip", "update"] = "skip"


class ExportBody(PanelBody):
    format: Literal["json", "csv"] = "json"
    secrets: bool = False
    password: str | None = Field(default=None, repr=False)


class ImportRowObject(PanelAnswer):
    """One row of the list. ``result`` is `new`, `exists`, `added`, `updated` or `error`; ``outcome`` says more.

    ``secret_hint`` is the end of the secret, to see that the right part of the row was read as one.
    """

    row: int
    name: str
    provider: str | None
    base_url: str
    secret_hint: str
    models: list[str]
    result: str
    outcome: str
    message: str
    reason: str | None
    param: str | None


class ImportAnswer(PanelAnswer):
    """``new``, ``exists`` and ``errors`` count rows."""

    dry_run: bool
    rows: list[ImportRowObject]
    new: int
    exists: int
    errors: int


@router.post("/import", summary="Import accounts")
async def import_accounts(body: ImportBody, request: AdminRequest) -> ImportAnswer:
    """JSON, CSV with a header, or a line for each: a secret, or a name and a secret, separated by a comma, a tab or `----`.

    `defaults` fill in what rows leave out.

    Valid rows are imported even when others are not. Nothing is overwritten unless `on_conflict` is `update`.
    """
    form = None if body.format == "auto" else body.format
    rows = read_rows(body.text, form=form, defaults=body.defaults)
    results = await plan_import(request.panel.pool, rows, update=body.on_conflict == "update")
    exists = sum(RESULT_WORDS[result.outcome] == "exists" for result in results)
    if not body.dry_run:
        results = await apply_import(request.panel.pool, results, skip_bad=True)
        changed = [each.as_object() for each in results if each.outcome in ("added", "updated")]
        await request.record_change("accounts.imported", "accounts", after={"rows": changed})
    objects = [_import_row_object(result) for result in results]
    words = [row.result for row in objects]
    return ImportAnswer(
        dry_run=body.dry_run,
        rows=objects,
        new=words.count("new") + words.count("added"),
        exists=exists,
        errors=words.count("error"),
    )


@router.get("/export", summary="Export accounts without their secrets", response_class=Response)
async def export_accounts(
    request: AdminRequest,
    wanted: AccountQuery,
    *,
    format: Literal["json", "csv"] = "json",  # noqa: A002
) -> Response:
    """Those that match the filters of the list."""
    return await _export_file(request, format, wanted, secrets=False)


@router.post("/export", summary="Export accounts", response_class=Response)
async def export_with_secrets(body: ExportBody, request: AdminRequest, wanted: AccountQuery) -> Response:
    """Those that match the filters of the list. With `secrets` an admin must send their password again; the admin token need not."""
    if body.secrets and request.actor.session is not None:
        await confirm_password(request, body.password or "")
    await request.record_change(
        "accounts.exported", "accounts", after={"format": body.format, "with_secrets": body.secrets}
    )
    return await _export_file(request, body.format, wanted, secrets=body.secrets)


async def _export_file(request: AdminRequest, form: str, wanted: AccountFilter, *, secrets: bool) -> Response:
    panel = request.panel
    found = await found_statuses(panel, wanted)
    own = [status for status in found if not panel.pool.is_embedded(status.account.id)]
    documents = export_documents(own, secrets=secrets)
    text = as_csv(documents) if form == "csv" else as_json(documents)
    return Response(text, media_type=CONTENT_TYPES[form], headers=download_headers(f"accounts.{form}"))


def _import_row_object(result: ImportResult) -> ImportRowObject:
    draft = result.draft
    return ImportRowObject(
        row=result.row,
        name=result.name,
        provider=draft.provider if draft else None,
        base_url=draft.base_url if draft else "",
        secret_hint=secret_hint(draft.secret) if draft else "",
        models=sorted(draft.models) if draft else [],
        result=RESULT_WORDS[result.outcome],
        outcome=result.outcome,
        message=mask_secrets(result.text),
        reason=result.reason,
        param=result.param or None,
    )
