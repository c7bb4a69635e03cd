"""`/admin/api/session`: first setup, signing in and out, one's own password, and open sessions."""

import time
from dataclasses import asdict
from typing import Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from pydantic import Field

from app.admin.access import (
    COOKIE,
    DEVICE_COOKIE,
    AdminRequest,
    AdminRoute,
    PublicRoute,
    address_of,
    lacks_factor,
    panel_of,
    session_of,
)
from app.admin.admin_repository import FIXED_NAME, AdminUser
from app.admin.bodies import ListAnswer, Name, PanelAnswer, PanelBody
from app.admin.panel import PanelServices
from app.admin.passwords import source_of
from app.admin.rights import RIGHTS, AdminRole, Right
from app.admin.session_store import AdminSession, OpenSession, SignInMethod
from app.admin.sign_in_errors import PasswordSignInOff, SecondFactorNeeded, SecondFactorRefused
from app.errors import InvalidRequest, SignInRefused
from app.secret_rules import check_password

DEVICE_SECONDS = 365 * 86_400
RECENT_SECONDS = 600.0
"""A sign-in through the provider counts as a password that was just entered for so long."""
public_router = APIRouter(route_class=PublicRoute)
own_router = APIRouter(route_class=AdminRoute)


class SignInBody(PanelBody):
    name: Name
    password: str = Field(repr=False)


class SignInCodeBody(SignInBody):
    """``code``: of the second factor, or a recovery code; asked for when the password is right."""

    code: str = Field(default="", repr=False, max_length=100)


class SetUpBody(SignInBody):
    token: str = Field(repr=False)


class PasswordBody(PanelBody):
    current: str = Field(repr=False)
    new: str = Field(repr=False)


class SignedInAdmin(PanelAnswer):
    id: str
    name: str
    role: AdminRole
    rights: list[Right]
    second_factor: bool
    from_provider: bool


class ProviderButton(PanelAnswer):
    """``start``: where the browser goes, absolute where a public URL is set."""

    name: str
    start: str


class SessionState(PanelAnswer):
    """`state` is `setup` until the first admin exists. `csrf` is sent back as `X-CSRF-Token` with every write."""

    state: Literal["signed_in", "signed_out", "setup"]
    csrf: str | None
    admin: SignedInAdmin | None
    expires_at: float | None
    version: str
    public_url: str | None = None
    currency: str = "USD"
    """What amounts are called."""
    provider: ProviderButton | None = None
    password_sign_in: bool = True
    lacks_factor: bool = False
    """The second factor must be turned on before anything else."""


class SessionObject(PanelAnswer):
    """An open session. ``current`` marks the session of this request."""

    id: str
    admin_id: str
    admin_name: str
    created_at: float
    seen_at: float
    expires_at: float
    address: str
    agent: str
    method: SignInMethod
    current: bool


@public_router.get("/session", summary="Show who is signed in")
async def get_session(request: Request) -> SessionState:
    """`state` is `signed_in`, `signed_out`, or `setup` while there is no admin yet."""
    panel = panel_of(request)
    session = await session_of(request)
    if session is not None:
        return await _session_state(panel, session)
    state: Literal["signed_out", "setup"] = "signed_out" if await panel.admins.count() else "setup"
    return SessionState(
        state=state,
        csrf=None,
        admin=None,
        expires_at=None,
        version=panel.facts.version,
        provider=_provider_button(panel),
        password_sign_in=panel.password_sign_in,
    )


@public_router.post("/session", summary="Sign in")
async def sign_in(body: SignInCodeBody, request: Request, response: Response) -> SessionState:
    """The session is set as a cookie. 401 `second_factor_needed` asks for the same again, with a `code`."""
    panel = panel_of(request)
    if panel.oidc and not panel.password_sign_in and not await panel.oidc.admins.allows_password(body.name):
        raise PasswordSignInOff(
            f"Passwords are switched off here. On the server, `filmgate admin reset-password {body.name}` lets you in for an hour."
        )
    admin = await _verified_admin(request, body.name, body.password, code=body.code)
    if admin is None:
        raise SignInRefused("The name or the password is wrong.")
    return await open_session(request, response, admin)


