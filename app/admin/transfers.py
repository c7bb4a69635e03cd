"""`/admin/api/accounts/import` and `/export`: many accounts at once, first said what would happen."""

from collections.abc import Sequence
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from app.accounts.bulk_import import ImportResult, apply_import, plan_import
from app.accounts.formats import TextFormat, as_csv, as_json, export_documents, read_rows
from app.admin.access import AdminRequest, OwnerRoute
from app.admin.bodies import PanelBody
from app.admin.masking import mask_secrets
from app.admin.sign_in import confirm_password

router = APIRouter(route_class=OwnerRoute, prefix="/accounts")
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


@router.post("/import", summary="Import accounts")
async def import_accounts(wish: ImportBody, at: AdminRequest) -> dict[str, Any]:
    """JSON, CSV with a heading, or one secret a line; `defaults` are for what rows leave out. Good rows are
    taken also when others are bad, and nothing is overwritten unless `on_conflict` says so."""
    form = None if wish.format == "auto" else wish.format
    rows = read_rows(wish.text, form=form, defaults=wish.defaults)
    results = await plan_import(at.panel.pool, rows, update=wish.on_conflict == "update")
    known = {result.row for result in results if RESULT_WORDS[result.outcome] == "exists"}
    if not wish.dry_run:
        results = await apply_import(at.panel.pool, results, skip_bad=True)
        changed = [each.as_object() for each in results if each.outcome in ("added", "updated")]
        await at.record_change("accounts.imported", "accounts", after={"rows": changed})
    shown = [_result_object(result) for result in results]
    words = [row["result"] for row in shown]
    return {
        "dry_run": wish.dry_run,
        "rows": shown,
        "new": words.count("new") + words.count("added"),
        "exists": len(known),
        "errors": words.count("error"),
    }


@router.get("/export", summary="Export accounts without their secrets", response_class=Response)
async def export_accounts(at: AdminRequest, *, format: Literal["json", "csv"] = "json") -> Response:  # noqa: A002
    return await _export_file(at, format, secrets=False)


@router.post("/export", summary="Export accounts", response_class=Response)
async def export_with_secrets(wish: ExportBody, at: AdminRequest) -> Response:
    """With their secrets only for who says the own password once more; the admin token may do without."""
    if wish.secrets and at.actor.session is not None:
        await confirm_password(at, wish.password or "")
    await at.record_change(
        "accounts.exported", "accounts", after={"format": wish.format, "with_secrets": wish.secrets}
    )
    return await _export_file(at, wish.format, secrets=wish.secrets)


async def _export_file(at: AdminRequest, form: str, *, secrets: bool) -> Response:
    own = [s for s in await at.panel.accounts.list_all() if not at.panel.pool.is_embedded(s.account.id)]
    documents: Sequence[dict[str, Any]] = export_documents(own, secrets=secrets)
    text = as_csv(documents) if form == "csv" else as_json(documents)
    return Response(
        text,
        media_type=CONTENT_TYPES[form],
        headers={
            "content-disposition": f'attachment; filename="accounts.{form}"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        },
    )


def _result_object(result: ImportResult) -> dict[str, Any]:
    return {
        "row": result.row,
        "name": result.name,
        "provider": result.draft.provider if result.draft else None,
        "result": RESULT_WORDS[result.outcome],
        "outcome": result.outcome,
        "message": mask_secrets(result.text),
        "param": result.param or None,
    }
