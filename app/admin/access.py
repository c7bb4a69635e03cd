"""Who may do what in `/admin/api`: the admin's token, or a session with its CSRF value; viewers only look."""

import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute

from app.admin.panel import PanelServices
from app.admin.session_store import AdminSession
from app.errors import CsrfFailed, InvalidRequest, NotSignedIn, PayloadTooLarge, PermissionDenied

COOKIE = "filmgate_session"
READ_METHODS = ("GET", "HEAD")
SMALL_BODY = 16_384
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True)
class AdminActor:
    """Who asks. ``session`` is None for the token, which may do all."""

    name: str
    session: AdminSession | None = None

    @property
    def is_owner(self) -> bool:
        return self.session is None or self.session.admin.role == "owner"

    @property
    def admin_id(self) -> str | None:
        return self.session.admin.id if self.session else None


@dataclass(frozen=True, slots=True)
class AdminContext:
    """One request at the panel: the parts, who asks, and what came in."""

    panel: PanelServices
    actor: AdminActor
    http: Request

    async def record_change(self, action: str, target: str, *, before: Any = None, after: Any = None) -> None:
        """A change that was just made, for the audit log."""
        await self.panel.audit.record_alone(self.actor.name, action, target, before=before, after=after)


class PublicRoute(APIRoute):
    """For what is asked before anybody is signed in: small bodies, and writes from this origin only."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handle_guarded(request: Request) -> Response:
            check_text(request)
            if request.method not in READ_METHODS:
                check_origin(request, panel_of(request))
                check_small(request)
            return await handle(request)

        return handle_guarded


class ViewerRoute(APIRoute):
    """For what everybody who is signed in may do. Nothing of the body is read before that is known."""

    owners_write = False

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handle_guarded(request: Request) -> Response:
            actor = await authenticate_admin(request)
            if self.owners_write and request.method not in READ_METHODS and not actor.is_owner:
                raise PermissionDenied("A viewer may look, not change; ask an owner.")
            request.state.actor = actor
            return await handle(request)

        return handle_guarded


class OwnerRoute(ViewerRoute):
    """The usual one: who is signed in may look, an owner may change."""

    owners_write = True


async def authenticate_admin(request: Request) -> AdminActor:
    """Raises ``NotSignedIn``, ``CsrfFailed``, ``PermissionDenied`` or ``SignInThrottled``."""
    check_text(request)
    panel = panel_of(request)
    if "authorization" in request.headers:
        return _by_token(request, panel)
    session = await session_of(request)
    if session is None:
        raise NotSignedIn("You are not signed in, or your session has ended.")
    if request.method not in READ_METHODS:
        check_origin(request, panel)
        if not hmac.compare_digest(request.headers.get("x-csrf-token", "").encode(), session.csrf.encode()):
            raise CsrfFailed("X-CSRF-Token is missing or old; GET /admin/api/session tells it.")
    return AdminActor(session.admin.name, session)


def _by_token(request: Request, panel: PanelServices) -> AdminActor:
    address = address_of(request)
    scheme, _, given = request.headers["authorization"].partition(" ")
    if scheme.lower() == "bearer" and panel.is_token(given.strip()):
        return AdminActor("token")
    panel.throttle.begin_attempt(address=address, name=None)
    raise NotSignedIn("This admin token is not valid; FILMGATE_ADMIN_TOKEN sets it.")


async def session_of(request: Request) -> AdminSession | None:
    """Of the cookie that came with it; None when there is none or it has ended."""
    raw = request.cookies.get(COOKIE, "")
    return await panel_of(request).sessions.find(raw) if raw and len(raw) < 200 else None


def check_origin(request: Request, panel: PanelServices) -> None:
    """A browser says where a write comes from: only pages of this very address may make one."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    own = {request.headers.get("host", "")}
    if panel.gateway.public_url:
        own.add(urlsplit(panel.gateway.public_url).netloc)
    if site not in ("same-origin", "none") or (origin is not None and urlsplit(origin).netloc not in own):
        raise PermissionDenied("Requests of other sites are refused here.")


def check_small(request: Request) -> None:
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > SMALL_BODY:
        raise PayloadTooLarge(f"The body must say its length, of at most {SMALL_BODY} bytes.")


def check_text(request: Request) -> None:
    """No store takes a NUL character."""
    if "\0" in request.url.path or "%00" in request.url.query:
        raise InvalidRequest("The address contains a NUL character.")


def address_of(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def panel_of(request: Request) -> PanelServices:
    found = request.app.state.panel
    assert isinstance(found, PanelServices)
    return found


async def _admin_context(request: Request) -> AdminContext:
    return AdminContext(panel_of(request), request.state.actor, request)


AdminRequest = Annotated[AdminContext, Depends(_admin_context)]
