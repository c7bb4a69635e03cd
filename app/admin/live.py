"""`/admin/api/events`: what changes, as it changes, in one stream for the whole panel."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.admin.access import AdminRequest, OwnerRoute, session_of
from app.admin.panel import PanelServices
from app.admin.task_search import TaskSearch
from app.db.session import DATABASE_AWAY
from app.tasks.notifications import Notification

router = APIRouter(route_class=OwnerRoute)
FLUSH_SECONDS = 0.3
POLL_SECONDS = 2.0
KEEP_ALIVE_SECONDS = 15
SESSION_SECONDS = 30.0
MOST_AT_ONCE = 300


@router.get("/events", summary="Changes as they happen", response_class=EventSourceResponse)
async def stream_events(at: AdminRequest) -> EventSourceResponse:
    """Server-sent events `hello`, `task` and `accounts`; ends with the session."""
    return EventSourceResponse(
        _event_stream(at), ping=KEEP_ALIVE_SECONDS, ping_message_factory=_keep_alive, sep="\n"
    )


async def _event_stream(at: AdminRequest) -> AsyncIterator[ServerSentEvent]:
    panel = at.panel
    async with AsyncExitStack() as stack:
        queue = await stack.enter_async_context(panel.events.subscribe("state"))
        progress = await stack.enter_async_context(panel.events.subscribe("progress"))
        yield _server_event("hello", {"at": time.time()})
        seen = await _account_states(panel)
        checked = time.monotonic()
        while True:
            for row in await _changed_tasks(panel, await _gather_changes(queue, progress)):
                yield _server_event("task", row)
            before, seen = seen, await _account_states(panel)
            if before != seen:
                yield _server_event("accounts", {})
            if time.monotonic() - checked < SESSION_SECONDS:
                continue
            checked = time.monotonic()
            if await _is_over(at):
                return


async def _is_over(at: AdminRequest) -> bool:
    return at.actor.session is not None and await session_of(at.http) is None


async def _gather_changes(
    queue: asyncio.Queue[Notification], progress: asyncio.Queue[Notification]
) -> dict[str, Notification]:
    """The last news of each task, of one short while; empty after a longer silence."""
    waiting = {asyncio.ensure_future(queue.get()), asyncio.ensure_future(progress.get())}
    try:
        done, _ = await asyncio.wait(waiting, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiting:
            waiter.cancel()
    news = {change.id: change for change in (waiter.result() for waiter in done)}
    if not news:
        return {}
    await asyncio.sleep(FLUSH_SECONDS)
    for source in (queue, progress):
        while not source.empty():
            change = source.get_nowait()
            news[change.id] = change
    return news


async def _changed_tasks(panel: PanelServices, news: dict[str, Notification]) -> list[dict[str, Any]]:
    """As the rows have it; progress is written behind, so there the news may be ahead of them."""
    ids = list(news)[-MOST_AT_ONCE:]
    try:
        found = await TaskSearch(panel.database).current_states(ids) if ids else []
    except DATABASE_AWAY:
        return []  # the panel looks again by itself
    for row in found:
        change = news[row["id"]]
        if change.kind == "progress" and row["state"] == "running":
            row["progress"] = max(row["progress"], change.progress)
            row["generating"] = True
        if row["state"] in ("storing", "completed"):
            row["progress"] = 100.0 if row["state"] == "completed" else 99.0
    return found


async def _account_states(panel: PanelServices) -> list[tuple[Any, ...]]:
    """What of the accounts is worth looking again for."""
    try:
        standings = await panel.pool.current_statuses()
    except DATABASE_AWAY:
        standings = panel.pool.cached_statuses()
    return [
        (each.account, each.enabled, each.cooldowns, each.disabled_reason, each.problem) for each in standings
    ]


def _server_event(name: str, data: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(data), event=name, sep="\n")


def _keep_alive() -> ServerSentEvent:
    return ServerSentEvent(comment="keep-alive", sep="\n")
