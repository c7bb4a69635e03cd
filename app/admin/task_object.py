"""A task as the panel's API returns it: a row of the list, and everything about one task."""

import json
import math
import time
from typing import Any, Literal

from app.admin.bodies import NamedItem, PanelAnswer
from app.admin.masking import mask_secrets
from app.admin.panel import PanelServices
from app.admin.readiness_board import BlockedAccounts, blocked_groups
from app.admin.task_search import TaskSearch, age_seconds, names_of
from app.admin.webhooks import DeliveryObject, deliveries_of_task
from app.media.links import LinkSigner
from app.tasks.attempts import list_attempts
from app.tasks.segments.rows import read_segments
from app.tasks.task import DerivedFile, StoredFile, Task, files_are_kept

PROMPT_LENGTH = 300
LINK_STEP_SECONDS = 3600
VIEWED_FIELDS = frozenset(
    {
        "kind",
        "model",
        "action",
        "seconds",
        "size",
        "aspect_ratio",
        "resolution",
        "watermark",
        "sound",
        "private",
    }
)
"""What is seen of a request without the right to contents: how large the work is, not what it shows."""
PLAYGROUND_KEY = "panel"
"""The key id of tasks that are created in the playground."""


class TaskError(PanelAnswer):
    code: str
    message: str | None


class TaskObject(PanelAnswer):
    """A row of the list. Times are UTC seconds, ``cost`` is in US dollars, ``seconds`` is the task's age until it
    ended; ``wait`` counts the accounts by what blocks them while none may take the task, and is empty when there is none;
    ``money`` says what became of the reserved amount once the task has ended; ``prompt`` is cut, and ``expired`` says that
    the files are gone; ``thumbnail`` and ``link`` (the first file of the result) are signed addresses of this origin."""

    id: str
    kind: str
    model: str
    dialect: str
    state: str
    generating: bool
    progress: float
    prompt: str
    key: NamedItem
    account: NamedItem | None
    upstream_model: str | None
    cost: str | None
    money: Literal["settled", "released", "held"] | None
    error: TaskError | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    seconds: float
    wait: dict[str, BlockedAccounts] | None
    thumbnail: str | None
    link: str | None
    cancel_requested: bool
    deleted: bool
    expired: bool


class FileObject(PanelAnswer):
    """A file of the result; ``seconds`` is its length, ``made_seconds`` that of the vendor's film where ours was trimmed,
    ``labels`` those that we added, ``vendor_marks`` those that a labelled film came with, ``link`` a signed address of this origin, ``playable_link`` that of the film as every player plays it."""

    name: str
    content_type: str
    bytes: int
    width: int | None
    height: int | None
    seconds: float | None
    made_seconds: float | None
    fps: float | None
    codec: str | None
    sound: bool | None
    sha256: str | None
    labels: list[str]
    vendor_marks: list[str]
    link: str
    playable_link: str | None


class OperationObject(PanelAnswer):
    """The upstream's operation; ``data`` is the provider's own."""

    id: str
    data: dict[str, Any]


class InputObject(PanelAnswer):
    """``link`` is None when the input has been removed."""

    role: str
    content_type: str
    link: str | None


class TimelineEntry(PanelAnswer):
    """``epoch`` counts the runs of the task; ``detail`` depends on ``event``."""

    at: float
    epoch: int
    event: str
    detail: Any


class LedgerObject(PanelAnswer):
    """An entry of the ledger: `reserve`, `settle` or `release`, in US dollars."""

    at: float
    kind: str
    amount: str | None
    detail: Any


class AttemptObject(PanelAnswer):
    """One vendor's work for a task that went on elsewhere; ``verdict`` is None while it goes on, ``word`` is the vendor's,
    ``cost`` in US dollars."""

    number: int
    account: NamedItem | None
    provider: str | None
    model: str | None
    operation: str | None
    verdict: str | None
    word: str | None
    cost: str | None
    began_at: float | None
    ended_at: float | None


class TaskActions(PanelAnswer):
    """What can be done with the task now."""

    cancel: bool
    retry: bool
    settle: bool


