"""`/admin/api/tasks`: every task of every key, what may be done with it, and the list as CSV."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from app.admin.access import At, OwnerRoute
from app.admin.paging import Paged, Since, Until
from app.admin.panel import Panel
from app.admin.sheets import sheet
from app.admin.task_object import detail_of, rows_of
from app.admin.task_search import Filter, TaskSearch
from app.admin.wishes import Wish
from app.errors import InvalidRequest, MissingField, NotFound
from app.generation import MediaInput
from app.keys.service import Key
from app.keys.terms import Dollars
from app.media.serve import file_response
from app.tasks.events import Change
from app.tasks.service import Asked, bare_id
from app.tasks.task import Task

router = APIRouter(route_class=OwnerRoute, prefix="/tasks")
MOST_EXPORTED = 100_000
MOST_AT_ONCE = 200
COLUMNS = (
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


class CancelFilter(Wish):
    state: str = "open"
    model: str | None = None
    key: str | None = None
    account: str | None = None
    kind: str | None = None


class Settle(Wish):
    outcome: Literal["spent", "released"]
    amount: Dollars | None = None


class Cancel(Wish):
    ids: list[str] | None = None
    filter: CancelFilter | None = None


Word = Annotated[str | None, Query(max_length=200)]


async def read_filter(
    *,
    state: Annotated[list[str] | None, Query()] = None,
    model: Word = None,
    key: Word = None,
    account: Word = None,
    kind: Word = None,
    dialect: Word = None,
    q: Word = None,
    since: Since = None,
    until: Until = None,
) -> Filter:
    states = tuple(word for text in state or () for word in text.split(",") if word)
    return Filter(
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


Filtered = Annotated[Filter, Depends(read_filter)]


@router.get("", summary="Tasks")
async def list_tasks(wanted: Filtered, page: Paged, at: At) -> dict[str, Any]:
    """Newest first. Many tasks are searched page by page: one may hold few rows, or none, and have a next one."""
    found = await TaskSearch(at.panel.database).page(wanted, page)
    return found.shown(await rows_of(at.panel, found.rows))


@router.get(".csv", summary="Tasks as CSV", response_class=StreamingResponse)
async def export_tasks(wanted: Filtered, at: At) -> Response:
    """At most 100,000 rows, newest first."""
    wanted.conditions()  # a wrong filter is told before the answer begins
    return sheet(_exported(at.panel, wanted), COLUMNS, name="tasks.csv")


@router.post("/cancel", summary="Cancel many tasks")
async def cancel_tasks(wish: Cancel, at: At) -> dict[str, Any]:
    """By their ids, or all that match; what has ended stays as it is."""
    search = TaskSearch(at.panel.database)
    found: list[Task] = []
    unknown = 0
    if wish.ids is not None:
        ids = [bare_id(name) for name in wish.ids[: MOST_AT_ONCE + 1]]
        if len(ids) > MOST_AT_ONCE:
            raise InvalidRequest(f"ids may hold at most {MOST_AT_ONCE}", param="ids")
        looked = [await at.panel.repository.get(task_id) if task_id else None for task_id in ids]
        found = [task for task in looked if task is not None]
        unknown = len(looked) - len(found)
    elif wish.filter is not None:
        chosen = wish.filter.model_dump(exclude={"state"})
        wanted = Filter(states=tuple(wish.filter.state.split(",")), **chosen)
        found = [task async for batch in search.all(wanted, most=MOST_EXPORTED) for task in batch]
    else:
        raise MissingField("ids or filter")
    open_ones = [task for task in found if not task.ended]
    for task in open_ones:
        await at.panel.repository.request_cancel(task.id, delete=False)
    changes = [Change(kind, task.id) for task in open_ones for kind in ("cancel", "state")]
    at.panel.events.publish([*changes, Change("wake")])
    ids_cancelled = [task.id for task in open_ones]
    await at.note("tasks.cancelled", "tasks", after={"ids": ids_cancelled})
    ended = len(found) - len(open_ones)
    return {"cancelled": len(open_ones), "ended": ended, "unknown": unknown, "ids": ids_cancelled}


@router.get("/{name}", summary="A task, with all that happened to it")
async def get_task(name: str, at: At) -> dict[str, Any]:
    return await detail_of(at.panel, await _found(at, name))


@router.get("/{name}/inputs/{number}", summary="What was given to a task", response_class=Response)
async def get_input(name: str, number: int, at: At) -> Response:
    task = await _found(at, name)
    items = task.request.media
    if not 0 <= number < len(items) or not items[number].key:
        raise NotFound("No such input.")
    store = at.panel.gateway.store
    stored = await store.head(items[number].key)
    return file_response(
        store,
        stored,
        request_headers=at.request.headers,
        method="GET",
        content_type=items[number].content_type,
        file_name=f"{task.id}-input-{number}",
    )


@router.post("/{name}/cancel", summary="Cancel a task")
async def cancel_task(name: str, at: At) -> dict[str, Any]:
    """Upstream too, where the vendor can; its run stops within a moment."""
    task = await _found(at, name)
    await at.note("task.cancelled", f"tasks/{task.id}", before={"state": task.state})
    stopped = await at.panel.gateway.tasks.cancel(task)
    return (await rows_of(at.panel, [stopped]))[0]


@router.post("/{name}/retry", status_code=201, summary="Make the same again as a new task")
async def retry_task(name: str, at: At) -> dict[str, Any]:
    """The same request by the same key; it costs again."""
    task = await _found(at, name)
    key = await at.panel.gateway.keys.by_id(task.key_id) or Key(task.key_id, task.key_id, task.owner)
    hook_url, hook_base = await TaskSearch(at.panel.database).hook(task.id)
    asked = Asked(task.dialect, hook_url=hook_url, hook_base=hook_base)
    media = tuple([await _with_content(at, task, item) for item in task.request.media])
    request = task.request.model_copy(update={"media": media})
    made = await at.panel.gateway.tasks.create(request, key=key, asked=asked)
    await at.note("task.retried", f"tasks/{task.id}", after={"task": made.id})
    return (await rows_of(at.panel, [made]))[0]


@router.post("/{name}/settle", summary="Say what became of a task that nobody knows of")
async def settle_task(name: str, wish: Settle, at: At) -> dict[str, Any]:
    """Only where it is unknown whether the upstream made it: `spent` takes the amount (the reserved one
    unless it is said), `released` gives all back."""
    task = await _found(at, name)
    amount = None
    if wish.outcome == "spent":
        held = next((e["amount"] for e in await TaskSearch(at.panel.database).money(task.id)), None)
        amount = held if wish.amount is None else wish.amount
        if amount is None:
            raise InvalidRequest("Nothing is held for this task.", param="outcome")
    await at.panel.billing.settle_unknown(task.id, amount)
    told = {"outcome": wish.outcome, "amount": amount}
    await at.note("task.settled", f"tasks/{task.id}", after=told)
    return await detail_of(at.panel, await _found(at, name))


@router.delete("/{name}", status_code=204, summary="Delete a task and its files")
async def delete_task(name: str, at: At) -> Response:
    task = await _found(at, name)
    await at.note("task.deleted", f"tasks/{task.id}", before={"state": task.state, "model": task.model})
    await at.panel.gateway.tasks.delete(task)
    return Response(status_code=204)


async def _found(at: At, name: str) -> Task:
    task_id = bare_id(name)
    task = await at.panel.repository.get(task_id) if task_id else None
    if task is None:
        raise NotFound(f"No such task: {name[:100]}")
    return task


async def _with_content(at: At, task: Task, item: MediaInput) -> MediaInput:
    """Its own inputs go when it goes, so the new task gets copies of them."""
    if not item.key.startswith(f"inputs/{task.id}/"):
        return item
    try:
        content = await at.panel.gateway.store.get(item.key)
    except NotFound as error:
        raise InvalidRequest("What it was made from has been removed meanwhile.", param="media") from error
    return item.model_copy(update={"content": content, "key": ""})


async def _exported(panel: Panel, wanted: Filter) -> AsyncIterator[list[dict[str, Any]]]:
    async for batch in TaskSearch(panel.database).all(wanted, most=MOST_EXPORTED):
        rows = await rows_of(panel, batch)
        yield [row | _flat(row) for row in rows]


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    error = row["error"] or {}
    return {
        "key": row["key"]["name"] or row["key"]["id"],
        "account": (row["account"] or {}).get("name"),
        "error_code": error.get("code"),
        "error_message": error.get("message"),
    }
