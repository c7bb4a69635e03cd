"""A task as the panel shows it: a row of the list, and everything about one."""

import json
import math
import time
from typing import Any

from app.admin.masking import masked
from app.admin.panel import Panel
from app.admin.task_search import UNSETTLED, TaskSearch, age, names_of
from app.admin.webhooks import deliveries_of
from app.dialects.content import is_kept
from app.media.links import LinkSigner
from app.tasks.task import StoredFile, Task

PROMPT_LENGTH = 300
STEADY_SECONDS = 3600
OWN_KEY = "panel"
"""Of tasks made in the playground."""


def link_to(task: Task, file: StoredFile, signer: LinkSigner) -> str:
    """Relative, as the panel may play only what is of its own origin; good for private tasks too. It stays the same
    for a while: a list that is asked again shows the same pictures, and a film goes on playing."""
    return signer.sign(
        f"/files/{task.id}/{file.name}", now=math.ceil(time.time() / STEADY_SECONDS) * STEADY_SECONDS
    )


async def rows_of(panel: Panel, found: list[Task]) -> list[dict[str, Any]]:
    key_names, account_names = await names_of(
        panel.database,
        {task.key_id for task in found},
        {task.account_id for task in found if task.account_id},
    )
    for standing in panel.pool.remembered():
        account_names.setdefault(standing.account.id, standing.account.name)
    key_names.setdefault(OWN_KEY, OWN_KEY)
    names = key_names, account_names
    return [_row(task, names, signer=panel.gateway.signer) for task in found]


def _row(task: Task, names: tuple[dict[str, str], dict[str, str]], *, signer: LinkSigner) -> dict[str, Any]:
    kept = is_kept(task) and not task.deleted
    thumbnail = task.result.thumbnail if task.result and kept else None
    error = {"code": task.error_code, "message": masked(task.error_message)} if task.error_code else None
    return {
        "id": task.id,
        "kind": task.kind,
        "model": task.model,
        "dialect": task.dialect,
        "state": task.state,
        "generating": task.generating,
        "progress": task.shown_progress,
        "prompt": task.request.prompt[:PROMPT_LENGTH],
        "key": {"id": task.key_id, "name": names[0].get(task.key_id)},
        "account": {"id": task.account_id, "name": names[1].get(task.account_id)}
        if task.account_id
        else None,
        "upstream_model": task.upstream_model,
        "cost": money(task.cost),
        "error": error,
        "created_at": task.created_at,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
        "seconds": age(task),
        "thumbnail": link_to(task, thumbnail, signer) if thumbnail else None,
        "cancel_requested": task.cancel_requested,
        "deleted": task.deleted,
        "expired": task.result is not None and not is_kept(task),
    }


async def detail_of(panel: Panel, task: Task) -> dict[str, Any]:
    """Everything, secrets masked."""
    search, signer = TaskSearch(panel.database), panel.gateway.signer
    row = (await rows_of(panel, [task]))[0]
    kept = task.result if is_kept(task) and not task.deleted else None
    paid = await search.money(task.id)
    price = await panel.gateway.prices.price(task.model)
    place = await panel.gateway.tasks.place(task)
    pictures = {
        name: link_to(task, file, signer) if file else None
        for name, file in (
            ("thumbnail", kept.thumbnail if kept else None),
            ("spritesheet", kept.spritesheet if kept else None),
        )
    }
    files = [
        file.model_dump(exclude={"key"}) | {"link": link_to(task, file, signer)}
        for file in (kept.files if kept else ())
    ]
    return (
        row
        | pictures
        | {
            "request": masked(json.loads(task.request_text)),
            "owner": task.owner,
            "attempts": task.attempts,
            "deadline_at": task.deadline_at,
            "expires_at": task.expires_at,
            "position": place.position if place else None,
            "estimated_wait_seconds": place.seconds if place else None,
            "operation": masked(task.operation.model_dump()) if task.operation else None,
            "files": files,
            "vendor_url": masked(task.result.vendor_url) if task.result else None,
            "upstream_answer": _answer(task),
            "timeline": masked(await panel.gateway.tasks.timeline(task)),
            "ledger": [entry | {"amount": money(entry["amount"])} for entry in paid],
            "inputs": _inputs(task),
            "webhooks": await deliveries_of(panel, task.id),
            "retry_price": money(price.quote(task.request) if price is not None else None),
            "actions": {"cancel": not task.ended, "retry": task.ended, "settle": _unsettled(task, paid)},
        }
    )


def money(amount: Any) -> str | None:
    """A Decimal as plain digits, never as 1E+2."""
    return None if amount is None else f"{amount.normalize():f}"


def _answer(task: Task) -> dict[str, Any] | None:
    """What is known of the upstream's last word: its usage, or its refusal."""
    if task.result is not None:
        return {"usage": masked(task.result.usage)}
    if task.error_code is not None:
        return {"code": task.error_code, "message": masked(task.error_message)}
    return None


def _inputs(task: Task) -> list[dict[str, Any]]:
    base = f"/admin/api/tasks/{task.id}/inputs"
    return [
        {
            "role": item.role,
            "content_type": item.content_type,
            "link": f"{base}/{number}" if item.key and not task.purged else None,
        }
        for number, item in enumerate(task.request.media)
    ]


def _unsettled(task: Task, paid: list[dict[str, Any]]) -> bool:
    """Sent, outcome unknown, and its money still held."""
    kinds = {entry["kind"] for entry in paid}
    return task.error_code == UNSETTLED and kinds == {"reserve"}
