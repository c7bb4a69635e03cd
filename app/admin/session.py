"""`/admin/api/session`: set up, sign in and out, one's own password and sessions."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from app.admin.access import COOKIE, At, PublicRoute, ViewerRoute, address_of, panel_of, session_of
from app.admin.admins import FIXED_NAME, Admin
from app.admin.paging import whole
from app.admin.panel import Panel
from app.admin.passwords import check_password
from app.admin.sessions import Session
from app.admin.wishes import Name, Wish
from app.errors import InvalidRequest, SignInRefused

public = APIRouter(route_class=PublicRoute)
own = APIRouter(route_class=ViewerRoute)


class SignIn(Wish):
    name: Name
    password: str = Field(repr=False)


class SetUp(SignIn):
    token: str = Field(repr=False)


class NewPassword(Wish):
    current: str = Field(repr=False)
    new: str = Field(repr=False)


@public.get("/session", summary="Who is signed in")
async def get_session(request: Request) -> JSONResponse:
    """`state`: signed_in, signed_out, or setup while there is no admin yet."""
    panel = panel_of(request)
    session = await session_of(request)
    if session is not None:
        return JSONResponse(_shown(panel, session))
    state = "signed_out" if await panel.admins.count() else "setup"
    return JSONResponse(
        {
            "state": state,
            "csrf": None,
            "admin": None,
            "expires_at": None,
            "version": panel.facts.version,
        }
    )


@public.post("/session", summary="Sign in")
async def sign_in(wish: SignIn, request: Request) -> JSONResponse:
    panel, address = panel_of(request), address_of(request)
    panel.throttle.begin(address=address, name=wish.name)
    admin = await panel.admins.verified(wish.name, wish.password)
    if admin is None:
        raise SignInRefused("The name or the password is wrong.")
    panel.throttle.succeeded(address=address, name=wish.name)
    return await _signed_in(request, admin)


@public.post("/setup", summary="Make the first owner, with the link of the first start")
async def set_up(wish: SetUp, request: Request) -> JSONResponse:
    panel, address = panel_of(request), address_of(request)
    panel.throttle.begin(address=address, name=None)
    admin = await panel.admins.set_up(wish.token, name=wish.name, password=wish.password)
    panel.throttle.succeeded(address=address, name=None)
    return await _signed_in(request, admin)


@own.delete("/session", status_code=204, summary="Sign out")
async def sign_out(at: At) -> Response:
    if at.actor.session is not None:
        await at.panel.sessions.end(at.actor.session.id)
        await at.note("session.closed", f"sessions/{at.actor.session.id}", before={"name": at.actor.name})
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, path="/admin")
    return answer


@own.post("/session/password", summary="Change one's own password")
async def change_password(wish: NewPassword, at: At) -> JSONResponse:
    """Every session of this admin ends but this one, which begins anew."""
    session = _own_session(at)
    name = session.admin.name
    if at.panel.fixed_password and name == FIXED_NAME:
        raise InvalidRequest("This password is set by FILMGATE_ADMIN_PASSWORD; change it there.", param="new")
    await confirm(at, wish.current, param="current")
    check_password(wish.new, name=name, param="new")
    admin = await at.panel.admins.update(name, session.admin.id, password=wish.new)
    return await _signed_in(at.request, admin)


@own.get("/sessions", summary="Open sessions")
async def list_sessions(at: At) -> dict[str, Any]:
    """An owner sees everybody's."""
    found = await at.panel.sessions.list(admin_id=None if at.actor.is_owner else at.actor.admin_id)
    current = at.actor.session.id if at.actor.session else None
    return whole([row | {"current": row["id"] == current} for row in found])


@own.delete("/sessions/{session_id}", status_code=204, summary="End a session")
async def end_session(session_id: str, at: At) -> Response:
    name = await at.panel.sessions.end(session_id, admin_id=None if at.actor.is_owner else at.actor.admin_id)
    await at.note("session.ended", f"sessions/{session_id}", before={"name": name})
    return Response(status_code=204)


async def confirm(at: At, password: str, *, param: str = "password") -> None:
    """That it is really the admin who asks, not only the browser. Raises ``InvalidRequest``."""
    session = _own_session(at)
    address, name = address_of(at.request), session.admin.name
    at.panel.throttle.begin(address=address, name=name)
    if await at.panel.admins.verified(name, password) is None:
        raise InvalidRequest("This is not your password.", param=param)
    at.panel.throttle.succeeded(address=address, name=name)


def _own_session(at: At) -> Session:
    if at.actor.session is None:
        raise InvalidRequest("The admin token has no password; sign in for this.")
    return at.actor.session


async def _signed_in(request: Request, admin: Admin) -> JSONResponse:
    panel = panel_of(request)
    agent = request.headers.get("user-agent", "")
    raw, session = await panel.sessions.open(admin, address=address_of(request), agent=agent)
    told = {"name": admin.name, "address": address_of(request)}
    await panel.audit.note(admin.name, "session.opened", f"sessions/{session.id}", after=told)
    answer = JSONResponse(_shown(panel, session))
    answer.set_cookie(
        COOKIE, raw, path="/admin", httponly=True, samesite="strict", secure=_encrypted(request, panel)
    )
    return answer


def _encrypted(request: Request, panel: Panel) -> bool:
    """Whether the browser talks to us over https; a proxy in front may say so only by our public address."""
    public_url = panel.gateway.public_url or ""
    host = request.headers.get("host", "")
    return request.url.scheme == "https" or public_url.rstrip("/") == f"https://{host}"


def _shown(panel: Panel, session: Session) -> dict[str, Any]:
    admin = {"id": session.admin.id, "name": session.admin.name, "role": session.admin.role}
    return {
        "state": "signed_in",
        "csrf": session.csrf,
        "admin": admin,
        "expires_at": session.expires_at,
        "version": panel.facts.version,
    }