@public_router.post("/setup", summary="Create the first owner")
async def set_up(body: SetUpBody, request: Request, response: Response) -> SessionState:
    """With the token of the link that the first start prints."""
    panel, address = panel_of(request), address_of(request)
    panel.throttle.begin_attempt(address=address, name=None)
    admin = await panel.admins.create_first_owner(body.token, name=body.name, password=body.password)
    panel.throttle.forget_failures(address=address, name=None)
    return await open_session(request, response, admin)


@own_router.delete("/session", status_code=204, summary="Sign out")
async def sign_out(request: AdminRequest) -> Response:
    session = request.actor.session
    if session is not None:
        await request.panel.sessions.end(session.id)
        await request.record_change(
            "session.closed", f"sessions/{session.id}", before={"name": request.actor.name}
        )
    answer = Response(status_code=204)
    own = request.actor.session
    by_provider = own is not None and own.method == "oidc"
    path = cookie_path(request.http, request.panel, via_provider=by_provider)
    answer.delete_cookie(COOKIE, path=path)
    return answer


@own_router.post("/session/password", summary="Change your own password")
async def change_password(body: PasswordBody, request: AdminRequest, response: Response) -> SessionState:
    """Ends every session of this admin and opens a new one for this browser."""
    session = own_session(request)
    name = session.admin.name
    if request.panel.fixed_password and name == FIXED_NAME:
        raise InvalidRequest(
            "FILMGATE_ADMIN_PASSWORD sets this password; change it there.",
            param="new",
            reason="set_by_environment",
        )
    await confirm_password(request, body.current, param="current")
    check_password(body.new, name=name, param="new")
    admin = await request.panel.admins.update(name, session.admin.id, password=body.new)
    return await open_session(request.http, response, admin)


@own_router.get("/sessions", summary="List open sessions")
async def list_sessions(request: AdminRequest) -> ListAnswer[SessionObject]:
    """An owner sees the sessions of all admins, everybody else only their own."""
    sessions = await request.panel.sessions.list(admin_id=_visible_admin(request))
    current = request.actor.session.id if request.actor.session else None
    return ListAnswer(data=[_session_object(session, current=session.id == current) for session in sessions])


@own_router.delete("/sessions/{session_id}", status_code=204, summary="End a session")
async def end_session(session_id: str, request: AdminRequest) -> Response:
    name = await request.panel.sessions.end(session_id, admin_id=_visible_admin(request))
    await request.record_change("session.ended", f"sessions/{session_id}", before={"name": name})
    return Response(status_code=204)


async def confirm_password(request: AdminRequest, password: str, *, param: str = "password") -> None:
    """Check that the admin is at the browser: the password must be entered again, or the sign-in through the provider
    be a few minutes old. Raises ``InvalidRequest``."""
    session = own_session(request)
    if session.method == "oidc":
        if time.time() - session.opened_at > RECENT_SECONDS:
            raise InvalidRequest("Sign out and in again for this: your sign-in is older than ten minutes.")
        return
    if await _verified_admin(request.http, session.admin.name, password) is None:
        raise InvalidRequest("This is not your password.", param=param, reason="wrong_password")


async def _verified_admin(
    request: Request, name: str, password: str, *, code: str | None = None
) -> AdminUser | None:
    """The admin of that name if the password is right, and (unless ``code`` is None) the second factor too.

    Raises ``SignInThrottled``, ``SecondFactorNeeded`` or ``SecondFactorRefused``.
    """
    panel, address = panel_of(request), address_of(request)
    device = panel.sessions.known_device(request.cookies.get(DEVICE_COOKIE, ""), name)
    panel.throttle.begin_attempt(address=address, name=name, device=device)
    admin = await panel.admins.verify_password(name, password, address=device or source_of(address))
    if admin is None:
        return None
    if admin.second_factor and code == "":
        panel.throttle.withdraw_attempt(address=address, name=name, device=device)
        raise SecondFactorNeeded(
            "Enter the code of your authenticator app, or a recovery code.", param="code"
        )
    if admin.second_factor and code is not None:
        panel.throttle.begin_code(admin.name, device=device)
        if not await panel.second_factors.accept_code(admin, code):
            raise SecondFactorRefused("This code is wrong, or was used before.", param="code")
        panel.throttle.forget_codes(admin.name, device=device)
    panel.throttle.forget_failures(address=address, name=name, device=device)
    return admin


