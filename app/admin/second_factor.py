"""`/admin/api/session/second-factor`: an admin turns the second factor on and off, and gets recovery codes."""

from itertools import groupby

import segno
from fastapi import APIRouter, Response
from pydantic import Field

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import PanelAnswer, PanelBody
from app.admin.sign_in import confirm_password, own_session

router = APIRouter(route_class=AdminRoute, prefix="/session")


class ConfirmBody(PanelBody):
    password: str = Field(repr=False)


class FactorBody(PanelBody):
    """``ticket`` comes from the offer; ``code`` from the app that scanned it."""

    ticket: str = Field(repr=False, max_length=2000)
    code: str = Field(repr=False, max_length=100)


class FactorState(PanelAnswer):
    on: bool
    recovery_codes: int
    """How many are left."""


class QrPicture(PanelAnswer):
    """The dark modules of a QR code: an SVG path of horizontal strokes of width 1, on ``size`` × ``size`` units."""

    size: int
    path: str


class FactorOfferObject(PanelAnswer):
    secret: str
    uri: str
    ticket: str
    qr: QrPicture


class RecoveryCodes(PanelAnswer):
    """Shown once; each works once instead of a code of the app."""

    codes: list[str]


@router.get("/second-factor", summary="Show whether your second factor is on")
async def get_factor(request: AdminRequest) -> FactorState:
    admin = own_session(request).admin
    return FactorState(
        on=admin.second_factor, recovery_codes=await request.panel.second_factors.count_codes(admin.id)
    )


@router.post("/second-factor", summary="Offer a secret for an authenticator app")
async def offer_factor(body: ConfirmBody, request: AdminRequest) -> FactorOfferObject:
    """Nothing changes before a code of the app confirms it. A phone is replaced in the same way."""
    await confirm_password(request, body.password)
    offer = request.panel.second_factors.offer_secret(own_session(request).admin)
    return FactorOfferObject(
        secret=offer.secret, uri=offer.uri, ticket=offer.ticket, qr=_draw_code(offer.uri)
    )


@router.put("/second-factor", summary="Turn your second factor on")
async def turn_on(body: FactorBody, request: AdminRequest) -> RecoveryCodes:
    """All your other sessions end."""
    session = own_session(request)
    codes = await request.panel.second_factors.turn_on(
        session.admin, body.ticket, code=body.code, session_id=session.id
    )
    return RecoveryCodes(codes=codes)


@router.post("/second-factor/disable", status_code=204, summary="Turn your second factor off")
async def turn_off(body: ConfirmBody, request: AdminRequest) -> Response:
    await confirm_password(request, body.password)
    admin = own_session(request).admin
    await request.panel.second_factors.turn_off(admin.name, admin)
    return Response(status_code=204)


@router.post("/recovery-codes", summary="Replace your recovery codes")
async def renew_codes(body: ConfirmBody, request: AdminRequest) -> RecoveryCodes:
    await confirm_password(request, body.password)
    codes = await request.panel.second_factors.renew_codes(own_session(request).admin)
    return RecoveryCodes(codes=codes)


def _draw_code(text: str) -> QrPicture:
    code = segno.make_qr(text, error="m")
    border, path = code.default_border_size, []
    for y, row in enumerate(code.matrix, border):
        x = border
        for dark, run in groupby(row):
            length = len(list(run))
            if dark:
                path.append(f"M{x} {y}.5h{length}")
            x += length
    return QrPicture(size=len(code.matrix) + 2 * border, path="".join(path))
