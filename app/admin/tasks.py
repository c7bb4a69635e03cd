"""`/admin/api/tasks`: the tasks of all keys, what can be done with them, and the list as CSV."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import ListAnswer, PanelAnswer, PanelBody
from app.admin.lists import MOST_EXPORTED, csv_response
from app.admin.queries import FilterText, PageQuery, Since, Until
from app.admin.rights import Right
from app.admin.task_object import TaskDetail, TaskObject, task_detail, task_rows
from app.admin.task_search import TaskSearch, TaskSearchFilter
from app.dialects.http.film_files import receipt_file
from app.dialects.registry import task_id_of
from app.errors import InvalidRequest, MissingField, NotFound, PermissionDenied
from app.keys.money_fields import Dollars
from app.media.serve import file_response
from app.tasks.notifications import Notification
from app.tasks.task import Task

router = APIRouter(route_class=AdminRoute, prefix="/tasks")
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
    "money",
    "seconds",
    "error_code",
    "error_message",
    "prompt",
)


TaskIds = Annotated[str | None, Query()]
"""Ids with commas between them; ``read_ids`` bounds their number."""


class CountAnswer(PanelAnswer):
    """How many tasks match; where it is not ``exact``, at least so many."""

    count: int
    exact: bool


class CancelFilter(PanelBody):
    state: str = "open"
    model: str | None = None
    key: str | None = None
    account: str | None = None
    kind: str | None = None


class CancelAnswer(PanelAnswer):
    """``ended`` counts tasks that had ended before, ``unknown`` ids that do not exist; ``ids`` were cancelled."""

    cancelled: int
    ended: int
    unknown: int
    ids: list[str]


class SettleBody(PanelBody):
    outcome: Literal["spent", "released"]
    amount: Dollars | None = None


class CancelBody(PanelBody):
    ids: list[str] | None = None
    filter: CancelFilter | None = None


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
    error: FilterText = None,
    ids: TaskIds = None,
    films: bool = False,
) -> TaskSearchFilter:
    states = tuple(word for text in state or () for word in text.split(",") if word)
    return TaskSearchFilter(
        states=states,
        model=model,
        key=key,
        account=account,
        kind=kind,
        dialect=dialect,
        text=q,
        since=since,
        until=until,
        error=error,
        ids=None if ids is None else read_ids(ids),
        films=films,
    )


TaskFilterQuery = Annotated[TaskSearchFilter, Depends(read_filter)]


@router.get("", summary="List tasks")
async def list_tasks(
    wanted: TaskFilterQuery, page: PageQuery, request: AdminRequest
) -> ListAnswer[TaskObject]:
    """Newest first. A page of a filtered list may hold few rows or none and still have a next one."""
    _check_search(wanted, request)
    result = await TaskSearch(request.panel.database).find_page(wanted, page)
    rows = await task_rows(request.panel, result.rows, with_content=request.actor.may(Right.CONTENT))
    return ListAnswer(data=rows, next=result.next)


@router.get(".csv", summary="Export tasks as CSV", response_class=StreamingResponse)
async def export_tasks(wanted: TaskFilterQuery, request: AdminRequest) -> Response:
    """At most 100,000 rows, newest first."""
    _check_search(wanted, request)
    wanted.conditions()  # an invalid filter is reported before the response begins
    return csv_response(_csv_batches(request, wanted), CSV_COLUMNS, name="tasks.csv")


@router.get("/count", summary="Count tasks")
async def count_tasks(wanted: TaskFilterQuery, request: AdminRequest) -> CountAnswer:
    """Up to 10,000; a condition without an index is held against the newest 20,000 tasks."""
    _check_search(wanted, request)
    found = await TaskSearch(request.panel.database).count(wanted)
    return CountAnswer(count=found.count, exact=found.exact)


@router.post("/cancel", summary="Cancel several tasks")
async def cancel_tasks(body: CancelBody, request: AdminRequest) -> CancelAnswer:
    """By id, or all that match the filter. Tasks that have ended do not change."""
    tasks, unknown = await _tasks_to_cancel(body, request)
    open_tasks = [task for task in tasks if not task.has_ended]
    for task in open_tasks:
        await request.panel.tasks.request_cancel(task.id, delete=False)
    changes = [Notification(kind, task.id) for task in open_tasks for kind in ("cancel", "state")]
    request.panel.notifications.publish([*changes, Notification("wake")])
    ids = [task.id for task in open_tasks]
    await request.record_change("tasks.cancelled", "tasks", after={"ids": ids})
    ended = len(tasks) - len(open_tasks)
    return CancelAnswer(cancelled=len(open_tasks), ended=ended, unknown=unknown, ids=ids)


@router.get("/{name}", summary="Show a task with its history")
async def get_task(name: str, request: AdminRequest) -> TaskDetail:
    task = await find_task(request, name)
    return await task_detail(request.panel, task, with_content=request.actor.may(Right.CONTENT))


@router.get("/{name}/inputs/{number}", summary="Download an input of a task", response_class=Response)
async def get_input(name: str, number: int, request: AdminRequest) -> Response:
    task = await find_task(request, name)
    items = task.request.media
    if not 0 <= number < len(items) or not items[number].key:
        raise NotFound("No such input.")
    store = request.panel.gateway.store
    stored = await store.head(items[number].key)
    return file_response(
        store,
        stored,
        request_headers=request.http.headers,
        method="GET",
        content_type=items[number].content_type,
        file_name=f"{task.id}-input-{number}",
    )


@router.get("/{name}/receipt", summary="Download the signed receipt of a task", response_class=Response)
async def get_receipt(name: str, request: AdminRequest) -> Response:
    """The operator's: it also says what the film cost."""
    task = await find_task(request, name)
    return receipt_file(task, await request.panel.gateway.receipts().receipt(task, "operator"))


