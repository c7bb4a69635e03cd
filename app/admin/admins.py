"""`/admin/api/admins`: who may use the panel, and with which role."""

from fastapi import APIRouter, Response
from pydantic import Field

from app.admin.access import AdminRequest, AdminRoute
from app.admin.admin_repository import FIXED_NAME, AdminUser
from app.admin.bodies import ListAnswer, Name, PanelAnswer, PanelBody
from app.admin.rights import AdminRole
from app.errors import InvalidRequest

router = APIRouter(route_class=AdminRoute, prefix="/admins")


class NewAdminBody(PanelBody):
    name: Name
    role: AdminRole = "viewer"
    password: str = Field(repr=False)


class AdminChangeBody(PanelBody):
    name: Name | None = None
    role: AdminRole | None = None
    password: str | None = Field(default=None, repr=False)


class AdminObject(PanelAnswer):
    id: str
    name: str
    role: AdminRole
    created_at: float
    second_factor: bool
    from_provider: bool
    """Signs in through the OpenID Connect provider, which says the role."""


@router.get("", summary="List admins")
async def list_admins(request: AdminRequest) -> ListAnswer[AdminObject]:
    return ListAnswer(data=[_admin_object(admin) for admin in await request.panel.admins.list()])


@router.post("", status_code=201, summary="Add an admin")
async def add_admin(body: NewAdminBody, request: AdminRequest) -> AdminObject:
    created = await request.panel.admins.create(
        request.actor.name, body.name, role=body.role, password=body.password
    )
    return _admin_object(created)


@router.patch("/{admin_id}", summary="Change an admin")
async def change_admin(admin_id: str, body: AdminChangeBody, request: AdminRequest) -> AdminObject:
    """A new password or role ends this admin's sessions."""
    await _refuse_fixed(request, admin_id)
    changed = await request.panel.admins.update(
        request.actor.name, admin_id, name=body.name, role=body.role, password=body.password
    )
    return _admin_object(changed)


@router.delete("/{admin_id}", status_code=204, summary="Remove an admin")
async def remove_admin(admin_id: str, request: AdminRequest) -> Response:
    await _refuse_fixed(request, admin_id)
    await request.panel.admins.delete(request.actor.name, admin_id)
    return Response(status_code=204)


@router.delete("/{admin_id}/second-factor", status_code=204, summary="Turn the second factor of an admin off")
async def remove_factor(admin_id: str, request: AdminRequest) -> Response:
    """For somebody who has lost the phone and the recovery codes. Their sessions go on."""
    admin = await request.panel.admins.get(admin_id)
    await request.panel.second_factors.turn_off(request.actor.name, admin)
    return Response(status_code=204)


async def _refuse_fixed(request: AdminRequest, admin_id: str) -> None:
    if not request.panel.fixed_password:
        return
    admins = await request.panel.admins.list()
    if any(admin.id == admin_id and admin.name == FIXED_NAME for admin in admins):
        raise InvalidRequest(
            "FILMGATE_ADMIN_PASSWORD sets this admin; change it there.",
            param="name",
            reason="set_by_environment",
        )


def _admin_object(admin: AdminUser) -> AdminObject:
    return AdminObject(
        **admin.as_object(), second_factor=admin.second_factor, from_provider=admin.from_provider
    )
