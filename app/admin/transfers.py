"""`/admin/api/accounts/import` and `/export`: many accounts at once, first said what would happen."""

from collections.abc import Sequence
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from app.accounts.listing import Form, as_csv, as_json, exported, read_rows
from app.accounts.transfer import Result, apply, plan
from app.admin.access import At, OwnerRoute
from app.admin.masking import masked
from app.admin.session import confirm
from app.admin.wishes import Wish

router = APIRouter(route_class=OwnerRoute, prefix="/accounts")
TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}
WORDS = {
    "would_add": "new",
    "would_update": "exists",
    "added": "added",
    "updated": "updated",
    "duplicate_name": "exists",
    "duplicate_secret": "exists",
    "left_out": "error",
    "invalid": "error",
}


class Import(Wish):
    text: str = Field(max_length=20_000_000, repr=False)
    format: Literal["auto"] | Form = "auto"
    defaults: dict[str, Any] = Field(default_factory=dict)
    dry_run: bool = True
    on_conflict: Literal["skip", "update"] = "skip"


class Export(Wish):
    format: Literal["json", "csv"] = "json"
    secrets: bool = False
    password: str | None = Field(default=None, repr=False)


@router.post("/import", summary="Import accounts")
async def import_accounts(wish: Import, at: At) -> dict[str, Any]:
    """JSON, CSV with a heading, or one secret a line; `defaults` are for what rows leave out. Good rows are
    taken also when others are bad, and nothing is overwritten unless `on_conflict` says so."""
    form = None if wish.format == "auto" else wish.format
    rows = read_rows(wish.text, form=form, defaults=wish.defaults)
    results = await plan(at.panel.pool, rows, update=wish.on_conflict == "update")
    known = {result.row for result in results if WORDS[result.outcome] == "exists"}
    if not wish.dry_run:
        results = await apply(at.panel.pool, results, skip_bad=True)
        changed = [each.shown() for each in results if each.outcome in ("added", "updated")]
        await at.note("accounts.imported", "accounts", after={"rows": changed})
    shown = [_row(result) for result in results]
    words = [row["result"] for row in shown]
    return {
        "dry_run": wish.dry_run,
        "rows": shown,
        "new": words.count("new") + words.count("added"),
        "exists": len(known),
        "errors": words.count("error"),
    }


@router.get("/export", summary="Export accounts without their secrets", response_class=Response)
async def export_accounts(at: At, *, format: Literal["json", "csv"] = "json") -> Response:  # noqa: A002
    return await _file(at, format, secrets=False)


@router.post("/export", summary="Export accounts", response_class=Response)
async def export_with_secrets(wish: Export, at: At) -> Response:
    """With their secrets only for who says the own password once more; the admin token may do without."""
    if wish.secrets and at.actor.session is not None:
        await confirm(at, wish.password or "")
    await at.note(
        "accounts.exported", "accounts", after={"format": wish.format, "with_secrets": wish.secrets}
    )
    return await _file(at, wish.format, secrets=wish.secrets)


async def _file(at: At, form: str, *, secrets: bool) -> Response:
    own = [s for s in await at.panel.book.all() if not at.panel.pool.is_embedded(s.account.id)]
    documents: Sequence[dict[str, Any]] = exported(own, secrets=secrets)
    text = as_csv(documents) if form == "csv" else as_json(documents)
    return Response(
        text,
        media_type=TYPES[form],
        headers={
            "content-disposition": f'attachment; filename="accounts.{form}"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        },
    )


def _row(result: Result) -> dict[str, Any]:
    return {
        "row": result.row,
        "name": result.name,
        "provider": result.draft.provider if result.draft else None,
        "result": WORDS[result.outcome],
        "outcome": result.outcome,
        "message": masked(result.text),
        "param": result.param or None,
    }
