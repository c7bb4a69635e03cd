"""`/admin/api/oidc`: signing in through the provider. The browser goes there and comes back; both ways are redirects."""

import hmac
import json
import secrets
import time

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.admin.access import PublicRoute, address_of, panel_of
from app.admin.oidc_options import SignInAttempt
from app.admin.panel import OidcSignIn, PanelServices
from app.admin.provider_admins import STATE_SECONDS, hashed_subject
from app.admin.sign_in import cookie_path, is_https, open_session
from app.admin.sign_in_errors import OidcNoRole, OidcOutdated, OidcRefused
from app.errors import FilmgateError, NotFound, SettingsInvalid
from app.vault import OIDC_ATTEMPT_PLACE

log = structlog.get_logger()
router = APIRouter(route_class=PublicRoute, prefix="/oidc")
COOKIE = "filmgate_oidc"
PANEL = "../../"
"""From here; the browser knows below which path of which host we are."""


@router.get("/start", summary="Go to the sign-in provider", response_class=Response)
async def start(request: Request) -> Response:
    """Sets a cookie that the callback must find, and redirects. A failure is shown by the panel's sign-in page."""
    panel = panel_of(request)
    oidc = _configured(panel)
    attempt = SignInAttempt(
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        redirect_uri=f"{_own_address(request, panel)}/admin/api/oidc/callback",
    )
    try:
        answer = _redirect(await oidc.provider.authorization_address(attempt))
    except FilmgateError as failure:
        return _show_problem(failure)
    path = cookie_path(request, panel, via_provider=True)
    answer.set_cookie(
        COOKIE,
        _sealed(panel, attempt),
        max_age=int(STATE_SECONDS),
        path=f"{path}/api/oidc",
        httponly=True,
        samesite="lax",  # it comes back from another site
        secure=is_https(request, panel, via_provider=True),
    )
    return answer


@router.get("/callback", summary="Come back from the sign-in provider", response_class=Response)
async def finish(
    request: Request, *, code: str = "", state: str = "", iss: str = "", error: str = ""
) -> Response:
    """Opens a session and redirects to the panel."""
    panel = panel_of(request)
    oidc = _configured(panel)
    answer = _redirect(PANEL)
    try:
        panel.throttle.begin_attempt(address=address_of(request), name=None)
        attempt = await _returned_attempt(request, panel, oidc, state=state)
        if error or not code or iss not in ("", oidc.options.issuer):
            log.warning("oidc.refused", reason=error[:100] or "no code, or that of another issuer")
            raise OidcRefused("The sign-in provider refused.")
        identity = await oidc.provider.identify(code, attempt)
        subject = hashed_subject(oidc.options.issuer, identity.subject)
        role = oidc.options.role_of(identity.groups)
        if role is None:
            await oidc.admins.end_sessions(subject)
            log.warning("oidc.refused", reason="no role", groups=sorted(identity.groups)[:20])
            raise OidcNoRole("None of your groups may use this panel.")
        admin = await oidc.admins.admit(subject, name=identity.name, role=role)
    except FilmgateError as failure:
        answer = _show_problem(failure)
    else:
        panel.throttle.forget_failures(address=address_of(request), name=None)
        await open_session(request, answer, admin, method="oidc")
    answer.delete_cookie(COOKIE, path=f"{cookie_path(request, panel, via_provider=True)}/api/oidc")
    return answer


async def _returned_attempt(
    request: Request, panel: PanelServices, oidc: OidcSignIn, *, state: str
) -> SignInAttempt:
    """What this browser has begun. Raises ``OidcOutdated``, also for a state that comes a second time."""
    try:
        text = panel.vault.unseal(request.cookies.get(COOKIE, ""), place=OIDC_ATTEMPT_PLACE)
    except SettingsInvalid:
        raise OidcOutdated("This sign-in began in another browser, or too long ago.") from None
    stored = json.loads(text)
    until = stored.pop("until")
    attempt = SignInAttempt(**stored)
    same = hmac.compare_digest(attempt.state.encode(), state.encode("utf-8", "replace"))
    if not same or until < time.time() or not await oidc.admins.use_state(state):
        raise OidcOutdated("This sign-in began in another browser, or too long ago.")
    return attempt


def _sealed(panel: PanelServices, attempt: SignInAttempt) -> str:
    content = attempt.as_object() | {"until": time.time() + STATE_SECONDS}
    return panel.vault.seal(json.dumps(content), place=OIDC_ATTEMPT_PLACE)


def _configured(panel: PanelServices) -> OidcSignIn:
    if panel.oidc is None:
        raise NotFound("No sign-in provider is set (FILMGATE_OIDC_ISSUER).")
    return panel.oidc


def _own_address(request: Request, panel: PanelServices) -> str:
    """Providers know addresses that are registered there: the public URL, or without one the address that is used."""
    return (panel.gateway.public_url or str(request.base_url)).rstrip("/").removesuffix("/admin/api")


def _show_problem(failure: FilmgateError) -> Response:
    return _redirect(f"{PANEL}#/overview?problem={failure.code}")


def _redirect(address: str) -> Response:
    return RedirectResponse(address, status_code=303, headers={"cache-control": "no-store"})
