"""`/admin/api/tasks/replay`: failed tasks again, all that match a filter, each once for a batch."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import PanelAnswer, PanelBody
from app.admin.lists import MOST_EXPORTED
from app.admin.task_search import TaskSearch, TaskSearchFilter
from app.admin.tasks import MOST_AT_ONCE, read_ids
from app.errors import MissingField
from app.tasks.replay import BATCH_NAME, ReplayOutcome, ReplayParts, replay_failed

router = APIRouter(route_class=AdminRoute, prefix="/tasks")
BatchName = Annotated[str, StringConstraints(pattern=f"^{BATCH_NAME.pattern}$")]


class ReplayFilter(PanelBody):
    """Only tasks that have failed are made again, whatever else matches."""

    model: str | None = None
    key: str | None = None
    account: str | None = None
    kind: str | None = None
    error: str | None = None
    since: float | None = Field(default=None, ge=0, le=1e11, allow_inf_nan=False)
    until: float | None = Field(default=None, ge=0, le=1e11, allow_inf_nan=False)


class ReplayBody(PanelBody):
    """`batch` is a name of your own: the same one again makes nothing twice, and goes on with what is left."""

    batch: BatchName
    ids: list[str] | None = None
    filter: ReplayFilter | None = None


class RefusedReplay(PanelAnswer):
    id: str
    code: str
    message: str


class ReplayAnswer(PanelAnswer):
    """``replayed``: new tasks by this call; ``repeated``: those that the batch had made before; ``held``: they hold money, which
    is to be settled first; ``left``: more match, so call again with the same batch."""

    replayed: int
    ids: list[str]
    repeated: int
    held: list[str]
    refused: list[RefusedReplay]
    left: bool


@router.post("/replay", summary="Make failed tasks again")
async def replay_tasks(body: ReplayBody, request: AdminRequest) -> ReplayAnswer:
    """By id, or all that match the filter; at most 200 a call. Each of them pays again. What holds money is left out."""
    if body.ids is None and body.filter is None:
        raise MissingField("ids or filter")
    chosen = body.filter.model_dump() if body.filter else {}
    ids = None if body.ids is None else read_ids(",".join(body.ids))
    wanted = TaskSearchFilter(states=("failed",), ids=ids, **chosen)
    gateway = request.panel.gateway
    parts = ReplayParts(request.panel.database, gateway.tasks, gateway.keys, gateway.store)
    found = TaskSearch(request.panel.database).find_all(wanted, most=MOST_EXPORTED)
    outcome = await replay_failed(parts, found, batch=body.batch, most=MOST_AT_ONCE)
    after = {"batch": body.batch, "ids": list(outcome.made.values())}
    await request.record_change("tasks.replayed", "tasks", after=after)
    return _answer(outcome)


def _answer(outcome: ReplayOutcome) -> ReplayAnswer:
    return ReplayAnswer(
        replayed=len(outcome.made),
        ids=list(outcome.made.values()),
        repeated=outcome.repeated,
        held=outcome.held,
        refused=[
            RefusedReplay(id=task_id, code=error.code, message=error.message)
            for task_id, error in outcome.refused.items()
        ],
        left=outcome.left,
    )
