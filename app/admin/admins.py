"""`/admin/api/admins`: who may use the panel, and as what."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import Field

from app.admin.access import AdminRequest, OwnerRoute
from app.admin.admin_repository import FIXED_NAME, AdminRole
from app.admin.bodies import Name, PanelBody
from app.admin.paging import whole_list
from app.errors import InvalidRequest

router = APIRouter(route_class=OwnerRoute, prefix="/admins")


class NewAdminBody(PanelBody):
    name: Name
    role: AdminRole = "viewer"
    password: str = Field(repr=False)


class AdminChangeBody(PanelBody):
    name: Name | None = None
    role: AdminRole | None = None
    password: str | None = Field(default=None, repr=False)


@router.get("", summary="Admins")
async def list_admins(at: AdminRequest) -> dict[str, Any]:
    return whole_list([admin.as_object() for admin in await at.panel.admins.list()])


@router.post("", status_code=201, summary="Add an admin")
async def add_admin(wish: NewAdminBody, at: AdminRequest) -> dict[str, Any]:
    made = await at.panel.admins.create(at.actor.name, wish.name, role=wish.role, password=wish.password)
    return made.as_object()


@router.patch("/{admin_id}", summary="Change an admin")
async def change_admin(admin_id: str, wish: AdminChangeBody, at: AdminRequest) -> dict[str, Any]:
    """A new password or role ends this admin's sessions."""
    await _refuse_fixed(at, admin_id)
    changed = await at.panel.admins.update(
        at.actor.name, admin_id, name=wish.name, role=wish.role, password=wish.password
    )
    return changed.as_object()


@router.delete("/{admin_id}", status_code=204, summary="Remove an admin")
async def remove_admin(admin_id: str, at: AdminRequest) -> Response:
    await _refuse_fixed(at, admin_id)
    await at.panel.admins.delete(at.actor.name, admin_id)
    return Response(status_code=204)


async def _refuse_fixed(at: AdminRequest, admin_id: str) -> None:
    if not at.panel.fixed_password:
        return
    if any(admin.id == admin_id and admin.name == FIXED_NAME for admin in await at.panel.admins.list()):
        raise InvalidRequest("This admin is set by FILMGATE_ADMIN_PASSWORD; change it there.", param="name")
