"""`/admin/api/pauses`: models and accounts that the operator holds back."""

from fastapi import APIRouter
from pydantic import Field

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import ListAnswer, Name, PanelAnswer, PanelBody
from app.catalog.pauses import Pause, PauseSide
from app.tasks.notifications import Notification

router = APIRouter(route_class=AdminRoute, prefix="/pauses")


class PausedBody(PanelBody):
    """`name` is a model's name as clients send it, or an account's id or name."""

    side: PauseSide
    name: Name


class PauseBody(PausedBody):
    note: str = Field(default="", max_length=2000)


class PauseObject(PanelAnswer):
    side: PauseSide
    name: str
    since: float
    by: str
    note: str


@router.get("", summary="List what is paused")
async def list_pauses(request: AdminRequest) -> ListAnswer[PauseObject]:
    found = await request.panel.gateway.catalog.pauses.current()
    return ListAnswer(data=[_pause_object(each) for each in found.values()])


@router.post("", status_code=201, summary="Pause a model or an account")
async def pause(body: PauseBody, request: AdminRequest) -> PauseObject:
    """New tasks are taken in and wait; what has been sent goes on. Relayed calls go elsewhere or are refused."""
    name = await _named(body, request)
    made = await request.panel.gateway.catalog.pauses.pause(
        body.side, name, by=request.actor.name, note=body.note
    )
    await request.record_change(
        "pause.begun", _target(body.side, name), after={"note": body.note, "name": name}
    )
    return _pause_object(made)


@router.post("/end", status_code=200, summary="Resume a paused model or account")
async def resume(body: PausedBody, request: AdminRequest) -> ListAnswer[PauseObject]:
    """Its waiting tasks go on at once. Returns what is still paused."""
    name = await _named(body, request)
    await request.panel.gateway.catalog.pauses.resume(body.side, name)
    await request.record_change("pause.ended", _target(body.side, name), before={"name": name})
    request.panel.notifications.publish([Notification("wake")])
    return await list_pauses(request)


async def _named(body: PausedBody, request: AdminRequest) -> str:
    """The id of an account, by its name too. Raises ``NotFound``."""
    if body.side == "model":
        return body.name
    return (await request.panel.accounts.find(body.name)).account.id


def _target(side: PauseSide, name: str) -> str:
    return f"pauses/{side}/{name}"[:200]


def _pause_object(pause: Pause) -> PauseObject:
    return PauseObject(side=pause.side, name=pause.name, since=pause.since, by=pause.by, note=pause.note)
