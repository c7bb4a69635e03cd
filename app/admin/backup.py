"""`/admin/api/backup` and `/restore`: all that the operator has set, as one file."""

from typing import Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from app.admin.access import AdminRequest, OwnerRoute
from app.admin.bodies import PanelBody
from app.admin.masking import mask_secrets
from app.admin.sign_in import confirm_password
from app.backup import archive, schedule
from app.backup.places import as_text
from app.backup.schedule_options import BackupOptions
from app.errors import FilmgateError

router = APIRouter(route_class=OwnerRoute)
BACKUP_FILE_NAME = "filmgate-backup.json"


class BackupBody(PanelBody):
    secrets: bool = False
    password: str | None = Field(default=None, repr=False)
    passphrase: str = Field(default="", max_length=1000, repr=False)


class RestoreBody(PanelBody):
    backup: dict[str, Any] = Field(repr=False)
    passphrase: str = Field(default="", max_length=1000, repr=False)


@router.post("/backup", summary="Save a backup", response_class=Response)
async def make_backup(at: AdminRequest, *, wish: BackupBody | None = None) -> Response:
    """Accounts, routes, prices, keys (as hashes), webhook endpoints and settings. Secrets only when asked for,
    by who says the own password once more (the admin token may do without); they are sealed with
    `passphrase`, else with the root key."""
    wish = wish or BackupBody()
    if wish.secrets and at.actor.session is not None:
        await confirm_password(at, wish.password or "")
    document = await archive.make_backup(at.panel.held, secrets=wish.secrets, passphrase=wish.passphrase)
    await at.record_change("backup.made", "backup", after={"with_secrets": wish.secrets})
    return Response(
        as_text(document),
        media_type="application/json",
        headers={
            "content-disposition": f'attachment; filename="{BACKUP_FILE_NAME}"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        },
    )


@router.post("/restore", summary="Restore a backup")
async def restore_backup(
    wish: RestoreBody, at: AdminRequest, *, dry_run: bool = Query(True)
) -> dict[str, Any]:
    """What it would change; with `dry_run=false` it is done. What is not in the backup stays as it is."""
    changes = await archive.plan_restore(at.panel.held, wish.backup, passphrase=wish.passphrase)
    if not dry_run:
        changes = await archive.apply_changes(at.panel.held, changes)
        done = [f"{c.thing}/{c.name} {c.result}" for c in changes if c.result in ("added", "updated")]
        await at.record_change("backup.restored", "backup", after={"changes": done})
    rows = [mask_secrets(change.as_json()) for change in changes]
    counted = {word: sum(row["result"] == word for row in rows) for word in ("same", "error")}
    return {"dry_run": dry_run, "rows": rows, **counted}


@router.post("/settings/backup/test", summary="Send a backup to its place now")
async def test_backup(at: AdminRequest) -> dict[str, Any]:
    """As it is written."""
    error = ""
    try:
        wanted = await at.panel.options.read(BackupOptions)
        await schedule.send_backup(at.panel.held, at.panel.guard, wanted)
    except FilmgateError as failure:
        error = failure.message
    await at.record_change("backup.sent", "backup", after={"error": error})
    return {"ok": not error, "steps": [{"step": "backup", "ok": not error, "message": error}]}