@router.post("/{name}/cancel", summary="Cancel a task")
async def cancel_task(name: str, request: AdminRequest) -> TaskObject:
    """Also at the upstream, if the vendor can cancel. The task's run stops within a moment."""
    task = await find_task(request, name)
    await request.record_change("task.cancelled", f"tasks/{task.id}", before={"state": task.state})
    stopped = await request.panel.gateway.tasks.cancel(task)
    return (await task_rows(request.panel, [stopped]))[0]


@router.post("/{name}/settle", summary="Decide about the money that a task holds")
async def settle_task(name: str, body: SettleBody, request: AdminRequest) -> TaskDetail:
    """`spent` charges `amount`, or the reserved amount without it; `released` gives the reservation back."""
    task = await find_task(request, name)
    amount = None
    if body.outcome == "spent":
        ledger = await TaskSearch(request.panel.database).ledger_entries(task.id)
        reserved = ledger[0].amount if ledger else None
        amount = reserved if body.amount is None else body.amount
        if amount is None:
            raise InvalidRequest(
                "Nothing is reserved for this task.", param="outcome", reason="nothing_reserved"
            )
    await request.panel.billing.settle_held(task.id, amount)
    await request.record_change(
        "task.settled", f"tasks/{task.id}", after={"outcome": body.outcome, "amount": amount}
    )
    return await task_detail(request.panel, await find_task(request, name))


@router.delete("/{name}", status_code=204, summary="Delete a task and its files")
async def delete_task(name: str, request: AdminRequest) -> Response:
    task = await find_task(request, name)
    await request.record_change(
        "task.deleted", f"tasks/{task.id}", before={"state": task.state, "model": task.model}
    )
    await request.panel.gateway.tasks.delete(task)
    return Response(status_code=204)


async def _tasks_to_cancel(body: CancelBody, request: AdminRequest) -> tuple[list[Task], int]:
    """The tasks, and how many of the ids are unknown. Raises ``InvalidRequest``."""
    if body.ids is not None:
        if len(body.ids) > MOST_AT_ONCE:
            raise InvalidRequest(f"ids may hold at most {MOST_AT_ONCE}", param="ids", reason="too_many")
        ids = [task_id_of(name) for name in body.ids]
        known = [await request.panel.tasks.get(task_id) if task_id else None for task_id in ids]
        tasks = [task for task in known if task is not None]
        return tasks, len(ids) - len(tasks)
    if body.filter is None:
        raise MissingField("ids or filter")
    chosen = body.filter.model_dump(exclude={"state"})
    wanted = TaskSearchFilter(states=tuple(body.filter.state.split(",")), **chosen)
    search = TaskSearch(request.panel.database)
    return [task async for batch in search.find_all(wanted, most=MOST_EXPORTED) for task in batch], 0


def read_ids(text: str) -> tuple[str, ...]:
    """Raises ``InvalidRequest`` for more than can be asked for at once, and for what is no id."""
    names = [name for name in text.split(",") if name]
    ids = [found for name in names if (found := task_id_of(name))]
    if len(names) > MOST_AT_ONCE or len(ids) < len(names):
        raise InvalidRequest(f"ids must be at most {MOST_AT_ONCE} ids of tasks", param="ids")
    return tuple(ids)


async def find_task(request: AdminRequest, name: str) -> Task:
    """By its id in any dialect's form. Raises ``NotFound``."""
    task_id = task_id_of(name)
    task = await request.panel.tasks.get(task_id) if task_id else None
    if task is None:
        raise NotFound(f"No such task: {name[:100]}")
    return task


def _check_search(wanted: TaskSearchFilter, request: AdminRequest) -> None:
    """Raises ``PermissionDenied``: who could search prompts could read them by trying."""
    if wanted.text and not request.actor.may(Right.CONTENT) and task_id_of(wanted.text.strip()) is None:
        raise PermissionDenied(f"The role {request.actor.role} can search for the id of a task only.")


async def _csv_batches(
    request: AdminRequest, wanted: TaskSearchFilter
) -> AsyncIterator[list[dict[str, Any]]]:
    panel, with_content = request.panel, request.actor.may(Right.CONTENT)
    async for batch in TaskSearch(panel.database).find_all(wanted, most=MOST_EXPORTED):
        yield [_csv_row(row) for row in await task_rows(panel, batch, with_content=with_content)]


def _csv_row(row: TaskObject) -> dict[str, Any]:
    return row.model_dump() | {
        "key": row.key.name or row.key.id,
        "account": row.account.name if row.account else None,
        "error_code": row.error.code if row.error else None,
        "error_message": row.error.message if row.error else None,
    }
