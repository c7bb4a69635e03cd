"""`/admin/api/backup` and `/restore`: all that the operator has set, as one file."""

from typing import Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from app.admin.access import At, OwnerRoute
from app.admin.masking import masked
from app.admin.session import confirm
from app.admin.wishes import Wish
from app.backup import backup, schedule
from app.backup.documents import BackupOptions
from app.backup.places import as_text
from app.errors import FilmgateError

router = APIRouter(route_class=OwnerRoute)
NAME = "filmgate-backup.json"


class BackupWish(Wish):
    secrets: bool = False
    password: str | None = Field(default=None, repr=False)
    passphrase: str = Field(default="", max_length=1000, repr=False)


class RestoreWish(Wish):
    backup: dict[str, Any] = Field(repr=False)
    passphrase: str = Field(default="", max_length=1000, repr=False)


@router.post("/backup", summary="Save a backup", response_class=Response)
async def save(at: At, *, wish: BackupWish | None = None) -> Response:
    """Accounts, routes, prices, keys (as hashes), webhook endpoints and settings. Secrets only when asked for,
    by who says the own password once more (the admin token may do without); they are sealed with
    `passphrase`, else with the root key."""
    wish = wish or BackupWish()
    if wish.secrets and at.actor.session is not None:
        await confirm(at, wish.password or "")
    document = await backup.make(at.panel.held, secrets=wish.secrets, passphrase=wish.passphrase)
    await at.note("backup.made", "backup", after={"with_secrets": wish.secrets})
    return Response(
        as_text(document),
        media_type="application/json",
        headers={
            "content-disposition": f'attachment; filename="{NAME}"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        },
    )


@router.post("/restore", summary="Restore a backup")
async def restore(wish: RestoreWish, at: At, *, dry_run: bool = Query(True)) -> dict[str, Any]:
    """What it would change; with `dry_run=false` it is done. What is not in the backup stays as it is."""
    changes = await backup.plan(at.panel.held, wish.backup, passphrase=wish.passphrase)
    if not dry_run:
        changes = await backup.apply(at.panel.held, changes)
        done = [f"{c.thing}/{c.name} {c.result}" for c in changes if c.result in ("added", "updated")]
        await at.note("backup.restored", "backup", after={"changes": done})
    rows = [masked(change.shown()) for change in changes]
    counted = {word: sum(row["result"] == word for row in rows) for word in ("same", "error")}
    return {"dry_run": dry_run, "rows": rows, **counted}


@router.post("/settings/backup/test", summary="Send a backup to its place now")
async def send(at: At) -> dict[str, Any]:
    """As it is written."""
    error = ""
    try:
        wanted = await at.panel.options.read(BackupOptions)
        await schedule.send(at.panel.held, at.panel.guard, wanted)
    except FilmgateError as failure:
        error = failure.message
    await at.note("backup.sent", "backup", after={"error": error})
    return {"ok": not error, "steps": [{"step": "backup", "ok": not error, "message": error}]}