class TaskDetail(TaskObject):
    """Everything about one task, with secrets masked. ``attempts`` counts refusals in a row, ``attempt`` the vendors' work for
    it; ``attempt_rows`` is empty where there was only one. ``position``, ``estimated_wait_seconds`` and ``wait_reason``
    (why no account may take it now) are set while it waits for an account; ``upstream_answer`` is the result's usage, or the error;
    ``vendor_cost`` is what its vendor charges, in US dollars, as far as that is known; ``segments`` are those of a film that is
    joined, in their order."""

    spritesheet: str | None
    request: dict[str, Any]
    owner: str
    attempts: int
    attempt: int
    attempt_rows: list[AttemptObject]
    deadline_at: float
    expires_at: float | None
    position: int | None
    estimated_wait_seconds: float | None
    wait_reason: str | None
    operation: OperationObject | None
    files: list[FileObject]
    vendor_url: str | None
    upstream_answer: dict[str, Any] | None
    timeline: list[TimelineEntry]
    ledger: list[LedgerObject]
    inputs: list[InputObject]
    webhooks: list[DeliveryObject]
    vendor_cost: str | None
    retry_price: str | None
    actions: TaskActions
    segments: list[TaskObject]


def link_to(task: Task, file: StoredFile | DerivedFile, signer: LinkSigner) -> str:
    """A relative link, because the panel may only load what is of its own origin; it works for private tasks too.

    It stays the same for up to an hour: a reloaded list shows the same pictures, and a video goes on playing.
    """
    step = LINK_STEP_SECONDS
    return signer.sign(f"/files/{task.id}/{file.name}", now=math.ceil(time.time() / step) * step)


async def task_rows(
    panel: PanelServices, tasks: list[Task], *, with_content: bool = True
) -> list[TaskObject]:
    """``with_content`` False leaves out what only owners see: prompts, and the pictures of private tasks."""
    key_names, account_names = await names_of(
        panel.database,
        {task.key_id for task in tasks},
        {task.account_id for task in tasks if task.account_id},
    )
    for status in panel.pool.cached_statuses():
        account_names.setdefault(status.account.id, status.account.name)
    key_names.setdefault(PLAYGROUND_KEY, PLAYGROUND_KEY)
    names = key_names, account_names
    rows = [_task_row(task, names, signer=panel.gateway.signer) for task in tasks]
    waits: dict[tuple[str, str, str], dict[str, BlockedAccounts] | None] = {}
    for row, task in zip(rows, tasks, strict=True):
        if task.state != "queued" or task.account_id is not None:
            continue
        same = task.kind, task.model, task.excluded_text
        if same not in waits:
            wait = await panel.gateway.tasks.account_wait(task)
            waits[same] = blocked_groups(wait.count) if wait else None
        row.wait = waits[same]
    if with_content:
        return rows
    hidden = [
        {"prompt": ""} | ({"thumbnail": None, "link": None} if task.request.private else {}) for task in tasks
    ]
    return [row.model_copy(update=fields) for row, fields in zip(rows, hidden, strict=True)]


def _task_row(task: Task, names: tuple[dict[str, str], dict[str, str]], *, signer: LinkSigner) -> TaskObject:
    key_names, account_names = names
    kept = files_are_kept(task) and not task.deleted
    thumbnail = task.result.thumbnail if task.result and kept else None
    file = task.result.files[0] if task.result and kept else None
    account = None
    if task.account_id and not task.is_joined:
        account = NamedItem(id=task.account_id, name=account_names.get(task.account_id))
    return TaskObject(
        id=task.id,
        kind=task.kind,
        model=task.model,
        dialect=task.dialect,
        state=task.state,
        generating=task.generating,
        progress=task.shown_progress,
        prompt=task.request.prompt[:PROMPT_LENGTH],
        key=NamedItem(id=task.key_id, name=key_names.get(task.key_id)),
        account=account,
        upstream_model=task.upstream_model,
        cost=plain_amount(task.cost),
        money=task.money,
        error=_task_error(task),
        created_at=task.created_at,
        started_at=task.started_at,
        finished_at=task.finished_at,
        seconds=age_seconds(task),
        wait=None,
        thumbnail=link_to(task, thumbnail, signer) if thumbnail else None,
        link=link_to(task, file, signer) if file else None,
        cancel_requested=task.cancel_requested,
        deleted=task.deleted,
        expired=task.result is not None and not files_are_kept(task),
    )


async def task_detail(panel: PanelServices, task: Task, *, with_content: bool = True) -> TaskDetail:
    """``with_content`` as in ``task_rows``; it also decides about inputs, and the files of private tasks."""
    detail = await _whole_detail(panel, task)
    if with_content:
        return detail
    seen = {name: value for name, value in detail.request.items() if name in VIEWED_FIELDS}
    hidden: dict[str, Any] = {"prompt": "", "request": seen, "inputs": [], "operation": None}
    nothing = {"prompt": "", "thumbnail": None, "link": None}
    hidden["segments"] = [segment.model_copy(update=nothing) for segment in detail.segments]
    if task.request.private:
        hidden |= {"thumbnail": None, "link": None, "spritesheet": None, "files": [], "vendor_url": None}
    return detail.model_copy(update=hidden)


