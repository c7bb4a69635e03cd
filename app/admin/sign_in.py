"""`/admin/api/session`: set up, sign in and out, one's own password and sessions."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from app.admin.access import COOKIE, AdminRequest, PublicRoute, ViewerRoute, address_of, panel_of, session_of
from app.admin.admin_repository import FIXED_NAME, AdminUser
from app.admin.bodies import Name, PanelBody
from app.admin.paging import whole_list
from app.admin.panel import PanelServices
from app.admin.passwords import check_password
from app.admin.session_store import AdminSession
from app.errors import InvalidRequest, SignInRefused

public_router = APIRouter(route_class=PublicRoute)
own_router = APIRouter(route_class=ViewerRoute)


class SignInBody(PanelBody):
    name: Name
    password: str = Field(repr=False)


class SetUpBody(SignInBody):
    token: str = Field(repr=False)


class PasswordBody(PanelBody):
    current: str = Field(repr=False)
    new: str = Field(repr=False)


@public_router.get("/session", summary="Who is signed in")
async def get_session(request: Request) -> JSONResponse:
    """`state`: signed_in, signed_out, or setup while there is no admin yet."""
    panel = panel_of(request)
    session = await session_of(request)
    if session is not None:
        return JSONResponse(_session_object(panel, session))
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


@public_router.post("/session", summary="Sign in")
async def sign_in(wish: SignInBody, request: Request) -> JSONResponse:
    panel, address = panel_of(request), address_of(request)
    panel.throttle.begin_attempt(address=address, name=wish.name)
    admin = await panel.admins.verify_password(wish.name, wish.password)
    if admin is None:
        raise SignInRefused("The name or the password is wrong.")
    panel.throttle.forget_failures(address=address, name=wish.name)
    return await _open_session(request, admin)


@public_router.post("/setup", summary="Make the first owner, with the link of the first start")
async def set_up(wish: SetUpBody, request: Request) -> JSONResponse:
    panel, address = panel_of(request), address_of(request)
    panel.throttle.begin_attempt(address=address, name=None)
    admin = await panel.admins.create_first_owner(wish.token, name=wish.name, password=wish.password)
    panel.throttle.forget_failures(address=address, name=None)
    return await _open_session(request, admin)


@own_router.delete("/session", status_code=204, summary="Sign out")
async def sign_out(at: AdminRequest) -> Response:
    if at.actor.session is not None:
        await at.panel.sessions.end(at.actor.session.id)
        await at.record_change(
            "session.closed", f"sessions/{at.actor.session.id}", before={"name": at.actor.name}
        )
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, path="/admin")
    return answer


@own_router.post("/session/password", summary="Change one's own password")
async def change_password(wish: PasswordBody, at: AdminRequest) -> JSONResponse:
    """Every session of this admin ends but this one, which begins anew."""
    session = _own_session(at)
    name = session.admin.name
    if at.panel.fixed_password and name == FIXED_NAME:
        raise InvalidRequest("This password is set by FILMGATE_ADMIN_PASSWORD; change it there.", param="new")
    await confirm_password(at, wish.current, param="current")
    check_password(wish.new, name=name, param="new")
    admin = await at.panel.admins.update(name, session.admin.id, password=wish.new)
    return await _open_session(at.http, admin)


@own_router.get("/sessions", summary="Open sessions")
async def list_sessions(at: AdminRequest) -> dict[str, Any]:
    """An owner sees everybody's."""
    found = await at.panel.sessions.list(admin_id=None if at.actor.is_owner else at.actor.admin_id)
    current = at.actor.session.id if at.actor.session else None
    return whole_list([row | {"current": row["id"] == current} for row in found])


@own_router.delete("/sessions/{session_id}", status_code=204, summary="End a session")
async def end_session(session_id: str, at: AdminRequest) -> Response:
    name = await at.panel.sessions.end(session_id, admin_id=None if at.actor.is_owner else at.actor.admin_id)
    await at.record_change("session.ended", f"sessions/{session_id}", before={"name": name})
    return Response(status_code=204)


async def confirm_password(at: AdminRequest, password: str, *, param: str = "password") -> None:
    """That it is really the admin who asks, not only the browser. Raises ``InvalidRequest``."""
    session = _own_session(at)
    address, name = address_of(at.http), session.admin.name
    at.panel.throttle.begin_attempt(address=address, name=name)
    if await at.panel.admins.verify_password(name, password) is None:
        raise InvalidRequest("This is not your password.", param=param)
    at.panel.throttle.forget_failures(address=address, name=name)


def _own_session(at: AdminRequest) -> AdminSession:
    if at.actor.session is None:
        raise InvalidRequest("The admin token has no password; sign in for this.")
    return at.actor.session


async def _open_session(request: Request, admin: AdminUser) -> JSONResponse:
    panel = panel_of(request)
    agent = request.headers.get("user-agent", "")
    raw, session = await panel.sessions.open(admin, address=address_of(request), agent=agent)
    told = {"name": admin.name, "address": address_of(request)}
    await panel.audit.record_alone(admin.name, "session.opened", f"sessions/{session.id}", after=told)
    answer = JSONResponse(_session_object(panel, session))
    answer.set_cookie(
        COOKIE, raw, path="/admin", httponly=True, samesite="strict", secure=_is_https(request, panel)
    )
    return answer


def _is_https(request: Request, panel: PanelServices) -> bool:
    """Whether the browser talks to us over https; a proxy in front may say so only by our public address."""
    public_url = panel.gateway.public_url or ""
    host = request.headers.get("host", "")
    return request.url.scheme == "https" or public_url.rstrip("/") == f"https://{host}"


def _session_object(panel: PanelServices, session: AdminSession) -> dict[str, Any]:
    admin = {"id": session.admin.id, "name": session.admin.name, "role": session.admin.role}
    return {
        "state": "signed_in",
        "csrf": session.csrf,
        "admin": admin,
        "expires_at": session.expires_at,
        "version": panel.facts.version,
    }
