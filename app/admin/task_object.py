"""A task as the panel shows it: a row of the list, and everything about one."""

import json
import math
import time
from typing import Any

from app.admin.masking import mask_secrets
from app.admin.panel import PanelServices
from app.admin.task_search import UNSETTLED, TaskSearch, age_seconds, names_of
from app.admin.webhooks import deliveries_of
from app.dialects.http.task_files import files_are_kept
from app.media.links import LinkSigner
from app.tasks.task import StoredFile, Task

PROMPT_LENGTH = 300
STEADY_SECONDS = 3600
PLAYGROUND_KEY = "panel"
"""Of tasks made in the playground."""


def link_to(task: Task, file: StoredFile, signer: LinkSigner) -> str:
    """Relative, as the panel may play only what is of its own origin; good for private tasks too. It stays the same
    for a while: a list that is asked again shows the same pictures, and a film goes on playing."""
    return signer.sign(
        f"/files/{task.id}/{file.name}", now=math.ceil(time.time() / STEADY_SECONDS) * STEADY_SECONDS
    )


async def task_rows(panel: PanelServices, found: list[Task]) -> list[dict[str, Any]]:
    key_names, account_names = await names_of(
        panel.database,
        {task.key_id for task in found},
        {task.account_id for task in found if task.account_id},
    )
    for standing in panel.pool.cached_statuses():
        account_names.setdefault(standing.account.id, standing.account.name)
    key_names.setdefault(PLAYGROUND_KEY, PLAYGROUND_KEY)
    names = key_names, account_names
    return [_task_row(task, names, signer=panel.gateway.signer) for task in found]


def _task_row(
    task: Task, names: tuple[dict[str, str], dict[str, str]], *, signer: LinkSigner
) -> dict[str, Any]:
    kept = files_are_kept(task) and not task.deleted
    thumbnail = task.result.thumbnail if task.result and kept else None
    error = (
        {"code": task.error_code, "message": mask_secrets(task.error_message)} if task.error_code else None
    )
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
        "cost": plain_amount(task.cost),
        "error": error,
        "created_at": task.created_at,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
        "seconds": age_seconds(task),
        "thumbnail": link_to(task, thumbnail, signer) if thumbnail else None,
        "cancel_requested": task.cancel_requested,
        "deleted": task.deleted,
        "expired": task.result is not None and not files_are_kept(task),
    }


async def task_detail(panel: PanelServices, task: Task) -> dict[str, Any]:
    """Everything, secrets masked."""
    search, signer = TaskSearch(panel.database), panel.gateway.signer
    row = (await task_rows(panel, [task]))[0]
    kept = task.result if files_are_kept(task) and not task.deleted else None
    paid = await search.ledger_entries(task.id)
    price = await panel.gateway.prices.current_price(task.model)
    place = await panel.gateway.tasks.queue_position(task)
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
            "request": mask_secrets(json.loads(task.request_text)),
            "owner": task.owner,
            "attempts": task.attempts,
            "deadline_at": task.deadline_at,
            "expires_at": task.expires_at,
            "position": place.position if place else None,
            "estimated_wait_seconds": place.seconds if place else None,
            "operation": mask_secrets(task.operation.model_dump()) if task.operation else None,
            "files": files,
            "vendor_url": mask_secrets(task.result.vendor_url) if task.result else None,
            "upstream_answer": _upstream_answer(task),
            "timeline": mask_secrets(await panel.gateway.tasks.read_timeline(task)),
            "ledger": [entry | {"amount": plain_amount(entry["amount"])} for entry in paid],
            "inputs": _input_objects(task),
            "webhooks": await deliveries_of(panel, task.id),
            "retry_price": plain_amount(price.estimate_request(task.request) if price is not None else None),
            "actions": {
                "cancel": not task.has_ended,
                "retry": task.has_ended,
                "settle": _can_settle(task, paid),
            },
        }
    )


def plain_amount(amount: Any) -> str | None:
    """A Decimal as plain digits, never as 1E+2."""
    return None if amount is None else f"{amount.normalize():f}"


def _upstream_answer(task: Task) -> dict[str, Any] | None:
    """What is known of the upstream's last word: its usage, or its refusal."""
    if task.result is not None:
        return {"usage": mask_secrets(task.result.usage)}
    if task.error_code is not None:
        return {"code": task.error_code, "message": mask_secrets(task.error_message)}
    return None


def _input_objects(task: Task) -> list[dict[str, Any]]:
    base = f"/admin/api/tasks/{task.id}/inputs"
    return [
        {
            "role": item.role,
            "content_type": item.content_type,
            "link": f"{base}/{number}" if item.key and not task.purged else None,
        }
        for number, item in enumerate(task.request.media)
    ]


def _can_settle(task: Task, paid: list[dict[str, Any]]) -> bool:
    """Sent, outcome unknown, and its money still held."""
    kinds = {entry["kind"] for entry in paid}
    return task.error_code == UNSETTLED and kinds == {"reserve"}
