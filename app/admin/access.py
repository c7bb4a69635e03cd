"""Authentication and permissions of `/admin/api`: the admin token, or a session cookie with its CSRF value."""

import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute

from app.admin.panel import PanelServices
from app.admin.rights import RIGHTS, AdminRole, Right, right_for
from app.admin.session_store import AdminSession
from app.admin.sign_in_errors import SecondFactorMissing
from app.errors import CsrfFailed, InvalidRequest, NotSignedIn, PayloadTooLarge, PermissionDenied

COOKIE = "filmgate_session"
DEVICE_COOKIE = "filmgate_device"
"""Says that this browser has signed in before, and as whom: strangers' guesses don't delay it."""
READ_METHODS = ("GET", "HEAD")
SMALL_BODY = 16_384
"""Bytes of a request body that is read before anybody is signed in."""
RouteHandler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True)
class AdminActor:
    """Who sends the request. ``session`` is None for the admin token, which has every permission."""

    name: str
    session: AdminSession | None = None

    @property
    def role(self) -> AdminRole:
        return self.session.admin.role if self.session else "owner"

    def may(self, right: Right) -> bool:
        return right in RIGHTS[self.role]

    def require(self, right: Right) -> None:
        """Raises ``PermissionDenied``."""
        if not self.may(right):
            raise PermissionDenied(f"The role {self.role} does not allow this; ask an owner.")

    @property
    def admin_id(self) -> str | None:
        return self.session.admin.id if self.session else None


@dataclass(frozen=True, slots=True)
class AdminContext:
    """One authenticated request: the panel's services, who sends it, and the HTTP request."""

    panel: PanelServices
    actor: AdminActor
    http: Request

    async def record_change(self, action: str, target: str, *, before: Any = None, after: Any = None) -> None:
        """Write the audit row of a change, right after it (or right before it, for what is then gone).

        It has a transaction of its own: if the process dies in between, one of the two is missing.
        """
        await self.panel.audit.record_alone(self.actor.name, action, target, before=before, after=after)


class PublicRoute(APIRoute):
    """A route for requests without a session: small bodies, and writes only from pages of this origin."""

    def get_route_handler(self) -> RouteHandler:
        handle = super().get_route_handler()

        async def handle_guarded(request: Request) -> Response:
            check_text(request)
            if request.method not in READ_METHODS:
                check_origin(request, panel_of(request))
                check_small(request)
            return await handle(request)

        return handle_guarded


class AdminRoute(APIRoute):
    """A route for signed-in admins with the right that the table names. It is checked before the body is read."""

    def get_route_handler(self) -> RouteHandler:
        handle = super().get_route_handler()

        async def handle_guarded(request: Request) -> Response:
            actor, right = await authenticate_admin(request), right_for(request.method, self.path_format)
            actor.require(right)
            if right is not Right.OWN and lacks_factor(panel_of(request), actor.session):
                raise SecondFactorMissing("Turn on your second factor first: this gateway requires it.")
            request.state.actor = actor
            return await handle(request)

        return handle_guarded


def lacks_factor(panel: PanelServices, session: AdminSession | None) -> bool:
    """Whether the admin must turn a second factor on before anything else. Providers ask for their own."""
    if session is None or not panel.totp_required:
        return False
    return session.method == "password" and not session.admin.second_factor


async def authenticate_admin(request: Request) -> AdminActor:
    """Raises ``NotSignedIn``, ``CsrfFailed``, ``PermissionDenied`` or ``SignInThrottled``."""
    check_text(request)
    panel = panel_of(request)
    if _names_token(request):
        return _by_token(request, panel)
    session = await session_of(request)
    if session is None:
        raise NotSignedIn("You are not signed in, or your session has ended.")
    if request.method not in READ_METHODS:
        check_origin(request, panel)
        if not hmac.compare_digest(request.headers.get("x-csrf-token", "").encode(), session.csrf.encode()):
            raise CsrfFailed("X-CSRF-Token is missing or outdated; GET /admin/api/session returns it.")
    return AdminActor(session.admin.name, session)


def _names_token(request: Request) -> bool:
    """Whether the admin token is given: a proxy that asks for a name and a password passes those on in the same header."""
    scheme, _, _ = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() not in ("", "basic")


def _by_token(request: Request, panel: PanelServices) -> AdminActor:
    address = address_of(request)
    scheme, _, given = request.headers["authorization"].partition(" ")
    if scheme.lower() == "bearer" and panel.is_token(given.strip()):
        return AdminActor("token")
    panel.throttle.begin_attempt(address=address, name=None)
    raise NotSignedIn("This admin token is not valid; FILMGATE_ADMIN_TOKEN sets it.")


async def session_of(request: Request) -> AdminSession | None:
    """The session of the request's cookie; None without a cookie and after the session has ended."""
    raw = request.cookies.get(COOKIE, "")
    return await panel_of(request).sessions.find(raw) if raw and len(raw) < 200 else None


def check_origin(request: Request, panel: PanelServices) -> None:
    """A browser sends the origin of a write: only pages of this address may write. Raises ``PermissionDenied``.

    Over https it says itself whether the page is ours; else the origin is compared with the address that we know.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site == "same-origin":
        return
    own = {request.headers.get("host", "")}
    if panel.gateway.public_url:
        own.add(urlsplit(panel.gateway.public_url).netloc)
    if site not in (None, "none") or (origin is not None and urlsplit(origin).netloc not in own):
        raise PermissionDenied(
            "Requests from other sites are refused. If this is the panel's own address, let the proxy pass on the Host "
            "header with its port (nginx: proxy_set_header Host $http_host), or set FILMGATE_PUBLIC_URL."
        )


def check_small(request: Request) -> None:
    """Raises ``PayloadTooLarge``."""
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > SMALL_BODY:
        raise PayloadTooLarge(f"The request needs a Content-Length of at most {SMALL_BODY} bytes.")


def check_text(request: Request) -> None:
    """No store takes a NUL character. Raises ``InvalidRequest``."""
    if "\0" in request.url.path or "%00" in request.url.query:
        raise InvalidRequest("The address contains a NUL character.")


def address_of(request: Request) -> str:
    """The client's address, as the last trusted proxy saw it. What is no address is not repeated."""
    try:
        return str(ip_address(request.client.host)) if request.client else "unknown"
    except ValueError:
        return "unknown"


def panel_of(request: Request) -> PanelServices:
    panel = request.app.state.panel
    assert isinstance(panel, PanelServices)
    return panel


async def _admin_context(request: Request) -> AdminContext:
    return AdminContext(panel_of(request), request.state.actor, request)


AdminRequest = Annotated[AdminContext, Depends(_admin_context)]
"""The parameter of every route that needs a signed-in admin."""