def _visible_admin(request: AdminRequest) -> str | None:
    """The admin whose sessions the request may see; None for all admins."""
    return None if request.actor.may(Right.SECURITY) else request.actor.admin_id


def own_session(request: AdminRequest) -> AdminSession:
    if request.actor.session is None:
        raise InvalidRequest("The admin token has no password; sign in for this.")
    return request.actor.session


async def open_session(
    request: Request, response: Response, admin: AdminUser, *, method: SignInMethod = "password"
) -> SessionState:
    """Open a session, record it, and set its cookie on ``response``."""
    panel = panel_of(request)
    agent = request.headers.get("user-agent", "")
    address = address_of(request)
    raw, session = await panel.sessions.open(admin, address=address, agent=agent, method=method)
    after = {"name": admin.name, "address": address, "method": method}
    await panel.audit.record_alone(admin.name, "session.opened", f"sessions/{session.id}", after=after)
    by_provider = method == "oidc"
    secure = is_https(request, panel, via_provider=by_provider)
    path = cookie_path(request, panel, via_provider=by_provider)
    response.set_cookie(COOKIE, raw, path=path, httponly=True, samesite="strict", secure=secure)
    response.set_cookie(
        DEVICE_COOKIE,
        panel.sessions.new_device(admin.name),
        max_age=DEVICE_SECONDS,
        path=f"{path}/api",
        httponly=True,
        samesite="strict",
        secure=secure,
    )
    return await _session_state(panel, session)


def cookie_path(request: Request, panel: PanelServices, *, via_provider: bool = False) -> str:
    """Below the path of the public URL where the browser is there; who comes directly sees the panel at its own place.

    ``via_provider``: who goes to the provider and back uses the public URL, where one is set.
    """
    public = urlsplit(panel.gateway.public_url or "")
    origin = urlsplit(request.headers.get("origin", "")).netloc
    is_public = via_provider or public.netloc in {request.headers.get("host", ""), origin}
    return f"{public.path.rstrip('/') if is_public else ''}/admin"


def is_https(request: Request, panel: PanelServices, *, via_provider: bool = False) -> bool:
    """Whether the browser uses https. Behind a proxy that ends TLS the page's origin tells, or the public URL."""
    public_url = panel.gateway.public_url or ""
    if via_provider and public_url:
        return public_url.startswith("https://")
    host, origin = request.headers.get("host", ""), request.headers.get("origin", "")
    told = origin.startswith("https://") or public_url.rstrip("/") == f"https://{host}"
    return request.url.scheme == "https" or told


def _provider_button(panel: PanelServices) -> ProviderButton | None:
    if panel.oidc is None:
        return None
    below = f"{panel.gateway.public_url.rstrip('/')}/admin/" if panel.gateway.public_url else ""
    return ProviderButton(name=panel.oidc.options.name, start=f"{below}api/oidc/start")


async def _session_state(panel: PanelServices, session: AdminSession) -> SessionState:
    admin = session.admin
    return SessionState(
        state="signed_in",
        csrf=session.csrf,
        admin=SignedInAdmin(
            id=admin.id,
            name=admin.name,
            role=admin.role,
            rights=sorted(RIGHTS[admin.role]),
            second_factor=admin.second_factor,
            from_provider=admin.from_provider,
        ),
        provider=_provider_button(panel),
        password_sign_in=panel.password_sign_in,
        lacks_factor=lacks_factor(panel, session),
        expires_at=session.expires_at,
        version=panel.facts.version,
        public_url=panel.gateway.public_url,
        currency=await panel.gateway.currency(),
    )


def _session_object(session: OpenSession, *, current: bool) -> SessionObject:
    return SessionObject(**asdict(session), current=current)
