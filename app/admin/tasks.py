"""`/admin/api/tasks`: every task of every key, what may be done with it, and the list as CSV."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from app.admin.access import AdminRequest, OwnerRoute
from app.admin.bodies import PanelBody
from app.admin.paging import PageQuery, Since, Until
from app.admin.panel import PanelServices
from app.admin.sheets import csv_response
from app.admin.task_object import task_detail, task_rows
from app.admin.task_search import TaskFilter, TaskSearch
from app.dialects.registry import task_id_of
from app.errors import InvalidRequest, MissingField, NotFound
from app.generation import MediaInput
from app.keys.service import ClientKey
from app.keys.terms import Dollars
from app.media.serve import file_response
from app.tasks.notifications import Notification
from app.tasks.service import RequestContext
from app.tasks.task import Task

router = APIRouter(route_class=OwnerRoute, prefix="/tasks")
MOST_EXPORTED = 100_000
MOST_AT_ONCE = 200
CSV_COLUMNS = (
    "id",
    "created_at",
    "finished_at",
    "state",
    "kind",
    "model",
    "dialect",
    "key",
    "account",
    "upstream_model",
    "cost",
    "seconds",
    "error_code",
    "error_message",
    "prompt",
)


class CancelFilter(PanelBody):
    state: str = "open"
    model: str | None = None
    key: str | None = None
    account: str | None = None
    kind: str | None = None


class SettleBody(PanelBody):
    outcome: Literal["spent", "released"]
    amount: Dollars | None = None


class CancelBody(PanelBody):
    ids: list[str] | None = None
    filter: CancelFilter | None = None


FilterText = Annotated[str | None, Query(max_length=200)]


async def read_filter(
    *,
    state: Annotated[list[str] | None, Query()] = None,
    model: FilterText = None,
    key: FilterText = None,
    account: FilterText = None,
    kind: FilterText = None,
    dialect: FilterText = None,
    q: FilterText = None,
    since: Since = None,
    until: Until = None,
) -> TaskFilter:
    states = tuple(word for text in state or () for word in text.split(",") if word)
    return TaskFilter(
        states=states,
        model=model,
        key=key,
        account=account,
        kind=kind,
        dialect=dialect,
        text=q,
        since=since,
        until=until,
    )


TaskFilterQuery = Annotated[TaskFilter, Depends(read_filter)]


@router.get("", summary="Tasks")
async def list_tasks(wanted: TaskFilterQuery, page: PageQuery, at: AdminRequest) -> dict[str, Any]:
    """Newest first. Many tasks are searched page by page: one may hold few rows, or none, and have a next one."""
    found = await TaskSearch(at.panel.database).find_page(wanted, page)
    return found.as_answer(await task_rows(at.panel, found.rows))


@router.get(".csv", summary="Tasks as CSV", response_class=StreamingResponse)
async def export_tasks(wanted: TaskFilterQuery, at: AdminRequest) -> Response:
    """At most 100,000 rows, newest first."""
    wanted.conditions()  # a wrong filter is told before the answer begins
    return csv_response(_csv_batches(at.panel, wanted), CSV_COLUMNS, name="tasks.csv")


@router.post("/cancel", summary="Cancel many tasks")
async def cancel_tasks(wish: CancelBody, at: AdminRequest) -> dict[str, Any]:
    """By their ids, or all that match; what has ended stays as it is."""
    search = TaskSearch(at.panel.database)
    found: list[Task] = []
    unknown = 0
    if wish.ids is not None:
        ids = [task_id_of(name) for name in wish.ids[: MOST_AT_ONCE + 1]]
        if len(ids) > MOST_AT_ONCE:
            raise InvalidRequest(f"ids may hold at most {MOST_AT_ONCE}", param="ids")
        looked = [await at.panel.repository.get(task_id) if task_id else None for task_id in ids]
        found = [task for task in looked if task is not None]
        unknown = len(looked) - len(found)
    elif wish.filter is not None:
        chosen = wish.filter.model_dump(exclude={"state"})
        wanted = TaskFilter(states=tuple(wish.filter.state.split(",")), **chosen)
        found = [task async for batch in search.find_all(wanted, most=MOST_EXPORTED) for task in batch]
    else:
        raise MissingField("ids or filter")
    open_ones = [task for task in found if not task.has_ended]
    for task in open_ones:
        await at.panel.repository.request_cancel(task.id, delete=False)
    changes = [Notification(kind, task.id) for task in open_ones for kind in ("cancel", "state")]
    at.panel.events.publish([*changes, Notification("wake")])
    ids_cancelled = [task.id for task in open_ones]
    await at.record_change("tasks.cancelled", "tasks", after={"ids": ids_cancelled})
    ended = len(found) - len(open_ones)
    return {"cancelled": len(open_ones), "ended": ended, "unknown": unknown, "ids": ids_cancelled}


@router.get("/{name}", summary="A task, with all that happened to it")
async def get_task(name: str, at: AdminRequest) -> dict[str, Any]:
    return await task_detail(at.panel, await _find_task(at, name))


@router.get("/{name}/inputs/{number}", summary="What was given to a task", response_class=Response)
async def get_input(name: str, number: int, at: AdminRequest) -> Response:
    task = await _find_task(at, name)
    items = task.request.media
    if not 0 <= number < len(items) or not items[number].key:
        raise NotFound("No such input.")
    store = at.panel.gateway.store
    stored = await store.head(items[number].key)
    return file_response(
        store,
        stored,
        request_headers=at.http.headers,
        method="GET",
        content_type=items[number].content_type,
        file_name=f"{task.id}-input-{number}",
    )


@router.post("/{name}/cancel", summary="Cancel a task")
async def cancel_task(name: str, at: AdminRequest) -> dict[str, Any]:
    """Upstream too, where the vendor can; its run stops within a moment."""
    task = await _find_task(at, name)
    await at.record_change("task.cancelled", f"tasks/{task.id}", before={"state": task.state})
    stopped = await at.panel.gateway.tasks.cancel(task)
    return (await task_rows(at.panel, [stopped]))[0]


@router.post("/{name}/retry", status_code=201, summary="Make the same again as a new task")
async def retry_task(name: str, at: AdminRequest) -> dict[str, Any]:
    """The same request by the same key; it costs again."""
    task = await _find_task(at, name)
    key = await at.panel.gateway.keys.find_by_id(task.key_id) or ClientKey(
        task.key_id, task.key_id, task.owner
    )
    hook_url, hook_base = await TaskSearch(at.panel.database).webhook_of(task.id)
    asked = RequestContext(task.dialect, hook_url=hook_url, hook_base=hook_base)
    media = tuple([await _with_content(at, task, item) for item in task.request.media])
    request = task.request.model_copy(update={"media": media})
    made = await at.panel.gateway.tasks.create(request, key=key, asked=asked)
    await at.record_change("task.retried", f"tasks/{task.id}", after={"task": made.id})
    return (await task_rows(at.panel, [made]))[0]


@router.post("/{name}/settle", summary="Say what became of a task that nobody knows of")
async def settle_task(name: str, wish: SettleBody, at: AdminRequest) -> dict[str, Any]:
    """Only where it is unknown whether the upstream made it: `spent` takes the amount (the reserved one
    unless it is said), `released` gives all back."""
    task = await _find_task(at, name)
    amount = None
    if wish.outcome == "spent":
        held = next((e["amount"] for e in await TaskSearch(at.panel.database).ledger_entries(task.id)), None)
        amount = held if wish.amount is None else wish.amount
        if amount is None:
            raise InvalidRequest("Nothing is held for this task.", param="outcome")
    await at.panel.billing.settle_unknown(task.id, amount)
    told = {"outcome": wish.outcome, "amount": amount}
    await at.record_change("task.settled", f"tasks/{task.id}", after=told)
    return await task_detail(at.panel, await _find_task(at, name))


@router.delete("/{name}", status_code=204, summary="Delete a task and its files")
async def delete_task(name: str, at: AdminRequest) -> Response:
    task = await _find_task(at, name)
    await at.record_change(
        "task.deleted", f"tasks/{task.id}", before={"state": task.state, "model": task.model}
    )
    await at.panel.gateway.tasks.delete(task)
    return Response(status_code=204)


async def _find_task(at: AdminRequest, name: str) -> Task:
    task_id = task_id_of(name)
    task = await at.panel.repository.get(task_id) if task_id else None
    if task is None:
        raise NotFound(f"No such task: {name[:100]}")
    return task


async def _with_content(at: AdminRequest, task: Task, item: MediaInput) -> MediaInput:
    """Its own inputs go when it goes, so the new task gets copies of them."""
    if not item.key.startswith(f"inputs/{task.id}/"):
        return item
    try:
        content = await at.panel.gateway.store.get(item.key)
    except NotFound as error:
        raise InvalidRequest("What it was made from has been removed meanwhile.", param="media") from error
    return item.model_copy(update={"content": content, "key": ""})


async def _csv_batches(panel: PanelServices, wanted: TaskFilter) -> AsyncIterator[list[dict[str, Any]]]:
    async for batch in TaskSearch(panel.database).find_all(wanted, most=MOST_EXPORTED):
        rows = await task_rows(panel, batch)
        yield [row | _flat_fields(row) for row in rows]


def _flat_fields(row: dict[str, Any]) -> dict[str, Any]:
    error = row["error"] or {}
    return {
        "key": row["key"]["name"] or row["key"]["id"],
        "account": (row["account"] or {}).get("name"),
        "error_code": error.get("code"),
        "error_message": error.get("message"),
    }