async def _whole_detail(panel: PanelServices, task: Task) -> TaskDetail:
    ledger = await TaskSearch(panel.database).ledger_entries(task.id)
    price = await panel.gateway.prices.current_price(task.model)
    waiting = await panel.gateway.tasks.queue_position(task)
    timeline = mask_secrets(await panel.gateway.tasks.read_timeline(task))
    return TaskDetail(
        **(await task_rows(panel, [task]))[0].model_dump(),
        **_file_fields(task, panel.gateway.signer),
        request=mask_secrets(json.loads(task.request_text)),
        owner=task.owner,
        attempts=task.attempts,
        attempt=task.attempt,
        attempt_rows=await _attempt_objects(panel, task),
        deadline_at=task.deadline_at,
        expires_at=task.expires_at,
        position=waiting.position if waiting else None,
        estimated_wait_seconds=waiting.seconds if waiting else None,
        wait_reason=waiting.reason if waiting else None,
        operation=OperationObject(**mask_secrets(task.operation.model_dump())) if task.operation else None,
        vendor_url=mask_secrets(task.result.vendor_url) if task.result else None,
        upstream_answer=_upstream_answer(task),
        timeline=[TimelineEntry(**entry) for entry in timeline],
        ledger=[
            LedgerObject(at=e.at, kind=e.kind, amount=plain_amount(e.amount), detail=e.detail) for e in ledger
        ],
        inputs=_input_objects(task),
        webhooks=await deliveries_of_task(panel, task.id),
        vendor_cost=plain_amount(await TaskSearch(panel.database).vendor_cost(task)),
        retry_price=plain_amount(price.estimate_request(task.request) if price is not None else None),
        actions=TaskActions(cancel=not task.has_ended, retry=task.has_ended, settle=task.money == "held"),
        segments=await _segment_rows(panel, task),
    )


async def _attempt_objects(panel: PanelServices, task: Task) -> list[AttemptObject]:
    """Empty where the only attempt is what the row says."""
    if task.attempt == 1:
        return []
    found = await list_attempts(panel.database, task)
    _, names = await names_of(panel.database, set(), {each.account_id for each in found if each.account_id})
    return [
        AttemptObject(
            **{
                name: getattr(each, name)
                for name in AttemptObject.model_fields
                if name not in ("account", "cost", "word")
            },
            account=NamedItem(id=each.account_id, name=names.get(each.account_id))
            if each.account_id
            else None,
            cost=plain_amount(each.cost),
            word=mask_secrets(each.word),
        )
        for each in found
    ]


async def _segment_rows(panel: PanelServices, task: Task) -> list[TaskObject]:
    if not task.is_joined:
        return []
    found = await read_segments(panel.database, task.id)
    return await task_rows(panel, [segment.task for segment in found])


def plain_amount(amount: Any) -> str | None:
    """A Decimal as digits, never as 1E+2."""
    return None if amount is None else f"{amount.normalize():f}"


def _file_fields(task: Task, signer: LinkSigner) -> dict[str, Any]:
    """``files`` and ``spritesheet``; nothing once the files are gone."""
    result = task.result if files_are_kept(task) and not task.deleted else None
    if result is None:
        return {"files": [], "spritesheet": None}
    sheet, playable = result.spritesheet, result.compatible
    return {
        "files": [
            FileObject(
                **file.model_dump(exclude={"key", "compatible"}),
                link=link_to(task, file, signer),
                playable_link=link_to(task, playable, signer) if playable and not number else None,
            )
            for number, file in enumerate(result.files)
        ],
        "spritesheet": link_to(task, sheet, signer) if sheet else None,
    }


def _task_error(task: Task) -> TaskError | None:
    if not task.error_code:
        return None
    return TaskError(code=task.error_code, message=mask_secrets(task.error_message))


def _upstream_answer(task: Task) -> dict[str, Any] | None:
    if task.result is not None:
        return {"usage": mask_secrets(task.result.usage)}
    if task.error_code is not None:
        return {"code": task.error_code, "message": mask_secrets(task.error_message)}
    return None


def _input_objects(task: Task) -> list[InputObject]:
    base = f"/admin/api/tasks/{task.id}/inputs"
    return [
        InputObject(
            role=item.role,
            content_type=item.content_type,
            link=f"{base}/{number}" if item.key and not task.purged else None,
        )
        for number, item in enumerate(task.request.media)
    ]
