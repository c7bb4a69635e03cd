"""`/admin/api/events`: one stream of changes for the whole panel, as server-sent events."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.admin.access import AdminRequest, AdminRoute, session_of
from app.admin.panel import PanelServices
from app.admin.task_search import TaskSearch
from app.db.session import DATABASE_AWAY
from app.tasks.notifications import Notification

router = APIRouter(route_class=AdminRoute)
FLUSH_SECONDS = 0.3
POLL_SECONDS = 2.0
KEEP_ALIVE_SECONDS = 15
SESSION_SECONDS = 30.0
MOST_AT_ONCE = 300
MOST_ACCOUNTS = 200


@router.get("/events", summary="Stream changes", response_class=EventSourceResponse)
async def stream_events(request: AdminRequest) -> EventSourceResponse:
    """Events `hello`, `task` and `accounts`. The stream ends with the session.

    `accounts` has the `ids` of those that changed; null when accounts came or went, or more than 200 changed.
    """
    return EventSourceResponse(
        _event_stream(request), ping=KEEP_ALIVE_SECONDS, ping_message_factory=_keep_alive, sep="\n"
    )


async def _event_stream(request: AdminRequest) -> AsyncIterator[ServerSentEvent]:
    panel = request.panel
    async with AsyncExitStack() as stack:
        queue = await stack.enter_async_context(panel.notifications.subscribe("state"))
        progress = await stack.enter_async_context(panel.notifications.subscribe("progress"))
        yield _server_event("hello", {"at": time.time()})
        seen = await _account_states(panel)
        checked = time.monotonic()
        while True:
            for row in await _changed_tasks(panel, await _gather_changes(queue, progress)):
                yield _server_event("task", row)
            before, seen = seen, await _account_states(panel)
            if before != seen:
                yield _server_event("accounts", {"ids": _changed_accounts(before, seen)})
            if time.monotonic() - checked < SESSION_SECONDS:
                continue
            checked = time.monotonic()
            if await _is_over(request):
                return


async def _is_over(request: AdminRequest) -> bool:
    return request.actor.session is not None and await session_of(request.http) is None


async def _gather_changes(
    queue: asyncio.Queue[Notification], progress: asyncio.Queue[Notification]
) -> dict[str, Notification]:
    """The last change of each task within a short time; empty when nothing changes for ``POLL_SECONDS``."""
    waiting = {asyncio.ensure_future(queue.get()), asyncio.ensure_future(progress.get())}
    try:
        done, _ = await asyncio.wait(waiting, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiting:
            waiter.cancel()
    changes = {change.id: change for change in (waiter.result() for waiter in done)}
    if not changes:
        return {}
    await asyncio.sleep(FLUSH_SECONDS)
    for source in (queue, progress):
        while not source.empty():
            change = source.get_nowait()
            changes[change.id] = change
    return changes


async def _changed_tasks(panel: PanelServices, changes: dict[str, Notification]) -> list[dict[str, Any]]:
    """As the rows say. Progress is written to them later, so a notification may be ahead of its row."""
    ids = list(changes)[-MOST_AT_ONCE:]
    try:
        rows = await TaskSearch(panel.database).current_states(ids) if ids else []
    except DATABASE_AWAY:
        return []  # the panel reloads its page by itself
    for row in rows:
        change = changes[row["id"]]
        if change.kind == "progress" and row["state"] == "running":
            row["progress"] = max(row["progress"], change.progress)
            row["generating"] = True
        if row["state"] in ("storing", "completed"):
            row["progress"] = 100.0 if row["state"] == "completed" else 99.0
    return rows


async def _account_states(panel: PanelServices) -> dict[str, tuple[Any, ...]]:
    """By id, what the panel reads an account anew for when it changes."""
    try:
        statuses = await panel.pool.current_statuses()
    except DATABASE_AWAY:
        statuses = panel.pool.cached_statuses()
    statuses = [*map(panel.gateway.catalog.pauses.marked, statuses), *panel.pool.misconfigured()]
    return {
        each.account.id: (
            each.account,
            each.enabled,
            each.cooldowns,
            each.disabled_reason,
            each.problem,
            each.paused,
        )
        for each in statuses
    }


def _changed_accounts(
    before: dict[str, tuple[Any, ...]], seen: dict[str, tuple[Any, ...]]
) -> list[str] | None:
    if before.keys() != seen.keys():
        return None
    changed = [account_id for account_id, state in seen.items() if before[account_id] != state]
    return changed if len(changed) <= MOST_ACCOUNTS else None


def _server_event(name: str, data: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(data), event=name, sep="\n")


def _keep_alive() -> ServerSentEvent:
    return ServerSentEvent(comment="keep-alive", sep="\n")
